//! Where faults happen: a lab, and our programs in it where there are any.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{
    Cluster, Lab,
    api_server::{ETCD_PROGRAM, SERVER_PROGRAM},
    cluster::{CONTROLLER, daemon},
    fault::Part,
    node::{DATABASE, OVN_CONTROLLER, VSWITCHD},
    process::{Process, Processes},
};

/// A lab, perhaps with our programs.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    lab: &'a Lab,
    cluster: Option<&'a Cluster<'a>>,
}

// === impl Site ===

impl<'a> Site<'a> {
    pub(crate) const fn lab(self) -> &'a Lab {
        self.lab
    }

    /// Does something with a part's process.
    pub(crate) fn with<T>(
        self,
        part: &Part,
        act: impl FnOnce(&mut Process) -> Result<T>,
    ) -> Result<T> {
        let (processes, name) = self.place(part)?;
        processes.with(&name, act)
    }

    fn place(self, part: &Part) -> Result<(&'a Processes, String)> {
        let lab = self.lab;
        let node = |name: &str| lab.node(name).map(crate::Node::processes);
        let api_server = || lab.api_server().map(crate::ApiServer::processes);
        let central = lab.central().processes();
        Ok(match part {
            Part::ApiServer => (api_server()?, SERVER_PROGRAM.to_owned()),
            Part::Etcd => (api_server()?, ETCD_PROGRAM.to_owned()),
            Part::Northbound | Part::Southbound | Part::Northd => (central, part.to_string()),
            Part::Controller => (self.ours()?, CONTROLLER.to_owned()),
            Part::Daemon(name) => (self.ours()?, daemon(name)),
            Part::OvnController(name) => (node(name)?, OVN_CONTROLLER.to_owned()),
            Part::Vswitchd(name) => (node(name)?, VSWITCHD.to_owned()),
            Part::NodeDatabase(name) => (node(name)?, DATABASE.to_owned()),
        })
    }

    fn ours(self) -> Result<&'a Processes> {
        let cluster = self.cluster.context("the fault was given no cluster")?;
        Ok(cluster.processes())
    }

    /// Where a part writes.
    pub(crate) fn directory(self, part: &Part) -> Result<PathBuf> {
        let log = self.with(part, |process| Ok(process.log().to_owned()))?;
        Ok(log
            .parent()
            .context("a log lies in a directory")?
            .to_owned())
    }

    /// The file of a database.
    pub(crate) fn database(self, part: &Part) -> Result<PathBuf> {
        let central = self.lab.central().directory();
        Ok(match part {
            Part::Northbound => central.join("nb.db"),
            Part::Southbound => central.join("sb.db"),
            Part::NodeDatabase(name) => self.lab.node(name)?.directory().join("conf.db"),
            Part::ApiServer
            | Part::Etcd
            | Part::Northd
            | Part::Controller
            | Part::Daemon(_)
            | Part::OvnController(_)
            | Part::Vswitchd(_) => bail!("{part} has no database file"),
        })
    }
}

impl<'a> From<&'a Lab> for Site<'a> {
    fn from(lab: &'a Lab) -> Self {
        Self { lab, cluster: None }
    }
}

impl<'a> From<&'a Cluster<'a>> for Site<'a> {
    fn from(cluster: &'a Cluster<'a>) -> Self {
        Self {
            lab: cluster.lab(),
            cluster: Some(cluster),
        }
    }
}
