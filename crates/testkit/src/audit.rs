//! What must hold when a lab has come to rest: no address twice, nothing left of what is gone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use api::{
    Ip, IpPool, Subnet, Vip, Vpc,
    annotation::{CLAIMANT_UID, TRUE},
};
use assets::{go_tool, versions::GRPCURL};
use k8s_openapi::api::core::v1::{Namespace, Node as NodeObject, Pod};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use crate::{Lab, Node, cluster::debug_socket, command::Invocation};

const ADDRESSES: &str = "ovn.kubernetes.io/ip_address";
/// What the names of the records of VIPs start with.
const VIP: &str = "vip-";
const ALLOCATED: &str = "ovn.kubernetes.io/allocated";
/// Addresses by the names of ports.
type Ports = BTreeMap<String, Vec<String>>;

/// No address belongs to two: not by the records, not by the pods' annotations, not in NB; and
/// the three say the same of each pod.
///
/// # Errors
/// Names who has which address.
pub async fn addresses_are_unique(lab: &Lab) -> Result<()> {
    let records = records(lab).await?;
    unique("records", &records)?;
    unique("annotations", &annotations(lab).await?)?;
    unique("the northbound database", &ports(lab)?)
}

/// Records and ports are exactly those of the pods and nodes there are, with the same addresses;
/// every node's Open vSwitch has an interface, and its kernel a link, for each attached pod only.
///
/// # Errors
/// What is left, or missing.
pub async fn nothing_is_left(lab: &Lab, attached: &BTreeSet<String>) -> Result<()> {
    let of_pods = |all: Ports| -> Ports {
        let pods = all.into_iter();
        pods.filter(|(name, _)| name.contains('.')).collect()
    };
    let annotated = annotations(lab).await?;
    let all_records = records(lab).await?;
    let of_vips = all_records.clone().into_iter();
    let of_vips: Ports = of_vips.filter(|(name, _)| name.starts_with(VIP)).collect();
    same("records of VIPs", &of_vips, &vips(lab).await?)?;
    let records = of_pods(all_records);
    let ports = of_pods(ports(lab)?);
    same("records", &records, &annotated)?;
    same("ports", &ports, &annotated)?;
    let mut found = BTreeSet::new();
    for node in lab.nodes() {
        let (interfaces, links) = (interfaces(node)?, links(node)?);
        ensure!(
            interfaces.len() == links,
            "{} has {links} links for {interfaces:?}",
            node.name()
        );
        found.extend(interfaces);
    }
    ensure!(
        found == *attached,
        "there are interfaces of {found:?}, attached are {attached:?}"
    );
    Ok(())
}

/// No object waits for something else before it can go.
///
/// # Errors
/// Names what is there though it was deleted.
pub async fn deletions_ended(lab: &Lab) -> Result<()> {
    let mut waiting = Vec::new();
    waiting.extend(being_deleted::<Pod>(lab).await?);
    waiting.extend(being_deleted::<Ip>(lab).await?);
    waiting.extend(being_deleted::<Subnet>(lab).await?);
    waiting.extend(being_deleted::<Vpc>(lab).await?);
    waiting.extend(being_deleted::<Vip>(lab).await?);
    waiting.extend(being_deleted::<IpPool>(lab).await?);
    waiting.extend(being_deleted::<NodeObject>(lab).await?);
    waiting.extend(being_deleted::<Namespace>(lab).await?);
    ensure!(waiting.is_empty(), "still there are {}", waiting.join(", "));
    Ok(())
}

/// The checker of the only controller finds nothing in its plan.
///
/// # Errors
/// What it finds, or that it does not answer.
pub fn the_plan_is_sound(lab: &Lab) -> Result<()> {
    let found = Invocation::new(go_tool(GRPCURL)?)
        .args(["-plaintext", "-unix"])
        .arg(debug_socket(lab))
        .arg("debug.v1.Debug/Check")
        .read()?;
    ensure!(found.trim().is_empty(), "there is {found}");
    Ok(())
}

async fn being_deleted<K>(lab: &Lab) -> Result<Vec<String>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(lab.api_server()?.client()?);
    let listed = api.list(&ListParams::default()).await?.into_iter();
    let deleted = listed.filter(|object| object.meta().deletion_timestamp.is_some());
    let name = |object: K| format!("{} {}", K::kind(&()), object.name_any());
    Ok(deleted.map(name).collect())
}

