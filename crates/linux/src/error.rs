//! What can go wrong between us and the kernel.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::LinkName;

/// An operation on the kernel failed; `action` says which, the source says why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("network namespace {} cannot be opened", path.display())]
    NoNamespace { path: PathBuf, source: io::Error },
    #[error("network namespace {} cannot be entered", path.display())]
    Namespace { path: PathBuf, source: io::Error },
    #[error("no link {0}")]
    NoLink(LinkName),
    #[error("cannot {action}")]
    Kernel { action: String, source: io::Error },
    #[error("the netlink connection closed")]
    Closed,
    #[error("{domain} still differs after {passes} passes; something else changes it back")]
    Unsettled { domain: &'static str, passes: u32 },
}

// === impl Error ===

impl Error {
    /// The error of a netlink request that should have done `action`.
    pub(crate) fn netlink(action: impl Into<String>, error: rtnetlink::Error) -> Self {
        if error == rtnetlink::Error::RequestFailed {
            return Self::Closed;
        }
        let source = if let rtnetlink::Error::NetlinkError(message) = &error {
            message.to_io()
        } else {
            io::Error::other(error)
        };
        Self::kernel(action, source)
    }

    pub(crate) fn kernel(action: impl Into<String>, source: io::Error) -> Self {
        let action = action.into();
        Self::Kernel { action, source }
    }

    /// The thing is not there: no such link, address or route (netlink(7) answers with one of
    /// several numbers).
    pub fn is_absent(&self) -> bool {
        const ABSENT: [Errno; 4] = [
            Errno::ENODEV,
            Errno::ESRCH,
            Errno::EADDRNOTAVAIL,
            Errno::ENOENT,
        ];
        match self {
            Self::NoLink(_) => true,
            Self::Kernel { source, .. } => source
                .raw_os_error()
                .is_some_and(|number| ABSENT.contains(&Errno::from_raw(number))),
            Self::NoNamespace { .. }
            | Self::Namespace { .. }
            | Self::Closed
            | Self::Unsettled { .. } => false,
        }
    }
}

/// Deleting what is absent succeeds.
pub(crate) fn absent_is_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}
