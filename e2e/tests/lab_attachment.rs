//! The life of an attachment after ADD: `CHECK`, `GC` and `STATUS`, a link that is lost, and an ADD
//! that OVN does not answer.
#![cfg(test)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use model::DualStack;
use serde_json::{Value, json};
use testkit::bin::bin;
use testkit::command::Invocation;
use testkit::objects::pod;
use testkit::process::Process;
use testkit::sandbox::{INTERFACE, Reply};
use testkit::{
    Cluster, Families, Lab, LabOptions, Node, OvnVersion, RunningPod, Sandbox, lab, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(15);
const PODS: usize = 50;

/// Codes of the CNI specification, section 5, and our own.
mod code {
    pub(super) const TRY_AGAIN: u64 = 11;
    pub(super) const NOT_AVAILABLE: u64 = 50;
    pub(super) const DIFFERENT: u64 = 100;
}

fn one_node() -> LabOptions {
    LabOptions::on(OvnVersion::V25_03)
        .nodes(1)
        .families(Families::Dual)
        .with_api_server()
}

#[test]
fn check_names_what_differs_from_what_add_made() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        let reply = a.sandbox.call("CHECK")?;
        assert!(reply.success, "{}", reply.output);

        let address = a.first_address()?;
        a.netns().ip([format!("address flush dev {INTERFACE}")])?;
        let reply = a.sandbox.call("CHECK")?;
        assert_eq!(reply.code(), Some(code::DIFFERENT), "{}", reply.output);
        let text = reply.output.to_string();
        assert!(text.contains(&address.to_string()), "{text}");

        assert_eq!(a.sandbox.add()?, a.addresses, "ADD puts it right again");
        let reply = a.sandbox.call("CHECK")?;
        assert!(reply.success, "{}", reply.output);
        Ok(())
    });
}

#[test]
fn a_sandbox_whose_id_begins_as_anothers_is_refused_and_takes_nothing_along() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        let b = lab
            .api_server()?
            .create_pod(&pod("b").on("n1").build())
            .await?;
        let sandbox = cluster.sandbox(&b, "n1")?;
        let start: String = a.sandbox.container_id().chars().take(12).collect();
        let id = format!("{start}{}", sandbox.container_id());
        let call = |command| -> Result<Reply> {
            Reply::of(&sandbox.invocation(command)?.env("CNI_CONTAINERID", &id))
        };
        let refused = call("ADD")?;
        assert_eq!(refused.code(), Some(code::TRY_AGAIN), "{}", refused.output);
        let text = refused.output.to_string();
        assert!(text.contains(a.sandbox.container_id()), "{text}");
        assert!(call("DEL")?.success);
        assert!(a.sandbox.call("CHECK")?.success);
        Ok(())
    });
}

#[test]
fn gc_releases_exactly_what_the_runtime_does_not_list() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let before = ports(lab)?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        let with_a = ports(lab)?;
        let b = cluster.run_pod(pod("b"), "n1").await?;

        let reply = gc(lab, &b, "another-network", &[])?;
        assert!(reply.success, "{}", reply.output);
        assert_ne!(ports(lab)?, with_a, "attachments of other networks stay");
        let reply = gc(lab, &b, "kube-ovn", &[&a])?;
        assert!(reply.success, "{}", reply.output);
        assert_eq!(ports(lab)?, with_a);
        let reply = gc(lab, &b, "kube-ovn", &[])?;
        assert!(reply.success, "{}", reply.output);
        assert_eq!(ports(lab)?, before);
        Ok(())
    });
}

#[test]
fn fifty_pods_are_attached_and_released_at_once_and_no_two_share_an_address() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let before = ports(lab)?;
        let mut sandboxes = Vec::new();
        for number in 0..PODS {
            let pod = pod(&format!("p{number}")).on("n1").build();
            let pod = lab.api_server()?.create_pod(&pod).await?;
            sandboxes.push(cluster.sandbox(&pod, "n1")?);
        }
        let results = each(&sandboxes, Sandbox::add)?;
        let addresses = results.iter().flat_map(DualStack::values);
        let distinct: BTreeSet<&IpAddr> = addresses.collect();
        assert_eq!(distinct.len(), 2 * PODS, "each has one of each family");
        each(&sandboxes, Sandbox::del)?;
        assert_eq!(ports(lab)?, before);
        Ok(())
    });
}

#[test]
fn a_port_goes_when_its_link_has_gone() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let before = ports(lab)?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        a.netns().ip([format!("link delete {INTERFACE}")])?;
        wait_until("the port of the lost link is gone", PATIENCE, async || {
            let now = ports(lab)?;
            ensure!(now == before, "{now}");
            Ok(())
        })
        .await
    });
}

#[test]
fn an_add_that_ovn_does_not_answer_fails_in_time_and_leaves_nothing() {
    lab::run(one_node(), async |lab| {
        let _cluster = Cluster::start_without_daemons(lab).await?;
        let node = lab.node("n1")?;
        let hasty = Hasty::start(lab, node, &node.ovs_socket())?;
        wait_until("the daemon is ready", PATIENCE, async || hasty.is_ready()).await?;
        assert!(hasty.configuration().is_file());
        node.ovn_appctl(["exit"])?;
        let before = (ports(lab)?, links(node)?);

        let a = lab
            .api_server()?
            .create_pod(&pod("a").on("n1").build())
            .await?;
        let sandbox = Sandbox::create(node, &a, &hasty.socket())?;
        let reply = sandbox.call("ADD")?;
        assert_eq!(reply.code(), Some(code::TRY_AGAIN), "{}", reply.output);
        let text = reply.output.to_string();
        assert!(text.contains("ovn-controller"), "{text}");
        assert_eq!((ports(lab)?, links(node)?), before);
        Ok(())
    });
}

