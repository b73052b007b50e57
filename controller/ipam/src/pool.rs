//! The free space of one family of one subnet.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use model::address::number;
use model::{AddressRange, Cidr, IpFamily};

use crate::{IntervalSet, Usage};

/// What may be handed out, and in which order: the lowest address first; one that was given back
/// rests until all others have had their turn, so that caches and late packets of its former
/// holder meet nobody for as long as possible.
///
/// Invariant: `fresh` and `resting` are disjoint, and with the used part of `allocatable` they
/// make up all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pool {
    family: IpFamily,
    /// Every address that may be handed out when nobody uses it.
    allocatable: IntervalSet,
    /// Free, and not given back during this lap.
    fresh: IntervalSet,
    /// Free, and given back during this lap.
    resting: IntervalSet,
}

/// What is free and what is used of one family of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    pub usage: Usage,
    pub free: Vec<AddressRange>,
    pub used: Vec<AddressRange>,
}

// === impl Pool ===

impl Pool {
    /// The hosts of `cidr` without those in `blocked`, all of them free.
    pub(crate) fn new(cidr: Cidr, blocked: impl IntoIterator<Item = AddressRange>) -> Self {
        let hosts = cidr.hosts();
        Self::within(cidr, hosts, blocked)
    }

    /// The hosts of `cidr` in one of `ranges`, without those in `blocked`, all of them free.
    pub(crate) fn within(
        cidr: Cidr,
        ranges: impl IntoIterator<Item = AddressRange>,
        blocked: impl IntoIterator<Item = AddressRange>,
    ) -> Self {
        let family = cidr.family();
        let mut allocatable = IntervalSet::default();
        let ranges = ranges.into_iter().filter(|it| it.family() == family);
        for (range, hosts) in ranges.filter_map(|range| Some((range, cidr.hosts()?))) {
            let first = number(range.start()).max(number(hosts.start()));
            let last = number(range.end()).min(number(hosts.end()));
            allocatable.insert(first..=last);
        }
        for range in blocked {
            if range.family() == family {
                allocatable.remove(number(range.start())..=number(range.end()));
            }
        }
        Self {
            family,
            fresh: allocatable.clone(),
            resting: IntervalSet::default(),
            allocatable,
        }
    }

    /// Lets rest what rested in `former`, the same pool before an edit, and is still free.
    pub(crate) fn resume(&mut self, former: &Self) {
        if self.family != former.family {
            return;
        }
        let free = self.fresh.clone();
        self.fresh.remove_all(&former.resting);
        self.resting = free;
        self.resting.remove_all(&self.fresh);
    }

    /// The address whose turn it is; `None` when all are used.
    pub(crate) fn next(&self) -> Option<IpAddr> {
        let number = self.fresh.first().or_else(|| self.resting.first())?;
        self.family.address(number)
    }

    /// Takes `address` out of the free space, if it is there. When the last fresh address is gone
    /// and a resting one is taken, a new lap begins.
    pub(crate) fn take(&mut self, address: IpAddr) {
        let number = number(address);
        if self.fresh.is_empty() && self.resting.contains(number) {
            std::mem::swap(&mut self.fresh, &mut self.resting);
        }
        self.fresh.remove(number..=number);
        self.resting.remove(number..=number);
    }

    /// Gives back an address that was taken. It becomes free unless it may not be handed out.
    pub(crate) fn give_back(&mut self, address: IpAddr) {
        let number = number(address);
        if self.allocatable.contains(number) {
            self.resting.insert(number..=number);
        }
    }

    /// Whether `address` may be handed out when nobody uses it.
    pub(crate) fn may_hand_out(&self, address: IpAddr) -> bool {
        self.allocatable.contains(number(address))
    }

    /// Whether there is nothing that could ever be handed out.
    pub(crate) fn is_empty(&self) -> bool {
        self.allocatable.is_empty()
    }

    /// The addresses that are free, and those in use of what may be handed out.
    pub(crate) fn content(&self) -> Content {
        let mut free = self.fresh.clone();
        for range in self.resting.iter() {
            free.insert(range);
        }
        let mut used = self.allocatable.clone();
        used.remove_all(&free);
        let ranges = |set: &IntervalSet| set.iter().filter_map(|it| self.range(&it)).collect();
        Content {
            usage: Usage {
                available: free.len(),
                used: used.len(),
            },
            free: ranges(&free),
            used: ranges(&used),
        }
    }

    fn range(&self, numbers: &RangeInclusive<u128>) -> Option<AddressRange> {
        let address = |number: &u128| self.family.address(*number);
        AddressRange::new(address(numbers.start())?, address(numbers.end())?)
    }

    /// How many addresses are free.
    pub(crate) fn available(&self) -> u128 {
        self.fresh.len().saturating_add(self.resting.len())
    }
}
