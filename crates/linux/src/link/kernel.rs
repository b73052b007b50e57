//! Links through rtnetlink.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel adds attributes with every release, and we read a few of them"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use futures::TryStreamExt;
use model::MacAddr;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage,
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::{Actual, Admin, Change, Desired, End, LinkName, Veth, diff};
use crate::error::absent_is_gone;
use crate::{Error, Namespace, Netlink};

/// The link `name`; `None` when there is none.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn observe(netlink: &Netlink, name: &LinkName) -> Result<Option<Actual>, Error> {
    let request = netlink.links().get().match_name(name.as_str());
    let answer = request.execute().try_next().await;
    match answer.map_err(|error| Error::netlink(format!("look up link {name}"), error)) {
        Ok(message) => Ok(message.as_ref().map(parse)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// All links, in the kernel's order.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn list(netlink: &Netlink) -> Result<Vec<(LinkName, Actual)>, Error> {
    let messages = dump(netlink).await?;
    let named = messages
        .iter()
        .filter_map(|message| Some((name(message)?, parse(message))));
    Ok(named.collect())
}

/// The names of all links, by index.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn names(netlink: &Netlink) -> Result<BTreeMap<u32, LinkName>, Error> {
    let messages = dump(netlink).await?;
    let named = messages
        .iter()
        .filter_map(|message| Some((message.header.index, name(message)?)));
    Ok(named.collect())
}

/// Without counters, which are half of what the kernel would tell of each of many links.
async fn dump(netlink: &Netlink) -> Result<Vec<LinkMessage>, Error> {
    let mask = vec![LinkExtentMask::SkipStats];
    let request = netlink.links().get();
    let request = request.set_filter_mask(AddressFamily::Unspec, mask);
    let messages = request.execute().try_collect().await;
    messages.map_err(|error| Error::netlink("list links", error))
}

/// The link that has `address`; `None` when there is none.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn with_address(netlink: &Netlink, address: IpAddr) -> Result<Option<Actual>, Error> {
    let holders = netlink.addresses().get().set_address_filter(address);
    let holder = holders.execute().try_next().await;
    let holder = holder.map_err(|error| Error::netlink("list addresses", error))?;
    let Some(holder) = holder else {
        return Ok(None);
    };
    let link = netlink.links().get().match_index(holder.header.index);
    let answer = link.execute().try_next().await;
    let answer = answer.map_err(|error| Error::netlink(format!("look up {address}"), error))?;
    Ok(answer.as_ref().map(parse))
}

/// Makes the link `name` as desired. Returns it as it is now and the number of changes.
///
/// # Errors
/// [`Error::NoLink`] when there is none, else when the kernel refuses a change.
pub async fn reconcile(
    netlink: &Netlink,
    name: &LinkName,
    desired: &Desired,
) -> Result<(Actual, usize), Error> {
    let actual = observed(netlink, name).await?;
    let changes = diff(desired, &actual);
    for change in &changes {
        apply(netlink, name, &actual, change).await?;
    }
    if changes.is_empty() {
        return Ok((actual, 0));
    }
    Ok((observed(netlink, name).await?, changes.len()))
}

async fn observed(netlink: &Netlink, name: &LinkName) -> Result<Actual, Error> {
    let link = observe(netlink, name).await?;
    link.ok_or_else(|| Error::NoLink(name.clone()))
}

/// Makes one change to the link `name`.
///
/// # Errors
/// When the kernel refuses the change.
pub async fn apply(
    netlink: &Netlink,
    name: &LinkName,
    link: &Actual,
    change: &Change,
) -> Result<(), Error> {
    let message = LinkUnspec::new_with_index(link.index);
    let message = match change {
        Change::Mac(mac) => message.address(mac.octets().to_vec()),
        Change::Mtu(mtu) => message.mtu(*mtu),
        Change::Alias(alias) => message.alias(alias.clone()),
        Change::Admin(Admin::Up) => message.up(),
        Change::Admin(Admin::Down) => message.down(),
    };
    let result = netlink.links().change(message.build()).execute().await;
    result.map_err(|error| Error::netlink(format!("set {change:?} on link {name}"), error))
}

/// Makes a veth pair in one request: the near end here, the peer in `namespace`, born there with
/// its name, so that it is never moved or renamed (which takes the kernel twenty times as long).
///
/// Both ends are born with MAC and MTU and without the rest: the kernel ignores an alias here, and
/// refuses to bring up one half of a pair that is not yet whole. [`reconcile`] each afterwards.
///
/// # Errors
/// When the kernel refuses, such as because one of the names is taken.
pub async fn create_veth(
    netlink: &Netlink,
    veth: &Veth,
    namespace: &Namespace,
) -> Result<(), Error> {
    let peer = born(LinkMessageBuilder::<LinkUnspec>::new(), &veth.peer)
        .setns_by_fd(namespace.file().as_raw_fd())
        .build();
    let near = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth);
    let message = born(near, &veth.near)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    let result = netlink.links().add(message).execute().await;
    result.map_err(|error| {
        let action = format!(
            "make the veth pair {} and {} in {}",
            veth.near.name,
            veth.peer.name,
            namespace.path().display()
        );
        Error::netlink(action, error)
    })
}

/// Deletes the link `name`, and with an end of a veth pair the other end. Succeeds when there is
/// none.
///
/// # Errors
/// When the kernel refuses.
pub async fn delete(netlink: &Netlink, name: &LinkName) -> Result<(), Error> {
    let Some(link) = observe(netlink, name).await? else {
        return Ok(());
    };
    let result = netlink.links().del(link.index).execute().await;
    absent_is_gone(result.map_err(|error| Error::netlink(format!("delete link {name}"), error)))
}

fn born<T>(message: LinkMessageBuilder<T>, end: &End) -> LinkMessageBuilder<T> {
    let message = message.name(end.name.as_str());
    let message = match end.link.mac {
        Some(mac) => message.address(mac.octets().to_vec()),
        None => message,
    };
    match end.link.mtu {
        Some(mtu) => message.mtu(mtu),
        None => message,
    }
}

fn name(message: &LinkMessage) -> Option<LinkName> {
    let mut attributes = message.attributes.iter();
    attributes.find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => LinkName::new(name.as_str()).ok(),
        _ => None,
    })
}

fn parse(message: &LinkMessage) -> Actual {
    let mut actual = Actual {
        index: message.header.index,
        mac: None,
        mtu: 0,
        alias: None,
        admin: if message.header.flags.contains(LinkFlags::Up) {
            Admin::Up
        } else {
            Admin::Down
        },
        peer: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Address(octets) => {
                actual.mac = octets.as_slice().try_into().ok().map(MacAddr::new);
            }
            LinkAttribute::Mtu(mtu) => actual.mtu = *mtu,
            LinkAttribute::IfAlias(alias) => actual.alias = Some(alias.clone()),
            LinkAttribute::Link(peer) => actual.peer = Some(*peer),
            _ => {}
        }
    }
    actual
}
