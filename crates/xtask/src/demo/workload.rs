//! What the demo runs: a client, servers on the client's node and on another, and pods that
//! kubelet probes.

use std::net::IpAddr;

use cluster::image::BUSYBOX;
use model::IpFamily;
use serde_json::{Value, json};

/// Everything of the demo is in this namespace.
pub(crate) const NAMESPACE: &str = "demo";
/// Where the programs of the cluster itself are.
pub(crate) const SYSTEM: &str = "kube-system";
/// A pod that calls others; on the first node.
pub(crate) const CLIENT: &str = "client";
/// A server on the first node.
pub(crate) const NEAR: &str = "near";
/// A server on the second node.
pub(crate) const FAR: &str = "far";
/// A pod on the first node, of a subnet whose traffic leaves by the second.
pub(crate) const CENTRAL: &str = "central";
/// A pod on the first node, of a subnet whose traffic leaves by both at once.
pub(crate) const SHARED: &str = "shared";
/// The service in front of both servers.
pub(crate) const SERVICE: &str = "web";

/// The size of the file `/large` of a server, in bytes.
pub(crate) const LARGE_BYTES: u32 = 10_000_000;
/// Its checksum.
pub(crate) const LARGE_SHA256: &str =
    "ebf4455552484a78e531b56385635e830ef7edd582a3980b38ce921c02000fd9";

/// Everything but the probed pods.
pub(crate) fn objects(first: &str, second: &str, families: &[IpFamily]) -> Value {
    let mut items = vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
        deployment(CLIENT, first, &client()),
        deployment(NEAR, first, &server()),
        deployment(FAR, second, &server()),
        subnet(CENTRAL, 70, families, second),
        subnet(SHARED, 71, families, &format!("{first},{second}")),
        on_subnet(CENTRAL, deployment(CENTRAL, first, &client())),
        on_subnet(SHARED, deployment(SHARED, first, &client())),
        service(
            SERVICE,
            &json!({ "ipFamilyPolicy": "PreferDualStack", "ipFamilies": names(families) }),
        ),
    ];
    items.extend(families.iter().map(|family| {
        let headless = json!({
            "clusterIP": "None",
            "ipFamilyPolicy": "SingleStack",
            "ipFamilies": names(&[*family]),
        });
        service(&headless_name(*family), &headless)
    }));
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// The name of a service without a virtual address: it resolves to pods, in one family.
pub(crate) fn headless_name(family: IpFamily) -> String {
    format!("pods-{}", lower(family))
}

/// The name of the pod by which kubelet's probe of a family is seen.
pub(crate) fn probed_name(family: IpFamily) -> String {
    format!("probed-{}", lower(family))
}

/// A pod that becomes Ready when kubelet's probe is answered. Kubelet probes a pod's first address
/// by itself; for another it has to be told a host, and no address of a pod is known beforehand.
pub(crate) fn probed(family: IpFamily, node: &str, host: Option<IpAddr>) -> Value {
    let mut container = server();
    if let (Some(host), Some(probe)) = (host, container.pointer_mut("/readinessProbe/httpGet")) {
        *probe = json!({ "port": 80, "host": host.to_string() });
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": probed_name(family), "namespace": NAMESPACE },
        "spec": pod(node, &container),
    })
}

fn deployment(name: &str, node: &str, container: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name, "role": role(name) } },
                "spec": pod(node, container),
            },
        },
    })
}

/// A subnet with these gateway nodes.
fn subnet(name: &str, third: u8, families: &[IpFamily], gateways: &str) -> Value {
    let cidrs = families.iter().map(|family| match family {
        IpFamily::V4 => format!("10.{third}.0.0/16"),
        IpFamily::V6 => format!("fd00:10:{third}::/112"),
    });
    json!({
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": { "name": subnet_name(name) },
        "spec": {
            "cidrBlock": cidrs.collect::<Vec<_>>().join(","),
            "natOutgoing": true,
            "gatewayType": "centralized",
            "gatewayNode": gateways,
        },
    })
}

