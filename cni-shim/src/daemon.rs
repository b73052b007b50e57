//! The call to the node daemon.

use std::time::Duration;

use proto::cni::v1::{CniError, cni_client::CniClient, cni_reply::Outcome};
use tokio::{
    runtime,
    time::{Instant, interval, timeout},
};
use tonic::transport::{Channel, Endpoint, Error};

use crate::call::{Call, Command};

/// Before kubelet, which gives up after two minutes, so that the pod's event names the cause.
const DEADLINE: Duration = Duration::from_secs(110);
/// A daemon that restarts is back by then.
const CONNECT_WITHIN: Duration = Duration::from_millis(1500);
const CONNECT_EVERY: Duration = Duration::from_millis(100);
const REMEDY: &str = "see the kube-ovn-cni pod of this node";

/// Forwards the call, and returns the result for standard output.
pub(crate) fn ask(call: Call) -> Result<Vec<u8>, CniError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| CniError::because(CniError::IO, "no runtime", &e))?;
    runtime.block_on(forward_in_time(call))
}

async fn forward_in_time(call: Call) -> Result<Vec<u8>, CniError> {
    let late = format!("the kube-ovn daemon takes longer than {DEADLINE:?}; {REMEDY}");
    let late = |_elapsed| Err(CniError::new(CniError::TRY_AGAIN, late));
    timeout(DEADLINE, forward(call)).await.unwrap_or_else(late)
}

async fn forward(call: Call) -> Result<Vec<u8>, CniError> {
    let mut client = CniClient::new(connect(call.command, call.config.socket()).await?);
    let reply = match call.command {
        Command::Add => client.add(call.request).await,
        Command::Del => client.del(call.request).await,
        Command::Check => client.check(call.request).await,
        Command::Gc => client.gc(call.request).await,
        Command::Status | Command::Version => client.status(call.request).await,
    };
    let broken = format!("the kube-ovn daemon broke off the call; {REMEDY}");
    let reply = reply.map_err(|e| CniError::because(CniError::TRY_AGAIN, broken, &e))?;
    let empty = || CniError::new(CniError::DECODE, "the kube-ovn daemon's reply is empty");
    match reply.into_inner().outcome.ok_or_else(empty)? {
        Outcome::Result(result) => Ok(result),
        Outcome::Error(error) => Err(error),
    }
}

/// Connects to the daemon; where it stays absent, STATUS says so and the others "try again".
/// No timer runs before the first try: the shortest takes a millisecond.
async fn connect(command: Command, socket: &str) -> Result<Channel, CniError> {
    let absent = |cause: Error| {
        let code = if command == Command::Status {
            CniError::UNAVAILABLE
        } else {
            CniError::TRY_AGAIN
        };
        let msg = format!("no kube-ovn daemon listens on {socket}; {REMEDY}");
        CniError::because(code, msg, &cause)
    };
    let endpoint = Endpoint::from_shared(format!("unix:{socket}")).map_err(absent)?;
    let give_up = Instant::now() + CONNECT_WITHIN;
    let mut ticks = interval(CONNECT_EVERY);
    loop {
        match endpoint.connect().await {
            Ok(channel) => return Ok(channel),
            Err(error) if Instant::now() > give_up => return Err(absent(error)),
            Err(_tried_again) => drop(ticks.tick().await),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use proto::cni::v1::CniRequest;

    use super::*;
    use crate::call::Config;

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_never_answers_is_given_up_before_kubelet_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("daemon.sock");
        let _silent = UnixListener::bind(&socket).unwrap();
        let config = serde_json::json!({ "server_socket": socket }).to_string();
        let config: Config = serde_json::from_str(&config).unwrap();
        let (command, request) = (Command::Add, CniRequest::default());
        let begun = Instant::now();
        let error = forward_in_time(Call {
            command,
            config,
            request,
        })
        .await
        .unwrap_err();
        assert!(begun.elapsed() < Duration::from_mins(2));
        assert_eq!(error.code, CniError::TRY_AGAIN);
        assert!(
            error
                .msg
                .starts_with("the kube-ovn daemon takes longer than 110s"),
            "{error:?}"
        );
    }
}
