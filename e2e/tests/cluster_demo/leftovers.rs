//! What attaching pods makes, in Kubernetes, OVN, Open vSwitch and the kernel.

use std::collections::BTreeSet;

use anyhow::Result;
use cluster::Cluster;

/// All of it, each with its place.
///
/// # Errors
/// A part cannot be asked.
pub(crate) fn leftovers(cluster: &Cluster) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut add = |place: &str, words: &str| {
        found.extend(
            words
                .lines()
                .map(|line| format!("{place}: {}", line.trim())),
        );
    };
    let names = ["-o=custom-columns=NAME:.metadata.name", "--no-headers"];
    let ips = cluster.kubectl()?.args(["get", "ips"]).args(names);
    add("IP", &ips.read()?);
    for table in ["Logical_Switch_Port", "Logical_Router_Policy", "ACL"] {
        let rows = ["list", table];
        let list = cluster.kubectl()?.args(["exec", "-n=kube-system"]);
        let list = list.args(["deployment/ovn-central", "--", "ovn-nbctl", "--bare"]);
        let column = if table == "Logical_Switch_Port" {
            "--columns=name"
        } else {
            "--columns=match"
        };
        add(table, &list.arg(column).args(rows).read()?);
    }
    for node in cluster.nodes() {
        let name = node.name();
        let links = node.command("ls")?.arg("/sys/class/net");
        add(&format!("link of {name}"), &links.read()?);
        let rules = node.command("nft")?.args(["--stateless", "list", "table"]);
        let rules = rules.args(["inet", "kube_ovn"]).finish()?;
        add(&format!("rule of {name}"), &rules.stdout);
        let ports = cluster.kubectl()?.args(["exec", "-n=kube-system"]);
        let ports = ports.arg(switch(cluster, name)?).arg("--");
        let ports = ports.args(["ovs-vsctl", "list-ports", "br-int"]);
        add(&format!("port of {name}"), &ports.read()?);
    }
    Ok(found)
}

/// The pod that switches on a node.
///
/// # Errors
/// The API server cannot be asked.
pub(crate) fn switch(cluster: &Cluster, node: &str) -> Result<String> {
    let query = ["get", "pods", "-n=kube-system", "-l=app=ovs", "-o=name"];
    let query = cluster.kubectl()?.args(query);
    query
        .arg(format!("--field-selector=spec.nodeName={node}"))
        .read()
}
