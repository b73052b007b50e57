//! Calls that fail: the error object, in time.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    time::Duration,
};

use futures::future::join_all;
use proto::cni::v1::{CniError, CniReply, cni_reply::Outcome};
use serde_json::{Value, json};
use tonic::Status;

use super::{
    daemon::{Daemon, result},
    plugin::{Ended, Plugin},
};

fn assert_error(ended: &Ended, code: u32, version: &str) -> Value {
    let object = ended.error();
    assert_eq!(object["code"], code, "{object}");
    assert_eq!(object["cniVersion"], version, "{object}");
    object
}

#[tokio::test]
async fn an_error_of_the_daemon_is_printed_in_the_version_of_the_configuration() {
    let error = CniError::because(
        CniError::UNKNOWN_CONTAINER,
        "pod default/web-0 is not known",
        &std::io::Error::other("not in the index"),
    );
    let daemon = Daemon::replying(CniReply {
        outcome: Some(Outcome::Error(error)),
    })
    .await;
    let object = assert_error(
        &Plugin::add().run(&daemon.config("0.4.0")).await,
        3,
        "0.4.0",
    );
    assert_eq!(object["msg"], "pod default/web-0 is not known");
    assert_eq!(object["details"], "not in the index");
}

#[tokio::test]
async fn an_empty_reply_is_an_error() {
    let daemon = Daemon::replying(CniReply { outcome: None }).await;
    assert_error(
        &Plugin::add().run(&daemon.config("1.0.0")).await,
        6,
        "1.0.0",
    );
}

#[tokio::test]
async fn a_daemon_that_breaks_off_is_to_be_tried_again() {
    let daemon = Daemon::breaking_off(Status::unavailable("shutting down")).await;
    let object = assert_error(
        &Plugin::add().run(&daemon.config("1.0.0")).await,
        11,
        "1.0.0",
    );
    assert!(
        object["msg"].as_str().unwrap().contains("kube-ovn-cni pod"),
        "{object}"
    );
    assert!(
        object["details"]
            .as_str()
            .unwrap()
            .contains("shutting down"),
        "{object}"
    );
}

#[tokio::test]
async fn status_tells_at_once_of_an_absent_daemon_with_its_socket_and_the_remedy() {
    let daemon = Daemon::absent();
    let ended = Plugin::new("STATUS").run(&daemon.config("1.1.0")).await;
    let object = assert_error(&ended, 50, "1.1.0");
    let msg = object["msg"].as_str().unwrap();
    assert!(
        msg.contains(daemon.socket()) && msg.contains("see the kube-ovn-cni pod"),
        "{msg}"
    );
    assert!(ended.took < Duration::from_secs(3), "{:?}", ended.took);
}

#[tokio::test]
async fn a_socket_left_by_a_dead_daemon_is_reported_as_absence() {
    let daemon = Daemon::absent();
    drop(UnixListener::bind(daemon.socket()).unwrap());
    let ended = Plugin::new("STATUS").run(&daemon.config("1.1.0")).await;
    assert_error(&ended, 50, "1.1.0");
}

#[tokio::test]
async fn an_unknown_version_is_refused_with_those_that_are_known() {
    let daemon = Daemon::replying(result(b"{}")).await;
    for version in ["2.0.0", "0.2.0", ""] {
        let object = assert_error(
            &Plugin::add().run(&daemon.config(version)).await,
            1,
            "1.1.0",
        );
        assert!(object["msg"].as_str().unwrap().contains("0.4.0"));
    }
    assert!(daemon.calls().is_empty());
}

#[tokio::test]
async fn what_is_not_a_configuration_is_refused_with_the_place_to_correct_it() {
    for input in [
        "",
        "not json",
        "{\"cniVersion\": 1}",
        "{\"server_socket\": {}}",
    ] {
        let object = assert_error(&Plugin::add().run(input).await, 6, "1.1.0");
        assert!(
            object["msg"].as_str().unwrap().contains("/etc/cni/net.d"),
            "{input}: {object}"
        );
    }
}

#[tokio::test]
async fn an_oversized_configuration_is_refused() {
    let padding = "x".repeat(2 << 20);
    let ended = Plugin::add()
        .run(&json!({ "cniVersion": "1.0.0", "name": padding }).to_string())
        .await;
    assert_error(&ended, 6, "1.1.0");
}

#[tokio::test]
async fn a_missing_variable_is_named() {
    for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] {
        let object = assert_error(&Plugin::add().set(name, "").run("{}").await, 4, "1.1.0");
        assert!(
            object["msg"].as_str().unwrap().starts_with(name),
            "{object}"
        );
    }
}

#[tokio::test]
async fn a_command_that_is_none_is_quoted() {
    for command in ["", "add", "UPDATE"] {
        let object = assert_error(&Plugin::new(command).run("{}").await, 4, "1.1.0");
        let msg = object["msg"].as_str().unwrap();
        assert!(
            msg.starts_with(&format!("CNI_COMMAND is `{command}`")),
            "{msg}"
        );
    }
}

#[tokio::test]
async fn a_socket_that_cannot_be_reached_is_an_error_and_no_panic() {
    let daemon = Daemon::replying(result(b"{}")).await;
    let folder = Path::new(daemon.socket()).parent().unwrap();
    let no_socket = folder.join("file");
    fs::write(&no_socket, "").unwrap();
    fs::set_permissions(&no_socket, Permissions::from_mode(0o600)).unwrap();
    let too_long = format!("/{}", "x".repeat(200));
    let sockets = [
        no_socket.to_str().unwrap(),
        folder.to_str().unwrap(),
        "",
        &too_long,
    ];
    let runs = sockets.map(|socket| async move {
        let config = json!({ "cniVersion": "1.1.0", "server_socket": socket });
        Plugin::new("STATUS").run(&config.to_string()).await
    });
    for ended in join_all(runs).await {
        assert_error(&ended, 50, "1.1.0");
    }
}
