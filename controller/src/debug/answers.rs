//! The answers, as functions of intent and database.

use std::collections::BTreeSet;

use controller_plan::{Inputs, Liveness, Planned, check, plan};
use model::{NodeName, Owner};
use ovn::{Row, RowKey, Rows, View, diff};
use ovsdb::Datum;
use proto::debug::v1;

use crate::gateways::Views;

/// Intent and database at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) view: &'a View,
}

/// Nothing is called so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no `{0}`: give an owner such as `subnet/ovn-default`, or a kind such as `port`")]
pub(super) struct Unknown(String);

// === impl World ===

impl World<'_> {
    pub(super) fn dump(&self, names: &[String]) -> Result<Vec<v1::OwnerRows>, Unknown> {
        let owners = self.owners(names)?;
        Ok(owners.iter().map(|owner| self.owner_rows(owner)).collect())
    }

    pub(super) fn plan(&self, names: &[String]) -> Result<Vec<v1::Change>, Unknown> {
        let owners = self.owners(names)?;
        let changes = owners.iter().flat_map(|owner| {
            let desired = plan(self.inputs, owner).rows;
            let changes = diff(&desired, &self.view.rows_of(owner));
            changes.into_iter().map(|it| change(owner, &it))
        });
        Ok(changes.collect())
    }

    pub(super) fn explain(&self, name: &str) -> Result<Vec<v1::Explanation>, Unknown> {
        let owned = self.all_owners();
        let owned = owned.iter().flat_map(|owner| self.explanations(owner));
        let found: Vec<_> = owned
            .chain(self.foreign())
            .filter(|it| is_about(it, name))
            .collect();
        if found.is_empty() {
            return Err(Unknown(name.to_owned()));
        }
        Ok(found)
    }

    pub(super) fn check(&self) -> Vec<v1::Finding> {
        let findings = check(self.inputs).into_iter();
        let finding = |it: controller_plan::Finding| v1::Finding {
            rule: it.rule.name().to_owned(),
            row: it.row.to_string(),
            message: it.message,
        };
        findings.map(finding).collect()
    }

    /// Who has which slot, and what the leader knows of the nodes.
    pub(super) fn gateways(&self, views: &Views) -> Vec<v1::GatewaySet> {
        let sets = self.inputs.gateways.iter();
        let sets = sets.map(|(set, slots)| {
            let slots = slots.iter().enumerate().map(|(number, slot)| {
                let holder = self.inputs.holder_of(set, number);
                v1::GatewaySlot {
                    addresses: slot.values().map(ToString::to_string).collect(),
                    node: holder.map(ToString::to_string).unwrap_or_default(),
                }
            });
            v1::GatewaySet {
                set: set.to_string(),
                slots: slots.collect(),
                nodes: set
                    .members()
                    .map(|it| self.gateway_node(it, views))
                    .collect(),
            }
        });
        sets.collect()
    }

    fn gateway_node(&self, name: &NodeName, views: &Views) -> v1::GatewayNode {
        let node = self.inputs.nodes.get(name);
        let known = || v1::GatewayNode {
            node: name.to_string(),
            ready: node.is_some_and(|node| node.liveness == Liveness::Alive),
            ..v1::GatewayNode::default()
        };
        views.get(name).cloned().unwrap_or_else(known)
    }

    fn all_owners(&self) -> BTreeSet<Owner> {
        let actual = self.view.owners().cloned();
        self.inputs.owners().chain(actual).collect()
    }

    /// Those that are named, by themselves or by their kind; all without names.
    fn owners(&self, names: &[String]) -> Result<BTreeSet<Owner>, Unknown> {
        let all = self.all_owners();
        let fits = |owner: &Owner, name: &String| {
            let text = owner.to_string();
            text == *name || text.split('/').next() == Some(name)
        };
        if let Some(name) = names
            .iter()
            .find(|name| !all.iter().any(|it| fits(it, name)))
        {
            return Err(Unknown(name.clone()));
        }
        let is_chosen = |owner: &Owner| names.is_empty() || names.iter().any(|it| fits(owner, it));
        Ok(all.into_iter().filter(is_chosen).collect())
    }

    fn owner_rows(&self, owner: &Owner) -> v1::OwnerRows {
        let Planned { rows, problems } = plan(self.inputs, owner);
        v1::OwnerRows {
            owner: owner.to_string(),
            desired: self.rows(&rows),
            actual: self.rows(&self.view.rows_of(owner)),
            problems: problems.into_iter().map(|it| it.message).collect(),
        }
    }

    fn rows(&self, rows: &Rows) -> Vec<v1::Row> {
        rows.iter().map(|(key, row)| self.row(key, row)).collect()
    }

    fn row(&self, key: &RowKey, row: &Row) -> v1::Row {
        let columns = row.columns().iter();
        v1::Row {
            row: key.to_string(),
            uuid: self.uuid(key),
            columns: columns
                .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                .collect(),
            links: row.links().iter().map(link).collect(),
        }
    }

    fn uuid(&self, key: &RowKey) -> String {
        let uuid = self.view.uuid(key);
        uuid.map(|uuid| uuid.to_string()).unwrap_or_default()
    }

    /// One of each row of the owner, and one of an owner without rows.
    fn explanations(&self, owner: &Owner) -> Vec<v1::Explanation> {
        let Planned { rows, problems } = plan(self.inputs, owner);
        let actual = self.view.rows_of(owner);
        let explanation = |row: String, uuid: String, standing: v1::Standing| v1::Explanation {
            row,
            uuid,
            owner: owner.to_string(),
            object: object(owner),
            standing: standing.into(),
            problems: problems.iter().map(|it| it.message.clone()).collect(),
        };
        let keys: BTreeSet<&RowKey> = rows.keys().chain(actual.keys()).collect();
        if keys.is_empty() {
            let standing = v1::Standing::Settled;
            return vec![explanation(String::new(), String::new(), standing)];
        }
        let explain = |key: &RowKey| {
            let standing = standing(rows.get(key), actual.get(key));
            explanation(key.to_string(), self.uuid(key), standing)
        };
        keys.into_iter().map(explain).collect()
    }

    fn foreign(&self) -> impl Iterator<Item = v1::Explanation> {
        let rows = self.view.rows();
        rows.filter(|(_, _, owner)| owner.is_none())
            .map(|(uuid, key, _)| v1::Explanation {
                row: key.to_string(),
                uuid: uuid.to_string(),
                standing: v1::Standing::Foreign.into(),
                ..v1::Explanation::default()
            })
    }
}

