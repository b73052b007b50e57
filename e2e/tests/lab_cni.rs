//! What a runtime may do to the plugin besides one good `ADD`: repeat, come late, call badly; and
//! what the node does when its parts go away under it.
#![cfg(test)]

use std::time::Duration;

use anyhow::Result;
use testkit::{
    Cluster, Families, Fault, Lab, LabOptions, OvnVersion, lab,
    objects::pod,
    sandbox::Reply,
    traffic::{ping, wait_for_ping},
};

const PATIENCE: Duration = Duration::from_secs(15);

/// Codes of the CNI specification, section 5.
mod code {
    pub(super) const VERSION: u64 = 1;
    pub(super) const UNKNOWN_CONTAINER: u64 = 3;
    pub(super) const ENVIRONMENT: u64 = 4;
    pub(super) const DECODE: u64 = 6;
    /// Of the reference implementation.
    pub(super) const NAMESPACE: u64 = 8;
    pub(super) const TRY_AGAIN: u64 = 11;
}

fn one_node() -> LabOptions {
    LabOptions::on(OvnVersion::V25_03)
        .nodes(1)
        .families(Families::Dual)
        .with_api_server()
}

#[test]
fn r20_add_and_del_may_be_repeated_and_del_leaves_nothing() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let ports = ports(lab)?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        assert_eq!(
            a.sandbox.add()?,
            a.addresses,
            "the second ADD differs from the first"
        );
        assert_ne!(self::ports(lab)?, ports);

        a.sandbox.del()?;
        a.sandbox.del()?;
        assert_eq!(self::ports(lab)?, ports);
        Ok(())
    });
}

#[test]
fn r20_del_succeeds_when_pod_api_server_and_namespace_are_gone() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let ports = ports(lab)?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        lab.api_server()?.delete_pod(&a.object).await?;
        let stopped = "kill api-server".parse::<Fault>()?.inject(&cluster)?;
        a.netns().delete()?;

        // as kubelet passes it, and as a runtime does that knows that it is gone
        for netns in [a.netns().path().to_str(), None] {
            let netns = netns.unwrap_or_default();
            let late = a.sandbox.invocation("DEL")?.env("CNI_NETNS", netns);
            let reply = Reply::of(&late)?;
            assert!(reply.success, "{netns}: {}", reply.output);
            assert_eq!(self::ports(lab)?, ports);
        }
        stopped.end()
    });
}

#[test]
fn a_restarted_daemon_releases_what_its_predecessor_attached() {
    lab::run(one_node(), async |lab| {
        let mut cluster = Cluster::start(lab).await?;
        let ports = ports(lab)?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        let node = lab.node("n1")?;
        wait_for_ping(node.netns(), a.first_address()?, PATIENCE).await?;

        cluster.start_daemon(node)?;
        cluster.ready().await?;
        assert_eq!(ping(node.netns(), a.first_address()?)?.received, 3);
        a.sandbox.del()?;
        assert_eq!(self::ports(lab)?, ports);
        Ok(())
    });
}

#[test]
fn a_bad_call_gets_an_error_object_with_a_code_and_a_remedy() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let known = pod("known").on("n1").build();
        let known = cluster.sandbox(&lab.api_server()?.create_pod(&known).await?, "n1")?;
        let unknown = cluster.sandbox(&pod("unknown").on("n1").build(), "n1")?;
        let add = known.invocation("ADD")?;
        let config = |version: &str, socket: &str| {
            format!(
                r#"{{"cniVersion":"{version}","name":"kube-ovn","type":"kube-ovn","server_socket":"{socket}"}}"#
            )
        };

        let calls = [
            (
                unknown.invocation("ADD")?,
                code::UNKNOWN_CONTAINER,
                "default/unknown",
            ),
            (
                add.clone().env("CNI_NETNS", "/run/netns/none"),
                code::NAMESPACE,
                "/run/netns/none",
            ),
            (
                add.clone().env("CNI_ARGS", ""),
                code::ENVIRONMENT,
                "K8S_POD_NAME",
            ),
            (add.clone().input("{"), code::DECODE, "/etc/cni/net.d"),
            (
                add.clone().input(config("9.0.0", "/none")),
                code::VERSION,
                "9.0.0",
            ),
            (
                add.input(config("1.0.0", "/none")),
                code::TRY_AGAIN,
                "/none",
            ),
        ];
        for (call, code, word) in calls {
            let reply = Reply::of(&call)?;
            assert_eq!(reply.code(), Some(code), "{word}: {}", reply.output);
            assert!(
                reply.output.to_string().contains(word),
                "{word}: {}",
                reply.output
            );
        }
        known.add().map(drop)
    });
}

#[test]
fn r13_ovn0_comes_back_when_vswitchd_took_it_along_and_pods_go_on() {
    lab::run(one_node(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        let b = cluster.run_pod(pod("b"), "n1").await?;
        let node = lab.node("n1")?;
        wait_for_ping(node.netns(), a.first_address()?, PATIENCE).await?;

        node.appctl(["exit", "--cleanup"])?;
        node.kill_vswitchd()?;
        node.start_vswitchd()?;
        node.restore_tunnel_address().await?;
        wait_for_ping(a.netns(), b.first_address()?, PATIENCE).await?;
        wait_for_ping(node.netns(), a.first_address()?, PATIENCE).await?;
        assert_eq!(ping(node.netns(), b.first_address()?)?.received, 3);
        Ok(())
    });
}

/// The ports of `br-int`, without tunnels.
fn ports(lab: &Lab) -> Result<String> {
    lab.node("n1")?.vsctl(["list-ports", "br-int"])
}
