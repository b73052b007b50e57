//! How long new flows are lost when one of three gateway nodes is cut off: real etcd and
//! kube-apiserver, OVN 25.03 and Open vSwitch on every node, our daemons, and two controllers.
//!
//! `cargo xtask bench failover` builds everything as it is shipped, tells its progress on standard
//! error, and prints lines of JSON, for 1, 100 and 1,000 centralized subnets, whose traffic goes by
//! all three nodes: one for a node whose links are all down (`cut` is `link`), and one for a node
//! whose programs are all stopped by SIGSTOP (`stop`). `--subnets 1 --runs 2` is a short trial.
//!
//! New flows are TCP connections, 100 in a second, from pods of up to five of the subnets to a host
//! outside of the cluster. One is lost when its first SYN is not answered within 0.9 s.
//!
//! - `p50_s`, `max_s`: from the cut to the last new flow that was lost, of `runs` outages of a node
//!   whose controller, if it has one, does not lead.
//! - `flows_kept`: of connections that stay, ten by each node, the share that goes on during the
//!   outages and after; `flows_kept_by_others` the same of those by the two other nodes.
//! - `recover_s`: from the end of the cut until the node carries new flows again; the median, and
//!   `recover_max_s` the longest.
//! - `lost_on_return`: new flows that were lost since the node came back, of all outages.
//! - `heard_max_s`: from the end of the cut until the leader is told by all nodes again whom they see,
//!   the longest; looked at when the node is back. The next outage comes later, since until then one
//!   observer is missing.
//! - `leader_lost_s`: as `max_s`, of `leader_runs` outages of the node whose controller leads.
//!   Another takes its lease 15 s later. `leader_heard_max_s` is of these.
//! - `probes_per_s`, `cpu_percent`: while nothing happens, the echo requests that all daemons and
//!   controllers send to gateway nodes, and what these programs use of one processor.
//! - `rss_mib`: their memory together at the end; `peak_mib`: the most that one of them ever had.
//! - `load`: of the host over a minute, before and after.

#[path = "../cni/line.rs"]
mod line;
mod measure;
#[path = "../cni/times.rs"]
mod times;
#[path = "../cni/usage.rs"]
mod usage;

use std::env;

use anyhow::{Context, Result};
use testkit::{failover, lab};

use crate::measure::Plan;

/// How many subnets, where the variable `FAILOVER_SUBNETS` does not say it.
const SUBNETS: [usize; 3] = [1, 100, 1_000];
/// How many outages, where the variable `FAILOVER_RUNS` does not say it.
const RUNS: usize = 20;
/// So many times as few are outages of the leader's node.
const FEWER: usize = 10;

fn main() -> Result<()> {
    let counts = number("FAILOVER_SUBNETS")?.map_or_else(|| SUBNETS.to_vec(), |count| vec![count]);
    let runs = number("FAILOVER_RUNS")?.unwrap_or(RUNS);
    for subnets in counts {
        let plan = Plan {
            subnets,
            runs,
            leader_runs: runs.div_ceil(FEWER),
        };
        lab::run(failover::options(), async move |lab| {
            measure::measure(lab, plan).await
        });
    }
    Ok(())
}

fn number(variable: &str) -> Result<Option<usize>> {
    let Ok(text) = env::var(variable) else {
        return Ok(None);
    };
    let number = text.parse();
    Ok(Some(
        number.with_context(|| format!("{variable} is no number"))?,
    ))
}
