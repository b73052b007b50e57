//! `IPPool`: addresses of a subnet for chosen pods.

use std::collections::BTreeSet;

use model::{AddressRange, Cidr, IpPoolName, SubnetName};

use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::pod::{Pool, Wish};
use crate::table::Table;
use crate::text::{Rejected, require, uid};

/// A pool as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpPool {
    pub uid: String,
    pub subnet: SubnetName,
    /// The namespaces whose pods on the subnet get their addresses from it.
    pub namespaces: BTreeSet<String>,
    pub ranges: Vec<AddressRange>,
    /// An entry that cannot be read. Until that is mended the pool also has what its status says that
    /// it had.
    pub fault: Option<Rejected>,
}

impl Watched for api::IpPool {
    const KIND: Kind = Kind::IpPool;
    type Key = IpPoolName;
    type Row = IpPool;

    fn key(&self) -> Option<Self::Key> {
        IpPoolName::new(self.metadata.name.clone()?).ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let (mut ranges, mut fault) = (Vec::new(), None);
        for text in &self.spec.ips {
            match range(text) {
                Ok(range) => ranges.push(range),
                Err(why) => drop(fault.get_or_insert(why)),
            }
        }
        if fault.is_some() {
            ranges.extend(self.status.iter().flat_map(counted));
        }
        Ok(IpPool {
            uid: uid(&self.metadata),
            subnet: require("spec.subnet", &self.spec.subnet)?,
            namespaces: self.spec.namespaces.iter().cloned().collect(),
            ranges,
            fault,
        })
    }

    fn complaint(pool: &IpPool) -> Option<Rejected> {
        pool.fault.clone()
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.ip_pools
    }

    /// What its subnet hands out to whom is another thing now.
    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        let pools = [edit.old, edit.new].into_iter().flatten();
        index.changed_subnets.extend(pools.map(|pool| pool.subnet));
        index.reconsider_waiting();
    }
}

/// An address, `<first>..<last>`, or a CIDR.
fn range(text: &str) -> Result<AddressRange, Rejected> {
    let cidr = text.parse::<Cidr>().ok().filter(|_| text.contains('/'));
    match cidr.and_then(Cidr::range) {
        Some(range) => Ok(range),
        None => require("spec.ips", text),
    }
}

/// The addresses that the status counts, in use or free.
fn counted(status: &api::IpPoolStatus) -> Vec<AddressRange> {
    let lists = [
        &status.v4_available_range,
        &status.v4_using_range,
        &status.v6_available_range,
        &status.v6_using_range,
    ];
    let texts = lists.into_iter().flat_map(|list| list.split(','));
    texts.filter_map(|text| text.parse().ok()).collect()
}

impl Index {
    /// The pools of a subnet, in the order in which they have its addresses.
    pub fn pools_of(&self, subnet: &SubnetName) -> impl Iterator<Item = (&IpPoolName, &IpPool)> {
        let pools = self.ip_pools.iter();
        pools.filter(move |(_, pool)| pool.subnet == *subnet)
    }

    /// The pool that pods of the namespace get addresses from where they name none.
    pub fn pool_of(&self, subnet: &SubnetName, namespace: &str) -> Option<&IpPoolName> {
        let mut pools = self.pools_of(subnet);
        let pool = pools.find(|(_, pool)| pool.namespaces.contains(namespace));
        pool.map(|(name, _)| name)
    }

    /// The subnet that a pod's annotations mean: the one they name, else that of the pool.
    pub(crate) fn wished(&self, wish: &Wish) -> Option<SubnetName> {
        let of_pool = || match &wish.pool {
            Some(Pool::Named(pool)) => Some(self.ip_pools.get(pool)?.subnet.clone()),
            Some(Pool::Listed(_)) | None => None,
        };
        wish.subnet.clone().or_else(of_pool)
    }
}
