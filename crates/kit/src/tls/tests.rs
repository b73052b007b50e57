//! Members and strangers at a gRPC server on loopback.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::{grpc, listen::Listen, readiness::Readiness, shutdown::Shutdown};

const YEAR: Duration = Duration::from_hours(365 * 24);
/// In 2026.
const TODAY: Duration = Duration::from_secs(1_790_000_000);

/// Good for a hundred years, whatever the clock of this host says.
fn good() -> Validity {
    SystemTime::UNIX_EPOCH..SystemTime::UNIX_EPOCH + 100 * YEAR
}

fn authority() -> Authority {
    Authority::generate(&good()).unwrap()
}

fn identity(pem: Pem) -> Identity {
    Identity::new(move || Ok(pem.clone()))
}

fn write(folder: &TempDir, pem: &Pem) {
    for (name, text) in [
        (AUTHORITIES, &pem.authorities),
        (CERTIFICATE, &pem.certificate),
        (KEY, &pem.key),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
}

/// A server with nothing but health, until `shutdown`.
async fn serve(identity: Identity, shutdown: &Shutdown) -> SocketAddr {
    let listen = Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    let server = grpc::Server::new(Readiness::new());
    let bound = server.bind(&listen).await.unwrap();
    let Listen::Tcp(address) = *bound.listen() else {
        panic!("asked for TCP");
    };
    drop(crate::spawn(
        "server",
        bound.serve_tls(identity, shutdown.clone()),
    ));
    address
}

async fn ask(channel: Channel) -> Result<(), tonic::Status> {
    let asking = async {
        let mut health = HealthClient::new(channel);
        health.check(HealthCheckRequest::default()).await.map(drop)
    };
    tokio::time::timeout(Duration::from_secs(10), asking)
        .await
        .expect("an answer in time")
}

async fn ask_as(identity: &Identity, address: SocketAddr) -> Result<(), tonic::Status> {
    ask(channel(address, identity).unwrap()).await
}

#[tokio::test]
async fn a_member_is_served() {
    let shutdown = Shutdown::new();
    let authority = authority();
    let address = serve(identity(authority.issue(&good()).unwrap()), &shutdown).await;
    let member = identity(authority.issue(&good()).unwrap());
    ask_as(&member, address).await.unwrap();
    shutdown.cancel();
}

#[tokio::test]
async fn a_client_without_tls_is_refused() {
    let shutdown = Shutdown::new();
    let address = serve(identity(authority().issue(&good()).unwrap()), &shutdown).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    assert!(ask(endpoint.connect_lazy()).await.is_err());
    shutdown.cancel();
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let shutdown = Shutdown::new();
    let pem = authority().issue(&good()).unwrap();
    let address = serve(identity(pem.clone()), &shutdown).await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(pem.roots().unwrap())
        .with_no_client_auth();
    configuration.alpn_protocols = vec![HTTP2.to_vec()];
    let nobody = Identity(Arc::new(Source {
        read: {
            let pem = pem.clone();
            Box::new(move || Ok(pem.clone()))
        },
        last: Mutex::new(Some(Configured {
            server: identity(pem.clone()).server().unwrap(),
            client: Arc::new(named(configuration, &pem)),
            pem,
        })),
    }));
    assert!(ask_as(&nobody, address).await.is_err());
    shutdown.cancel();
}

/// The configuration with a verifier that does not mind the server's name.
fn named(mut configuration: ClientConfig, pem: &Pem) -> ClientConfig {
    let roots = Arc::new(pem.roots().unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider);
    let verifier = Member(verifier.build().unwrap());
    configuration
        .dangerous()
        .set_certificate_verifier(Arc::new(verifier));
    configuration
}

#[tokio::test]
async fn members_of_different_authorities_refuse_each_other() {
    let shutdown = Shutdown::new();
    let (ours, theirs) = (authority(), authority());
    let address = serve(identity(ours.issue(&good()).unwrap()), &shutdown).await;
    let stranger = identity(theirs.issue(&good()).unwrap());
    assert!(ask_as(&stranger, address).await.is_err());

    let credulous = identity(Pem {
        authorities: ours.certificate().to_owned(),
        ..theirs.issue(&good()).unwrap()
    });
    assert!(ask_as(&credulous, address).await.is_err());
    shutdown.cancel();
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let shutdown = Shutdown::new();
    let authority = authority();
    let address = serve(identity(authority.issue(&good()).unwrap()), &shutdown).await;
    let past = SystemTime::UNIX_EPOCH..SystemTime::UNIX_EPOCH + YEAR;
    let late = identity(authority.issue(&past).unwrap());
    assert!(ask_as(&late, address).await.is_err());
    shutdown.cancel();
}

#[tokio::test]
async fn renewed_files_are_used_from_the_next_connection_on() {
    let shutdown = Shutdown::new();
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (authority(), authority());
    write(&folder, &before.issue(&good()).unwrap());
    let address = serve(Identity::of_folder(folder.path()), &shutdown).await;
    let old = identity(before.issue(&good()).unwrap());
    ask_as(&old, address).await.unwrap();

    write(&folder, &after.issue(&good()).unwrap());
    assert!(ask_as(&old, address).await.is_err());
    let new = identity(after.issue(&good()).unwrap());
    ask_as(&new, address).await.unwrap();
    shutdown.cancel();
}

#[test]
fn half_written_files_leave_the_last_good_certificate_in_use() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority().issue(&good()).unwrap());
    let identity = Identity::of_folder(folder.path());
    let before = identity.client().unwrap();
    fs::write(folder.path().join(KEY), "-----BEGIN").unwrap();
    assert!(Arc::ptr_eq(&identity.client().unwrap(), &before));
}

#[test]
fn unchanged_files_give_the_same_configuration() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority().issue(&good()).unwrap());
    let identity = Identity::of_folder(folder.path());
    let before = identity.server().unwrap();
    assert!(Arc::ptr_eq(&identity.server().unwrap(), &before));
}

#[test]
fn a_missing_file_is_named() {
    let error = Identity::of_folder("/absent").client().unwrap_err();
    assert_eq!(error.to_string(), "cannot read /absent/cacert");
}

#[test]
fn an_authority_that_was_kept_goes_on_signing() {
    let first = authority();
    let kept = Authority::load(first.certificate(), &first.key()).unwrap();
    let today = SystemTime::UNIX_EPOCH + TODAY;
    let pem = kept.issue(&(today..today + YEAR)).unwrap();
    assert_eq!(pem.authorities, first.certificate());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(pem.roots().unwrap()), provider);
    let verifier = verifier.build().unwrap();
    let leaf = pem.chain().unwrap().remove(0);
    let at = |time: Duration| rustls::pki_types::UnixTime::since_unix_epoch(time);
    assert!(verifier.verify_client_cert(&leaf, &[], at(TODAY)).is_ok());
    assert!(
        verifier
            .verify_client_cert(&leaf, &[], at(TODAY + 2 * YEAR))
            .is_err()
    );
}

#[test]
fn the_key_is_not_printed() {
    let pem = authority().issue(&good()).unwrap();
    assert!(!format!("{pem:?}").contains("PRIVATE"));
}
