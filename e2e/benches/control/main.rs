//! What the control plane makes of many pods: real etcd and kube-apiserver, NB, SB and northd of
//! OVN 25.03, and our controller. Nodes and pods are objects of the API server, without kubelets.
//!
//! `cargo xtask bench control` builds the controller as it is shipped, tells its progress on
//! standard error, and prints a line of JSON for 2,000 and one for 10,000 pods, on 100 nodes and in
//! 50 subnets that have a namespace each. `--pods 300` is a short trial.
//!
//! - `create_only_per_s`: pods created in a second, by 64 at a time, while no controller runs.
//!   `create_only_cpu_ms_a_pod`: user and system time that each program used for one of them; those
//!   of a name together; `bench` is who creates the pods and looks at them.
//! - `pods_per_s`: the same pods, created in the same way on the same API server, with a
//!   controller, from the first call to when the last was seen to be `allocated`.
//!   `loaded_p99_ms`: of these, from the call to that. `pods_cpu_ms_a_pod`: of each program, as
//!   above, until the last was seen.
//! - `cpu_ms_a_pod`: user and system time of the controller over these, until NB has their ports,
//!   `nb_txns` the transactions of NB in that time as its server counts them (the canary's
//!   included), and `nb_rows` the rows that there are then. `rss_mib`: the controller's memory then.
//! - `one_p50_ms`, `one_p99_ms`: pods that are created one by one afterwards.
//! - `subnet_add_ms`, `node_add_ms`, `node_del_ms`: from the call until NB has the logical switch,
//!   has the node's port, has it no more; the median of ten.
//! - `restart_s`: from the start of a controller after one was killed until a pod that was created
//!   in between is allocated. `peak_mib`: the most memory that it ever had.
//! - `rebuild_s`: from the transaction that empties NB until NB says the same as before.
//! - `failed`: pods that were refused, or got no address; there must be none. `load`: of the host
//!   before and after, over a minute.

mod burst;
mod children;
#[path = "../cni/line.rs"]
mod line;
mod measure;
mod northbound;
mod pods;
#[path = "../cni/times.rs"]
mod times;
#[path = "../cni/usage.rs"]
mod usage;
mod world;

use std::env;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::{LabOptions, OvnVersion, lab};

use crate::line::{host_load, report};

/// How many pods, where the variable `CONTROL_PODS` does not say it.
const SIZES: [usize; 2] = [2_000, 10_000];

fn main() -> Result<()> {
    for pods in sizes()? {
        let options = LabOptions::on(OvnVersion::V25_03)
            .nodes(0)
            .with_api_server();
        lab::run(options, async move |lab| {
            let before = host_load()?;
            let mut line = measure::measure(lab, pods).await?;
            line.insert("load".to_owned(), [before, host_load()?].into());
            let failed = line.get("failed").and_then(Value::as_u64);
            report(&line.into());
            ensure!(failed == Some(0), "{failed:?} pods got no address");
            Ok(())
        });
    }
    Ok(())
}

fn sizes() -> Result<Vec<usize>> {
    match env::var("CONTROL_PODS") {
        Ok(pods) => Ok(vec![pods.parse().context("CONTROL_PODS is no number")?]),
        Err(_unset) => Ok(SIZES.to_vec()),
    }
}
