//! Sets of numbers as disjoint intervals: an IPv6 `/64` costs as much as one address.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A set of numbers. Its size in memory is that of its gaps, not of its members; [`insert`] and
/// [`remove`] take logarithmic time plus the number of intervals that they swallow.
///
/// [`insert`]: Self::insert
/// [`remove`]: Self::remove
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IntervalSet {
    /// First to last member of each interval; no two overlap or touch.
    intervals: BTreeMap<u128, u128>,
}

// === impl IntervalSet ===

impl IntervalSet {
    /// Adds every number of `range`; an empty range adds nothing.
    pub fn insert(&mut self, range: RangeInclusive<u128>) {
        let (mut start, mut end) = range.into_inner();
        if start > end {
            return;
        }
        while let Some((first, last)) = self.last_starting_by(end.saturating_add(1)) {
            if last.saturating_add(1) < start {
                break;
            }
            self.intervals.remove(&first);
            start = start.min(first);
            end = end.max(last);
        }
        self.intervals.insert(start, end);
    }

    /// Takes every number of `range` out; an empty range takes nothing.
    pub fn remove(&mut self, range: RangeInclusive<u128>) {
        let (start, end) = range.into_inner();
        if start > end {
            return;
        }
        while let Some((first, last)) = self.last_starting_by(end) {
            if last < start {
                break;
            }
            self.intervals.remove(&first);
            if last > end {
                self.intervals.insert(end + 1, last);
            }
            if first < start {
                self.intervals.insert(first, start - 1);
            }
        }
    }

    /// Takes every member of `other` out.
    pub fn remove_all(&mut self, other: &Self) {
        for range in other.iter() {
            self.remove(range);
        }
    }

    pub fn contains(&self, number: u128) -> bool {
        self.last_starting_by(number)
            .is_some_and(|(_, last)| number <= last)
    }

    /// The lowest member.
    pub fn first(&self) -> Option<u128> {
        self.intervals.first_key_value().map(|(first, _)| *first)
    }

    /// How many members there are. The set of all numbers has one more than can be told.
    pub fn len(&self) -> u128 {
        self.iter()
            .map(|range| (range.end() - range.start()).saturating_add(1))
            .fold(0, u128::saturating_add)
    }

    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// The intervals in ascending order; between two of them at least one number is missing.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u128>> {
        self.intervals.iter().map(|(first, last)| *first..=*last)
    }

    /// The last interval that starts at or before `number`.
    fn last_starting_by(&self, number: u128) -> Option<(u128, u128)> {
        let (first, last) = self.intervals.range(..=number).next_back()?;
        Some((*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// The numbers of the model; they are moved to either end of the number line.
    const UNIVERSE: u128 = 40;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u128, u128),
        Remove(u128, u128),
    }

    fn step() -> impl Strategy<Value = Step> {
        let range = || (0..UNIVERSE, 0..UNIVERSE);
        prop_oneof![
            range().prop_map(|(start, end)| Step::Insert(start, end)),
            range().prop_map(|(start, end)| Step::Remove(start, end)),
        ]
    }

    fn base() -> impl Strategy<Value = u128> {
        prop_oneof![Just(0), Just(u128::MAX - UNIVERSE + 1)]
    }

    proptest! {
        #[test]
        fn intervals_behave_like_a_set(base in base(), steps in prop::collection::vec(step(), 0..40)) {
            let (mut set, mut naive) = (IntervalSet::default(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Insert(a, b) => {
                        set.insert(base + a..=base + b);
                        naive.extend(base + a..=base + b);
                    }
                    Step::Remove(a, b) => {
                        set.remove(base + a..=base + b);
                        naive.retain(|number| !(base + a..=base + b).contains(number));
                    }
                }
                prop_assert!(set.iter().flatten().eq(naive.iter().copied()));
                prop_assert_eq!(set.first(), naive.first().copied());
                prop_assert_eq!(set.len(), u128::try_from(naive.len()).unwrap());
                prop_assert_eq!(set.is_empty(), naive.is_empty());
                for number in 0..UNIVERSE {
                    prop_assert_eq!(set.contains(base + number), naive.contains(&(base + number)));
                }
                prop_assert!(is_coalesced(&set));
            }
        }
    }

    fn is_coalesced(set: &IntervalSet) -> bool {
        let ranges: Vec<_> = set.iter().collect();
        ranges
            .windows(2)
            .all(|pair| pair[1].start() - pair[0].end() > 1)
    }

    #[test]
    fn the_set_of_all_numbers_is_one_interval() {
        let mut set = IntervalSet::default();
        set.insert(0..=u128::MAX);
        assert_eq!(set.len(), u128::MAX);
        set.remove(7..=7);
        assert_eq!(set.iter().count(), 2);
        assert_eq!(set.len(), u128::MAX);
    }
}
