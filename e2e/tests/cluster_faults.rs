//! What the cluster of the demo endures: programs killed, nodes rebooted, minutes without the API
//! server. It heals by itself while pods ping each other and others come and go.
//!
//! ```text
//! cargo build -p xtask
//! cargo test -p e2e --features slow-tests --test cluster_faults -- --nocapture
//! ```
#![cfg(test)]

#[path = "cluster_demo"]
mod cluster_demo {
    pub(crate) mod leftovers;
    pub(crate) mod program;
}
mod cluster_faults {
    pub(crate) mod faults;
    pub(crate) mod pods;
}

use std::time::Duration;

use cluster::Program;

use crate::{
    cluster_demo::program::{demo, run},
    cluster_faults::faults::{Fault, endure},
};

/// What systemd waits before it starts a program again.
const RESTART: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_mins(1);
/// Whole pods, with what they supervise.
const CENTRAL: Program<'static> = Program::named("kube-ovn-central").with("\0central");
const SWITCHES: Program<'static> = Program::named("kube-ovn-central").with("\0vswitch");

const FAULTS: [Fault; 17] = [
    Fault::Nothing,
    Fault::Killed("controller", Program::named("kube-ovn-controller")),
    Fault::Killed("daemon", Program::named("kube-ovn-daemon")),
    Fault::Killed("northd", Program::named("ovn-northd")),
    Fault::Killed("ovsdb-server of NB", database("ovnnb_db.db")),
    Fault::Killed("ovsdb-server of SB", database("ovnsb_db.db")),
    Fault::Killed("ovn-central", CENTRAL),
    Fault::Killed("ovn-controller", Program::named("ovn-controller")),
    Fault::Killed("ovsdb-server of nodes", database("conf.db")),
    Fault::Killed("ovs-vswitchd", Program::named("ovs-vswitchd")),
    Fault::Killed("ovs-ovn", SWITCHES),
    Fault::Away("kubelet", &[Program::named("kubelet")], RESTART),
    Fault::Away("containerd", &[Program::named("containerd")], RESTART),
    Fault::Rebooted(&["n1"]),
    Fault::Rebooted(&["n2"]),
    Fault::Rebooted(&["n1", "n2"]),
    Fault::Away(
        "API server for a minute",
        &[Program::named("kube-apiserver")],
        MINUTE,
    ),
];

const fn database(file: &'static str) -> Program<'static> {
    Program::named("ovsdb-server").with(file)
}

#[test]
fn what_is_killed_cut_or_rebooted_heals_by_itself() {
    run(async |cluster| endure(cluster, &FAULTS).await);
    let down = demo(&["--down"]).unwrap();
    assert!(down.success, "{}", down.stderr);
}
