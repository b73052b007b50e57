//! What the runtime asks for, parsed and checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use daemon_plan::ContainerId;
use linux::LinkName;
use model::{PodKey, PortKey, Provider};
use proto::cni::v1::CniRequest;
use rscni_types::types::{Cmd, NetConf};
use rscni_types::version::{PluginInfo, SpecVersion};

/// A CNI command that the plugin forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Add,
    Del,
    Check,
    Gc,
    Status,
}

/// The network configuration, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) version: SpecVersion,
    pub(super) network: String,
    provider: String,
    /// The attachments that are in use, where the runtime asks to remove all others.
    pub(super) valid: Option<Vec<(String, String)>>,
}

/// One interface of one sandbox: what an attachment is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sandbox {
    pub(super) id: ContainerId,
    pub(super) ifname: LinkName,
}

/// An ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attach {
    pub(super) version: SpecVersion,
    pub(super) network: String,
    pub(super) sandbox: Sandbox,
    pub(super) netns: PathBuf,
    pub(super) port: PortKey,
    /// The pod's UID where the runtime tells it.
    pub(super) pod_uid: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "the network configuration is not JSON as CNI defines it; correct the file in /etc/cni/net.d"
    )]
    Undecodable(#[source] serde_json::Error),
    #[error("{0}; set cniVersion to one of 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0")]
    Version(String),
    #[error("the network configuration has type `{0}`; this plugin serves `{TYPE}`")]
    Type(String),
    #[error("the network configuration's `{field}` is `{value}`: {why}")]
    Field {
        field: &'static str,
        value: String,
        why: String,
    },
    #[error(
        "the network configuration lacks `cni.dev/valid-attachments`; without it GC would remove everything"
    )]
    NoAttachments,
    #[error("{variable} is `{value}`: {why}")]
    Variable {
        variable: &'static str,
        value: String,
        why: String,
    },
    #[error("CNI_ARGS lacks {key}; use a runtime that names the pod, as containerd and CRI-O do")]
    Argument { key: &'static str },
}

/// `type` of configurations for us.
const TYPE: &str = "kube-ovn";
/// The interface that is always on the primary network.
const PRIMARY: &str = "eth0";

/// Keys of CNI_ARGS.
const POD_NAMESPACE: &str = "K8S_POD_NAMESPACE";
const POD_NAME: &str = "K8S_POD_NAME";
const POD_UID: &str = "K8S_POD_UID";

// === impl Command ===

impl Command {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
        }
    }

    const fn spec(self) -> Cmd {
        match self {
            Self::Add => Cmd::Add,
            Self::Del => Cmd::Del,
            Self::Check => Cmd::Check,
            Self::Gc => Cmd::Gc,
            Self::Status => Cmd::Status,
        }
    }
}

// === impl Config ===

impl Config {
    pub(super) fn parse(command: Command, json: &[u8]) -> Result<Self, Error> {
        let config: NetConf = serde_json::from_slice(json).map_err(Error::Undecodable)?;
        let negotiated = PluginInfo::default().negotiate(&config, command.spec());
        let version = negotiated.map_err(|error| Error::Version(error.details().to_owned()))?;
        if config.r#type != TYPE {
            return Err(Error::Type(config.r#type));
        }
        config.validate_name().map_err(|error| Error::Field {
            field: "name",
            value: config.name.clone(),
            why: error.details().to_owned(),
        })?;
        let provider = config
            .custom
            .get("provider")
            .and_then(|value| value.as_str());
        let valid = config.valid_attachments.map(|attachments| {
            let pairs = attachments
                .into_iter()
                .map(|one| (one.container_id, one.ifname));
            pairs.collect()
        });
        Ok(Self {
            version,
            provider: provider.unwrap_or_default().to_owned(),
            network: config.name,
            valid,
        })
    }

    /// The network that an interface is on.
    fn provider(&self, ifname: &LinkName) -> Result<Provider, Error> {
        if self.provider.is_empty() || ifname.as_str() == PRIMARY {
            return Ok(Provider::Ovn);
        }
        self.provider
            .parse()
            .map_err(|error: model::name::InvalidName| Error::Field {
                field: "provider",
                value: self.provider.clone(),
                why: format!("{error}; write `ovn` or `<attachment>.<namespace>.ovn`"),
            })
    }
}

// === impl Sandbox ===

impl Sandbox {
    pub(super) fn parse(request: &CniRequest) -> Result<Self, Error> {
        Ok(Self {
            id: variable("CNI_CONTAINERID", &request.container_id)?,
            ifname: variable("CNI_IFNAME", &request.ifname)?,
        })
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.id, self.ifname)
    }
}

fn variable<T>(variable: &'static str, value: &str) -> Result<T, Error>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    value.parse().map_err(|why: T::Err| Error::Variable {
        variable,
        value: value.to_owned(),
        why: why.to_string(),
    })
}

// === impl Attach ===

impl Attach {
    pub(super) fn parse(config: Config, request: &CniRequest) -> Result<Self, Error> {
        let sandbox = Sandbox::parse(request)?;
        let arguments = arguments(&request.args);
        let pod = pod(&arguments, &request.args)?;
        let provider = config.provider(&sandbox.ifname)?;
        Ok(Self {
            version: config.version,
            network: config.network,
            netns: netns(&request.netns)?,
            sandbox,
            port: PortKey { pod, provider },
            pod_uid: arguments.get(POD_UID).map(|uid| (*uid).to_owned()),
        })
    }
}

pub(super) fn netns(path: &str) -> Result<PathBuf, Error> {
    if path.is_empty() {
        return Err(Error::Variable {
            variable: "CNI_NETNS",
            value: String::new(),
            why: "the path of the pod's network namespace is needed".to_owned(),
        });
    }
    Ok(PathBuf::from(path))
}

/// `KEY=VALUE` joined by `;`.
fn arguments(text: &str) -> BTreeMap<&str, &str> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(_, value)| !value.is_empty()).collect()
}

fn pod(arguments: &BTreeMap<&str, &str>, text: &str) -> Result<PodKey, Error> {
    let get = |key| arguments.get(key).copied().ok_or(Error::Argument { key });
    PodKey::new(get(POD_NAMESPACE)?, get(POD_NAME)?).map_err(|error| Error::Variable {
        variable: "CNI_ARGS",
        value: text.to_owned(),
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
