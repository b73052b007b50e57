//! What the tests of several modules begin with.

use controller_index::{Defaults, Index, Settings};
use model::{SubnetName, VpcName};

/// An index with the default VPC, and no subnet yet.
pub(crate) fn index_of_default_vpc() -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: SubnetName::new("join").unwrap(),
        },
        subnet: SubnetName::new("ovn-default").unwrap(),
    });
    index.apply(&api::Vpc::new("ovn-cluster", api::VpcSpec::default()));
    index
}