#[test]
fn without_open_vswitch_add_and_del_fail_in_time_and_name_it() {
    lab::run(one_node(), async |lab| {
        let _cluster = Cluster::start_without_daemons(lab).await?;
        let node = lab.node("n1")?;
        let hasty = Hasty::start(lab, node, "unix:/run/none.sock")?;
        let a = lab
            .api_server()?
            .create_pod(&pod("a").on("n1").build())
            .await?;
        wait_until("the daemon answers", PATIENCE, async || {
            let reply = hasty.status()?;
            ensure!(
                reply.code() == Some(code::NOT_AVAILABLE),
                "{}",
                reply.output
            );
            Ok(())
        })
        .await?;
        let sandbox = Sandbox::create(node, &a, &hasty.socket())?;
        for command in ["ADD", "DEL"] {
            let reply = sandbox.call(command)?;
            assert_eq!(reply.code(), Some(code::TRY_AGAIN), "{}", reply.output);
            let text = reply.output.to_string();
            assert!(text.contains("/run/none.sock"), "{text}");
        }
        Ok(())
    });
}

#[test]
fn r21_a_node_without_br_int_says_so_and_has_no_configuration() {
    lab::run(one_node(), async |lab| {
        let _cluster = Cluster::start_without_daemons(lab).await?;
        let node = lab.node("n1")?;
        // it would make the bridge again
        node.ovn_appctl(["exit"])?;
        node.vs("del-br br-int")?;
        let hasty = Hasty::start(lab, node, &node.ovs_socket())?;
        wait_until("STATUS names the bridge", PATIENCE, async || {
            let reply = hasty.status()?;
            ensure!(
                reply.code() == Some(code::NOT_AVAILABLE),
                "{}",
                reply.output
            );
            ensure!(
                reply.output.to_string().contains("br-int"),
                "{}",
                reply.output
            );
            Ok(())
        })
        .await?;
        assert!(!hasty.configuration().exists());
        Ok(())
    });
}

/// A daemon of its own, which gives up early.
struct Hasty {
    directory: PathBuf,
    netns: PathBuf,
    _process: Process,
}

impl Hasty {
    fn start(lab: &Lab, node: &Node, ovs_socket: &str) -> Result<Self> {
        let directory = node.directory().to_owned();
        let program = Invocation::new(bin("daemon")?)
            .in_netns(node.netns().path())
            .arg(format!("--node-name={}", node.name()))
            .arg(format!("--bind-socket={}", socket(&directory).display()))
            .arg(format!("--ovs-socket={ovs_socket}"))
            .arg(format!(
                "--kubeconfig={}",
                lab.api_server()?.kubeconfig().display()
            ))
            .arg(format!("--cni-conf-dir={}", directory.display()))
            .arg("--cni-timeout=3");
        Ok(Self {
            netns: node.netns().path().to_owned(),
            _process: program.spawn("hasty-daemon", &directory)?,
            directory,
        })
    }

    fn socket(&self) -> PathBuf {
        socket(&self.directory)
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("01-kube-ovn.conflist")
    }

    fn status(&self) -> Result<Reply> {
        let config = config("1.1.0", "kube-ovn", &self.socket());
        let status = Invocation::new(bin("cni-shim")?)
            .in_netns(&self.netns)
            .env("CNI_COMMAND", "STATUS")
            .env("CNI_PATH", "/opt/cni/bin")
            .input(config.to_string());
        Reply::of(&status)
    }

    fn is_ready(&self) -> Result<()> {
        let reply = self.status()?;
        ensure!(reply.success, "{}", reply.output);
        Ok(())
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("hasty.sock")
}

fn config(version: &str, network: &str, socket: &Path) -> Value {
    json!({
        "cniVersion": version,
        "name": network,
        "type": "kube-ovn",
        "server_socket": socket,
    })
}

fn gc(lab: &Lab, any: &RunningPod, network: &str, valid: &[&RunningPod]) -> Result<Reply> {
    let socket = lab.node("n1")?.directory().join("daemon.sock");
    let mut config = config("1.1.0", network, &socket);
    let attachment = |pod: &&RunningPod| json!({ "containerID": pod.sandbox.container_id(), "ifname": INTERFACE });
    let valid: Vec<Value> = valid.iter().map(attachment).collect();
    if let Some(config) = config.as_object_mut() {
        config.insert("cni.dev/valid-attachments".to_owned(), valid.into());
    }
    Reply::of(&any.sandbox.invocation("GC")?.input(config.to_string()))
}

/// What `call` returns for each sandbox, all at the same time.
fn each<T: Send>(
    sandboxes: &[Sandbox],
    call: impl Fn(&Sandbox) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let calls: Vec<_> = sandboxes
            .iter()
            .map(|sandbox| scope.spawn(|| call(sandbox)))
            .collect();
        let results = calls.into_iter().map(thread::ScopedJoinHandle::join);
        results
            .map(|result| result.map_err(|_panic| anyhow!("a call panicked"))?)
            .collect()
    })
}

/// The ports of `br-int`, without tunnels.
fn ports(lab: &Lab) -> Result<String> {
    lab.node("n1")?.vsctl(["list-ports", "br-int"])
}

/// The names of the node's links.
fn links(node: &Node) -> Result<Vec<String>> {
    let links = node
        .netns()
        .command("ip")
        .args(["-oneline", "link", "show"])
        .read()?;
    let name = |line: &str| line.split(": ").nth(1).map(str::to_owned);
    Ok(links.lines().filter_map(name).collect())
}
