//! Names: what OVN can read, and what matches refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use model::IpFamily;
use ovn::acl::Direction;
use ovn::nb::load_balancer as lb;
use ovn::{Row, RowKey, Rows};

use super::{Finding, Rule};

pub(super) fn check(rows: &Rows) -> Vec<Finding> {
    let found = |(key, row)| {
        let found = wrong(rows, key, row).into_iter();
        found.map(move |(rule, message)| Finding::new(rule, key, message))
    };
    rows.iter().flat_map(found).collect()
}

fn wrong(rows: &Rows, key: &RowKey, row: &Row) -> Vec<(Rule, String)> {
    let mut wrong = Vec::new();
    if let Some(name) = name(key).filter(|name| !is_printable(name)) {
        wrong.push((Rule::Name, format!("{name:?} cannot be the name of a row")));
    }
    if let RowKey::PortGroup(name) | RowKey::AddressSet(name) = key
        && !is_identifier(name)
    {
        wrong.push((Rule::Name, format!("`{name}` cannot be named in a match")));
    }
    if let RowKey::RouterPolicy { matches, .. }
    | RowKey::Acl { matches, .. }
    | RowKey::Qos { matches, .. } = key
    {
        let unknown = references(matches).filter(|name| !is_planned(rows, name));
        let message = |name| format!("its match names `{name}`, which is not planned");
        wrong.extend(unknown.map(|name| (Rule::Set, message(name))));
        if has_loose_comma(matches) {
            let message = "a comma outside of braces cannot be read".to_owned();
            wrong.push((Rule::Match, message));
        }
    }
    if let RowKey::Acl {
        direction: Direction::ToLport,
        matches,
        ..
    }
    | RowKey::Qos {
        direction: Direction::ToLport,
        matches,
        ..
    } = key
        && matches.contains("inport")
    {
        let message = "VXLAN does not tell packets that leave a switch by which port they came in";
        wrong.push((Rule::Match, message.to_owned()));
    }
    if let RowKey::LoadBalancer(_) = key {
        wrong.extend(mixed_families(row).map(|message| (Rule::Family, message)));
    }
    wrong
}

/// The names of the sets that a match refers to: `$set` of addresses, `@group` of ports.
fn references(matches: &str) -> impl Iterator<Item = &str> {
    let starts = matches.match_indices(['$', '@']);
    starts.map(|(index, _)| {
        let rest = matches.get(index..).unwrap_or_default();
        let end = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| !is_identifier_part(*c))
            .map_or(rest.len(), |(end, _)| end);
        rest.get(..end).unwrap_or_default()
    })
}

/// Beside the sets that are planned OVN keeps one of each family for each group of ports.
fn is_planned(rows: &Rows, reference: &str) -> bool {
    let set = reference.strip_prefix('$');
    if set.is_some_and(|name| rows.contains_key(&RowKey::AddressSet(name.to_owned()))) {
        return true;
    }
    let group = match reference.strip_prefix('$') {
        Some(set) => set
            .strip_suffix("_ip4")
            .or_else(|| set.strip_suffix("_ip6")),
        None => reference.strip_prefix('@'),
    };
    group.is_some_and(|name| rows.contains_key(&RowKey::PortGroup(name.to_owned())))
}

/// As in the text of two networks where one is meant.
fn has_loose_comma(matches: &str) -> bool {
    let outside = matches.split('{').enumerate().map(|(index, part)| {
        let after = part.split_once('}').map(|(_, after)| after);
        if index == 0 {
            part
        } else {
            after.unwrap_or_default()
        }
    });
    outside.into_iter().any(|text| text.contains(','))
}

fn mixed_families(row: &Row) -> impl Iterator<Item = String> {
    let vips: BTreeMap<String, String> = row.get(lb::VIPS).unwrap_or_default();
    let mixed = vips.into_iter().filter(|(vip, backends)| {
        let backends: BTreeSet<_> = backends.split(',').map(family).collect();
        backends != BTreeSet::from([family(vip)]) || family(vip).is_none()
    });
    mixed.map(|(vip, backends)| format!("VIP {vip} cannot lead to {backends}"))
}

fn family(text: &str) -> Option<IpFamily> {
    let address: SocketAddr = text.parse().ok()?;
    Some(IpFamily::of(address.ip()))
}

fn name(key: &RowKey) -> Option<&str> {
    match key {
        RowKey::LogicalRouter(name)
        | RowKey::LogicalSwitch(name)
        | RowKey::PortGroup(name)
        | RowKey::AddressSet(name)
        | RowKey::LoadBalancer(name)
        | RowKey::LogicalRouterPort(name)
        | RowKey::LogicalSwitchPort(name) => Some(name),
        RowKey::RouterPolicy { .. }
        | RowKey::StaticRoute { .. }
        | RowKey::Acl { .. }
        | RowKey::Qos { .. } => None,
    }
}

/// What `ovn-nbctl` can take as one word.
fn is_printable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '"')
}

/// A name in a match expression (ovn-sb(5), `Logical_Flow.match`).
fn is_identifier(name: &str) -> bool {
    let starts_well = name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    starts_well && name.chars().all(is_identifier_part)
}

const fn is_identifier_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}
