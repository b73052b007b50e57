//! Addresses through rtnetlink.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel adds attributes with every release, and we read a few of them"
)]

use std::net::IpAddr;

use futures::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};

use super::{Addresses, Change, diff};
use crate::error::absent_is_gone;
use crate::{Error, Netlink};

/// Removing a primary IPv4 address can take others with it, so one pass may not be enough.
const PASSES: u32 = 3;

/// The addresses of the link with this index.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn observe(netlink: &Netlink, index: u32) -> Result<Addresses, Error> {
    Ok(list(netlink, index).await?.into_iter().collect())
}

/// The same in the kernel's order, the primary ones first.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn list(netlink: &Netlink, index: u32) -> Result<Vec<IpNet>, Error> {
    let request = netlink.addresses().get().set_link_index_filter(index);
    let messages: Vec<AddressMessage> = request
        .execute()
        .try_collect()
        .await
        .map_err(|error| Error::netlink("list addresses", error))?;
    Ok(messages.iter().filter_map(parse).collect())
}

/// Makes the addresses of the link with this index the desired ones. Returns the number of changes.
///
/// # Errors
/// When the kernel refuses a change, or somebody else undoes ours.
pub async fn reconcile(netlink: &Netlink, index: u32, desired: &Addresses) -> Result<usize, Error> {
    let mut made = 0;
    for _ in 0..PASSES {
        let changes = diff(desired, &observe(netlink, index).await?);
        if changes.is_empty() {
            return Ok(made);
        }
        for change in &changes {
            apply(netlink, index, change).await?;
        }
        made += changes.len();
    }
    Err(Error::Unsettled {
        domain: "address",
        passes: PASSES,
    })
}

/// Makes one change on the link with this index.
///
/// # Errors
/// When the kernel refuses the change.
pub async fn apply(netlink: &Netlink, index: u32, change: &Change) -> Result<(), Error> {
    match change {
        Change::Add(address) => add(netlink, index, *address).await,
        Change::Remove(address) => absent_is_gone(remove(netlink, index, *address).await),
    }
}

/// Without duplicate address detection: the allocator hands no address out twice, and an address
/// under detection cannot be used for a second or more.
async fn add(netlink: &Netlink, index: u32, address: IpNet) -> Result<(), Error> {
    let handle = netlink.addresses();
    let mut request = handle
        .add(index, address.addr(), address.prefix_len())
        .replace();
    let flags = AddressAttribute::Flags(AddressFlags::Nodad);
    request.message_mut().attributes.push(flags);
    let result = request.execute().await;
    result.map_err(|error| Error::netlink(format!("add address {address}"), error))
}

async fn remove(netlink: &Netlink, index: u32, address: IpNet) -> Result<(), Error> {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = address.prefix_len();
    message.header.family = match address {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message
        .attributes
        .push(AddressAttribute::Local(address.addr()));
    let result = netlink.addresses().del(message).execute().await;
    result.map_err(|error| Error::netlink(format!("remove address {address}"), error))
}

/// `None` for a link-local address. IPv4's `Address` attribute is that of a peer, where there is
/// one, so `Local` goes before it; IPv6 has only the former (rtnetlink(7)).
fn parse(message: &AddressMessage) -> Option<IpNet> {
    if message.header.scope == AddressScope::Link {
        return None;
    }
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(local) => address = Some(*local),
            AddressAttribute::Address(other) => address = address.or(Some(*other)),
            _ => {}
        }
    }
    let address: IpAddr = address?;
    IpNet::new(address, message.header.prefix_len).ok()
}
