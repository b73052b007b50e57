//! A real etcd and kube-apiserver, without the rest of Kubernetes.
//!
//! Nothing schedules, nothing runs pods and nothing makes service accounts: the admission plugin
//! that would wait for them is off, pods are created bound to a node, and deleted without grace.

use std::{
    fmt::Debug,
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::{
    api::core::v1::{Namespace, Node, Pod},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use model::DualStack;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde::Deserialize;
use serde_json::json;

use crate::{Netns, command::Invocation, process::Processes, wait_until};

/// Where an API server listens.
pub const PORT: u16 = 6443;
/// Where its etcd listens.
pub const ETCD: &str = "http://127.0.0.1:2379";
pub(crate) const ETCD_PROGRAM: &str = "etcd";
pub(crate) const SERVER_PROGRAM: &str = "kube-apiserver";
const ETCD_PEER: &str = "http://127.0.0.1:2380";
/// Known to this API server only, which lives as long as one test.
const TOKEN: &str = "lab";
/// Usually 5 s; much longer when the host is busy.
const PATIENCE: Duration = Duration::from_secs(90);
/// The IPv4 addresses of services.
pub const SERVICES_V4: &str = "10.96.0.0/16";
/// The IPv6 addresses of services.
pub const SERVICES_V6: &str = "fd00:96::/112";
const MANAGER: &str = "testkit";

/// An API server, empty but for what it creates itself.
pub struct ApiServer {
    client: Option<Client>,
    kubeconfig: PathBuf,
    processes: Processes,
}

// === impl ApiServer ===

impl ApiServer {
    /// Starts both in a namespace, reachable on its `addresses`; see [`ApiServer::ready`].
    ///
    /// # Errors
    /// A program is missing or cannot be started.
    pub(crate) fn start(
        netns: &Netns,
        addresses: &DualStack<IpAddr>,
        directory: &Path,
    ) -> Result<Self> {
        let address = *addresses
            .values()
            .next()
            .context("an API server has an address")?;
        let kubeconfig = write_identity(directory, address)?;
        let etcd = etcd(directory)?.in_netns(netns.path());
        let server = apiserver(directory, address, addresses)?.in_netns(netns.path());
        let processes = Processes::default();
        processes.spawn(ETCD_PROGRAM, &etcd, directory)?;
        processes.spawn(SERVER_PROGRAM, &server, directory)?;
        Ok(Self {
            client: None,
            kubeconfig,
            processes,
        })
    }

    /// Connects, once the server is ready. Must run in the namespace it was started in.
    ///
    /// # Errors
    /// It is not ready after 90 s, or has ended.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        // the second lab of a test binary finds it installed
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = self.connect().await?;
        let namespaces = Api::<Namespace>::all(client.clone());
        wait_until("the API server is ready", PATIENCE, async || {
            namespaces.get("default").await?;
            Ok(())
        })
        .await?;
        self.client = Some(client);
        Ok(())
    }

    /// Its programs: `kube-apiserver`, `etcd`.
    pub(crate) const fn processes(&self) -> &Processes {
        &self.processes
    }

    async fn connect(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        Ok(Client::try_from(config)?)
    }

    /// A client that may do everything.
    ///
    /// # Errors
    /// The server is not ready yet.
    pub fn client(&self) -> Result<Client> {
        self.client.clone().context("the API server is not ready")
    }

    /// A kubeconfig that may do everything, usable in the central namespace and on nodes.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Applies the CRDs of every YAML file in a directory and waits until they are served.
    ///
    /// # Errors
    /// The directory holds none, or the server rejects one.
    pub async fn apply_crds(&self, directory: &Path) -> Result<()> {
        let api = Api::<CustomResourceDefinition>::all(self.client()?);
        let crds = read_crds(directory)?;
        ensure!(!crds.is_empty(), "{} holds no CRD", directory.display());
        for crd in &crds {
            let name = crd.metadata.name.as_deref().context("a CRD has a name")?;
            let parameters = PatchParams::apply(MANAGER).force();
            api.patch(name, &parameters, &Patch::Apply(crd))
                .await
                .with_context(|| format!("cannot apply the CRD {name}"))?;
        }
        wait_until("the CRDs are established", PATIENCE, async || {
            for crd in &api.list(&kube::api::ListParams::default()).await?.items {
                ensure!(is_established(crd), "{:?} is not", crd.metadata.name);
            }
            Ok(())
        })
        .await
    }

    /// Creates a node with its status; see [`crate::objects::node`].
    ///
    /// # Errors
    /// The server rejects it.
    pub async fn create_node(&self, node: &Node) -> Result<()> {
        let api = Api::<Node>::all(self.client()?);
        let name = node.metadata.name.as_deref().context("a node has a name")?;
        api.create(&PostParams::default(), node)
            .await
            .context("cannot create a node")?;
        let status = Patch::Merge(json!({ "status": node.status }));
        api.patch_status(name, &PatchParams::default(), &status)
            .await
            .context("cannot set a node's status")?;
        Ok(())
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// The server rejects it.
    pub async fn create_namespace(&self, name: &str) -> Result<()> {
        let namespace = Namespace {
            metadata: kube::api::ObjectMeta {
                name: Some(name.to_owned()),
                ..Default::default()
            },
            ..Namespace::default()
        };
        let api = Api::<Namespace>::all(self.client()?);
        api.create(&PostParams::default(), &namespace)
            .await
            .context("cannot create a namespace")?;
        Ok(())
    }

    /// Creates a pod; see [`crate::objects::pod`].
    ///
    /// # Errors
    /// The server rejects it.
    pub async fn create_pod(&self, pod: &Pod) -> Result<Pod> {
        let api = self.pods(pod)?;
        api.create(&PostParams::default(), pod)
            .await
            .context("cannot create a pod")
    }

    /// Deletes a pod at once, as kubelet does when its sandbox is gone.
    ///
    /// # Errors
    /// It does not exist.
    pub async fn delete_pod(&self, pod: &Pod) -> Result<()> {
        let name = pod.metadata.name.as_deref().context("a pod has a name")?;
        let at_once = DeleteParams::default().grace_period(0);
        self.pods(pod)?
            .delete(name, &at_once)
            .await
            .context("cannot delete a pod")?;
        Ok(())
    }

    /// Creates a pod, or finds the one that was created by a call without an answer.
    ///
    /// # Errors
    /// The server rejects it or does not answer.
    pub async fn ensure_pod(&self, pod: &Pod) -> Result<Pod> {
        let name = pod.metadata.name.as_deref().context("a pod has a name")?;
        match self.pods(pod)?.create(&PostParams::default(), pod).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Ok(self.pods(pod)?.get(name).await?)
            }
            created => Ok(created?),
        }
    }

    /// Deletes a pod at once, unless it is gone.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn ensure_no_pod(&self, pod: &Pod) -> Result<()> {
        let name = pod.metadata.name.as_deref().context("a pod has a name")?;
        let at_once = DeleteParams::default().grace_period(0);
        match self.pods(pod)?.delete(name, &at_once).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            deleted => Ok(deleted.map(drop)?),
        }
    }

    fn pods(&self, pod: &Pod) -> Result<Api<Pod>> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        Ok(Api::namespaced(self.client()?, namespace))
    }
}

