//! How a node is cut off.

use std::fmt;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::controllers::Controllers;
use crate::{
    Cluster, Fault,
    fault::{Injected, Part, Wire},
};

/// What happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Its links to the other nodes, and to all else, are down.
    Link,
    /// All its programs are stopped where they are, so that nobody hears of their end.
    Stop,
}

/// A node that is cut off.
pub(super) struct Broken<'a> {
    faults: Vec<Injected<'a>>,
    /// Whose controller is stopped.
    stopped: Option<(&'a Controllers<'a>, String)>,
}

// === impl Cut ===

impl Cut {
    /// Both ways.
    pub const ALL: [Self; 2] = [Self::Link, Self::Stop];

    /// Cuts a node off.
    ///
    /// # Errors
    /// There is no such node, or it is cut off.
    pub(super) fn make<'a>(
        self,
        node: &str,
        cluster: &'a Cluster<'a>,
        controllers: &'a Controllers<'a>,
    ) -> Result<Broken<'a>> {
        let faults = self.faults(node);
        let faults: Result<_> = faults.iter().map(|fault| fault.inject(cluster)).collect();
        let stopped = match self {
            Self::Link => None,
            Self::Stop => {
                controllers.signal(node, Signal::SIGSTOP)?;
                Some((controllers, node.to_owned()))
            }
        };
        Ok(Broken {
            faults: faults?,
            stopped,
        })
    }

    fn faults(self, node: &str) -> Vec<Fault> {
        let node = node.to_owned();
        match self {
            Self::Link => [Wire::Tunnel, Wire::Management]
                .map(|wire| Fault::Cut(node.clone(), wire))
                .to_vec(),
            Self::Stop => [
                Part::Vswitchd,
                Part::OvnController,
                Part::Daemon,
                Part::NodeDatabase,
            ]
            .map(|part| Fault::Stop(part(node.clone())))
            .to_vec(),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "link",
            Self::Stop => "stop",
        })
    }
}

// === impl Broken ===

impl Broken<'_> {
    /// Makes it whole.
    pub(super) fn end(self) -> Result<()> {
        for fault in self.faults {
            fault.end()?;
        }
        let stopped = self.stopped;
        stopped.map_or(Ok(()), |(controllers, node)| {
            controllers.signal(&node, Signal::SIGCONT)
        })
    }
}
