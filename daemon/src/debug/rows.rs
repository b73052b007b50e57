//! The node's state as rows of text, as it should be and as it is, and how the two compare.

use std::collections::BTreeMap;

use daemon_plan::NodeState;
use linux::link::Admin;
use linux::nft::{self, Family};
use linux::offload::TxChecksum;
use linux::route::Routes;
use linux::sysctl::Settings;
use linux::{LinkName, address, link, offload, route, rule, sysctl, table};
use proto::debug::v1::{Action, Change, ColumnChange, Row, Standing};

use crate::host::{self, Host};

/// Columns by the name of a row: the domain, and what it is about.
pub(super) type Rows = BTreeMap<String, Columns>;
type Columns = BTreeMap<String, String>;

/// What should be.
pub(super) fn desired(state: &NodeState) -> Rows {
    let name = &state.port.name;
    let mut rows = Rows::new();
    rows.insert(format!("interface {name}"), state.port.external_ids.clone());
    let link = &state.link;
    let columns = [
        ("mac", link.mac.map(|mac| mac.to_string())),
        ("mtu", link.mtu.map(|mtu| mtu.to_string())),
        (
            "admin",
            link.admin.map(|admin| admin_text(admin).to_owned()),
        ),
    ];
    rows.insert(format!("link {name}"), known(columns));
    if let Some(setting) = state.tx_checksum {
        rows.insert(format!("offload {name}"), tx_checksum(setting));
    }
    rows.extend(address_rows(name, &state.addresses));
    rows.extend(route_rows(&state.routes));
    rows.extend(setting_rows(&state.settings));
    rows.extend(table_rows(&state.translation));
    let redirection = &state.redirection;
    rows.extend(redirect_rows(&redirection.rules, &redirection.routes));
    rows
}

/// What is, of the same kinds.
///
/// # Errors
/// When the kernel or Open vSwitch does not tell.
pub(super) async fn actual(host: &Host, state: &NodeState) -> Result<Rows, host::Error> {
    let (kernel, name) = (&host.kernel, &state.port.name);
    let mut rows = Rows::new();
    if let Some(interface) = host.ovs.interface(name)? {
        let mut ids = interface.external_ids;
        // the rest is Open vSwitch's and OVN's
        ids.retain(|key, _| state.port.external_ids.contains_key(key));
        rows.insert(format!("interface {name}"), ids);
    }
    if let Some(link) = link::observe(&kernel.netlink, name).await? {
        let columns = [
            ("mac", link.mac.map(|mac| mac.to_string())),
            ("mtu", Some(link.mtu.to_string())),
            ("admin", Some(admin_text(link.admin).to_owned())),
        ];
        rows.insert(format!("link {name}"), known(columns));
        if state.tx_checksum.is_some() {
            let setting = offload::observe(&kernel.namespace, name).await?;
            rows.insert(format!("offload {name}"), tx_checksum(setting));
        }
        let addresses = address::observe(&kernel.netlink, link.index).await?;
        rows.extend(address_rows(name, &addresses));
    }
    rows.extend(route_rows(&route::observe(&kernel.netlink).await?));
    let keys = state.settings.keys().cloned().collect();
    rows.extend(setting_rows(
        &sysctl::observe(&kernel.namespace, keys).await?,
    ));
    if let Some(table) = nft::observe(&kernel.namespace, Family::Inet).await? {
        rows.extend(table_rows(&table));
    }
    let found = kernel.found().await?;
    rows.extend(redirect_rows(&found.rules.ours, &found.tables.ours));
    Ok(rows)
}

fn known<const N: usize>(columns: [(&str, Option<String>); N]) -> Columns {
    let known = columns.into_iter();
    known
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

const fn admin_text(admin: Admin) -> &'static str {
    match admin {
        Admin::Up => "up",
        Admin::Down => "down",
    }
}

fn tx_checksum(setting: TxChecksum) -> Columns {
    let text = match setting {
        TxChecksum::Off => "off",
        TxChecksum::On => "on",
    };
    known([("tx-checksum", Some(text.to_owned()))])
}

fn address_rows(name: &LinkName, addresses: &address::Addresses) -> Rows {
    let row = |address| (format!("address {name} {address}"), Columns::new());
    addresses.iter().map(row).collect()
}

fn route_rows(routes: &Routes) -> Rows {
    let row = |route: &route::Route| {
        let columns = [
            ("gateway", route.gateway.map(|gateway| gateway.to_string())),
            ("link", Some(route.link.to_string())),
        ];
        (format!("route {}", route.destination), known(columns))
    };
    routes.iter().map(row).collect()
}

