//! What the leader before wrote last.

use super::*;

/// The former leader's request arrives after its successor has chosen another address.
#[test]
fn r02_what_another_leader_recorded_goes_before_what_was_only_chosen() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.2")]);

    index.apply(&record("a", "uid-a", "10.16.0.50"));
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(
        matches!(decisions.as_slice(), [Decision::Annotate(_)]),
        "{decisions:?}"
    );
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.50")]);

    index.apply(&pod("b").annotated("ip_address", "10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("b", "10.16.0.2")]);
}
