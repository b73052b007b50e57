//! A pod as its runtime sees it: a namespace, and calls to the CNI plugin.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::Pod;
use model::{Cidr, DualStack};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Netns, Node, bin::bin, command::Invocation};

/// The interface that a runtime asks for.
pub const INTERFACE: &str = "eth0";

/// An empty sandbox of a pod on a node.
#[derive(Debug)]
pub struct Sandbox {
    netns: Netns,
    node_netns: PathBuf,
    container_id: String,
    args: String,
    config: Value,
}

/// What a plugin answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What it printed to stdout, if it is JSON; `null` when it printed nothing.
    pub output: Value,
    /// Whether the exit code was 0.
    pub success: bool,
}

// === impl Sandbox ===

impl Sandbox {
    /// Makes the namespace of a pod and the configuration that points to a daemon's socket.
    ///
    /// # Errors
    /// The namespace cannot be made.
    pub fn create(node: &Node, pod: &Pod, daemon_socket: &Path) -> Result<Self> {
        let name = pod.metadata.name.as_deref().context("a pod has a name")?;
        Self::within(Netns::create(name)?, node, pod, daemon_socket)
    }

    /// The same with a namespace that was made before.
    ///
    /// # Errors
    /// The pod has no name.
    pub fn within(netns: Netns, node: &Node, pod: &Pod, daemon_socket: &Path) -> Result<Self> {
        let name = pod.metadata.name.as_deref().context("a pod has a name")?;
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let container_id = container_id();
        let args = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name};\
             K8S_POD_INFRA_CONTAINER_ID={container_id};K8S_POD_UID={uid}"
        );
        let config = json!({
            "cniVersion": "1.0.0",
            "name": "kube-ovn",
            "type": "kube-ovn",
            "server_socket": daemon_socket,
        });
        Ok(Self {
            netns,
            node_netns: node.netns().path().to_owned(),
            container_id,
            args,
            config,
        })
    }

    /// The pod's namespace.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The id that the runtime gave the sandbox.
    pub fn container_id(&self) -> &str {
        &self.container_id
    }

    /// Calls `ADD` and returns the addresses of the result.
    ///
    /// # Errors
    /// The plugin failed: its error object. Or the result holds no addresses.
    pub fn add(&self) -> Result<DualStack<IpAddr>> {
        let output = self.succeed("ADD")?;
        addresses(&output).with_context(|| format!("in the result {output}"))
    }

    /// Calls `DEL`.
    ///
    /// # Errors
    /// The plugin failed: its error object.
    pub fn del(&self) -> Result<()> {
        self.succeed("DEL").map(drop)
    }

    fn succeed(&self, command: &str) -> Result<Value> {
        let reply = self.call(command)?;
        if reply.success {
            Ok(reply.output)
        } else {
            Err(anyhow!("CNI {command} failed: {}", reply.output))
        }
    }

    /// Calls the plugin as a runtime does.
    ///
    /// # Errors
    /// The plugin was not built, or does not print JSON.
    pub fn call(&self, command: &str) -> Result<Reply> {
        Reply::of(&self.invocation(command)?)
    }

    /// The call that a runtime would make, in the node's namespace. A test that calls badly
    /// replaces a variable or the input.
    ///
    /// # Errors
    /// The plugin was not built.
    pub fn invocation(&self, command: &str) -> Result<Invocation> {
        let shim = bin("cni-shim")?;
        let path = shim.parent().unwrap_or_else(|| Path::new("/")).to_owned();
        Ok(Invocation::new(shim)
            .in_netns(&self.node_netns)
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", &self.container_id)
            .env("CNI_NETNS", self.netns.path())
            .env("CNI_IFNAME", INTERFACE)
            .env("CNI_ARGS", &self.args)
            .env("CNI_PATH", path)
            .input(self.config.to_string()))
    }
}

// === impl Reply ===

impl Reply {
    /// Makes a call.
    ///
    /// # Errors
    /// The plugin does not print JSON.
    pub fn of(call: &Invocation) -> Result<Self> {
        let finished = call.finish()?;
        let text = finished.stdout.trim();
        let output = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(text)
                .with_context(|| format!("the plugin printed {text}{}", finished.stderr))?
        };
        Ok(Self {
            output,
            success: finished.success,
        })
    }

    /// The code of the error object; `None` when the call succeeded.
    pub fn code(&self) -> Option<u64> {
        self.output.get("code").and_then(Value::as_u64)
    }
}

/// 64 hexadecimal digits, as runtimes make them.
fn container_id() -> String {
    [Uuid::new_v4(), Uuid::new_v4()]
        .map(|half| half.simple().to_string())
        .concat()
}

/// The addresses of a CNI result (`ips[].address`, a CIDR).
fn addresses(result: &Value) -> Result<DualStack<IpAddr>> {
    let ips = result
        .get("ips")
        .and_then(Value::as_array)
        .context("no ips")?;
    let addresses: Result<Vec<IpAddr>> = ips
        .iter()
        .map(|ip| {
            let text = ip
                .get("address")
                .and_then(Value::as_str)
                .context("an ip has no address")?;
            let _valid: Cidr = text.parse()?;
            let (address, _prefix) = text.split_once('/').context("an address has a prefix")?;
            Ok(address.parse()?)
        })
        .collect();
    DualStack::from_values(addresses?).context("two addresses of one family")
}
