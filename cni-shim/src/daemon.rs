//! The call to the node daemon.

use std::{error::Error as _, time::Duration};

use proto::cni::v1::{CniError, CniReply, cni_client::CniClient, cni_reply::Outcome};
use tokio::{
    runtime,
    time::{Instant, interval, timeout},
};
use tonic::{
    Response, Status,
    transport::{self, Channel, Endpoint},
};

use crate::call::{Call, Command};

/// Before kubelet, which gives up after two minutes, so that the pod's event names the cause.
const DEADLINE: Duration = Duration::from_secs(110);
/// A daemon that restarts is back by then, also one whose node has just started. Kubelet would
/// come again no earlier after a failure.
const PATIENCE: Duration = Duration::from_secs(20);
/// Who asks for the state wants to know it now.
const STATUS_WITHIN: Duration = Duration::from_millis(1500);
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

/// A call that a dying daemon breaks off is made again with the next one: what was done of it is
/// found done.
async fn forward(call: Call) -> Result<Vec<u8>, CniError> {
    let within = match call.command {
        Command::Add | Command::Del | Command::Check | Command::Gc => PATIENCE,
        Command::Status | Command::Version => STATUS_WITHIN,
    };
    let give_up = Instant::now() + within;
    let broken = format!("the kube-ovn daemon broke off the call; {REMEDY}");
    let reply = loop {
        let channel = connect(call.command, call.config.socket(), give_up).await?;
        match send(CniClient::new(channel), &call).await {
            // what the daemon itself answers has no cause on our side
            Err(lost) if lost.source().is_some() && Instant::now() < give_up => {}
            reply => break reply,
        }
    };
    let reply = reply.map_err(|e| CniError::because(CniError::TRY_AGAIN, broken, &e))?;
    let empty = || CniError::new(CniError::DECODE, "the kube-ovn daemon's reply is empty");
    match reply.outcome.ok_or_else(empty)? {
        Outcome::Result(result) => Ok(result),
        Outcome::Error(error) => Err(error),
    }
}

async fn send(mut client: CniClient<Channel>, call: &Call) -> Result<CniReply, Status> {
    let request = call.request.clone();
    let reply = match call.command {
        Command::Add => client.add(request).await,
        Command::Del => client.del(request).await,
        Command::Check => client.check(request).await,
        Command::Gc => client.gc(request).await,
        Command::Status | Command::Version => client.status(request).await,
    };
    reply.map(Response::into_inner)
}

/// Connects to the daemon; where it stays absent, STATUS says so and the others "try again".
/// No timer runs before the first try: the shortest takes a millisecond.
async fn connect(command: Command, socket: &str, give_up: Instant) -> Result<Channel, CniError> {
    let absent = |cause: transport::Error| {
        let code = if command == Command::Status {
            CniError::UNAVAILABLE
        } else {
            CniError::TRY_AGAIN
        };
        let msg = format!("no kube-ovn daemon listens on {socket}; {REMEDY}");
        CniError::because(code, msg, &cause)
    };
    let endpoint = Endpoint::from_shared(format!("unix:{socket}")).map_err(absent)?;
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
    use std::{os::unix::net::UnixListener, path::Path};

    use proto::cni::v1::CniRequest;

    use super::*;
    use crate::call::Config;

    fn add(socket: &Path) -> Call {
        let config = serde_json::json!({ "server_socket": socket }).to_string();
        let config: Config = serde_json::from_str(&config).unwrap();
        let (command, request) = (Command::Add, CniRequest::default());
        Call {
            command,
            config,
            request,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attachment_waits_for_a_daemon_whose_node_has_just_started() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("daemon.sock");
        let begun = Instant::now();
        let error = forward_in_time(add(&socket)).await.unwrap_err();
        assert!(begun.elapsed() >= PATIENCE, "{:?}", begun.elapsed());
        assert_eq!(error.code, CniError::TRY_AGAIN);
        assert!(error.msg.contains("daemon.sock"), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_never_answers_is_given_up_before_kubelet_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("daemon.sock");
        let _silent = UnixListener::bind(&socket).unwrap();
        let begun = Instant::now();
        let error = forward_in_time(add(&socket)).await.unwrap_err();
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
