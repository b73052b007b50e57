//! Tables through the program nft, which speaks for the namespace that it is started in.
//!
//! No maintained crate of a free enough licence speaks the netlink side of nftables with sets and
//! translation of addresses, so the program is run with documents of JSON: one document is one
//! transaction.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "nft has many kinds of objects, and we read a few of them"
)]

use nftables::helper::{self, DEFAULT_ARGS, DEFAULT_NFT, NftablesError};
use nftables::schema::{self, FlushObject, NfCmd, NfListObject, NfObject, Nftables};
use nftables::schema::{SetFlag, SetType, SetTypeValue};

use model::{Cidr, IpFamily};

use super::{Chain, Change, Family, Rule, Set, TABLE, Table, diff, json};
use crate::{Error, Namespace};

/// What we have in a family; `None` when nothing.
///
/// # Errors
/// When nft cannot be run, or refuses to tell.
pub async fn observe(namespace: &Namespace, family: Family) -> Result<Option<Table>, Error> {
    let words = ["list", "table", word(family), TABLE].map(str::to_owned);
    let objects = list(namespace, words.to_vec()).await?;
    Ok(objects.map(|objects| parse(&objects)))
}

/// Makes our table of a family the desired one, or removes it. Returns the number of changes.
///
/// # Errors
/// As [`observe`], and when nft refuses the changes, of which none is made then.
pub async fn reconcile(
    namespace: &Namespace,
    family: Family,
    desired: Option<&Table>,
) -> Result<usize, Error> {
    let actual = observe(namespace, family).await?;
    let changes = diff(desired, actual.as_ref());
    apply(namespace, family, &changes).await?;
    Ok(changes.len())
}

/// Makes the changes, all or none.
///
/// # Errors
/// When nft cannot be run, or refuses one.
pub async fn apply(namespace: &Namespace, family: Family, changes: &[Change]) -> Result<(), Error> {
    let writer = Writer {
        family: json::family(family),
    };
    let commands = changes.iter().flat_map(|change| writer.commands(change));
    let action = format!("change table {} {TABLE} of nftables", word(family));
    commit(namespace, action, commands.collect()).await
}

pub(super) const fn word(family: Family) -> &'static str {
    match family {
        Family::Ip => "ip",
        Family::Ip6 => "ip6",
        Family::Inet => "inet",
        Family::Netdev => "netdev",
    }
}

/// What `nft` prints when asked so, object by object; those of kinds that we do not know are left
/// out. `None` when what was asked for does not exist.
pub(super) async fn list(
    namespace: &Namespace,
    words: Vec<String>,
) -> Result<Option<Vec<NfListObject<'static>>>, Error> {
    let action = format!("run `nft {}`", words.join(" "));
    let run = move || helper::get_current_ruleset_raw(DEFAULT_NFT, &words);
    let text = match namespace.run(run).await? {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(action, error)),
    };
    let document: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Error::kernel(action, std::io::Error::from(error)))?;
    let objects = document.get("nftables").and_then(|list| list.as_array());
    let known = objects.into_iter().flatten();
    Ok(Some(
        known
            .filter_map(|object| serde_json::from_value(object.clone()).ok())
            .collect(),
    ))
}

/// One transaction; none for no commands.
pub(super) async fn commit(
    namespace: &Namespace,
    action: String,
    commands: Vec<NfCmd<'static>>,
) -> Result<(), Error> {
    if commands.is_empty() {
        return Ok(());
    }
    let objects: Vec<_> = commands.into_iter().map(NfObject::CmdObject).collect();
    let document = Nftables {
        objects: objects.into(),
    };
    let text = serde_json::to_string(&document)
        .map_err(|error| Error::kernel(action.clone(), std::io::Error::from(error)))?;
    let run = move || helper::apply_ruleset_raw(&text, DEFAULT_NFT, DEFAULT_ARGS);
    let result = namespace.run(run).await?;
    result.map(drop).map_err(|error| failed(action, error))
}

fn is_absent(error: &NftablesError) -> bool {
    let NftablesError::NftFailed { stderr, .. } = error else {
        return false;
    };
    stderr.contains("No such file or directory")
}

fn failed(action: String, error: NftablesError) -> Error {
    let source = match error {
        NftablesError::NftExecution { inner, .. } => {
            let text = format!("{inner}; see that the package nftables is installed");
            std::io::Error::new(inner.kind(), text)
        }
        NftablesError::NftFailed { stderr, .. } => std::io::Error::other(stderr.trim().to_owned()),
        other => std::io::Error::other(other),
    };
    Error::kernel(action, source)
}

