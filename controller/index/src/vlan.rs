//! `Vlan`: what makes a subnet an underlay subnet.

use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::Rejected;

/// That there is such a VLAN is all that counts of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan;

impl Watched for api::Vlan {
    const KIND: Kind = Kind::Vlan;
    type Key = String;
    type Row = Vlan;

    fn key(&self) -> Option<Self::Key> {
        self.metadata.name.clone()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        Ok(Vlan)
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.vlans
    }

    /// Subnets that name it may be accepted now, or not any more.
    fn derive(index: &mut Index, _edit: TableEdit<Self>) {
        index.unsettle();
    }
}
