//! Why a command failed, as the runtime learns it.

use std::path::PathBuf;

use linux::LinkName;
use model::PodKey;

use crate::cni::{execute, pod, request};
use crate::ovs;

/// Why a command failed. The text names the object and the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Request(#[from] request::Error),
    #[error(transparent)]
    Pod(#[from] pod::Error),
    #[error(transparent)]
    Execute(#[from] Box<execute::Error>),
    #[error(transparent)]
    Ovs(#[from] ovs::Error),
    #[error("network namespace {} cannot be used; see that the sandbox exists", path.display())]
    Namespace { path: PathBuf, source: linux::Error },
    #[error("the kernel does not do as it should; its reason is in the details")]
    Kernel(#[source] linux::Error),
    #[error(
        "subnet {subnet} of pod {pod} is not known on this node; see that it exists, and that this \
         node reaches the API server"
    )]
    Subnet { subnet: String, pod: PodKey },
    #[error("another command for sandbox {sandbox} is still running")]
    Busy { sandbox: String },
    #[error("this node is not ready for pods: {missing}")]
    NotReady { missing: String },
    #[error(
        "link {link} of sandbox {sandbox} is in use by sandbox {holder}, as their ids begin alike; \
         delete the pod to have its sandbox made anew"
    )]
    Taken {
        link: LinkName,
        sandbox: String,
        holder: String,
    },
    #[error("cannot write the result")]
    Encode(#[source] serde_json::Error),
    #[error("sandbox {sandbox} is not as ADD left it: {difference}; delete the pod")]
    Different { sandbox: String, difference: String },
    #[error("could not release everything: {0}")]
    Release(String),
}

/// Codes of the CNI specification (section 5, "Error"); 8 is the reference implementation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Version,
    UnknownContainer,
    Environment,
    Io,
    Decode,
    Config,
    Namespace,
    TryAgain,
    NotAvailable,
    /// Ours.
    Different,
}

// === impl Code ===

impl Code {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Version => 1,
            Self::UnknownContainer => 3,
            Self::Environment => 4,
            Self::Io => 5,
            Self::Decode => 6,
            Self::Config => 7,
            Self::Namespace => 8,
            Self::TryAgain => 11,
            Self::NotAvailable => 50,
            Self::Different => 100,
        }
    }
}

// === impl Failure ===

impl From<linux::Error> for Failure {
    fn from(source: linux::Error) -> Self {
        match &source {
            linux::Error::NoNamespace { path, .. } | linux::Error::Namespace { path, .. } => {
                let path = path.clone();
                Self::Namespace { path, source }
            }
            linux::Error::NoLink(_)
            | linux::Error::Kernel { .. }
            | linux::Error::Closed
            | linux::Error::Unsettled { .. } => Self::Kernel(source),
        }
    }
}

impl Failure {
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Request(error) => Self::request_code(error),
            Self::Pod(error) => Self::pod_code(error),
            Self::Execute(error) => Self::execute_code(error),
            Self::Namespace { .. } => Code::Namespace,
            Self::Ovs(_)
            | Self::Subnet { .. }
            | Self::Busy { .. }
            | Self::Taken { .. }
            | Self::Release(_) => Code::TryAgain,
            Self::NotReady { .. } => Code::NotAvailable,
            Self::Kernel(_) | Self::Encode(_) => Code::Io,
            Self::Different { .. } => Code::Different,
        }
    }

    const fn request_code(error: &request::Error) -> Code {
        match error {
            request::Error::Undecodable(_) => Code::Decode,
            request::Error::Version(_) => Code::Version,
            request::Error::Type(_)
            | request::Error::Field { .. }
            | request::Error::NoAttachments => Code::Config,
            request::Error::Variable { .. } | request::Error::Argument { .. } => Code::Environment,
        }
    }

    const fn pod_code(error: &pod::Error) -> Code {
        match error {
            pod::Error::Unknown { .. } => Code::UnknownContainer,
            pod::Error::Elsewhere { .. }
            | pod::Error::Unallocated { .. }
            | pod::Error::Unsynced { .. }
            | pod::Error::Invalid { .. } => Code::TryAgain,
        }
    }

    const fn execute_code(error: &execute::Error) -> Code {
        match error {
            execute::Error::Kernel { .. } | execute::Error::Name(_) => Code::Io,
            execute::Error::Ovs { .. }
            | execute::Error::Deadline { .. }
            | execute::Error::NotInstalled { .. } => Code::TryAgain,
        }
    }
}
