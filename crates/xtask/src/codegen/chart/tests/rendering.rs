//! The chart with the values of different clusters.

use serde_json::Value;

use super::{objects, refusal};

const V6: &[&str] = &[
    "podCidr=fd00:10:16::/64",
    "joinCidr=fd00:100:64::/64",
    "serviceCidr=fd00:10:96::/112",
];
const DUAL: &[&str] = &[
    r"podCidr=10.16.0.0/16\,fd00:10:16::/64",
    r"joinCidr=100.64.0.0/16\,fd00:100:64::/64",
    r"serviceCidr=10.96.0.0/12\,fd00:10:96::/112",
];

fn workload<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    objects
        .iter()
        .filter(|object| !object["spec"]["template"].is_null())
        .find(|object| object["metadata"]["name"] == name)
        .unwrap()
}

fn container<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    &workload(objects, name)["spec"]["template"]["spec"]["containers"][0]
}

fn arguments(objects: &[Value], name: &str) -> Vec<String> {
    let arguments = container(objects, name)["args"].as_array().unwrap();
    let text = |argument: &Value| argument.as_str().unwrap().to_owned();
    arguments.iter().map(text).collect()
}

fn variable<'a>(objects: &'a [Value], name: &str, variable: &str) -> Option<&'a str> {
    let variables = container(objects, name)["env"].as_array().unwrap();
    let found = variables.iter().find(|entry| entry["name"] == variable)?;
    found["value"].as_str()
}

fn mounts(objects: &[Value], name: &str) -> Vec<String> {
    let mounts = container(objects, name)["volumeMounts"].as_array();
    let path = |mount: &Value| mount["mountPath"].as_str().unwrap().to_owned();
    mounts.map_or_else(Vec::new, |mounts| mounts.iter().map(path).collect())
}

fn has(arguments: &[String], wanted: &str) -> bool {
    arguments.iter().any(|argument| argument == wanted)
}

#[test]
fn the_networks_of_every_family_reach_the_programs() {
    let v4 = objects(&[]);
    let controller = arguments(&v4, "kube-ovn-controller");
    assert!(has(&controller, "--default-cidr=10.16.0.0/16"));
    assert!(has(&controller, "--node-switch-cidr=100.64.0.0/16"));
    let v6 = objects(V6);
    let controller = arguments(&v6, "kube-ovn-controller");
    assert!(has(&controller, "--default-cidr=fd00:10:16::/64"));
    let dual = objects(DUAL);
    let controller = arguments(&dual, "kube-ovn-controller");
    assert!(has(
        &controller,
        "--default-cidr=10.16.0.0/16,fd00:10:16::/64"
    ));
    assert!(has(
        &controller,
        "--service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/112"
    ));
}

#[test]
fn the_encapsulation_and_the_datapath_reach_open_vswitch() {
    for (encapsulation, datapath) in [("geneve", "system"), ("vxlan", "netdev")] {
        let values = [
            &format!("encapsulation={encapsulation}"),
            &format!("datapathType={datapath}"),
            "tunnelInterface=eth1",
        ];
        let objects = objects(&values);
        let variable = |name| variable(&objects, "ovs-ovn", name);
        assert_eq!(variable("TUNNEL_TYPE"), Some(encapsulation));
        assert_eq!(variable("DATAPATH_TYPE"), Some(datapath));
        assert!(has(&arguments(&objects, "kube-ovn-cni"), "--iface=eth1"));
    }
}

#[test]
fn with_tls_all_know_it_and_openvswitch_and_central_have_the_certificate() {
    for (value, is_enabled) in [("true", true), ("false", false)] {
        let objects = objects(&[&format!("enableSsl={value}")]);
        for (name, mounts_it) in [
            ("ovn-central", true),
            ("ovs-ovn", true),
            // it makes the Secret, and so cannot wait for it
            ("kube-ovn-controller", false),
        ] {
            let enabled = variable(&objects, name, "ENABLE_SSL");
            assert_eq!(enabled, Some(value), "{name}");
            let is_mounted = has(&mounts(&objects, name), "/var/run/tls");
            assert_eq!(is_mounted, is_enabled && mounts_it, "{name}");
        }
        // which report over TLS in any case, and start without
        assert!(has(&mounts(&objects, "kube-ovn-cni"), "/var/run/tls"));
    }
}

#[test]
fn the_nodes_of_central_are_named_where_they_are_known() {
    let objects = objects(&["central.addresses={10.0.0.1,fd00::1}"]);
    for name in ["ovs-ovn", "kube-ovn-controller"] {
        let addresses = variable(&objects, name, "OVN_DB_IPS");
        assert_eq!(addresses, Some("10.0.0.1,fd00::1"), "{name}");
    }
}

