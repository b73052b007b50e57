use super::*;

fn nic(name: &str, addresses: &[&str]) -> Nic {
    Nic {
        name: name.parse().unwrap(),
        mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        addresses: nets(addresses),
        routes: BTreeSet::new(),
    }
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn record(nic: &str, addresses: &[&str]) -> Record {
    Record {
        nic: nic.parse().unwrap(),
        mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
        addresses: nets(addresses),
        routes: BTreeSet::new(),
    }
}

fn hop(destination: &str, gateway: &str) -> Hop {
    Hop {
        destination: destination.parse().unwrap(),
        gateway: gateway.parse().ok(),
    }
}

/// A node with a NIC for management, one for tunnels, and a third.
fn inputs(iface: &str, datapath: Datapath) -> TunnelInputs {
    TunnelInputs {
        rule: TunnelRule::new(None, Some(iface), "10.0.0.1".parse().ok()).unwrap(),
        pod_ip: "10.0.0.1".parse().ok(),
        datapath,
        nics: vec![
            nic("lo", &["127.0.0.1/8"]),
            nic("eth0", &["10.0.0.1/24"]),
            nic("eth1", &["10.1.0.1/24", "fd01::1/64"]),
            nic("ens5", &["10.2.0.1/24"]),
        ],
        record: None,
        management: ["10.0.0.1".parse().unwrap()].into(),
    }
}

fn state(inputs: &TunnelInputs) -> TunnelState {
    tunnel_state(inputs).unwrap().unwrap()
}

fn address(iface: &str) -> String {
    state(&inputs(iface, Datapath::System)).address.to_string()
}

#[test]
fn a_link_is_found_by_name_by_pattern_or_by_the_nodes_address() {
    assert_eq!(address("eth1"), "10.1.0.1");
    assert_eq!(address("ens.*,bond0"), "10.2.0.1");
    assert_eq!(address("bond0,th1"), "10.1.0.1");
    assert_eq!(address(""), "10.0.0.1");
    let nothing = TunnelRule::new(None, None, None).unwrap();
    let mut given = inputs("", Datapath::System);
    given.rule = nothing;
    assert_eq!(tunnel_state(&given), Ok(None));
}

#[test]
fn the_first_link_of_the_kernel_that_matches_is_taken() {
    assert_eq!(address("e"), "10.0.0.1");
    assert_eq!(address("ens5,eth"), "10.0.0.1");
}

#[test]
fn the_nodes_annotation_goes_before_the_flag() {
    let rule = TunnelRule::new(Some("eth1"), Some("eth0"), None).unwrap();
    let inputs = TunnelInputs {
        rule,
        ..inputs("", Datapath::System)
    };
    assert_eq!(state(&inputs).address.to_string(), "10.1.0.1");
}

#[test]
fn what_finds_nothing_is_told_with_its_text() {
    let none = tunnel_state(&inputs("wlan0", Datapath::System)).unwrap_err();
    assert!(none.to_string().contains("`wlan0`"), "{none}");
    let invalid = TunnelRule::new(None, Some("eth("), None).unwrap_err();
    assert!(invalid.to_string().contains("`eth(`"), "{invalid}");
    let mut bare = inputs("eth1", Datapath::System);
    bare.nics[2].addresses.clear();
    let name = "eth1".parse().unwrap();
    assert_eq!(tunnel_state(&bare), Err(TunnelProblem::NoAddress(name)));
}

#[test]
fn only_the_userspace_datapath_takes_the_link_over() {
    assert_eq!(state(&inputs("eth1", Datapath::System)).bridge, None);
    let taken = state(&inputs("eth1", Datapath::Netdev)).bridge.unwrap();
    assert_eq!(taken.record, record("eth1", &["10.1.0.1/24", "fd01::1/64"]));
}

#[test]
fn the_link_to_the_api_server_is_not_taken_over() {
    assert!(tunnel_state(&inputs("eth0", Datapath::System)).is_ok());
    let refused = tunnel_state(&inputs("eth0", Datapath::Netdev)).unwrap_err();
    assert!(
        refused.to_string().contains("eth0 has 10.0.0.1"),
        "{refused}"
    );
}

#[test]
fn a_move_that_was_cut_off_goes_on_with_what_was_recorded() {
    let whole = ["10.1.0.1/24", "fd01::1/64"];
    for left in [&[][..], &["fd01::1/64"], &whole] {
        let mut inputs = inputs("eth1", Datapath::Netdev);
        inputs.record = Some(record("eth1", &whole));
        inputs.nics[2].addresses = nets(left);
        let state = state(&inputs);
        assert_eq!(state.bridge.unwrap().record, record("eth1", &whole));
        assert_eq!(state.give_back, None);
    }
}

#[test]
fn new_addresses_of_the_link_replace_those_of_their_family() {
    let mut inputs = inputs("eth1", Datapath::Netdev);
    inputs.record = Some(record("eth1", &["10.1.0.1/24", "fd01::1/64"]));
    inputs.nics[2].addresses = nets(&["10.1.0.9/24"]);
    let bridge = state(&inputs).bridge.unwrap();
    assert_eq!(
        bridge.record,
        record("eth1", &["10.1.0.9/24", "fd01::1/64"])
    );
}

#[test]
fn routes_of_the_link_are_kept_and_a_newer_one_replaces_the_older() {
    let mut inputs = inputs("eth1", Datapath::Netdev);
    let mut taken = record("eth1", &["10.1.0.1/24"]);
    let far = hop("10.9.0.0/16", "10.1.0.254");
    taken.routes = [far, hop("10.8.0.0/16", "10.1.0.254")].into();
    inputs.record = Some(taken);
    inputs.nics[2].routes = [hop("10.8.0.0/16", "10.1.0.253")].into();
    let kept = state(&inputs).bridge.unwrap().record.routes;
    assert_eq!(kept, [hop("10.8.0.0/16", "10.1.0.253"), far].into());
}

#[test]
fn a_link_that_is_no_longer_the_tunnels_gets_back_what_it_had() {
    let taken = record("eth1", &["10.1.0.1/24"]);
    let mut other = inputs("ens5", Datapath::Netdev);
    other.record = Some(taken.clone());
    assert_eq!(state(&other).give_back, Some(taken.clone()));
    let mut kernel = inputs("eth1", Datapath::System);
    kernel.record = Some(taken.clone());
    kernel.nics[2].addresses.clear();
    assert_eq!(state(&kernel).give_back, Some(taken));
}
