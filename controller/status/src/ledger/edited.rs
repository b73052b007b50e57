//! Records that somebody wrote, edited or deleted by hand.
//!
//! What was given stays given as long as who has it: its record is written again. A record without
//! one that has it may be written by anybody, and counts for what nobody else has.

use controller_index::{Allocation, Claimant, Index, Kind, ObjectName, Record};
use controller_ipam::{Claim, ClaimKey, Conflict, Uid};

use super::decision::Decision;
use super::needy::{Needy, needy};
use super::{Ledger, allocation};

impl Ledger {
    /// A record that vanished brings its claimant up for decision, so there is nothing to do here.
    pub(super) fn take_over(&mut self, index: &Index, name: &str) {
        let Some(record) = index.records().get(&name.to_owned()) else {
            self.naming.remove(name);
            return;
        };
        if record.claimant_uid.is_some() {
            self.naming.insert(name.to_owned());
        }
        let claim = claim(name, record);
        let is_edited = matches!(self.ipam.restore(claim.clone()), Err(Conflict::Name { .. }));
        // what was chosen here and never used gives way to what another leader recorded before
        let was_chosen = self.chosen.remove(name);
        if is_edited && (was_chosen || needy(index, &record.claimant).is_none()) {
            self.release(name);
            self.restore(claim);
        }
    }

    /// What the record says counts if nobody else has it.
    pub(super) fn heed(&mut self, claimant: &Claimant, name: &str, record: &Record) -> Decision {
        let Err(conflict) = self.ipam.restore(claim(name, record)) else {
            return Decision::Settled;
        };
        let missing = self.refused.entry(Some(record.subnet.clone())).or_default();
        missing.insert(claimant.clone());
        Decision::Disregard {
            name: name.to_owned(),
            uid: record.uid.clone(),
            message: conflict.to_string(),
        }
    }

    /// What was given to the claimant, if the record is its own by the UID.
    pub(super) fn own(&self, needy: &Needy, recorded: Option<&String>) -> Option<Allocation> {
        let uid = recorded.filter(|uid| **uid == needy.uid)?;
        let claim = self.ipam.claim(&needy.key())?;
        let is_own = claim.belongs_to(&Uid::new(uid.clone()));
        is_own.then(|| allocation(claim))
    }

    /// Writes into the record what it is to say.
    pub(super) fn mend(
        &self,
        index: &Index,
        needy: Needy,
        record: &Record,
        given: Allocation,
    ) -> Decision {
        let names_claimant = self.naming.contains(&needy.claimant.record_name());
        let claimant_uid = names_claimant.then(|| needy.uid.clone());
        let mended = |recorded| Decision::Mend {
            record: record.uid.clone(),
            found: Some(record.allocation()),
            claimant_uid,
            recorded,
        };
        let recorded = needy.recorded(index, given);
        recorded.map_or(Decision::Settled, mended)
    }
}

/// There is no record, or one that nobody can read.
pub(super) fn record_or_mend(index: &Index, needy: Needy, given: Allocation) -> Decision {
    let object = ObjectName {
        kind: Kind::Ip,
        namespace: None,
        name: needy.claimant.record_name(),
    };
    let unreadable = index.rejected().get(&object).map(|it| it.uid.clone());
    let Some(recorded) = needy.recorded(index, given) else {
        return Decision::Settled;
    };
    match unreadable {
        None => Decision::Record(recorded),
        Some(record) => Decision::Mend {
            record,
            found: None,
            claimant_uid: None,
            recorded,
        },
    }
}

fn claim(name: &str, record: &Record) -> Claim {
    Claim {
        key: ClaimKey::new(name),
        uid: record.claimant_uid.clone().map(Uid::new),
        subnet: record.subnet.clone(),
        addresses: record.addresses,
        mac: record.mac,
    }
}