#[test]
fn three_members_have_nodes_of_their_own_and_leave_one_at_a_time() {
    let objects = objects(&["central.replicas=3"]);
    let spec = &workload(&objects, "ovn-central")["spec"];
    assert_eq!(spec["replicas"], 3);
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxSurge"], 0);
    let affinity = &spec["template"]["spec"]["affinity"]["podAntiAffinity"];
    let term = &affinity["requiredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(term["topologyKey"], "kubernetes.io/hostname");
    let mut budgets = objects
        .iter()
        .filter(|it| it["kind"] == "PodDisruptionBudget");
    assert_eq!(budgets.next().unwrap()["spec"]["maxUnavailable"], 1);
}

#[test]
fn a_single_member_is_gone_before_another_uses_its_files() {
    let objects = objects(&[]);
    let spec = &workload(&objects, "ovn-central")["spec"];
    assert_eq!(spec["strategy"]["type"], "Recreate");
    assert!(!objects.iter().any(|it| it["kind"] == "PodDisruptionBudget"));
}

#[test]
fn an_even_number_of_members_is_refused() {
    let said = refusal(&["central.replicas=2"]);
    assert!(said.contains("replicas"), "{said}");
}

#[test]
fn the_definition_of_attachments_comes_only_when_asked_for() {
    let is_there = |values: &[&str]| {
        let objects = objects(values);
        let mut kinds = objects.iter().map(|object| &object["kind"]);
        kinds.any(|kind| kind == "CustomResourceDefinition")
    };
    assert!(!is_there(&[]));
    assert!(is_there(&["nadCrd.install=true"]));
}

#[test]
fn a_node_is_cleaned_in_place_of_running_the_daemon() {
    let objects = objects(&["cni.uninstall=true"]);
    let pod = &workload(&objects, "kube-ovn-cni")["spec"]["template"]["spec"];
    assert_eq!(pod["initContainers"].as_array().unwrap().len(), 1);
    assert_eq!(pod["initContainers"][0]["args"][0], "uninstall");
    assert_eq!(pod["containers"][0]["command"][0], "/bin/sleep");
    assert!(pod["containers"][0]["args"].is_null());
}

#[test]
fn everything_that_makes_a_node_ready_runs_on_a_node_that_is_not() {
    let objects = objects(&[]);
    for name in [
        "ovn-central",
        "ovs-ovn",
        "kube-ovn-controller",
        "kube-ovn-cni",
    ] {
        let pod = &workload(&objects, name)["spec"]["template"]["spec"];
        assert_eq!(pod["hostNetwork"], true, "{name}");
        for effect in ["NoSchedule", "NoExecute"] {
            let tolerated = tolerates(pod, "node.kubernetes.io/not-ready", effect);
            assert!(tolerated, "{name} does not tolerate not-ready:{effect}");
        }
    }
}

fn tolerates(pod: &Value, key: &str, effect: &str) -> bool {
    let tolerations = pod["tolerations"].as_array().unwrap();
    tolerations.iter().any(|toleration| {
        let matches = |field, value| toleration[field].is_null() || toleration[field] == value;
        toleration["operator"] == "Exists" && matches("effect", effect) && matches("key", key)
    })
}

#[test]
fn every_container_has_probes_requests_and_a_priority() {
    for object in objects(&[]) {
        let pod = &object["spec"]["template"]["spec"];
        let Some(containers) = pod["containers"].as_array() else {
            continue;
        };
        let name = &object["metadata"]["name"];
        let priority = pod["priorityClassName"].as_str().unwrap();
        assert!(priority.starts_with("system-"), "{name}");
        for container in containers {
            assert!(container["livenessProbe"].is_object(), "{name}");
            assert!(container["readinessProbe"].is_object(), "{name}");
            assert!(container["resources"]["requests"].is_object(), "{name}");
        }
    }
}

#[test]
fn what_is_no_cidr_is_refused_with_a_sentence() {
    for cidr in [
        "10.16.0/16",
        "10.16.0.0",
        "10.16.0.0/33",
        "256.0.0.0/8",
        "1:2/64",
        "x",
    ] {
        let why = refusal(&[&format!("podCidr={cidr}")]);
        let sentence = format!("podCidr: \"{cidr}\" is no CIDR; write an address");
        assert!(why.contains(&sentence), "{why}");
    }
}

#[test]
fn networks_that_do_not_fit_each_other_are_refused_with_a_sentence() {
    let twice = refusal(&[r"podCidr=10.16.0.0/16\,10.17.0.0/16"]);
    assert!(twice.contains("two CIDRs of one family"), "{twice}");
    let join = refusal(&["podCidr=fd00:10:16::/64"]);
    assert!(
        join.contains("other address families than podCidr"),
        "{join}"
    );
    let services = refusal(&["serviceCidr=fd00:10:96::/112"]);
    assert!(
        services.contains("could not reach those Services"),
        "{services}"
    );
}

#[test]
fn the_programs_datapath_without_a_nic_of_its_own_is_refused() {
    let why = refusal(&["datapathType=netdev"]);
    assert!(why.contains("name one by tunnelInterface"), "{why}");
}

#[test]
fn a_misspelt_value_is_refused_by_its_name() {
    let why = refusal(&["podcidr=10.16.0.0/16"]);
    assert!(why.contains("'podcidr' not allowed"), "{why}");
}
