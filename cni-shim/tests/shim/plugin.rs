//! The built plugin as a child process, the way a container runtime starts it.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt as _,
    process::Command,
    time::{Instant, timeout},
};

/// Environment of the plugin.
pub(super) struct Plugin(BTreeMap<&'static str, String>);

/// How the plugin ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) is_success: bool,
    pub(super) output: Vec<u8>,
    pub(super) took: Duration,
}

impl Plugin {
    pub(super) fn new(command: &str) -> Self {
        Self(BTreeMap::new()).set("CNI_COMMAND", command)
    }

    /// As a runtime starts it for ADD.
    pub(super) fn add() -> Self {
        Self::new("ADD")
            .set("CNI_CONTAINERID", "4f2a")
            .set("CNI_NETNS", "/var/run/netns/pod")
            .set("CNI_IFNAME", "eth0")
            .set(
                "CNI_ARGS",
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0",
            )
            .set("CNI_PATH", "/opt/cni/bin:/usr/lib/cni")
    }

    pub(super) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, value.to_owned());
        self
    }

    /// Runs the plugin with this standard input.
    #[expect(
        clippy::disallowed_methods,
        reason = "starts the program that is tested"
    )]
    pub(super) async fn run(self, input: &str) -> Ended {
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_cni-shim"))
            .env_clear()
            .envs(self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let bytes = input.as_bytes().to_vec();
        let feed = kit::spawn("input", async move { stdin.write_all(&bytes).await });
        let output = timeout(Duration::from_secs(20), child.wait_with_output());
        let output = output.await.expect("the plugin ends").unwrap();
        // The plugin may end before it has read everything, which breaks the pipe.
        drop(feed.await.unwrap());
        Ended {
            is_success: output.status.success(),
            output: output.stdout,
            took: begun.elapsed(),
        }
    }
}

impl Ended {
    /// The error object that was printed.
    pub(super) fn error(&self) -> Value {
        assert!(!self.is_success, "{self:?}");
        serde_json::from_slice(&self.output).expect("an error object")
    }
}
