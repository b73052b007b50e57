//! `Vpc`: a logical router.

use controller_plan as plan;
use model::VpcName;

use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::Rejected;

impl Watched for api::Vpc {
    const KIND: Kind = Kind::Vpc;
    type Key = VpcName;
    type Row = plan::Vpc;

    fn key(&self) -> Option<Self::Key> {
        VpcName::new(self.metadata.name.clone()?).ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        Ok(plan::Vpc {
            router: self.metadata.name.clone().unwrap_or_default(),
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.vpcs
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        match edit.new {
            Some(vpc) => index.inputs.vpcs.insert(edit.key.clone(), vpc),
            None => index.inputs.vpcs.remove(&edit.key),
        };
        index.dirty_vpc(&edit.key);
    }
}
