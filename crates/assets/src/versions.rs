//! Every version, package and command that the tests and tools take from outside.

/// Debian packages of the host. On Debian 12 they bring OVN 23.03, OVS 3.1 and etcd 3.4.
pub const HOST_PACKAGES: &[&str] = &[
    "ca-certificates",
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

/// The suite of the second Debian: OVN 25.03, OVS 3.5, etcd 3.5.
pub const DEBIAN_SUITE: &str = "trixie";

/// Packages of the root made from [`DEBIAN_SUITE`].
pub const DEBIAN_PACKAGES: &[&str] = &[
    "etcd-server",
    "iproute2",
    "iputils-ping",
    "nftables",
    "openvswitch-switch",
    "ovn-central",
    "ovn-host",
    "procps",
];

/// Raised whenever [`DEBIAN_PACKAGES`] changes: the root is made anew beside the old one.
pub const DEBIAN_RECIPE: u32 = 1;

/// The release of `k8s.io/kubernetes`. 1.34 is the newest whose kubelet starts on cgroup v1.
pub const KUBERNETES: Release = Release {
    major: 1,
    minor: 34,
    patch: 4,
};

/// The commands built from the Kubernetes module.
pub const KUBERNETES_COMMANDS: &[&str] = &["kube-apiserver"];

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