/// Subnets are in no namespace.
fn subnet_name(name: &str) -> String {
    format!("{NAMESPACE}-{name}")
}

/// The deployment, with its pods on the subnet of that name.
fn on_subnet(name: &str, mut deployment: Value) -> Value {
    if let Some(template) = deployment.pointer_mut("/spec/template/metadata") {
        template["annotations"] = json!({ "ovn.kubernetes.io/logical_switch": subnet_name(name) });
    }
    deployment
}

fn pod(node: &str, container: &Value) -> Value {
    json!({
        "nodeSelector": { "kubernetes.io/hostname": node },
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    })
}

fn service(name: &str, families: &Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "selector": { "role": role(NEAR) }, "ports": [{ "port": 80 }] },
    });
    if let (Some(Value::Object(spec)), Value::Object(families)) =
        (service.get_mut("spec"), families)
    {
        spec.extend(families.clone());
    }
    service
}

fn client() -> Value {
    json!({ "name": "main", "image": BUSYBOX, "command": ["sleep", "1000000"] })
}

/// Answers `/` with the name of its pod, and `/large` with [`LARGE_BYTES`] bytes.
fn server() -> Value {
    let script = format!(
        "mkdir /tmp/www
hostname > /tmp/www/index.html
seq 1 9999999 | head -c {LARGE_BYTES} > /tmp/www/large
exec httpd -f -p 80 -h /tmp/www"
    );
    json!({
        "name": "main",
        "image": BUSYBOX,
        "command": ["sh", "-euc", script],
        "readinessProbe": { "httpGet": { "port": 80 }, "periodSeconds": 1 },
    })
}

fn role(name: &str) -> &'static str {
    match name {
        NEAR | FAR => "server",
        _ => "client",
    }
}

fn names(families: &[IpFamily]) -> Vec<&'static str> {
    families.iter().map(|family| name(*family)).collect()
}

/// As the API spells it.
pub(crate) const fn name(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "IPv4",
        IpFamily::V6 => "IPv6",
    }
}

const fn lower(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "ipv4",
        IpFamily::V6 => "ipv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_to_kubelet_only_where_it_must_be() {
        let host = "fd00::5".parse().unwrap();
        let get = |pod: &Value| pod["spec"]["containers"][0]["readinessProbe"]["httpGet"].clone();
        let told = probed(IpFamily::V6, "n1", Some(host));
        assert_eq!(get(&told), json!({ "port": 80, "host": "fd00::5" }));
        let untold = probed(IpFamily::V4, "n1", None);
        assert_eq!(get(&untold), json!({ "port": 80 }));
    }

    #[test]
    fn a_pod_is_on_the_subnet_whose_gateways_are_tried() {
        let list = objects("n1", "n2", &IpFamily::ALL);
        let items = list["items"].as_array().unwrap();
        let named = |kind: &str, name: &str| {
            let mut found = items.iter();
            let found = found.find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
            found.unwrap().clone()
        };
        let subnet = named("Subnet", "demo-shared");
        assert_eq!(subnet["spec"]["gatewayNode"], "n1,n2");
        assert_eq!(subnet["spec"]["cidrBlock"], "10.71.0.0/16,fd00:10:71::/112");
        let pods = &named("Deployment", "shared")["spec"]["template"]["metadata"];
        assert_eq!(
            pods["annotations"]["ovn.kubernetes.io/logical_switch"],
            "demo-shared"
        );
        assert_eq!(pods["labels"]["role"], "client");
    }

    #[test]
    fn each_family_has_a_name_that_resolves_to_it_alone() {
        let list = objects("n1", "n2", &IpFamily::ALL);
        let items = list["items"].as_array().unwrap();
        let headless = items
            .iter()
            .filter(|item| item["spec"]["clusterIP"] == "None");
        let families: Vec<&Value> = headless.map(|item| &item["spec"]["ipFamilies"]).collect();
        assert_eq!(families, [&json!(["IPv4"]), &json!(["IPv6"])]);
    }
}
