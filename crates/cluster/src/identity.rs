//! Who may call whom: one authority, certificates for servers, tokens for clients.

use std::{net::IpAddr, path::Path};

use anyhow::{Context, Result};
use model::DualStack;
use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, KeyPair};
use serde_json::json;
use testkit::api_server::{self, authority};
use uuid::Uuid;

use crate::directory::write;

/// Names under which pods reach the API server, beside the first address of each service range.
const SERVICE_NAMES: [&str; 4] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "localhost",
];
const SERVICE_ADDRESSES: [&str; 2] = ["10.96.0.1", "fd00:96::1"];

/// A client of the API server: the name of its kubeconfig, its user and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) file: String,
    name: String,
    group: &'static str,
}

// === impl User ===

impl User {
    /// May do everything.
    pub(crate) fn admin() -> Self {
        Self {
            file: "admin".to_owned(),
            name: "kubernetes-admin".to_owned(),
            group: "system:masters",
        }
    }

    /// A component whose role the API server makes itself.
    pub(crate) fn component(name: &str) -> Self {
        Self {
            file: name.to_owned(),
            name: format!("system:{name}"),
            group: "system:authenticated",
        }
    }

    /// The kubelet of a node, which the node authorizer knows by this name and group.
    pub(crate) fn kubelet(node: &str) -> Self {
        Self {
            file: format!("kubelet-{node}"),
            name: format!("system:node:{node}"),
            group: "system:nodes",
        }
    }

    /// The name of its kubeconfig.
    pub(crate) fn kubeconfig(&self) -> String {
        format!("{}.kubeconfig", self.file)
    }
}

/// Writes keys, certificates, tokens and a kubeconfig for each user into a directory.
pub(crate) fn write_all(
    directory: &Path,
    addresses: &DualStack<IpAddr>,
    users: &[User],
) -> Result<()> {
    let authority = authority()?;
    let file = |name: &str, text: String| write(&directory.join(name), text);
    file("ca.crt", authority.pem())?;

    let mut names: Vec<String> = SERVICE_NAMES
        .iter()
        .chain(&SERVICE_ADDRESSES)
        .map(|name| (*name).to_owned())
        .collect();
    names.extend(addresses.values().map(IpAddr::to_string));
    let server = CertificateParams::new(names)?;
    certify(directory, "server", &server, &authority)?;
    certify(directory, "kubelet-client", &kubelet_client(), &authority)?;

    let accounts = KeyPair::generate()?;
    file("accounts.key", accounts.serialize_pem())?;
    file("accounts.pub", accounts.public_key_pem())?;

    let mut tokens = Vec::new();
    let address = addresses.values().next();
    let address = address.context("an API server has an address")?;
    for user in users {
        let token = Uuid::new_v4().simple().to_string();
        tokens.push(format!("{token},{0},{0},{1}\n", user.name, user.group));
        file(&user.kubeconfig(), kubeconfig(*address, &token)?)?;
    }
    file("tokens.csv", tokens.concat())
}

fn certify(
    directory: &Path,
    name: &str,
    parameters: &CertificateParams,
    authority: &CertifiedIssuer<'static, KeyPair>,
) -> Result<()> {
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, authority)?;
    write(&directory.join(format!("{name}.crt")), certificate.pem())?;
    write(&directory.join(format!("{name}.key")), key.serialize_pem())
}

/// The API server as a client of kubelets, for logs and exec.
fn kubelet_client() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let name = &mut parameters.distinguished_name;
    name.push(DnType::CommonName, "kube-apiserver");
    name.push(DnType::OrganizationName, "system:masters");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

/// The authority's certificate lies beside it, wherever it is copied.
fn kubeconfig(address: IpAddr, token: &str) -> Result<String> {
    let server = std::net::SocketAddr::new(address, api_server::PORT);
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kube-ovn-rs",
        "clusters": [{ "name": "kube-ovn-rs", "cluster": {
            "server": format!("https://{server}"),
            "certificate-authority": "ca.crt",
        }}],
        "users": [{ "name": "user", "user": { "token": token } }],
        "contexts": [{
            "name": "kube-ovn-rs",
            "context": { "cluster": "kube-ovn-rs", "user": "user" },
        }],
    });
    Ok(serde_yaml::to_string(&text)?)
}
