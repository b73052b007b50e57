//! Every version, package and command that the tests and tools take from outside.

/// Debian packages of the host. On Debian 12 they bring OVN 23.03 and OVS 3.1.
pub const HOST_PACKAGES: &[&str] = &[
    "ca-certificates",
    "curl",
    "debian-archive-keyring",
    "etcd-server",
    "ethtool",
    "iperf3",
    "iproute2",
    "iputils-ping",
    "mmdebstrap",
    "nftables",
    "openvswitch-switch",
    "ovn-central",
    "ovn-host",
    "procps",
    "python3-openvswitch",
    "tcpdump",
    "util-linux",
];

/// Debian packages of a host that builds images.
pub const IMAGE_PACKAGES: &[&str] = &["buildah", "mmdebstrap"];

/// The OVN that the host's packages are expected to be; [`BOOKWORM`] stands in for others.
pub const HOST_OVN: &str = "23.03";

/// Debian 12: OVN 23.03, OVS 3.1. Made only where the host has another OVN.
pub const BOOKWORM: Suite = Suite {
    name: "bookworm",
    role: None,
    packages: &["openvswitch-switch", "ovn-central", "ovn-host"],
    recipe: 1,
};

/// Debian 13: OVN 25.03, OVS 3.5, etcd 3.5.
pub const TRIXIE: Suite = Suite {
    name: "trixie",
    role: None,
    packages: &[
        "etcd-server",
        "iproute2",
        "iputils-ping",
        "nftables",
        "openvswitch-switch",
        "ovn-central",
        "ovn-host",
        "procps",
    ],
    recipe: 1,
};

/// Debian 13 as the root of a cluster's nodes: containerd, runc and what kubelet calls.
pub const NODE: Suite = Suite {
    name: "trixie",
    role: Some("node"),
    packages: &[
        "busybox-static",
        "ca-certificates",
        "conntrack",
        "containerd",
        "containernetworking-plugins",
        "ethtool",
        "iproute2",
        "iptables",
        "iputils-ping",
        "kmod",
        "mount",
        "nftables",
        "procps",
        "runc",
        "socat",
        "util-linux",
    ],
    recipe: 2,
};

/// Debian 13 as an image's base, which stands in for `debian:trixie-slim`.
pub const SLIM: Suite = Suite {
    name: "trixie",
    role: Some("slim"),
    packages: &[],
    recipe: 1,
};

/// The release of `k8s.io/kubernetes`. 1.34 is the newest whose kubelet starts on cgroup v1.
pub const KUBERNETES: Release = Release {
    major: 1,
    minor: 34,
    patch: 4,
};

/// The commands that a lab needs of it.
pub const LAB_COMMANDS: &[&str] = &["kube-apiserver"];

/// The commands that a cluster needs of it.
pub const CLUSTER_COMMANDS: &[&str] = &[
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];

/// The cluster's DNS server.
pub const COREDNS: GoTool = GoTool {
    name: "coredns",
    package: "github.com/coredns/coredns",
    version: "v1.12.4",
};

/// What renders the chart.
pub const HELM: GoTool = GoTool {
    name: "helm",
    package: "helm.sh/helm/v3/cmd/helm",
    version: "v3.22.0",
};

/// A generic gRPC client.
pub const GRPCURL: GoTool = GoTool {
    name: "grpcurl",
    package: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
    version: "v1.9.4",
};

/// The modules that Kubernetes develops in its own tree (`staging/`). Their versions are
/// `v0.<minor>.<patch>` of the Kubernetes release, and each needs a `replace` to say so.
pub const KUBERNETES_STAGING: &[&str] = &[
    "api",
    "apiextensions-apiserver",
    "apimachinery",
    "apiserver",
    "cli-runtime",
    "client-go",
    "cloud-provider",
    "cluster-bootstrap",
    "code-generator",
    "component-base",
    "component-helpers",
    "controller-manager",
    "cri-api",
    "cri-client",
    "csi-translation-lib",
    "dynamic-resource-allocation",
    "endpointslice",
    "externaljwt",
    "kms",
    "kube-aggregator",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "metrics",
    "mount-utils",
    "pod-security-admission",
    "sample-apiserver",
    "sample-cli-plugin",
    "sample-controller",
];

/// The Go language version of that release, as its own `go.mod` says (`go` and `godebug`).
pub const KUBERNETES_GO: &str = "1.24";

/// A Debian to make a root directory of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// Its code name.
    pub name: &'static str,
    /// Tells apart two roots of one suite.
    pub role: Option<&'static str>,
    /// The packages of the root.
    pub packages: &'static [&'static str],
    /// Raised whenever the packages change: the root is made anew beside the old one.
    pub recipe: u32,
}

/// A command built by `go install`: its module has no `replace` directives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoTool {
    /// The name of the command.
    pub name: &'static str,
    /// The import path of its main package.
    pub package: &'static str,
    /// The module's version.
    pub version: &'static str,
}

/// A release number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub patch: u32,
}

impl std::fmt::Display for Release {
    /// Prints `v1.34.4`, as tags and module versions are written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}
