//! `Vpc`: a logical router, and the namespaces that it is for.

use std::collections::BTreeSet;

use controller_plan as plan;
use model::{SubnetName, VpcName};

use crate::index::Index;
use crate::kept::Kept;
use crate::kind::{Kind, TableEdit, Watched};
use crate::life::{Life, declared};
use crate::table::Table;
use crate::text::{Rejected, parse};

#[derive(Debug, Clone, PartialEq)]
pub struct Vpc {
    pub network: plan::Vpc,
    /// Namespaces whose pods belong to it.
    pub namespaces: BTreeSet<String>,
    /// The subnet for those of them that no subnet names.
    pub default_subnet: Option<SubnetName>,
    pub life: Life,
    /// What its user must mend. Whatever that is, the VPC has its router: that takes no more than its
    /// name.
    pub faults: Vec<Rejected>,
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
        let mut faults = Vec::new();
        let default_subnet = parse("spec.defaultSubnet", &self.spec.default_subnet);
        let default_subnet = default_subnet.unwrap_or_else(|why| {
            faults.push(why);
            None
        });
        Ok(Vpc {
            network: plan::Vpc {
                router: self.metadata.name.clone().unwrap_or_default(),
            },
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
        let old = match edit.new.as_ref() {
            Some(vpc) => index
                .inputs
                .vpcs
                .insert(edit.key.clone(), vpc.network.clone()),
            None => index.inputs.vpcs.remove(&edit.key),
        };
        if old.as_ref() != edit.new.as_ref().map(|vpc| &vpc.network) {
            index.dirty_vpc(&edit.key);
        }
        index.unsettle();
        index.keep(Kept::Vpc(edit.key));
    }
}
