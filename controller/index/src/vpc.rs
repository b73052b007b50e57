//! `Vpc`: a logical router, and the namespaces that it is for.

use std::collections::BTreeSet;

use model::{SubnetName, VpcName};

use crate::acceptance::{Effect, Fault};
use crate::index::Index;
use crate::kept::Kept;
use crate::kind::{Kind, TableEdit, Watched};
use crate::life::{Life, declared};
use crate::table::Table;
use crate::text::{Rejected, parse};

mod beside;
mod routing;

pub(crate) use routing::Routing;

#[derive(Debug, Clone, PartialEq)]
pub struct Vpc {
    /// The name of the logical router.
    pub router: String,
    /// What of its routes, policies and peerings can be read.
    pub(crate) routing: Routing,
    /// Namespaces whose pods belong to it.
    pub namespaces: BTreeSet<String>,
    /// The subnet for those of them that no subnet names.
    pub default_subnet: Option<SubnetName>,
    pub life: Life,
    /// What its user must mend in it by itself. Whatever that is, the VPC has its router: that takes no more than its
    /// name.
    pub(crate) faults: Vec<Fault>,
    /// The object without what is no intent.
    pub object: api::Vpc,
}

impl Watched for api::Vpc {
    const KIND: Kind = Kind::Vpc;
    type Key = VpcName;
    type Row = Vpc;

    fn key(&self) -> Option<Self::Key> {
        VpcName::new(self.metadata.name.clone()?).ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let (routing, mut faults) = Routing::of(&self.spec);
        let default_subnet = parse("spec.defaultSubnet", &self.spec.default_subnet);
        let default_subnet = default_subnet.unwrap_or_else(|why| {
            let effect = Effect::Told;
            faults.push(Fault { why, effect });
            None
        });
        Ok(Vpc {
            router: self.metadata.name.clone().unwrap_or_default(),
            routing,
            namespaces: self.spec.namespaces.iter().cloned().collect(),
            default_subnet,
            life: Life::of(&self.metadata),
            faults,
            object: Self {
                status: None,
                ..declared(self)
            },
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.vpcs
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        index.unsettle();
        index.keep(Kept::Vpc(edit.key));
    }
}
