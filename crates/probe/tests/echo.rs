//! Probing over a wire, between two namespaces.
#![cfg(test)]

use std::{fs, net::IpAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use kit::metrics::Registry;
use model::{DualStack, NodeName};
use probe::{Assignment, Metrics, Pace, Prober, Sights};
use testkit::{Netns, wait_until};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(10);
const GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";

#[test]
fn silence_of_either_family_is_seen_by_raw_sockets() -> Result<()> {
    silence_is_seen("1 0")
}

#[test]
fn silence_of_either_family_is_seen_by_sockets_without_privilege() -> Result<()> {
    silence_is_seen("0 2147483647")
}

/// `groups` may have sockets without privilege.
fn silence_is_seen(groups: &str) -> Result<()> {
    let (near, far) = (Netns::create("near")?, Netns::create("far")?);
    near.ip([format!(
        "link add e0 type veth peer name e0 netns {}",
        far.name()
    )])?;
    for (netns, host) in [(&near, 1), (&far, 2)] {
        netns.ip([
            "link set lo up".to_owned(),
            "link set e0 up".to_owned(),
            format!("address add 192.0.2.{host}/24 dev e0"),
            format!("address add 2001:db8::{host}/64 dev e0 nodad"),
        ])?;
    }
    near.run(|| {
        fs::write(GROUPS, groups)?;
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build()?;
        runtime.block_on(probed(&far))
    })
}

async fn probed(far: &Netns) -> Result<()> {
    let addresses: [IpAddr; 2] = ["192.0.2.2".parse()?, "2001:db8::2".parse()?];
    let pace = Pace {
        interval: Duration::from_millis(50),
        losses: 3,
    };
    let node = |name: &str, [v4, v6]: [IpAddr; 2]| {
        let addresses = DualStack {
            v4: Some(v4),
            v6: Some(v6),
        };
        anyhow::Ok((NodeName::new(name)?, addresses))
    };
    let nobody = ["192.0.2.3".parse()?, "2001:db8::3".parse()?];
    let nodes = [node("far", addresses)?, node("nobody", nobody)?].into();
    let (_assignment, assigned) = watch::channel(Assignment { pace, nodes });
    let (sender, sights) = watch::channel(Sights::new());
    let metrics = Metrics::register(&Registry::new()?)?;
    let prober = kit::spawn("prober", Prober::new(metrics, assigned, sender).run());

    sees(&sights, "far", true).await?;
    sees(&sights, "nobody", false).await?;
    for (family, request) in [("ip", "icmp"), ("ip6", "icmpv6")] {
        far.nft(&format!(
            "add table {family} deaf
             add chain {family} deaf input {{ type filter hook input priority 0; }}
             add rule {family} deaf input {request} type echo-request drop"
        ))?;
        sees(&sights, "far", false).await?;
        far.nft(&format!("delete table {family} deaf"))?;
        sees(&sights, "far", true).await?;
    }
    prober.abort();
    Ok(())
}

async fn sees(sights: &watch::Receiver<Sights>, name: &str, answers: bool) -> Result<()> {
    let what = format!("{name} is seen to answer: {answers}");
    wait_until(&what, PATIENCE, async || {
        let sights = sights.borrow().clone();
        let sight = sights
            .get(&NodeName::new(name)?)
            .context("nothing is seen")?;
        ensure!(sight.answers == answers, "it is {sight:?}");
        Ok(())
    })
    .await
}
