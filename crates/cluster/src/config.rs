//! The configuration of a node's programs.

use std::net::IpAddr;

use anyhow::Result;
use model::{DualStack, IpFamily};
use serde_json::json;

use crate::{cgroup, dns, image::PAUSE};

/// Where containerd listens, in the node's root.
const RUNTIME: &str = "unix:///run/containerd/containerd.sock";

/// The addresses of pods when the chart is installed with its default values.
pub const PODS_V4: &str = "10.16.0.0/16";
pub const PODS_V6: &str = "fd00:10:16::/112";

/// containerd 1.7.
pub(crate) fn containerd() -> String {
    // the kernel may deny CAP_SYS_RESOURCE, which a lower score would need
    format!(
        r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"
"#
    )
}

/// `kubelet.config.k8s.io/v1beta1`. One host's resources serve all nodes, so nothing is evicted.
pub(crate) fn kubelet(node: &str, addresses: &DualStack<IpAddr>) -> Result<String> {
    let text = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": "/etc/kubernetes/ca.crt" },
        },
        "authorization": { "mode": "Webhook" },
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup::of_node(node),
        "clusterDNS": dns::addresses(addresses),
        "clusterDomain": dns::DOMAIN,
        "containerRuntimeEndpoint": RUNTIME,
        "enforceNodeAllocatable": [],
        "evictionHard": { "memory.available": "10Mi" },
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": false,
        "resolvConf": "/etc/resolv.conf",
    });
    Ok(serde_yaml::to_string(&text)?)
}

/// `kubeproxy.config.k8s.io/v1alpha1`. The maxima of conntrack are the host's.
pub(crate) fn kube_proxy(node: &str, addresses: &DualStack<IpAddr>) -> Result<String> {
    let any = addresses
        .iter()
        .next()
        .map_or("0.0.0.0", |(family, _)| match family {
            IpFamily::V4 => "0.0.0.0",
            IpFamily::V6 => "::",
        });
    let pods = addresses.map(|family, _| match family {
        IpFamily::V4 => PODS_V4,
        IpFamily::V6 => PODS_V6,
    });
    let text = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": any,
        "clientConnection": { "kubeconfig": "/etc/kubernetes/kube-proxy.kubeconfig" },
        "conntrack": { "maxPerCore": 0, "min": 0 },
        "clusterCIDR": pods.to_string(),
        "detectLocalMode": "ClusterCIDR",
        "hostnameOverride": node,
        "mode": "nftables",
    });
    Ok(serde_yaml::to_string(&text)?)
}