impl Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer")
            .field("kubeconfig", &self.kubeconfig)
            .field("processes", &self.processes)
            .finish_non_exhaustive()
    }
}

/// Debian 13's etcd, on the loopback: that of Debian 12 is too old for streamed lists.
///
/// # Errors
/// It was never made.
pub fn etcd(directory: &Path) -> Result<Invocation> {
    let program = assets::trixie_root()?.program("etcd")?;
    Ok(Invocation::of(program)
        .arg("--data-dir")
        .arg(directory.join("etcd"))
        .arg("--unsafe-no-fsync")
        .args(["--log-level", "warn"])
        .args([
            "--listen-client-urls",
            ETCD,
            "--advertise-client-urls",
            ETCD,
        ])
        .args([
            "--listen-peer-urls",
            ETCD_PEER,
            "--initial-advertise-peer-urls",
            ETCD_PEER,
        ])
        .args(["--initial-cluster", &format!("default={ETCD_PEER}")]))
}

fn apiserver(
    directory: &Path,
    address: IpAddr,
    addresses: &DualStack<IpAddr>,
) -> Result<Invocation> {
    let services = addresses.map(|family, _| match family {
        model::IpFamily::V4 => SERVICES_V4,
        model::IpFamily::V6 => SERVICES_V6,
    });
    let file = |name: &str| directory.join(name).display().to_string();
    let flags = [
        ("etcd-servers", ETCD.to_owned()),
        ("bind-address", "::".to_owned()),
        ("advertise-address", address.to_string()),
        ("secure-port", PORT.to_string()),
        ("service-cluster-ip-range", services.to_string()),
        ("tls-cert-file", file("server.crt")),
        ("tls-private-key-file", file("server.key")),
        (
            "service-account-issuer",
            "https://kubernetes.default.svc".to_owned(),
        ),
        ("service-account-key-file", file("accounts.pub")),
        ("service-account-signing-key-file", file("accounts.key")),
        ("token-auth-file", file("tokens.csv")),
        ("authorization-mode", "RBAC".to_owned()),
        ("disable-admission-plugins", "ServiceAccount".to_owned()),
        ("endpoint-reconciler-type", "none".to_owned()),
        ("allow-privileged", "true".to_owned()),
    ];
    let flags = flags.map(|(name, value)| format!("--{name}={value}"));
    Ok(Invocation::new(assets::kubernetes("kube-apiserver")?).args(flags))
}

