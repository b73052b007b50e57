//! The plugin alone: how long it takes, and how much memory.

use anyhow::{Result, ensure};
use serde_json::json;
use testkit::{Cluster, Lab, objects};

use crate::{
    NODE,
    call::{Memory, call},
    times::Times,
};

const TIMED: usize = 300;
const WATCHED: usize = 5;

/// What one call costs, whatever the daemon does.
pub(crate) struct Plugin {
    pub(crate) milliseconds: f64,
    pub(crate) mib: f64,
}

/// Calls STATUS many times, and then ADD and DEL of one pod a few times.
pub(crate) async fn measure(lab: &Lab, cluster: &Cluster<'_>) -> Result<Plugin> {
    let pod = objects::pod("plugin").on(NODE).build();
    let pod = lab.api_server()?.create_pod(&pod).await?;
    let sandbox = cluster.sandbox(&pod, NODE)?;
    let config = json!({
        // the first that has STATUS
        "cniVersion": "1.1.0",
        "name": "kube-ovn",
        "type": "kube-ovn",
        "server_socket": lab.node(NODE)?.directory().join("daemon.sock"),
    });
    let status = sandbox.invocation("STATUS")?.input(config.to_string());
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..TIMED {
        let called = call(&status, Memory::Unseen)?;
        ensure!(called.success, "STATUS failed: {}", called.output);
        times.push(called.milliseconds);
    }
    let mut mib = 0.0_f64;
    for _ in 0..WATCHED {
        let called = call(&sandbox.invocation("ADD")?, Memory::Watched)?;
        ensure!(called.success, "ADD failed: {}", called.output);
        mib = mib.max(called.peak_mib);
        sandbox.del()?;
    }
    lab.api_server()?.delete_pod(&pod).await?;
    Ok(Plugin {
        milliseconds: Times::from_iter(times).percentile(50),
        mib,
    })
}
