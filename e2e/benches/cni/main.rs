//! What a pod waits for: ADD and DEL called as kubelet's runtime calls them, 1, 10 and 50 at a
//! time, on one node of a laboratory with the real API server, OVN 25.03, controller and daemon.
//!
//! `cargo xtask bench cni` builds everything as it is shipped, tells its progress on standard
//! error, and prints one line of JSON. Milliseconds are from the start of the plugin to its exit.
//!
//! - `add_p50_ms_c10`: 10 workers, each of which creates a pod object that is bound to the node
//!   and calls ADD at once, so that the choice of its address by the controller is part of it;
//!   then pings the gateway from the pod, and goes on with the next. An ADD counts when a ping was
//!   answered within three seconds, else it is in `failed`; `adds` are those that count, of all
//!   levels.
//! - `plugged_add_p50_ms_c10`: the same with pods whose ports OVN knew before.
//! - `del_p50_ms_c10`: DEL of these pods, 10 at a time.
//! - `shim_ms`: STATUS, which the daemon answers without any work; the median. `shim_mib`: the
//!   most memory that the plugin had resident (`VmHWM`) while the daemon worked on an ADD.
//! - `daemon_cpu_ms_an_add`: user and system time of the daemon over all ADDs, its other work
//!   meanwhile included. `daemon_rss_mib`: its resident memory after all of it.
//! - `load`: of the host over the last minute before and after.

mod call;
mod line;
mod load;
mod plugin;
mod times;
mod usage;

use anyhow::Result;
use serde_json::{Map, Value, json};
use testkit::{Cluster, Lab, LabOptions, OvnVersion, lab};

use crate::{
    line::{host_load, report, rounded},
    load::{Level, Load},
    usage::Process,
};

/// The node whose daemon is measured.
const NODE: &str = "n1";
/// What comes first makes the daemon's and OVN's first steps, and is not counted.
const WARM_UP: Level = Level::new("warm_up_", 2, 10);
const LEVELS: [Level; 4] = [
    Level::new("", 1, 100),
    Level::new("", 10, 300),
    Level::new("", 50, 300),
    Level::plugged("plugged_", 10, 100),
];

fn main() {
    let options = LabOptions::on(OvnVersion::V25_03)
        .nodes(1)
        .with_api_server();
    lab::run(options, async |lab| {
        let line = measure(lab).await?;
        report(&line);
        Ok(())
    });
}

async fn measure(lab: &Lab) -> Result<Value> {
    let before = host_load()?;
    let cluster = Cluster::start(lab).await?;
    let daemon = Process::new(cluster.daemon_id(lab.node(NODE)?)?);
    let load = Load::new(lab, &cluster)?;
    load.run(WARM_UP).await?;
    let plugin = plugin::measure(lab, &cluster).await?;
    let mut figures = Map::new();
    let (mut adds, mut failed, mut milliseconds) = (0, 0, 0.0);
    for level in LEVELS {
        let measured = load.run(level).await?;
        for (command, times) in [("add", &measured.add), ("del", &measured.del)] {
            for percent in [50, 99] {
                let Level {
                    prefix, at_once, ..
                } = level;
                let key = format!("{prefix}{command}_p{percent}_ms_c{at_once}");
                figures.insert(key, rounded(times.percentile(percent)));
            }
        }
        adds += measured.add.count();
        failed += measured.failed;
        milliseconds += measured.daemon_ms;
    }
    let count = u32::try_from(adds + failed).map(f64::from)?;
    let line = json!({
        "shim_ms": rounded(plugin.milliseconds),
        "shim_mib": rounded(plugin.mib),
        "daemon_cpu_ms_an_add": rounded(milliseconds / count),
        "daemon_rss_mib": rounded(daemon.resident_mib()?),
        "adds": adds,
        "failed": failed,
        "load": [before, host_load()?],
    });
    figures.extend(line.as_object().cloned().unwrap_or_default());
    Ok(figures.into())
}
