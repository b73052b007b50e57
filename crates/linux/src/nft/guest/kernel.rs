//! Chains of others through the program nft.

use nftables::schema::{self, NfCmd, NfListObject};
use nftables::types::NfHook;

use super::{ChainName, Change, Desired, Gate, Host, MARK, diff};
use crate::nft::kernel::{commit, list, word};
use crate::nft::{Rule, TABLE, json};
use crate::{Error, Namespace};

/// The base chains of others at our gates, with our rules in them.
///
/// # Errors
/// When nft cannot be run, or refuses to tell.
pub async fn observe(namespace: &Namespace) -> Result<Vec<Host>, Error> {
    let words = ["list", "chains"].map(str::to_owned);
    let chains = list(namespace, words.to_vec()).await?.unwrap_or_default();
    let mut hosts: Vec<Host> = chains.iter().filter_map(host).collect();
    for host in &mut hosts {
        host.guests = guests(namespace, &host.name).await?;
    }
    Ok(hosts)
}

/// Puts our rules where they are needed, and takes them away elsewhere. Returns the number of
/// changes.
///
/// # Errors
/// As [`observe`], and when nft refuses the changes, of which none is made then.
pub async fn reconcile(namespace: &Namespace, desired: &Desired) -> Result<usize, Error> {
    let changes = diff(desired, &observe(namespace).await?);
    apply(namespace, &changes).await?;
    Ok(changes.len())
}

/// Makes the changes, all or none.
///
/// # Errors
/// When nft cannot be run, or refuses one.
pub async fn apply(namespace: &Namespace, changes: &[Change]) -> Result<(), Error> {
    let commands = changes.iter().map(command).collect();
    let action = "change rules in chains of others".to_owned();
    commit(namespace, action, commands).await
}

/// `None` for a chain that is not at one of our gates, or is ours.
fn host(object: &NfListObject<'_>) -> Option<Host> {
    let NfListObject::Chain(chain) = object else {
        return None;
    };
    let gate = match chain.hook? {
        NfHook::Input => Gate::Input,
        NfHook::Forward => Gate::Forward,
        NfHook::Ingress
        | NfHook::Prerouting
        | NfHook::Output
        | NfHook::Postrouting
        | NfHook::Egress => return None,
    };
    if chain.table == TABLE {
        return None;
    }
    Some(Host {
        name: ChainName {
            family: json::family_of(chain.family)?,
            table: chain.table.to_string(),
            chain: chain.name.to_string(),
        },
        gate,
        policy: json::policy(chain),
        guests: Vec::new(),
    })
}

/// A chain that has gone meanwhile has none.
async fn guests(namespace: &Namespace, name: &ChainName) -> Result<Vec<(u32, Rule)>, Error> {
    let ChainName {
        family,
        table,
        chain,
    } = name;
    let words = ["list", "chain", word(*family), table, chain].map(str::to_owned);
    let objects = list(namespace, words.to_vec()).await?.unwrap_or_default();
    let ours = objects.iter().filter_map(|object| {
        let NfListObject::Rule(rule) = object else {
            return None;
        };
        let is_ours = rule.comment.as_deref() == Some(MARK);
        is_ours.then_some((rule.handle?, json::rule(&rule.expr)))
    });
    Ok(ours.collect())
}

fn command(change: &Change) -> NfCmd<'static> {
    let rule = |name: &ChainName| schema::Rule {
        family: json::family(name.family),
        table: name.table.clone().into(),
        chain: name.chain.clone().into(),
        ..schema::Rule::default()
    };
    match change {
        Change::Insert(name, guest) => NfCmd::Insert(NfListObject::Rule(schema::Rule {
            expr: json::statements(guest).into(),
            comment: Some(MARK.into()),
            ..rule(name)
        })),
        Change::Remove(name, handle) => NfCmd::Delete(NfListObject::Rule(schema::Rule {
            handle: Some(*handle),
            ..rule(name)
        })),
    }
}
