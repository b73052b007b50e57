//! How the rows of owners stand: told by sync, shown to users by status.

use std::collections::BTreeMap;
use std::sync::Arc;

use controller_plan::Problem;
use model::Owner;
use parking_lot::Mutex;

/// What became of an owner's plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// What users must mend.
    pub problems: Vec<Problem>,
    /// What the database has against the rows; `None` when it has them all.
    pub rejection: Option<String>,
}

/// The verdicts on all owners that were planned, as the tasks share them.
#[derive(Debug, Clone, Default)]
pub struct Verdicts(Arc<Mutex<BTreeMap<Owner, Verdict>>>);

// === impl Verdicts ===

impl Verdicts {
    /// A verdict takes the place of an earlier one.
    pub fn tell(&self, owner: Owner, verdict: Verdict) {
        self.0.lock().insert(owner, verdict);
    }

    /// Nobody asks about the owner any more.
    pub fn forget(&self, owner: &Owner) {
        self.0.lock().remove(owner);
    }

    /// `None` until the owner's plan is committed or rejected.
    pub fn of(&self, owner: &Owner) -> Option<Verdict> {
        self.0.lock().get(owner).cloned()
    }

    /// All that is to be mended.
    pub fn problems(&self) -> Vec<Problem> {
        let all = self.0.lock();
        all.values().flat_map(|it| it.problems.clone()).collect()
    }
}