fn parse(objects: &[NfListObject<'_>]) -> Table {
    let mut table = Table::default();
    for object in objects {
        match object {
            NfListObject::Chain(chain) => {
                if let Some(base) = json::base(chain) {
                    let rules = Vec::new();
                    let name = chain.name.to_string();
                    table.chains.insert(name, Chain { base, rules });
                }
            }
            NfListObject::Set(set) => {
                if let Some(parsed) = parse_set(set) {
                    table.sets.insert(set.name.to_string(), parsed);
                }
            }
            NfListObject::Rule(rule) => {
                if let Some(chain) = table.chains.get_mut(rule.chain.as_ref()) {
                    chain.rules.push(json::rule(&rule.expr));
                }
            }
            _ => {}
        }
    }
    table
}

fn parse_set(set: &schema::Set<'_>) -> Option<Set> {
    let family = match set.set_type {
        SetTypeValue::Single(SetType::Ipv4Addr) => IpFamily::V4,
        SetTypeValue::Single(SetType::Ipv6Addr) => IpFamily::V6,
        SetTypeValue::Single(_) | SetTypeValue::Concatenated(_) => return None,
    };
    let elements = set.elem.iter().flat_map(|elements| elements.iter());
    Some(Set {
        family,
        elements: elements.filter_map(json::network).collect(),
    })
}

/// Writes changes of our table of one family.
#[derive(Debug, Clone, Copy)]
struct Writer {
    family: nftables::types::NfFamily,
}

// === impl Writer ===

impl Writer {
    fn commands(self, change: &Change) -> Vec<NfCmd<'static>> {
        match change {
            Change::AddTable => vec![NfCmd::Add(self.table())],
            Change::RemoveTable => vec![NfCmd::Delete(self.table())],
            Change::AddSet(name, family) => vec![NfCmd::Add(self.set(name, *family))],
            // only the name counts
            Change::RemoveSet(name) => vec![NfCmd::Delete(self.set(name, IpFamily::V4))],
            Change::AddElements(set, cidrs) => vec![NfCmd::Add(self.elements(set, cidrs))],
            Change::RemoveElements(set, cidrs) => {
                vec![NfCmd::Delete(self.elements(set, cidrs))]
            }
            Change::AddChain(name, base) => {
                let chain = json::based(self.chain(name), base);
                vec![NfCmd::Add(NfListObject::Chain(chain))]
            }
            // a chain with rules cannot be deleted
            Change::RemoveChain(name) => vec![
                NfCmd::Flush(FlushObject::Chain(self.chain(name))),
                NfCmd::Delete(NfListObject::Chain(self.chain(name))),
            ],
            Change::Rules(chain, rules) => {
                let flush = NfCmd::Flush(FlushObject::Chain(self.chain(chain)));
                let add = |rule| NfCmd::Add(self.rule(chain, rule));
                [flush].into_iter().chain(rules.iter().map(add)).collect()
            }
        }
    }

    fn table(self) -> NfListObject<'static> {
        NfListObject::Table(schema::Table {
            family: self.family,
            name: TABLE.into(),
            handle: None,
        })
    }

    fn set(self, name: &str, family: IpFamily) -> NfListObject<'static> {
        let set_type = match family {
            IpFamily::V4 => SetType::Ipv4Addr,
            IpFamily::V6 => SetType::Ipv6Addr,
        };
        NfListObject::Set(Box::new(schema::Set {
            family: self.family,
            table: TABLE.into(),
            name: name.to_owned().into(),
            set_type: SetTypeValue::Single(set_type),
            flags: Some([SetFlag::Interval].into()),
            ..schema::Set::default()
        }))
    }

    fn elements<'a>(
        self,
        set: &str,
        cidrs: impl IntoIterator<Item = &'a Cidr>,
    ) -> NfListObject<'static> {
        let elements: Vec<_> = cidrs.into_iter().map(|cidr| json::element(*cidr)).collect();
        NfListObject::Element(schema::Element {
            family: self.family,
            table: TABLE.into(),
            name: set.to_owned().into(),
            elem: elements.into(),
        })
    }

    fn chain(self, name: &str) -> schema::Chain<'static> {
        schema::Chain {
            family: self.family,
            table: TABLE.into(),
            name: name.to_owned().into(),
            ..schema::Chain::default()
        }
    }

    fn rule(self, chain: &str, rule: &Rule) -> NfListObject<'static> {
        NfListObject::Rule(schema::Rule {
            family: self.family,
            table: TABLE.into(),
            chain: chain.to_owned().into(),
            expr: json::statements(rule).into(),
            ..schema::Rule::default()
        })
    }
}
