//! A set of which there are many, each with one or two elements.

/// A set in one piece of memory, in order: a tree would take ten times as much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Few<T>(Vec<T>);

// === impl Few ===

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> Few<T> {
    pub(crate) fn insert(&mut self, value: T) {
        if let Err(place) = self.0.binary_search(&value) {
            self.0.reserve_exact(usize::from(self.0.len() < 4));
            self.0.insert(place, value);
        }
    }

    pub(crate) fn remove(&mut self, value: &T) {
        if let Ok(place) = self.0.binary_search(value) {
            self.0.remove(place);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_set_in_order() {
        let mut few = Few::default();
        for value in [3, 1, 2, 3, 5, 4, 0] {
            few.insert(value);
        }
        few.remove(&2);
        few.remove(&9);
        assert_eq!(few.iter().copied().collect::<Vec<_>>(), [0, 1, 3, 4, 5]);
        assert!(!few.is_empty());
    }
}
