//! Takes away what the daemon put on the node: what an operator runs before the daemon is removed
//! for good. Pods keep their links and ports; settings of the kernel stay, as others may need them.

use std::time::Duration;

use daemon_plan::Redirection;
use daemon_plan::node::OVN0;
use linux::LinkName;
use linux::nft::{Family, guest};
use linux::route::Routes;
use tokio::time::timeout;

use crate::args::UninstallArgs;
use crate::conflist;
use crate::host::{self, Host};
use crate::node::{Journal, give_back, journal, tunnel};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Host(#[from] host::Error),
    #[error(transparent)]
    Kernel(#[from] linux::Error),
    #[error(transparent)]
    Tunnel(#[from] tunnel::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Conflist(#[from] conflist::Error),
    #[error(transparent)]
    Name(#[from] linux::link::InvalidLinkName),
}

/// How long Open vSwitch may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Leaves the node as it was. Returns the number of changes; none where nothing was left.
///
/// # Errors
/// At the first thing that cannot be taken away, to be called again.
pub(crate) async fn uninstall(args: &UninstallArgs, host: &Host) -> Result<usize, Error> {
    // no new pods first
    if let Some(folder) = &args.cni_conf_dir {
        conflist::remove(folder)?;
    }
    let kernel = &host.kernel;
    let mut made = kernel.passage(&guest::Desired::default()).await?;
    made += kernel.table(Family::Inet, None).await?;
    let found = kernel.found().await?;
    let redirected = kernel.redirection(&Redirection::default(), &found).await;
    made += redirected.made;
    redirected.refused.into_iter().next().map_or(Ok(()), Err)?;
    made += kernel.routes(&Routes::new()).await?;
    let connected = timeout(LIMIT, host.ovs.connected()).await;
    let connected = connected.unwrap_or_else(|_elapsed| Err(host.ovs.disconnected()));
    connected.map_err(host::Error::from)?;
    let ovn0 = LinkName::new(OVN0)?;
    made += host.no_port(&ovn0).await.map_err(host::Error::from)?;
    let journal = Journal::new(&args.state_dir);
    if let Some(record) = journal.read()? {
        made += give_back(host, &record).await?;
        journal.remove()?;
    }
    Ok(made)
}