/// By the names of ports.
async fn records(lab: &Lab) -> Result<Ports> {
    let api: Api<Ip> = Api::all(lab.api_server()?.client()?);
    let listed = api.list(&ListParams::default()).await?;
    let mut records = BTreeMap::new();
    for ip in listed {
        let name = ip.metadata.name.context("a record has a name")?;
        let annotations = ip.metadata.annotations.unwrap_or_default();
        ensure!(
            ip.spec.namespace.is_empty() || annotations.contains_key(CLAIMANT_UID),
            "{name} does not say whose it is"
        );
        records.insert(name, split(&ip.spec.ip_address));
    }
    Ok(records)
}

/// By the names of their ports, the pods that have addresses.
async fn annotations(lab: &Lab) -> Result<Ports> {
    let api: Api<Pod> = Api::all(lab.api_server()?.client()?);
    let listed = api.list(&ListParams::default()).await?;
    let mut pods = BTreeMap::new();
    for pod in listed {
        let meta = pod.metadata;
        let (name, namespace) = (meta.name.as_deref(), meta.namespace.as_deref());
        let port = format!(
            "{}.{}",
            name.unwrap_or_default(),
            namespace.unwrap_or_default()
        );
        let annotations = meta.annotations.unwrap_or_default();
        let is_allocated = annotations.get(ALLOCATED).is_some_and(|it| it == TRUE);
        if let Some(addresses) = annotations.get(ADDRESSES).filter(|_| is_allocated) {
            pods.insert(port, split(addresses));
        }
    }
    Ok(pods)
}

/// By the names of their records, the VIPs that have addresses.
async fn vips(lab: &Lab) -> Result<Ports> {
    let api: Api<Vip> = Api::all(lab.api_server()?.client()?);
    let listed = api.list(&ListParams::default()).await?;
    let vips = listed.into_iter().map(|vip| {
        let name = format!("{VIP}{}", vip.name_any());
        let status = vip.status.unwrap_or_default();
        let addresses = [status.v4_ip, status.v6_ip].into_iter();
        let addresses: Vec<String> = addresses.filter(|it| !it.is_empty()).collect();
        (name, addresses)
    });
    Ok(vips.filter(|(_, it)| !it.is_empty()).collect())
}

/// By their names, the ports of NB that have addresses of their own.
fn ports(lab: &Lab) -> Result<Ports> {
    let printed = lab.nbctl([
        "--format=csv",
        "--data=bare",
        "--no-headings",
        "--columns=name,addresses",
        "list",
        "Logical_Switch_Port",
    ])?;
    let mut ports = BTreeMap::new();
    for line in printed.lines() {
        let (name, addresses) = line.split_once(',').context("a line has two columns")?;
        let words = addresses.trim_matches('"').split_whitespace();
        // the first is the MAC
        let addresses: Vec<String> = words.skip(1).map(str::to_owned).collect();
        if !addresses.is_empty() {
            ports.insert(name.to_owned(), addresses);
        }
    }
    Ok(ports)
}

/// Of a node, the ports that pods' interfaces are for.
fn interfaces(node: &Node) -> Result<BTreeSet<String>> {
    let printed = node.vsctl([
        "--format=csv",
        "--data=bare",
        "--no-headings",
        "--columns=external_ids",
        "list",
        "Interface",
    ])?;
    let ids = printed
        .lines()
        .flat_map(|line| line.trim_matches('"').split(' '));
    let ports = ids.filter_map(|pair| pair.strip_prefix("iface-id="));
    let pods = ports.filter(|port| port.contains('.'));
    Ok(pods.map(str::to_owned).collect())
}

/// Of a node, how many links have their other end elsewhere, besides its two NICs.
fn links(node: &Node) -> Result<usize> {
    let printed = node
        .netns()
        .command("ip")
        .args(["-o", "link", "show", "type", "veth"])
        .read()?;
    Ok(printed.lines().count().saturating_sub(2))
}

fn split(addresses: &str) -> Vec<String> {
    let addresses = addresses.split(',').filter(|address| !address.is_empty());
    addresses.map(str::to_owned).collect()
}

fn unique(place: &str, all: &Ports) -> Result<()> {
    let mut holders: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, addresses) in all {
        for address in addresses {
            if let Some(other) = holders.insert(address, name) {
                bail!("in {place} {address} is that of {other} and {name}");
            }
        }
    }
    Ok(())
}

fn same(what: &str, found: &Ports, pods: &Ports) -> Result<()> {
    let differs = |one: &Ports, other: &Ports| -> Vec<String> {
        let names = one
            .iter()
            .filter(|(name, it)| other.get(*name) != Some(*it));
        names.map(|(name, it)| format!("{name} {it:?}")).collect()
    };
    let (left, missing) = (differs(found, pods), differs(pods, found));
    ensure!(
        left.is_empty() && missing.is_empty(),
        "{what} without or unlike their pods: {left:?}; pods without: {missing:?}"
    );
    Ok(())
}
