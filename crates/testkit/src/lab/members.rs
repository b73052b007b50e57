//! A lab whose databases are on several hosts.

use anyhow::{Context, Result};

use super::{FIRST_MEMBER_HOST, Lab, subdirectory};
use crate::{
    Netns,
    member::{Database, Member},
    network::{MANAGEMENT, add_address, plug},
    node::MANAGEMENT_NIC,
    ovn::Programs,
};

// === impl Lab ===

impl Lab {
    /// A host for another member of the central part, which does not run yet; its pod has to be
    /// created. Those that the lab runs have the first numbers.
    ///
    /// # Errors
    /// There is one of that number, or the lab has no API server.
    pub fn new_member(&self, number: u8) -> Result<Member> {
        let name = format!("central{}", number + 1);
        let host = FIRST_MEMBER_HOST + number;
        let netns = Netns::create(&name)?;
        plug(&netns, MANAGEMENT_NIC, host, &self.switch, MANAGEMENT)?;
        let addresses = self.options.families.host(MANAGEMENT, host);
        netns.ip(addresses
            .values()
            .map(|address| add_address(MANAGEMENT_NIC, *address)))?;
        let address = *addresses.values().next().context("a lab has addresses")?;
        let directory = subdirectory(self.directory.path(), &name)?;
        let kubeconfig = self
            .api_server
            .as_ref()
            .context("members need an API server")?
            .kubeconfig();
        let programs = Programs::find(self.options.version)?;
        Member::new(&name, (netns, address), programs, kubeconfig, directory)
    }

    /// The hosts of the central part, see [`central_members`](crate::LabOptions::central_members).
    pub fn members(&self) -> &[Member] {
        self.central.members()
    }

    /// The member that leads a database's cluster.
    ///
    /// # Errors
    /// None does.
    pub fn leader(&self, database: Database) -> Result<&Member> {
        let mut members = self.members().iter();
        members
            .find(|member| member.leads(database))
            .with_context(|| format!("nobody leads {database:?}"))
    }
}
