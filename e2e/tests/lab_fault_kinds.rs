//! Every kind of fault really breaks what it names, and all is whole after its end.
#![cfg(test)]

use std::{fs, io::ErrorKind, net::IpAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use model::IpFamily;
use testkit::{
    Fault, Lab, LabOptions, Netns, OvnVersion,
    fault::Injected,
    lab,
    network::{Families, MANAGEMENT, TUNNEL},
    ovn::Programs,
    wait_until,
};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(40);
/// Enough to meet several stops of a slow server.
const CALLS: usize = 100;
const DISK: u64 = 32 << 20;

#[test]
fn what_a_fault_names_is_broken_until_its_end_and_whole_afterwards() {
    let options = LabOptions::on(OvnVersion::V25_03)
        .with_api_server()
        .small_disk(DISK);
    lab::run(options, async |lab| {
        programs_that_are_killed_or_stopped(lab).await?;
        databases_that_are_corrupt_or_cannot_write(lab).await?;
        stations_that_do_not_hear_each_other(lab).await?;
        an_api_server_that_is_gone_or_slow(lab).await
    });
}

async fn programs_that_are_killed_or_stopped(lab: &Lab) -> Result<()> {
    let node = lab.node("n1")?;
    for kind in ["kill", "stop"] {
        let whole = async || lab.nbctl(["--timeout=1", "show"]).map(drop);
        breaks(lab, &format!("{kind} nb"), whole).await?;
        let whole = async || lab.sbctl(["--timeout=1", "show"]).map(drop);
        breaks(lab, &format!("{kind} sb"), whole).await?;
        let whole = async || lab.nbctl(["--timeout=1", "--wait=sb", "sync"]).map(drop);
        breaks(lab, &format!("{kind} northd"), whole).await?;
        let whole = async || node.vsctl(["--timeout=1", "show"]).map(drop);
        breaks(lab, &format!("{kind} ovsdb@n1"), whole).await?;
        let whole = async || node.appctl(["--timeout=1", "version"]).map(drop);
        breaks(lab, &format!("{kind} vswitchd@n1"), whole).await?;
        let whole = async || {
            node.ovn_appctl(["--timeout=1", "connection-status"])
                .map(drop)
        };
        breaks(lab, &format!("{kind} ovn-controller@n1"), whole).await?;
    }
    Ok(())
}

async fn databases_that_are_corrupt_or_cannot_write(lab: &Lab) -> Result<()> {
    let file = lab.central().directory().join("nb.db");
    let readable = async || {
        let tool = Programs::find(lab.version())?.command("ovsdb-tool")?;
        tool.arg("show-log").arg(&file).read().map(drop)
    };
    breaks(lab, "corrupt nb", readable).await?;
    wait_until("NB serves again", PATIENCE, async || {
        lab.nbctl(["--timeout=1", "show"]).map(drop)
    })
    .await?;

    let note = lab.central().directory().join("note");
    let writable = async || Ok(fs::write(&note, "written")?);
    let injected = inject(lab, "fill nb")?;
    let error = fs::write(&note, "written").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    injected.end()?;
    wait_until("there is space", PATIENCE, writable).await
}

async fn stations_that_do_not_hear_each_other(lab: &Lab) -> Result<()> {
    let (n1, n2) = (lab.node("n1")?, lab.node("n2")?);
    let at = |network, name: &str| -> Result<IpAddr> {
        let addresses = Families::V4.host(network, lab.station(name)?);
        addresses.get(IpFamily::V4).copied().context("no IPv4")
    };
    let central = at(MANAGEMENT, "central")?;
    let tunnel = at(TUNNEL, "n2")?;
    breaks(lab, "cut n1 tunnel", async || ping(n1.netns(), tunnel)).await?;
    breaks(lab, "cut n2 mgmt", async || ping(n2.netns(), central)).await?;
    breaks(lab, "part n1 n2 tunnel", async || ping(n1.netns(), tunnel)).await?;

    let injected = inject(lab, "part n1 central mgmt")?;
    ensure!(ping(n1.netns(), central).is_err(), "n1 is heard");
    ping(n2.netns(), central).context("of the others only n1 is cut off")?;
    ping(n1.netns(), at(MANAGEMENT, "n2")?).context("only from the central part")?;
    injected.end()?;
    wait_until("n1 is heard again", PATIENCE, async || {
        ping(n1.netns(), central)
    })
    .await
}

async fn an_api_server_that_is_gone_or_slow(lab: &Lab) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(lab.api_server()?.client()?);
    let answers = async || {
        let second = Duration::from_secs(1);
        timeout(second, namespaces.get("default")).await??;
        Ok(())
    };
    for line in ["stop api-server", "kill api-server", "kill etcd"] {
        breaks(lab, line, answers).await?;
    }
    let duration = async || -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..CALLS {
            namespaces.get("default").await?;
        }
        Ok(start.elapsed())
    };
    let injected = inject(lab, "slow api-server")?;
    let slow = duration().await?;
    injected.end()?;
    wait_until(
        "the API server is as quick as before",
        PATIENCE,
        async || {
            let quick = duration().await?;
            ensure!(quick * 2 < slow, "it takes {quick:?} in place of {slow:?}");
            Ok(())
        },
    )
    .await
}

fn inject<'a>(lab: &'a Lab, line: &str) -> Result<Injected<'a>> {
    line.parse::<Fault>()?.inject(lab)
}

/// What holds before the fault does not hold in it, and holds again some time after its end.
async fn breaks(lab: &Lab, line: &str, mut whole: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    whole().await.with_context(|| format!("before `{line}`"))?;
    let injected = inject(lab, line)?;
    ensure!(whole().await.is_err(), "`{line}` breaks nothing");
    injected.end()?;
    wait_until(&format!("`{line}` is over"), PATIENCE, whole).await
}

fn ping(from: &Netns, to: IpAddr) -> Result<()> {
    let ping = from.command("ping");
    let ping = ping.args(["-n", "-c", "1", "-W", "1", &to.to_string()]);
    ping.read().map(drop)
}
