//! Routes of tables other than the main one through rtnetlink.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel adds attributes with every release, and we read a few of them"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{Cidr, IpFamily};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteScope, RouteType};
use rtnetlink::RouteMessageBuilder;

use super::{Actual, Change, Hop, Route};
use crate::error::absent_is_gone;
use crate::route::kernel::{self, OURS};
use crate::{Error, LinkName, Netlink, link};

/// The priority of a route that counts last (rtnetlink(7), `RTA_PRIORITY`).
const LAST: u32 = u32::MAX;
const MAIN: u32 = 254;
const LOCAL: u32 = 255;

/// Our routes of both families in tables other than the main one, and what others have.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn observe(netlink: &Netlink) -> Result<Actual, Error> {
    let names = link::names(netlink).await?;
    let mut actual = Actual::default();
    for family in IpFamily::ALL {
        for message in kernel::dump(netlink, family).await? {
            take(&mut actual, &message, family, &names);
        }
    }
    Ok(actual)
}

fn take(
    actual: &mut Actual,
    message: &RouteMessage,
    family: IpFamily,
    names: &BTreeMap<u32, LinkName>,
) {
    let is_ours = message.header.protocol == OURS;
    match table(message) {
        LOCAL if message.header.kind == RouteType::Local => {
            let own = kernel::destination(message, family);
            actual.own.extend(own.map(Cidr::network));
        }
        LOCAL => {}
        MAIN => actual.on_link.extend(on_link(message, family, names)),
        table if is_ours => actual.ours.extend(parse(message, table, family, names)),
        table => {
            actual.foreign.insert((family, table));
        }
    }
}

fn on_link(
    message: &RouteMessage,
    family: IpFamily,
    names: &BTreeMap<u32, LinkName>,
) -> Option<(Cidr, LinkName)> {
    let route = kernel::parse(message, family, names)?;
    let is_on_link = route.gateway.is_none() && message.header.kind == RouteType::Unicast;
    is_on_link.then_some((route.destination, route.link))
}

fn parse(
    message: &RouteMessage,
    table: u32,
    family: IpFamily,
    names: &BTreeMap<u32, LinkName>,
) -> Option<Route> {
    let destination = kernel::destination(message, family)?;
    let hop = if message.header.kind == RouteType::Unreachable {
        Hop::Unreachable
    } else {
        let route = kernel::parse(message, family, names)?;
        match route.gateway {
            Some(gateway) => Hop::Gateway(gateway, route.link),
            None => Hop::Link(route.link),
        }
    };
    Some(Route {
        table,
        destination,
        hop,
    })
}

/// Makes one change.
///
/// # Errors
/// [`Error::NoLink`] without the link, else when the kernel refuses, such as because the gateway is
/// not on the link.
pub async fn apply(netlink: &Netlink, change: &Change) -> Result<(), Error> {
    match change {
        Change::Put(route) => {
            let message = message(netlink, route).await?;
            let result = netlink.routes().add(message).replace().execute().await;
            result.map_err(|error| Error::netlink(format!("put the route {route}"), error))
        }
        Change::Remove(route) => absent_is_gone(remove(netlink, route).await),
    }
}

async fn remove(netlink: &Netlink, route: &Route) -> Result<(), Error> {
    let message = message(netlink, route).await?;
    let result = netlink.routes().del(message).execute().await;
    result.map_err(|error| Error::netlink(format!("remove the route {route}"), error))
}

async fn message(netlink: &Netlink, route: &Route) -> Result<RouteMessage, Error> {
    let (destination, prefix_len) = (route.destination.network(), route.destination.prefix_len());
    let refused = |error| Error::kernel("describe a route", std::io::Error::other(error));
    let message = RouteMessageBuilder::<IpAddr>::new()
        .protocol(OURS)
        .table_id(route.table)
        .destination_prefix(destination, prefix_len)
        .map_err(refused)?;
    let message = match &route.hop {
        Hop::Gateway(gateway, link) => {
            let index = index(netlink, link).await?;
            message
                .output_interface(index)
                .gateway(*gateway)
                .map_err(refused)?
        }
        Hop::Link(link) => {
            let index = index(netlink, link).await?;
            message.output_interface(index).scope(RouteScope::Link)
        }
        Hop::Unreachable => message.kind(RouteType::Unreachable).priority(LAST),
    };
    Ok(message.build())
}

async fn index(netlink: &Netlink, name: &LinkName) -> Result<u32, Error> {
    let link = link::observe(netlink, name).await?;
    link.map(|link| link.index)
        .ok_or_else(|| Error::NoLink(name.clone()))
}

/// The header has no room for most of them.
fn table(message: &RouteMessage) -> u32 {
    let table = message.attributes.iter().find_map(|it| match it {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    table.unwrap_or_else(|| message.header.table.into())
}
