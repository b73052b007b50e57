//! Rules through rtnetlink.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel adds attributes with every release, and we read a few of them"
)]

use std::net::IpAddr;

use futures::TryStreamExt;
use ipnet::IpNet;
use model::{Cidr, IpFamily};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::IpVersion;

use super::{Actual, Change, Foreign, Packets, Rule};
use crate::error::absent_is_gone;
use crate::netlink::address_family;
use crate::route::PROTOCOL;
use crate::{Error, LinkName, Netlink};

/// Our rules of both families, and where others have theirs.
///
/// # Errors
/// When the kernel refuses to tell.
pub async fn observe(netlink: &Netlink) -> Result<Actual, Error> {
    let mut actual = Actual::default();
    for family in IpFamily::ALL {
        let version = match family {
            IpFamily::V4 => IpVersion::V4,
            IpFamily::V6 => IpVersion::V6,
        };
        let messages = netlink.rules().get(version).execute().try_collect().await;
        let messages: Vec<RuleMessage> =
            messages.map_err(|error| Error::netlink("list rules", error))?;
        for message in &messages {
            if message.attributes.contains(&RuleAttribute::Protocol(OURS)) {
                actual.ours.extend(parse(message, family));
            } else {
                actual.foreign.insert(Foreign {
                    family,
                    priority: priority(message),
                    table: table(message),
                });
            }
        }
    }
    Ok(actual)
}

/// Makes one change.
///
/// # Errors
/// When the kernel refuses.
pub async fn apply(netlink: &Netlink, change: &Change) -> Result<(), Error> {
    match change {
        Change::Add(rule) => {
            let mut request = netlink.rules().add();
            *request.message_mut() = message(rule);
            let result = request.execute().await;
            result.map_err(|error| Error::netlink(format!("add the rule {rule}"), error))
        }
        Change::Remove(rule) => {
            let result = netlink.rules().del(message(rule)).execute().await;
            let refused = |error| Error::netlink(format!("remove the rule {rule}"), error);
            absent_is_gone(result.map_err(refused))
        }
    }
}

const OURS: RouteProtocol = RouteProtocol::Other(PROTOCOL);

fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = address_family(rule.packets.family());
    message.header.action = RuleAction::ToTable;
    let packets = match &rule.packets {
        Packets::From(cidr) => {
            message.header.src_len = cidr.prefix_len();
            RuleAttribute::Source(cidr.network())
        }
        Packets::In(link, _) => RuleAttribute::Iifname(link.to_string()),
    };
    message.attributes = vec![
        packets,
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Table(rule.table),
        RuleAttribute::Protocol(OURS),
    ];
    message
}

/// `None` for one that we never make.
fn parse(message: &RuleMessage, family: IpFamily) -> Option<Rule> {
    let mut packets = None;
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(address) => {
                let source = cidr(*address, message.header.src_len)?;
                packets = Some(Packets::From(source));
            }
            RuleAttribute::Iifname(name) => {
                let link = LinkName::new(name.as_str()).ok()?;
                packets = Some(Packets::In(link, family));
            }
            _ => {}
        }
    }
    Some(Rule {
        priority: priority(message),
        packets: packets?,
        table: table(message),
    })
}

fn cidr(address: IpAddr, prefix_len: u8) -> Option<Cidr> {
    IpNet::new(address, prefix_len).ok().map(Cidr::new)
}

/// The kernel does not tell a priority of 0.
fn priority(message: &RuleMessage) -> u32 {
    let priority = message.attributes.iter().find_map(|it| match it {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    priority.unwrap_or_default()
}

fn table(message: &RuleMessage) -> u32 {
    let table = message.attributes.iter().find_map(|it| match it {
        RuleAttribute::Table(table) => Some(*table),
        _ => None,
    });
    table.unwrap_or_else(|| message.header.table.into())
}
