//! What of a lab can be broken.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};

/// A program of a lab, by its role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `api-server`.
    ApiServer,
    /// `etcd`.
    Etcd,
    /// `nb`: the northbound database.
    Northbound,
    /// `sb`: the southbound database.
    Southbound,
    /// `northd`.
    Northd,
    /// `controller`: ours.
    Controller,
    /// `daemon@<node>`: ours.
    Daemon(String),
    /// `ovn-controller@<node>`.
    OvnController(String),
    /// `vswitchd@<node>`. At the end of a fault the tunnel bridge's addresses are gone, unless our
    /// daemon puts them back.
    Vswitchd(String),
    /// `ovsdb@<node>`: the node's ovsdb-server.
    NodeDatabase(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiServer => f.write_str("api-server"),
            Self::Etcd => f.write_str("etcd"),
            Self::Northbound => f.write_str("nb"),
            Self::Southbound => f.write_str("sb"),
            Self::Northd => f.write_str("northd"),
            Self::Controller => f.write_str("controller"),
            Self::Daemon(node) => write!(f, "daemon@{node}"),
            Self::OvnController(node) => write!(f, "ovn-controller@{node}"),
            Self::Vswitchd(node) => write!(f, "vswitchd@{node}"),
            Self::NodeDatabase(node) => write!(f, "ovsdb@{node}"),
        }
    }
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((role, node)) = text.split_once('@') {
            let node = node.to_owned();
            return Ok(match role {
                "daemon" => Self::Daemon(node),
                "ovn-controller" => Self::OvnController(node),
                "vswitchd" => Self::Vswitchd(node),
                "ovsdb" => Self::NodeDatabase(node),
                _ => bail!("no part of a node is called `{role}`"),
            });
        }
        Ok(match text {
            "api-server" => Self::ApiServer,
            "etcd" => Self::Etcd,
            "nb" => Self::Northbound,
            "sb" => Self::Southbound,
            "northd" => Self::Northd,
            "controller" => Self::Controller,
            _ => bail!("no part is called `{text}`"),
        })
    }
}