/// Whether the name is the row, its name in its table, its UUID, its owner or its object.
fn is_about(explanation: &v1::Explanation, name: &str) -> bool {
    let v1::Explanation {
        row,
        uuid,
        owner,
        object,
        ..
    } = explanation;
    let short = row.split_once(' ').map(|(_, short)| short);
    let names = [row, uuid, owner, object];
    !name.is_empty() && (names.iter().any(|it| *it == name) || short == Some(name))
}

fn standing(desired: Option<&Row>, actual: Option<&Row>) -> v1::Standing {
    match (desired, actual) {
        (Some(_), None) => v1::Standing::Missing,
        (None, _) => v1::Standing::Surplus,
        (Some(desired), Some(actual)) if desired == actual => v1::Standing::Settled,
        (Some(_), Some(_)) => v1::Standing::Different,
    }
}

/// The Kubernetes object to look at.
fn object(owner: &Owner) -> String {
    match owner {
        Owner::Vpc(name) => format!("vpc {name}"),
        Owner::Subnet(name) => format!("subnet {name}"),
        Owner::LoadBalancers(name) => format!("vpc {name}, and all services"),
        Owner::Node(name) => format!("node {name}"),
        Owner::Gateway(set) => format!("subnets with gatewayNode {set}"),
        Owner::Port(key) => format!("pod {}", key.pod),
    }
}

fn link(link: &ovn::Link) -> String {
    format!("{} {}", link.parent, link.column)
}

fn change(owner: &Owner, change: &ovn::Change) -> v1::Change {
    let of = |action: v1::Action| v1::Change {
        owner: owner.to_string(),
        action: action.into(),
        row: change.key().to_string(),
        ..v1::Change::default()
    };
    let columns = |row: &Row, column: fn(&str, &Datum) -> v1::ColumnChange| {
        let columns = row.columns().iter();
        columns.map(|(name, value)| column(name, value)).collect()
    };
    match change {
        ovn::Change::Insert { row, .. } => v1::Change {
            columns: columns(row, |name, new| replaced(name, None, Some(new))),
            linked: row.links().iter().map(link).collect(),
            ..of(v1::Action::Insert)
        },
        ovn::Change::Delete { row, .. } => v1::Change {
            columns: columns(row, |name, old| replaced(name, Some(old), None)),
            unlinked: row.links().iter().map(link).collect(),
            ..of(v1::Action::Delete)
        },
        ovn::Change::Update { update, .. } => v1::Change {
            columns: updated(update),
            linked: update.linked.iter().map(link).collect(),
            unlinked: update.unlinked.iter().map(link).collect(),
            ..of(v1::Action::Update)
        },
    }
}

fn updated(update: &ovn::Update) -> Vec<v1::ColumnChange> {
    let columns = update.columns.iter();
    columns
        .map(|(name, new)| replaced(name, update.replaced.get(name), Some(new)))
        .collect()
}

fn replaced(name: &str, old: Option<&Datum>, new: Option<&Datum>) -> v1::ColumnChange {
    let text = |value: Option<&Datum>| value.map(ToString::to_string).unwrap_or_default();
    v1::ColumnChange {
        column: name.to_owned(),
        old: text(old),
        new: text(new),
    }
}
