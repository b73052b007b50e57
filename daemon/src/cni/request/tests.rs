use proptest::prelude::*;

use super::*;

fn config(json: &str) -> Result<Config, Error> {
    Config::parse(Command::Add, json.as_bytes())
}

fn versioned(version: &str) -> Result<Config, Error> {
    config(&format!(
        r#"{{"cniVersion":"{version}","name":"kube-ovn","type":"kube-ovn"}}"#
    ))
}

fn request() -> CniRequest {
    CniRequest {
        container_id: "0123456789abcdef".to_owned(),
        ifname: "eth0".to_owned(),
        netns: "/run/netns/a".to_owned(),
        args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=u"
            .to_owned(),
        ..CniRequest::default()
    }
}

fn attach(change: impl FnOnce(&mut CniRequest)) -> Result<Attach, Error> {
    let mut request = request();
    change(&mut request);
    Attach::parse(versioned("1.0.0").unwrap(), &request)
}

#[test]
fn every_version_from_0_3_0_to_1_1_0_is_served() {
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        assert!(versioned(version).is_ok(), "{version}");
    }
    for version in ["0.1.0", "0.2.0", "2.0.0", "x", ""] {
        let error = versioned(version).unwrap_err();
        assert!(matches!(error, Error::Version(_)), "{version}: {error}");
        assert!(error.to_string().contains("1.1.0"), "{error}");
    }
}

#[test]
fn what_is_no_configuration_is_refused_with_the_reason() {
    assert!(matches!(config("{"), Err(Error::Undecodable(_))));
    assert!(matches!(config(""), Err(Error::Undecodable(_))));
    let bridge = r#"{"cniVersion":"1.0.0","name":"x","type":"bridge"}"#;
    assert!(matches!(config(bridge), Err(Error::Type(_))));
    let unnamed = r#"{"cniVersion":"1.0.0","type":"kube-ovn"}"#;
    assert!(matches!(
        config(unnamed),
        Err(Error::Field { field: "name", .. })
    ));
}

#[test]
fn a_command_newer_than_the_configuration_is_refused() {
    let json = br#"{"cniVersion":"1.0.0","name":"kube-ovn","type":"kube-ovn"}"#;
    assert!(matches!(
        Config::parse(Command::Gc, json),
        Err(Error::Version(_))
    ));
    assert!(Config::parse(Command::Check, json).is_ok());
}

#[test]
fn the_pod_and_its_uid_are_read_from_the_arguments() {
    let attach = attach(|_| {}).unwrap();
    assert_eq!(attach.port.lsp(), "web-0.default");
    assert_eq!(attach.pod_uid.as_deref(), Some("u"));
}

#[test]
fn a_missing_or_malformed_argument_is_named() {
    let names = |error: Error, text: &str| {
        let message = error.to_string();
        assert!(message.contains(text), "{message}");
    };
    names(
        attach(|request| request.args.clear()).unwrap_err(),
        POD_NAMESPACE,
    );
    let args = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=a b";
    names(
        attach(|request| request.args = args.to_owned()).unwrap_err(),
        "a b",
    );
    names(
        attach(|request| request.netns.clear()).unwrap_err(),
        "CNI_NETNS",
    );
    names(
        attach(|request| request.container_id.clear()).unwrap_err(),
        "CNI_CONTAINERID",
    );
    let long = "sixteen-letters-".to_owned();
    names(
        attach(|request| request.ifname = long).unwrap_err(),
        "CNI_IFNAME",
    );
}

#[test]
fn eth0_is_on_the_primary_network_whatever_the_configuration_says() {
    let json = r#"{"cniVersion":"1.0.0","name":"x","type":"kube-ovn","provider":"blue.infra.ovn"}"#;
    let config = config(json).unwrap();
    let on = |ifname: &str| {
        config
            .provider(&ifname.parse().unwrap())
            .unwrap()
            .to_string()
    };
    assert_eq!(on("eth0"), "ovn");
    assert_eq!(on("net1"), "blue.infra.ovn");
}

#[test]
fn the_attachments_in_use_are_read_for_gc() {
    let json = br#"{"cniVersion":"1.1.0","name":"x","type":"kube-ovn",
        "cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]}"#;
    let config = Config::parse(Command::Gc, json).unwrap();
    assert_eq!(
        config.valid,
        Some(vec![("a".to_owned(), "eth0".to_owned())])
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_configuration_or_an_error(bytes: Vec<u8>) {
        let _outcome: Result<Config, Error> = Config::parse(Command::Add, &bytes);
    }

    #[test]
    fn any_fields_are_a_configuration_or_an_error(
        version in "[0-9.]{0,12}",
        name in ".{0,8}",
        provider in "[a-z.]{0,12}",
    ) {
        let json = serde_json::json!({
            "cniVersion": version, "name": name, "type": "kube-ovn", "provider": provider,
        });
        if let Ok(config) = Config::parse(Command::Add, json.to_string().as_bytes()) {
            prop_assert!(config.version <= SpecVersion::CURRENT);
            prop_assert_eq!(config.network, name);
        }
    }

    #[test]
    fn any_variables_are_a_request_or_an_error(
        container_id in ".{0,20}",
        ifname in ".{0,20}",
        args in "[A-Z0-9_=;a-z.-]{0,60}",
    ) {
        let change = |request: &mut CniRequest| {
            request.container_id.clone_from(&container_id);
            request.ifname.clone_from(&ifname);
            request.args.clone_from(&args);
        };
        if let Ok(attach) = attach(change) {
            prop_assert_eq!(attach.sandbox.id.as_str(), container_id);
        }
    }
}
