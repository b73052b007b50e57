//! Calls that succeed.

use proto::cni::v1::CniRequest;
use serde_json::{Value, json};

use super::{
    daemon::{Daemon, result},
    plugin::Plugin,
};

const RESULT: &[u8] = b"{ \"cniVersion\":\"1.0.0\",  \"ips\":[]}\n";

#[tokio::test]
async fn input_environment_and_result_pass_unchanged() {
    let daemon = Daemon::replying(result(RESULT)).await;
    let config = daemon.config("1.0.0");
    let ended = Plugin::add().run(&config).await;
    assert_eq!(ended.output, RESULT);
    assert!(ended.is_success);
    let request = CniRequest {
        config: config.into_bytes(),
        container_id: "4f2a".to_owned(),
        netns: "/var/run/netns/pod".to_owned(),
        ifname: "eth0".to_owned(),
        args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0".to_owned(),
        path: "/opt/cni/bin:/usr/lib/cni".to_owned(),
    };
    assert_eq!(daemon.calls(), [("Add", request)]);
}

#[tokio::test]
async fn each_command_calls_its_method_once() {
    let daemon = Daemon::replying(result(b"")).await;
    for command in ["ADD", "CHECK", "DEL", "GC", "STATUS"] {
        let ended = Plugin::add()
            .set("CNI_COMMAND", command)
            .run(&daemon.config("1.1.0"))
            .await;
        assert!(
            ended.is_success && ended.output.is_empty(),
            "{command}: {ended:?}"
        );
    }
    let methods: Vec<_> = daemon
        .calls()
        .into_iter()
        .map(|(method, _)| method)
        .collect();
    assert_eq!(methods, ["Add", "Check", "Del", "Gc", "Status"]);
}

#[tokio::test]
async fn the_socket_may_be_named_under_ipam() {
    let daemon = Daemon::replying(result(RESULT)).await;
    let config = json!({
        "cniVersion": "0.3.1",
        "type": "macvlan",
        "ipam": { "type": "kube-ovn", "server_socket": daemon.socket(), "provider": "net1.default" },
    });
    assert_eq!(Plugin::add().run(&config.to_string()).await.output, RESULT);
}

#[tokio::test]
async fn a_configuration_of_almost_a_mebibyte_passes() {
    let daemon = Daemon::replying(result(RESULT)).await;
    let padding = " ".repeat((1 << 20) - 200);
    let ended = Plugin::add()
        .run(&(daemon.config("1.0.0") + &padding))
        .await;
    assert!(ended.is_success, "{ended:?}");
}

#[tokio::test]
async fn a_daemon_that_comes_back_within_a_second_is_waited_for() {
    let daemon = Daemon::absent();
    let config = daemon.config("1.0.0");
    let (ended, ()) = tokio::join!(
        Plugin::add().run(&config),
        daemon.start_later(result(RESULT))
    );
    assert_eq!(ended.output, RESULT);
}

#[tokio::test]
async fn a_call_that_a_dying_daemon_broke_off_is_made_again_with_the_next() {
    let daemon = Daemon::absent();
    let config = daemon.config("1.0.0");
    let (ended, ()) = tokio::join!(
        Plugin::add().run(&config),
        daemon.start_after_a_death(result(RESULT))
    );
    assert_eq!(ended.output, RESULT);
}

#[tokio::test]
async fn version_is_answered_without_a_daemon() {
    let ended = Plugin::new("VERSION")
        .run("{\"cniVersion\":\"0.4.0\"}")
        .await;
    let reply: Value = serde_json::from_slice(&ended.output).unwrap();
    assert!(ended.is_success);
    assert_eq!(
        reply,
        json!({
            "cniVersion": "0.4.0",
            "supportedVersions": ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
        })
    );
}

#[tokio::test]
async fn version_is_answered_to_who_asks_in_none_of_ours() {
    for question in ["", "{}", "not json", "{\"cniVersion\":\"9.0.0\"}"] {
        let ended = Plugin::new("VERSION").run(question).await;
        let reply: Value = serde_json::from_slice(&ended.output).unwrap();
        assert!(ended.is_success, "{question}");
        assert_eq!(reply["cniVersion"], "1.1.0", "{question}");
    }
}

#[tokio::test]
async fn del_passes_in_an_unknown_version() {
    let daemon = Daemon::replying(result(b"")).await;
    let ended = Plugin::add()
        .set("CNI_COMMAND", "DEL")
        .run(&daemon.config("2.0.0"))
        .await;
    assert!(ended.is_success, "{ended:?}");
    assert_eq!(daemon.calls().len(), 1);
}

#[tokio::test]
async fn del_passes_without_a_netns() {
    let daemon = Daemon::replying(result(b"")).await;
    let ended = Plugin::new("DEL")
        .set("CNI_CONTAINERID", "4f2a")
        .set("CNI_IFNAME", "eth0")
        .run(&daemon.config("1.0.0"))
        .await;
    assert!(ended.is_success, "{ended:?}");
}
