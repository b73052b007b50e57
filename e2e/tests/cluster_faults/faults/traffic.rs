//! Pings between pods, while something happens.

use std::{net::IpAddr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use testkit::{
    loss::{INTERVAL, Loss, Pinging},
    wait_until,
};

use crate::cluster_faults::pods::{Pod, pods};

/// What a goal that takes `time` may take at most.
const SLACK: u32 = 6;

/// Pings between two nodes, and within the node that stays.
#[derive(Debug)]
pub(crate) struct Traffic {
    across: Vec<Pinging>,
    within: Vec<Pinging>,
}

/// What was lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Losses {
    pub(crate) across: Loss,
    pub(crate) within: Loss,
}

// === impl Traffic ===

impl Traffic {
    /// Starts pings of all families; none comes from the nodes `away`, and none at all where no
    /// other is left.
    ///
    /// # Errors
    /// One has no answer.
    pub(crate) async fn start(cluster: &Cluster, away: &[&str], directory: &Path) -> Result<Self> {
        let pods = pods(cluster)?;
        let find = |app: &str, node: Option<&str>| {
            let mut pods = pods.iter();
            let on = |pod: &Pod| node.is_none_or(|node| pod.node == node);
            pods.find(|pod| pod.app == app && on(pod))
                .with_context(|| format!("no pod {app}"))
        };
        let (near, far) = (find("near", None)?, find("far", None)?);
        let stays = |pod: &Pod| !away.contains(&pod.node.as_str());
        let ways = [(near, far), (far, near)];
        let Some((from, to)) = ways.into_iter().find(|(from, _)| stays(from)) else {
            return Ok(Self {
                across: Vec::new(),
                within: Vec::new(),
            });
        };
        let neighbor = find("kube-ovn-pinger", Some(&from.node))?;
        let netns = from.netns(cluster)?;
        let start = async |name: &str, addresses: &[IpAddr]| {
            let mut pings = Vec::new();
            for (index, address) in addresses.iter().enumerate() {
                let name = format!("{name}-{index}");
                pings.push(Pinging::start(&netns, *address, &name, directory).await?);
            }
            anyhow::Ok(pings)
        };
        Ok(Self {
            across: start("across", &to.addresses).await?,
            within: start("within", &neighbor.addresses).await?,
        })
    }

    /// Waits until the node that stays has sent for so long.
    ///
    /// # Errors
    /// It does not.
    pub(crate) async fn goes_on_for(&self, time: Duration) -> Result<()> {
        let clock = self.within.first().context("there is a ping")?;
        let goal = clock.answered()? + usize::try_from(time.as_millis() / INTERVAL.as_millis())?;
        let what = format!("{time:?} have passed");
        wait_until(&what, time * SLACK, async || {
            let answered = clock.answered()?;
            ensure!(
                answered >= goal,
                "{answered} of {goal} requests were answered"
            );
            Ok(())
        })
        .await
    }

    /// Ends it.
    ///
    /// # Errors
    /// A ping does not say what it did.
    pub(crate) async fn finish(self) -> Result<Losses> {
        Ok(Losses {
            across: sum(self.across).await?,
            within: sum(self.within).await?,
        })
    }
}

async fn sum(pings: Vec<Pinging>) -> Result<Loss> {
    let mut sum = Loss::default();
    for ping in pings {
        sum = sum.and(ping.finish().await?);
    }
    Ok(sum)
}
