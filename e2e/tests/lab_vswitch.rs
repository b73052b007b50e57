//! A node's Open vSwitch, run by `kube-ovn-central vswitch`: its parts are killed under traffic, and
//! all comes back by itself.
#![cfg(test)]

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::{sys::signal::Signal, unistd::Pid};
use testkit::{
    Cluster, Families, Lab, LabOptions, Node, OvnVersion, RunningPod, Supervisor,
    lab::{self, PATIENCE},
    loss::{Loss, Pinging},
    node::TUNNEL_BRIDGE,
    objects::pod,
    supervisor::Child,
    tell,
    traffic::wait_for_ping,
    wait_until,
};

const OPTIONS: LabOptions = LabOptions::on(OvnVersion::V25_03).supervised_nodes();
/// A child that hangs is killed after half a minute, found by questions every few seconds.
const HANG: Duration = Duration::from_mins(1);
/// The node that suffers.
const NODE: &str = "n2";

#[test]
fn r13_flows_tunnels_and_addresses_outlive_or_follow_every_part_of_open_vswitch() {
    let options = OPTIONS.families(Families::Dual).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start(lab).await?;
        let site = Site::prepare(lab, &cluster).await?;
        tell("fault | sent | lost | outage ms")?;
        let controller = site.kill("ovn-controller", &[Child::Controller]).await?;
        let database = site.kill("ovsdb-server", &[Child::Database]).await?;
        let switch = site.kill("ovs-vswitchd", &[Child::Switch]).await?;
        let all = site.kill("all-three", &Child::ALL).await?;
        let restart = |supervisor: &Supervisor| {
            supervisor.stop()?;
            supervisor.start_again()
        };
        let restarted = site.suffer("supervisor", &Child::ALL, restart).await?;

        // mostly nothing; now and then one packet, when all flows are replaced at once
        assert!(
            controller.outage <= Duration::from_millis(200),
            "{controller}"
        );
        // the userspace datapath rests while vswitchd has no database; by itself ovn-controller would
        // wait for a second before it connects to a new switch
        for loss in [database, switch, all, restarted] {
            assert!(loss.outage < Duration::from_secs(3), "{loss}");
        }
        Ok(())
    });
}

#[test]
fn who_runs_without_doing_anything_is_replaced() {
    lab::run(OPTIONS.nodes(1), async |lab| {
        let node = lab.node("n1")?;
        let supervisor = node.supervisor()?;
        let before = ids(supervisor)?;
        for child in Child::ALL {
            supervisor.signal(child, Signal::SIGSTOP)?;
        }
        wait_until("each is another process", HANG, async || {
            are_others(supervisor, &Child::ALL, &before)
        })
        .await?;
        is_connected(node).await?;
        let metrics = node.netns().command("curl");
        let metrics = metrics
            .args(["-sf", "http://127.0.0.1:10663/metrics"])
            .read()?;
        for program in ["ovsdb", "ovs-vswitchd", "ovn-controller"] {
            let line = format!("central_hangs_total{{program=\"{program}\"}} 1");
            assert!(metrics.contains(&line), "{metrics}");
        }
        Ok(())
    });
}

/// Two pods on two nodes, which ping each other whatever happens.
struct Site<'a> {
    cluster: &'a Cluster<'a>,
    lab: &'a Lab,
    a: RunningPod,
    b: RunningPod,
}

impl<'a> Site<'a> {
    async fn prepare(lab: &'a Lab, cluster: &'a Cluster<'a>) -> Result<Self> {
        let a = cluster.run_pod(pod("a"), "n1").await?;
        let b = cluster.run_pod(pod("b"), NODE).await?;
        for family in lab.families().all() {
            wait_for_ping(a.netns(), b.address(*family)?, PATIENCE).await?;
        }
        let site = Self { cluster, lab, a, b };
        site.settles().await?;
        Ok(site)
    }

    async fn kill(&self, fault: &str, children: &[Child]) -> Result<Loss> {
        let kill = |supervisor: &Supervisor| {
            let mut kills = children
                .iter()
                .map(|child| supervisor.signal(*child, Signal::SIGKILL));
            kills.try_for_each(|killed| killed)
        };
        self.suffer(fault, children, kill).await
    }

