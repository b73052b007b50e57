//! Our values as the objects that nft reads and prints (libnftables-json(5)), and back.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "nft has many kinds of objects, and we read a few of them"
)]

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{Cidr, IpFamily};
use nftables::expr::{
    Expression, Fib, FibFlag, FibResult, Meta, MetaKey, NamedExpression, Payload, PayloadField,
    Prefix,
};
use nftables::schema;
use nftables::stmt::{self, Operator, Statement};
use nftables::types::{NfChainPolicy, NfChainType, NfFamily, NfHook};

use super::{Base, Family, Hook, Kind, Match, Member, Policy, Rule, Verdict};
use crate::LinkName;

pub(super) const fn family(family: Family) -> NfFamily {
    match family {
        Family::Ip => NfFamily::IP,
        Family::Ip6 => NfFamily::IP6,
        Family::Inet => NfFamily::INet,
        Family::Netdev => NfFamily::NetDev,
    }
}

/// `None` for families that packets of IP do not pass as such.
pub(super) const fn family_of(family: NfFamily) -> Option<Family> {
    match family {
        NfFamily::IP => Some(Family::Ip),
        NfFamily::IP6 => Some(Family::Ip6),
        NfFamily::INet => Some(Family::Inet),
        NfFamily::NetDev => Some(Family::Netdev),
        NfFamily::ARP | NfFamily::Bridge => None,
    }
}

/// Gives a chain its base.
pub(super) fn based(mut chain: schema::Chain<'static>, base: &Base) -> schema::Chain<'static> {
    let (hook, device) = match &base.hook {
        Hook::Ingress(link) => (NfHook::Ingress, Some(link)),
        Hook::Input => (NfHook::Input, None),
        Hook::Forward => (NfHook::Forward, None),
        Hook::Postrouting => (NfHook::Postrouting, None),
    };
    chain.hook = Some(hook);
    chain.dev = device.map(|link| link.to_string().into());
    chain._type = Some(match base.kind {
        Kind::Filter => NfChainType::Filter,
        Kind::Nat => NfChainType::NAT,
    });
    chain.prio = Some(base.priority);
    chain.policy = Some(match base.policy {
        Policy::Accept => NfChainPolicy::Accept,
        Policy::Drop => NfChainPolicy::Drop,
    });
    chain
}

/// `None` for a chain that is no base chain, or of a kind or at a hook where we have none.
pub(super) fn base(chain: &schema::Chain<'_>) -> Option<Base> {
    let hook = match (chain.hook?, &chain.dev) {
        (NfHook::Ingress, link) => {
            let link = link.as_ref().unwrap_or(&chain.name);
            Hook::Ingress(LinkName::new(link.as_ref()).ok()?)
        }
        (NfHook::Input, _) => Hook::Input,
        (NfHook::Forward, _) => Hook::Forward,
        (NfHook::Postrouting, _) => Hook::Postrouting,
        (NfHook::Prerouting | NfHook::Output | NfHook::Egress, _) => return None,
    };
    let kind = match chain._type? {
        NfChainType::Filter => Kind::Filter,
        NfChainType::NAT => Kind::Nat,
        NfChainType::Route => return None,
    };
    Some(Base {
        kind,
        hook,
        priority: chain.prio?,
        policy: policy(chain),
    })
}

pub(super) fn policy(chain: &schema::Chain<'_>) -> Policy {
    match chain.policy {
        Some(NfChainPolicy::Drop) => Policy::Drop,
        Some(NfChainPolicy::Accept) | None => Policy::Accept,
    }
}

pub(super) fn element(cidr: Cidr) -> Expression<'static> {
    let address = Expression::String(cidr.network().to_string().into());
    if cidr.prefix_len() == cidr.family().host_prefix() {
        return address;
    }
    Expression::Named(NamedExpression::Prefix(Prefix {
        addr: Box::new(address),
        len: cidr.prefix_len().into(),
    }))
}

/// `None` for an element that we would not write.
pub(super) fn network(element: &Expression<'_>) -> Option<Cidr> {
    let (address, len) = match element {
        Expression::String(address) => (address, None),
        Expression::Named(NamedExpression::Prefix(prefix)) => match prefix.addr.as_ref() {
            Expression::String(address) => (address, Some(prefix.len)),
            _ => return None,
        },
        _ => return None,
    };
    let address: IpAddr = address.parse().ok()?;
    let len = match len {
        Some(len) => u8::try_from(len).ok()?,
        None => IpFamily::of(address).host_prefix(),
    };
    Some(Cidr::new(IpNet::new(address, len).ok()?))
}

