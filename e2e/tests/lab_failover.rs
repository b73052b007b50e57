//! A gateway node is really cut off, as a host outside sees it.
#![cfg(test)]

use std::time::Duration;

use anyhow::ensure;
use testkit::{
    failover::{self, Cut, Gateways},
    lab, tell,
};

/// Less than a second is the aim, on a host that has nothing else to do.
const BOUND: Duration = Duration::from_secs(5);

#[test]
fn b3d_flows_by_other_nodes_go_on_while_a_node_is_cut_off_and_new_ones_are_lost_for_a_moment() {
    lab::run(failover::options(), async |lab| {
        let mut gateways = Gateways::start(lab, 1).await?;
        for cut in Cut::ALL {
            let outage = gateways.outage("n3", cut).await?;
            tell(format_args!("b3d: {cut}: {outage:?}"))?;
            let (kept, all) = outage.kept_by_others;
            ensure!(kept == all, "{kept} of {all} flows by other nodes went on");
            ensure!(outage.lost > 0, "nothing was cut off");
            ensure!(outage.lost_for < BOUND, "flows were lost for too long");
        }
        Ok(())
    });
}