/// Writes keys, certificates, the token and the kubeconfig, and returns the path of the last.
fn write_identity(directory: &Path, address: IpAddr) -> Result<PathBuf> {
    let write = |name: &str, text: &str| {
        fs::write(directory.join(name), text).with_context(|| format!("cannot write {name}"))
    };
    let authority = authority()?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([address.to_string(), "localhost".to_owned()])?
        .signed_by(&key, &authority)?;
    write("server.crt", &certificate.pem())?;
    write("server.key", &key.serialize_pem())?;

    let accounts = KeyPair::generate()?;
    write("accounts.key", &accounts.serialize_pem())?;
    write("accounts.pub", &accounts.public_key_pem())?;
    write("tokens.csv", &format!("{TOKEN},lab,lab,system:masters\n"))?;

    write("ca.crt", &authority.pem())?;
    let kubeconfig = directory.join("kubeconfig");
    let server = format!("https://{}", SocketAddr::new(address, PORT));
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{ "name": "lab", "cluster": {
            "server": server,
            "certificate-authority": directory.join("ca.crt"),
        }}],
        "users": [{ "name": "lab", "user": { "token": TOKEN } }],
        "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "lab" } }],
    });
    fs::write(&kubeconfig, text.to_string()).context("cannot write a kubeconfig")?;
    Ok(kubeconfig)
}

/// A certificate authority, made anew.
///
/// # Errors
/// No key can be generated.
pub fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut parameters = CertificateParams::default();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "lab");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(
        parameters,
        KeyPair::generate()?,
    )?)
}

fn read_crds(directory: &Path) -> Result<Vec<CustomResourceDefinition>> {
    let mut crds = Vec::new();
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            let crd = CustomResourceDefinition::deserialize(document)
                .with_context(|| format!("{} holds no CRD", path.display()))?;
            crds.push(crd);
        }
    }
    Ok(crds)
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Established" && condition.status == "True")
}