pub(super) fn statements(rule: &Rule) -> Vec<Statement<'static>> {
    let verdict = match rule.verdict {
        Verdict::Accept => Some(Statement::Accept(None)),
        Verdict::Masquerade => Some(Statement::Masquerade(None)),
        Verdict::Other => None,
    };
    let matches = rule.matches.iter().filter_map(statement);
    matches.chain(verdict).collect()
}

/// `None` for what we never write.
fn statement(condition: &Match) -> Option<Statement<'static>> {
    let (left, op, right) = match condition {
        Match::Source(family, member, set) => member_of(*family, "saddr", *member, set),
        Match::Destination(family, member, set) => member_of(*family, "daddr", *member, set),
        Match::SourceElsewhere => (source_type(), Operator::NEQ, text("local")),
        Match::InLink(link) => (meta(MetaKey::Iifname), Operator::EQ, text(link)),
        Match::OutLink(link) => (meta(MetaKey::Oifname), Operator::EQ, text(link)),
        Match::UdpPort(port) => {
            let port = Expression::Number((*port).into());
            (field("udp", "dport"), Operator::EQ, port)
        }
        Match::Other(_) => return None,
    };
    Some(Statement::Match(stmt::Match { left, right, op }))
}

type Comparison = (Expression<'static>, Operator, Expression<'static>);

fn member_of(family: IpFamily, name: &'static str, member: Member, set: &str) -> Comparison {
    let protocol = match family {
        IpFamily::V4 => "ip",
        IpFamily::V6 => "ip6",
    };
    let operator = match member {
        Member::In => Operator::EQ,
        Member::NotIn => Operator::NEQ,
    };
    (field(protocol, name), operator, text(&format!("@{set}")))
}

fn text(text: &(impl ToString + ?Sized)) -> Expression<'static> {
    Expression::String(text.to_string().into())
}

fn field(protocol: &'static str, field: &'static str) -> Expression<'static> {
    let field = PayloadField {
        protocol: protocol.into(),
        field: field.into(),
    };
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(field)))
}

fn meta(key: MetaKey) -> Expression<'static> {
    Expression::Named(NamedExpression::Meta(Meta { key }))
}

fn source_type() -> Expression<'static> {
    Expression::Named(NamedExpression::Fib(Fib {
        result: FibResult::Type,
        flags: HashSet::from([FibFlag::Saddr]),
    }))
}

/// The rule of these statements. What we never write becomes something that no rule of ours has.
pub(super) fn rule(statements: &[Statement<'_>]) -> Rule {
    let mut rule = Rule {
        matches: Vec::new(),
        verdict: Verdict::Other,
    };
    for statement in statements {
        match statement {
            Statement::Accept(None) => rule.verdict = Verdict::Accept,
            Statement::Masquerade(None) => rule.verdict = Verdict::Masquerade,
            other => rule.matches.push(condition(other)),
        }
    }
    rule
}

/// The match that is written as `statement`: the inverse of [`statement`], by trying what it
/// could be.
fn condition(statement: &Statement<'_>) -> Match {
    let guess = guess(statement);
    let written = guess.as_ref().and_then(self::statement);
    match guess {
        Some(guess) if written.as_ref() == Some(statement) => guess,
        Some(_) | None => Match::Other(format!("{statement:?}")),
    }
}

fn guess(statement: &Statement<'_>) -> Option<Match> {
    let Statement::Match(stmt::Match { left, right, op }) = statement else {
        return None;
    };
    let Expression::Named(left) = left else {
        return None;
    };
    match (left, right) {
        (NamedExpression::Payload(Payload::PayloadField(field)), Expression::Number(port))
            if field.protocol == "udp" =>
        {
            Some(Match::UdpPort(u16::try_from(*port).ok()?))
        }
        (NamedExpression::Payload(Payload::PayloadField(field)), Expression::String(set)) => {
            guess_member(field, *op, set)
        }
        (NamedExpression::Meta(meta), Expression::String(link)) => {
            let link = LinkName::new(link.as_ref()).ok()?;
            Some(if meta.key == MetaKey::Iifname {
                Match::InLink(link)
            } else {
                Match::OutLink(link)
            })
        }
        (NamedExpression::Fib(_), _) => Some(Match::SourceElsewhere),
        _ => None,
    }
}

fn guess_member(field: &PayloadField<'_>, op: Operator, set: &str) -> Option<Match> {
    let set = set.strip_prefix('@')?.to_owned();
    let family = match field.protocol.as_ref() {
        "ip" => IpFamily::V4,
        "ip6" => IpFamily::V6,
        _ => return None,
    };
    let member = if op == Operator::EQ {
        Member::In
    } else {
        Member::NotIn
    };
    Some(if field.field == "saddr" {
        Match::Source(family, member, set)
    } else {
        Match::Destination(family, member, set)
    })
}
