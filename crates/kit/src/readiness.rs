//! Whether the program can do its work, as named conditions that are met or not.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

/// Every condition of the process. A clone is another handle of the same conditions.
///
/// A process without conditions is ready.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<Missing>>);

/// The conditions that are not met, each with the reason. Empty means ready.
pub type Missing = BTreeMap<&'static str, String>;

/// One condition. Whoever holds it says when it is met.
#[derive(Debug)]
pub struct Condition {
    name: &'static str,
    missing: Arc<watch::Sender<Missing>>,
}

// === impl Readiness ===

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// No conditions yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Missing::new())))
    }

    /// A new condition, not met until it says otherwise. Make all conditions before serving, so that
    /// the program is not ready for a moment too early.
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition {
            name,
            missing: Arc::clone(&self.0),
        };
        condition.unmet("not yet");
        condition
    }

    /// What is missing now.
    pub fn missing(&self) -> Missing {
        self.0.borrow().clone()
    }

    /// Follows what is missing.
    pub fn watch(&self) -> watch::Receiver<Missing> {
        self.0.subscribe()
    }
}

// === impl Condition ===

impl Condition {
    /// The condition holds from now on.
    pub fn met(&self) {
        self.missing
            .send_if_modified(|missing| missing.remove(self.name).is_some());
    }

    /// The condition does not hold; `why` names what is waited for.
    pub fn unmet(&self, why: impl Into<String>) {
        let why = why.into();
        self.missing.send_if_modified(|missing| {
            missing.insert(self.name, why.clone()).as_ref() != Some(&why)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_conditions_is_ready() {
        assert!(Readiness::new().missing().is_empty());
    }

    #[test]
    fn a_new_condition_is_not_met() {
        let readiness = Readiness::new();
        let _replica = readiness.condition("replica");
        assert_eq!(
            readiness.missing(),
            Missing::from([("replica", "not yet".to_owned())])
        );
    }

    #[test]
    fn a_condition_can_be_lost_again_with_a_reason() {
        let readiness = Readiness::new();
        let replica = readiness.condition("replica");
        replica.met();
        assert!(readiness.missing().is_empty());
        replica.unmet("reconnecting to unix:/run/ovn/ovnnb_db.sock");
        assert_eq!(
            readiness.missing().get("replica").map(String::as_str),
            Some("reconnecting to unix:/run/ovn/ovnnb_db.sock")
        );
    }

    #[test]
    fn followers_wake_only_on_a_change() {
        let readiness = Readiness::new();
        let replica = readiness.condition("replica");
        let mut watch = readiness.watch();
        replica.unmet("not yet");
        assert!(!watch.has_changed().unwrap());
        replica.met();
        assert!(watch.has_changed().unwrap());
        watch.mark_unchanged();
        replica.met();
        assert!(!watch.has_changed().unwrap());
    }
}
