//! Routes through rtnetlink.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel adds attributes with every release, and we read a few of them"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures::TryStreamExt;
use ipnet::IpNet;
use model::{Cidr, IpFamily};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::RouteMessageBuilder;

use super::{Change, PROTOCOL, Route, Routes, diff};
use crate::error::absent_is_gone;
use crate::netlink::address_family;
use crate::{Error, LinkName, Netlink, link};

/// Our routes of both families.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn observe(netlink: &Netlink) -> Result<Routes, Error> {
    select(netlink, is_ours).await
}

/// The routes that an administrator or a program made: neither ours, nor those that the kernel makes
/// for addresses or hears from routers.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn observe_others(netlink: &Netlink) -> Result<Routes, Error> {
    select(netlink, is_of_others).await
}

/// Adds a route as an administrator does, in place of one to the same destination.
///
/// # Errors
/// As [`apply`].
pub async fn add_static(netlink: &Netlink, route: &Route) -> Result<(), Error> {
    add(netlink, route, RouteProtocol::Static).await
}

async fn select(netlink: &Netlink, keep: fn(&RouteMessage) -> bool) -> Result<Routes, Error> {
    let names = link::names(netlink).await?;
    let mut routes = Routes::new();
    for family in IpFamily::ALL {
        let messages = dump(netlink, family).await?;
        let kept = messages.iter().filter(|message| keep(message));
        routes.extend(kept.filter_map(|message| parse(message, family, &names)));
    }
    Ok(routes)
}

/// Every route of a family, in every table.
pub(crate) async fn dump(netlink: &Netlink, family: IpFamily) -> Result<Vec<RouteMessage>, Error> {
    let mut request = RouteMessage::default();
    request.header.address_family = address_family(family);
    let messages = netlink.routes().get(request).execute().try_collect().await;
    messages.map_err(|error| Error::netlink("list routes", error))
}

/// Makes our routes the desired ones. Returns the number of changes.
///
/// # Errors
/// When the kernel refuses a change.
pub async fn reconcile(netlink: &Netlink, desired: &Routes) -> Result<usize, Error> {
    let changes = diff(desired, &observe(netlink).await?);
    for change in &changes {
        apply(netlink, change).await?;
    }
    Ok(changes.len())
}

/// Makes one change.
///
/// # Errors
/// [`Error::NoLink`] without the link, else when the kernel refuses, such as because no address of
/// the link reaches the gateway.
pub async fn apply(netlink: &Netlink, change: &Change) -> Result<(), Error> {
    match change {
        Change::Add(route) => add(netlink, route, OURS).await,
        Change::Remove(route) => absent_is_gone(remove(netlink, route).await),
    }
}

async fn add(netlink: &Netlink, route: &Route, protocol: RouteProtocol) -> Result<(), Error> {
    let message = message(netlink, route, protocol).await?;
    let result = netlink.routes().add(message).replace().execute().await;
    result.map_err(|error| {
        let action = format!("add a route to {} by {}", route.destination, route.link);
        Error::netlink(action, error)
    })
}

async fn remove(netlink: &Netlink, route: &Route) -> Result<(), Error> {
    let message = message(netlink, route, OURS).await?;
    let result = netlink.routes().del(message).execute().await;
    result.map_err(|error| {
        let action = format!(
            "remove the route to {} by {}",
            route.destination, route.link
        );
        Error::netlink(action, error)
    })
}

async fn message(
    netlink: &Netlink,
    route: &Route,
    protocol: RouteProtocol,
) -> Result<RouteMessage, Error> {
    let Some(link) = link::observe(netlink, &route.link).await? else {
        return Err(Error::NoLink(route.link.clone()));
    };
    let (destination, prefix_len) = (route.destination.network(), route.destination.prefix_len());
    let refused = |error| Error::kernel("describe a route", std::io::Error::other(error));
    let mut message = RouteMessageBuilder::<IpAddr>::new()
        .protocol(protocol)
        .output_interface(link.index)
        .destination_prefix(destination, prefix_len)
        .map_err(refused)?;
    if let Some(gateway) = route.gateway {
        message = message.gateway(gateway).map_err(refused)?;
    } else {
        message = message.scope(RouteScope::Link);
    }
    Ok(message.build())
}

pub(crate) const OURS: RouteProtocol = RouteProtocol::Other(PROTOCOL);

fn is_ours(message: &RouteMessage) -> bool {
    message.header.protocol == OURS && message.header.table == RouteHeader::RT_TABLE_MAIN
}

fn is_of_others(message: &RouteMessage) -> bool {
    const KERNEL: [RouteProtocol; 4] = [
        OURS,
        RouteProtocol::Kernel,
        RouteProtocol::Ra,
        RouteProtocol::IcmpRedirect,
    ];
    !KERNEL.contains(&message.header.protocol)
        && message.header.table == RouteHeader::RT_TABLE_MAIN
        && message.header.kind == RouteType::Unicast
}

pub(crate) fn parse(
    message: &RouteMessage,
    family: IpFamily,
    names: &BTreeMap<u32, LinkName>,
) -> Option<Route> {
    let (mut gateway, mut link) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Gateway(address) => gateway = ip_address(address),
            RouteAttribute::Oif(index) => link = names.get(index),
            _ => {}
        }
    }
    Some(Route {
        destination: destination(message, family)?,
        gateway,
        link: link?.clone(),
    })
}

/// The kernel does not tell that of a default route.
pub(crate) fn destination(message: &RouteMessage, family: IpFamily) -> Option<Cidr> {
    let told = message.attributes.iter().find_map(|it| match it {
        RouteAttribute::Destination(address) => Some(ip_address(address)),
        _ => None,
    });
    let address = told.unwrap_or_else(|| family.address(0))?;
    let prefix_len = message.header.destination_prefix_length;
    Some(Cidr::new(IpNet::new(address, prefix_len).ok()?))
}

fn ip_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}
