//! What goes wrong, and who else notices.

use std::{fmt, time::Duration};

use anyhow::{Result, ensure};
use cluster::{Cluster, Program};
use testkit::wait_until;

use super::traffic::Traffic;

const PATIENCE: Duration = Duration::from_mins(2);

/// Something that befalls the cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Pods come and go; what is lost now is no fault's.
    Nothing,
    /// A program in a pod is killed wherever it runs; what runs it starts it again.
    Killed(&'static str, Program<'static>),
    /// Programs that systemd would start again are killed, and are away for some time.
    Away(&'static str, &'static [Program<'static>], Duration),
    /// Nodes lose their power at once, and get it again.
    Rebooted(&'static [&'static str]),
}

// === impl Fault ===

impl Fault {
    /// Does it, and returns when whatever was taken away is back.
    ///
    /// # Errors
    /// It cannot be done, or nobody starts what was killed.
    pub(crate) async fn strike(self, cluster: &Cluster, traffic: &Traffic) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Killed(_, program) => {
                let killed = cluster.kill_program(&program).await?;
                ensure!(!killed.is_empty(), "nobody runs it");
                let what = format!("{self} runs again");
                wait_until(&what, PATIENCE, async || {
                    let now = cluster.processes(&program)?;
                    ensure!(
                        now.len() >= killed.len(),
                        "{killed:?} were killed, {now:?} run"
                    );
                    Ok(())
                })
                .await
            }
            Self::Away(_, programs, time) => {
                for program in programs {
                    let killed = cluster.kill_program(program).await?;
                    ensure!(!killed.is_empty(), "nobody runs {program:?}");
                }
                traffic.goes_on_for(time).await?;
                cluster.start_again().await
            }
            Self::Rebooted(nodes) => {
                for node in nodes {
                    cluster.node(node)?.power_off().await?;
                }
                for node in nodes {
                    cluster.node(node)?.power_on().await?;
                }
                Ok(())
            }
        }
    }

    /// The nodes that are away for some time, with their pods.
    pub(crate) const fn nodes(self) -> &'static [&'static str] {
        match self {
            Self::Nothing | Self::Killed(..) | Self::Away(..) => &[],
            Self::Rebooted(nodes) => nodes,
        }
    }

    /// Whether containers other than those of the fault have a reason to start anew.
    pub(crate) const fn restarts_containers(self) -> bool {
        match self {
            Self::Killed(..) | Self::Rebooted(_) => true,
            Self::Nothing | Self::Away(..) => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Killed(title, _) | Self::Away(title, ..) => f.write_str(title),
            Self::Rebooted(nodes) => write!(f, "reboot of {}", nodes.join(", ")),
        }
    }
}