    /// Has `act` end these children, attaches a pod meanwhile, waits until all is as it was, and
    /// tells what the pings lost.
    async fn suffer(
        &self,
        fault: &str,
        children: &[Child],
        act: impl Fn(&Supervisor) -> Result<()>,
    ) -> Result<Loss> {
        let node = self.lab.node(NODE)?;
        let supervisor = node.supervisor()?;
        let (before, host) = (ids(supervisor)?, Host::of(node)?);
        let mut pings = Vec::new();
        for family in self.lab.families().all() {
            let (from, to) = (self.a.netns().path(), self.b.address(*family)?);
            let name = format!("ping-{fault}-{family:?}");
            pings.push(Pinging::start(from, to, &name, self.lab.directory()).await?);
        }

        act(supervisor)?;
        let meanwhile = self
            .cluster
            .run_pod(pod(&format!("by-{fault}")), NODE)
            .await?;
        wait_until("the programs run again", PATIENCE, async || {
            are_others(supervisor, children, &before)
        })
        .await?;
        for family in self.lab.families().all() {
            let to = meanwhile.address(*family)?;
            wait_for_ping(self.a.netns(), to, PATIENCE).await?;
        }
        self.settles().await?;
        wait_until("addresses and routes are as before", PATIENCE, async || {
            let now = Host::of(node)?;
            ensure!(now == host, "{now:?} instead of {host:?}");
            Ok(())
        })
        .await?;

        let mut loss = Loss::default();
        for ping in pings {
            goes_on(&ping).await?;
            loss = loss.and(ping.finish().await?);
        }
        tell(format_args!("{fault} | {loss}"))?;
        Ok(loss)
    }

    /// Waits until nothing on the node is held back any more.
    async fn settles(&self) -> Result<()> {
        let node = self.lab.node(NODE)?;
        is_connected(node).await?;
        wait_until(
            "the daemon is ready and nothing is held",
            PATIENCE,
            async || {
                self.cluster.ask_daemon(node)?;
                for (column, key) in [
                    ("external_ids", "ovn-ofctrl-wait-before-clear"),
                    ("other_config", "flow-restore-wait"),
                ] {
                    let name = format!("{column}:{key}");
                    let value = node.vsctl(["--if-exists", "get", "Open_vSwitch", ".", &name])?;
                    ensure!(value.is_empty(), "{name} is {value}");
                }
                Ok(())
            },
        )
        .await
    }
}

/// What vswitchd takes away when it takes a port down.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    addresses: Vec<String>,
    routes: Vec<String>,
}

impl Host {
    fn of(node: &Node) -> Result<Self> {
        let ip = |words: &[&str]| node.netns().command("ip").args(words).read();
        let mut addresses = Vec::new();
        for link in [TUNNEL_BRIDGE, "ovn0"] {
            let list = ip(&["-brief", "address", "show", "dev", link, "scope", "global"])?;
            // a tap that lost its carrier says UP afterwards, and UNKNOWN before
            let networks = list.split_whitespace().filter(|word| word.contains('/'));
            addresses.extend(networks.map(|network| format!("{network} on {link}")));
        }
        let routes = [ip(&["-4", "route"])?, ip(&["-6", "route"])?].join("\n");
        let ours = |line: &&str| line.contains(TUNNEL_BRIDGE) || line.contains("ovn0");
        let routes = routes.lines().filter(ours).map(str::to_owned);
        Ok(Self {
            addresses,
            routes: routes.collect(),
        })
    }
}

fn ids(supervisor: &Supervisor) -> Result<Vec<Pid>> {
    let ids = Child::ALL.iter().map(|child| supervisor.id(*child));
    ids.collect()
}

fn are_others(supervisor: &Supervisor, children: &[Child], before: &[Pid]) -> Result<()> {
    for (child, old) in Child::ALL.iter().zip(before) {
        let is_new = supervisor.id(*child)? != *old;
        ensure!(is_new || !children.contains(child), "{child:?} is the same");
    }
    Ok(())
}

async fn is_connected(node: &Node) -> Result<()> {
    wait_until("ovn-controller is connected", PATIENCE, async || {
        let status = node.ovn_appctl(["connection-status"])?;
        ensure!(status == "connected", "it is {status}");
        Ok(())
    })
    .await
}

/// Waits for more answers.
async fn goes_on(ping: &Pinging) -> Result<()> {
    let before = ping.answered()?;
    wait_until("pings are answered", PATIENCE, async || {
        let now = ping.answered()?;
        ensure!(now >= before + 20, "{now} after {before}");
        Ok(())
    })
    .await
}
