//! Databases that are removed on every member, under running pods: nobody lays a hand on anything,
//! and names, MACs, addresses and tunnels are the former ones.
#![cfg(test)]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{
    Cluster, Database, Lab, LabOptions, OvnVersion, RunningPod, lab,
    loss::{Loss, Pinging},
    objects::pod,
    tell, wait_until,
};

const MEMBERS: u8 = 3;
/// Pods that have an address and a port but no sandbox.
const OTHERS: usize = 96;
const PATIENCE: Duration = Duration::from_mins(1);
/// What a loss of everything may cost between nodes: it ends when both have come back to the
/// databases, and ovn-controller tries every 8 seconds at worst. The aim is 5 seconds.
const OUTAGE: Duration = Duration::from_secs(20);

#[test]
fn databases_removed_on_every_member_are_as_before_and_pods_hardly_notice() {
    let options = LabOptions::on(OvnVersion::V25_03).central_members(MEMBERS);
    lab::run(options, async |lab| {
        let cluster = Cluster::start(lab).await?;
        let pods = start_pods(lab, &cluster).await?;
        let before = dump(lab)?;
        let clusters = clusters(lab)?;

        let pings = start_pings(lab, &pods, "removed").await?;
        for member in lab.members() {
            member.remove_files()?;
        }
        wait_until("the files are there again", PATIENCE, async || {
            ensure!(self::clusters(lab)? == clusters, "they are others");
            Ok(())
        })
        .await?;
        as_before(lab, &before).await?;
        let loss = finish("NB and SB removed on every member", pings).await?;
        ensure!(loss.outage < Duration::from_secs(1), "{loss:?}");

        let pings = start_pings(lab, &pods, "lost").await?;
        for member in lab.members() {
            member.remove_files()?;
        }
        for database in Database::ALL {
            for member in lab.members() {
                member.kill_server(database)?;
            }
        }
        wait_until("there are new clusters", PATIENCE, async || {
            supervise(lab);
            let now = self::clusters(lab)?;
            ensure!(now.iter().all(|id| !clusters.contains(id)), "not yet");
            Ok(())
        })
        .await?;
        as_before(lab, &before).await?;
        let loss = finish("and every ovsdb-server killed", pings).await?;
        ensure!(loss.outage < OUTAGE, "{loss:?}");
        Ok(())
    });
}

/// Two attached pods on either node, and many that only have addresses and ports.
async fn start_pods(lab: &Lab, cluster: &Cluster<'_>) -> Result<Vec<RunningPod>> {
    let mut running = Vec::new();
    for (name, node) in [("a", "n1"), ("b", "n1"), ("c", "n2"), ("d", "n2")] {
        running.push(cluster.run_pod(pod(name), node).await?);
    }
    for number in 0..OTHERS {
        let pod = pod(&format!("p{number}")).on("n1").build();
        lab.api_server()?.create_pod(&pod).await?;
    }
    wait_until("every pod has a port", PATIENCE, async || {
        let ports = lab.nbctl(["lsp-list", "ovn-default"])?;
        let is_pod = |line: &&str| line.contains(".default)");
        let count = ports.lines().filter(is_pod).count();
        ensure!(count == OTHERS + running.len(), "{count} have");
        Ok(())
    })
    .await?;
    lab.sync()?;
    Ok(running)
}

/// On one node, and from one to the other.
async fn start_pings(lab: &Lab, pods: &[RunningPod], name: &str) -> Result<Vec<Pinging>> {
    let [a, b, c, _d] = pods else {
        anyhow::bail!("four pods run");
    };
    let mut pings = Vec::new();
    for (to, way) in [(b, "near"), (c, "far")] {
        let (from, address) = (a.netns().path(), to.first_address()?);
        let name = format!("{name}-{way}");
        pings.push(Pinging::start(from, address, &name, lab.directory()).await?);
    }
    Ok(pings)
}

/// Prints a row per ping, and returns the worst.
async fn finish(fault: &str, pings: Vec<Pinging>) -> Result<Loss> {
    let mut worst = Loss::default();
    for (ping, way) in pings.into_iter().zip(["one node", "two nodes"]) {
        let loss = ping.finish().await?;
        tell(format_args!("{fault}, {way} | {loss}"))?;
        if loss.outage > worst.outage {
            worst = loss;
        }
    }
    Ok(worst)
}

fn clusters(lab: &Lab) -> Result<Vec<String>> {
    let members = lab.members().iter();
    let ids = members.flat_map(|member| Database::ALL.map(|database| member.cluster(database)));
    ids.collect()
}

async fn as_before(lab: &Lab, before: &[String]) -> Result<()> {
    wait_until("everything is as before", PATIENCE, async || {
        supervise(lab);
        let now = dump(lab)?;
        let differs = now.iter().filter(|line| !before.contains(line)).count();
        ensure!(now == before, "{differs} of {} lines differ", now.len());
        Ok(())
    })
    .await?;
    lab.sync()
}

/// What `kube-ovn-central vswitch` does on a node, which the lab's nodes do not run: an
/// ovn-controller that has no connection forgets how far the database had come.
fn supervise(lab: &Lab) {
    for node in lab.nodes() {
        let status = node.ovn_appctl(["connection-status"]);
        if status.is_ok_and(|status| status != "connected") {
            drop(node.ovn_appctl(["sb-cluster-state-reset"]));
        }
    }
}

/// Names, MACs and addresses of ports, and where nodes and pods are for tunnels, in an order that
/// does not depend on UUIDs.
fn dump(lab: &Lab) -> Result<Vec<String>> {
    let north = [
        ("Logical_Switch", "name,other_config"),
        ("Logical_Switch_Port", "name,type,addresses,options"),
        ("Logical_Router_Port", "name,mac,networks"),
    ];
    let south = [
        ("Chassis", "name,hostname"),
        ("Encap", "chassis_name,ip,type"),
    ];
    let words = |columns: &str, table: &str| {
        [
            "--format=csv",
            "--no-headings",
            &format!("--columns={columns}"),
            "list",
            table,
        ]
        .map(str::to_owned)
    };
    let mut lines = Vec::new();
    for (table, columns) in north {
        let printed = lab.nbctl(words(columns, table))?;
        lines.extend(printed.lines().map(|line| format!("{table} {line}")));
    }
    for (table, columns) in south {
        let printed = lab.sbctl(words(columns, table))?;
        lines.extend(printed.lines().map(|line| format!("{table} {line}")));
    }
    let bound = lab.sbctl([
        "--bare",
        "--columns=logical_port",
        "find",
        "Port_Binding",
        "up=true",
    ])?;
    lines.extend(
        bound
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| format!("bound {line}")),
    );
    lines.sort();
    lines.first().context("there are ports")?;
    Ok(lines)
}