fn redirect_rows(rules: &rule::Rules, routes: &table::Routes) -> Rows {
    let rules = rules.iter().map(|rule| {
        let columns = known([("table", Some(rule.table.to_string()))]);
        (format!("rule {} {}", rule.priority, rule.packets), columns)
    });
    let routes = routes.iter().map(|route| {
        let text = format!(
            "table {} route {} {}",
            route.table, route.destination, route.hop
        );
        (text, Columns::new())
    });
    rules.chain(routes).collect()
}

fn setting_rows(settings: &Settings) -> Rows {
    let row = |(key, value): (&sysctl::Key, &String)| {
        let columns = known([("value", Some(value.clone()))]);
        (format!("sysctl {key}"), columns)
    };
    settings.iter().map(row).collect()
}

fn table_rows(table: &nft::Table) -> Rows {
    let sets = table.sets.iter().map(|(name, set)| {
        let elements = set.elements.iter().map(ToString::to_string);
        let elements = elements.collect::<Vec<_>>().join(",");
        (format!("set {name}"), known([("elements", Some(elements))]))
    });
    let chains = table.chains.iter().map(|(name, chain)| {
        let columns = [
            ("base", Some(format!("{:?}", chain.base))),
            ("rules", Some(format!("{:?}", chain.rules))),
        ];
        (format!("chain {name}"), known(columns))
    });
    sets.chain(chains).collect()
}

/// As they are printed.
pub(super) fn printed(rows: &Rows) -> Vec<Row> {
    let row = |(name, columns): (&String, &Columns)| Row {
        row: name.clone(),
        uuid: String::new(),
        columns: columns.clone().into_iter().collect(),
        links: Vec::new(),
    };
    rows.iter().map(row).collect()
}

/// What would be changed now; nothing when all is as desired.
pub(super) fn changes(owner: &str, desired: &Rows, actual: &Rows) -> Vec<Change> {
    let names = names(desired, actual);
    let changes = names.filter_map(|name| {
        let (wanted, there) = (desired.get(name), actual.get(name));
        let action = match standing(wanted, there) {
            Standing::Missing => Action::Insert,
            Standing::Different => Action::Update,
            Standing::Surplus => Action::Delete,
            Standing::Settled | Standing::Foreign | Standing::Unspecified => return None,
        };
        Some(Change {
            owner: owner.to_owned(),
            action: action.into(),
            row: name.clone(),
            columns: column_changes(wanted, there),
            linked: Vec::new(),
            unlinked: Vec::new(),
        })
    });
    changes.collect()
}

/// The names of both, each once.
pub(super) fn names<'a>(desired: &'a Rows, actual: &'a Rows) -> impl Iterator<Item = &'a String> {
    let surplus = actual.keys().filter(|name| !desired.contains_key(*name));
    desired.keys().chain(surplus)
}

pub(super) fn standing(desired: Option<&Columns>, actual: Option<&Columns>) -> Standing {
    match (desired, actual) {
        (None, None) => Standing::Unspecified,
        (Some(_), None) => Standing::Missing,
        (None, Some(_)) => Standing::Surplus,
        (Some(desired), Some(actual)) if desired == actual => Standing::Settled,
        (Some(_), Some(_)) => Standing::Different,
    }
}

fn column_changes(desired: Option<&Columns>, actual: Option<&Columns>) -> Vec<ColumnChange> {
    let none = Columns::new();
    let (desired, actual) = (desired.unwrap_or(&none), actual.unwrap_or(&none));
    let surplus = actual.keys().filter(|name| !desired.contains_key(*name));
    let value = |columns: &Columns, name: &str| columns.get(name).cloned().unwrap_or_default();
    let change = |name: &String| ColumnChange {
        column: name.clone(),
        old: value(actual, name),
        new: value(desired, name),
    };
    let changes = desired.keys().chain(surplus).map(change);
    changes.filter(|change| change.old != change.new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> Rows {
        let row = |(name, value): &(&str, &str)| {
            (
                (*name).to_owned(),
                known([("value", Some((*value).to_owned()))]),
            )
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn equal_rows_need_no_change() {
        let rows = rows(&[("route a", "1")]);
        assert_eq!(changes("node/n1", &rows, &rows), vec![]);
    }

    #[test]
    fn what_is_missing_different_or_surplus_is_a_change_each() {
        let desired = rows(&[("route a", "1"), ("route b", "2"), ("route c", "3")]);
        let actual = rows(&[("route a", "1"), ("route b", "9"), ("route d", "4")]);
        let changes = changes("node/n1", &desired, &actual);
        let actions: Vec<_> = changes
            .iter()
            .map(|change| (&*change.row, change.action()))
            .collect();
        assert_eq!(
            actions,
            [
                ("route b", Action::Update),
                ("route c", Action::Insert),
                ("route d", Action::Delete),
            ]
        );
        assert_eq!(
            (&*changes[0].columns[0].old, &*changes[0].columns[0].new),
            ("9", "2")
        );
    }
}
