//! What the container runtime calls for: environment variables and standard input.

use std::{
    env,
    io::{self, Read as _},
};

use proto::cni::{
    NEWEST, VERSIONS,
    v1::{CniError, CniRequest},
};
use serde::Deserialize;

/// Far above any configuration, also that of GC, which lists all attachments of the node.
const MAX_CONFIG: u64 = 1 << 20;
const DEFAULT_SOCKET: &str = "/run/openvswitch/kube-ovn-daemon.sock";

/// One call of the runtime.
pub(crate) struct Call {
    pub(crate) command: Command,
    pub(crate) config: Config,
    pub(crate) request: CniRequest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Add,
    Del,
    Check,
    Gc,
    Status,
    Version,
}

/// All that is read of a network configuration.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    /// One of ours: what the answer is in.
    #[serde(rename = "cniVersion")]
    pub(crate) cni_version: String,
    server_socket: Option<String>,
    /// Filled where the configuration is another plugin's, which asks us for addresses.
    ipam: Option<Box<Self>>,
}

impl Call {
    /// Reads the environment, and then standard input to its end.
    pub(crate) fn read() -> Result<Self, CniError> {
        let command = Command::read()?;
        let mut config = Vec::new();
        let read = io::stdin().take(MAX_CONFIG).read_to_end(&mut config);
        read.map_err(|e| CniError::because(CniError::IO, "cannot read standard input", &e))?;
        Ok(Self {
            command,
            config: Config::parse(&config, command)?,
            request: CniRequest {
                config,
                container_id: variable("CNI_CONTAINERID"),
                netns: variable("CNI_NETNS"),
                ifname: variable("CNI_IFNAME"),
                args: variable("CNI_ARGS"),
                path: variable("CNI_PATH"),
            },
        })
    }
}

impl Command {
    /// Reads the command, and makes sure of the variables that the specification requires for it.
    fn read() -> Result<Self, CniError> {
        const ATTACHMENT: &[&str] = &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"];
        let (command, needs): (_, &[_]) = match variable("CNI_COMMAND").as_str() {
            "ADD" => (Self::Add, ATTACHMENT),
            "DEL" => (Self::Del, &["CNI_CONTAINERID", "CNI_IFNAME"]),
            "CHECK" => (Self::Check, ATTACHMENT),
            "GC" => (Self::Gc, &[]),
            "STATUS" => (Self::Status, &[]),
            "VERSION" => (Self::Version, &[]),
            _ => return Err(unusable("CNI_COMMAND")),
        };
        let missing = needs.iter().find(|name| variable(name).is_empty());
        missing.map_or(Ok(command), |name| Err(unusable(name)))
    }
}

impl Config {
    /// Refuses what is not JSON, and versions that are not ours. VERSION is answered all the same,
    /// and DEL is forwarded: a sandbox that cannot be deleted never goes away.
    fn parse(bytes: &[u8], command: Command) -> Result<Self, CniError> {
        let parsed = serde_json::from_slice(bytes);
        if parsed.is_err() && command == Command::Version {
            return Self::parse(b"{}", command);
        }
        let invalid = |error| CniError::because(CniError::DECODE, NOT_A_CONFIG, &error);
        let mut config: Self = parsed.map_err(invalid)?;
        let version = config.cni_version.as_str();
        if VERSIONS.contains(&version) {
            return Ok(config);
        }
        if matches!(command, Command::Del | Command::Version) {
            NEWEST.clone_into(&mut config.cni_version);
            return Ok(config);
        }
        let msg = format!("cniVersion `{version}` is not one of {VERSIONS:?}; use one of them");
        Err(CniError::new(CniError::INCOMPATIBLE_VERSION, msg))
    }

    /// The path of the daemon's socket.
    pub(crate) fn socket(&self) -> &str {
        match (&self.server_socket, &self.ipam) {
            (Some(socket), _) => socket,
            (None, Some(ipam)) => ipam.socket(),
            (None, None) => DEFAULT_SOCKET,
        }
    }
}

const NOT_A_CONFIG: &str = "standard input is not a network configuration of at most 1 MiB; \
    correct the file in /etc/cni/net.d or the NetworkAttachmentDefinition";

/// A variable's value, empty where it is not set.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn unusable(name: &str) -> CniError {
    let value = variable(name);
    let msg = format!("{name} is `{value}`; only a container runtime starts this CNI plugin");
    CniError::new(CniError::INVALID_ENVIRONMENT, msg)
}
