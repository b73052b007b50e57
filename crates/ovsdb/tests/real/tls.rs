//! Servers that want TLS.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ovsdb::{
    Options, Remote, Tls, Uuid,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::sync::watch;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    northbound::{add_switch, commit, options, sees},
    server::{NB_SCHEMA, Server, Standalone, connect, create, free_port, soon},
};

/// An authority, and one certificate of it, in PEM.
struct Identity {
    authority: String,
    certificate: String,
    key: String,
}

impl Identity {
    /// For a member that is reached as `name`, a DNS name or an address.
    fn of(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        // not the name of the leaf, which would look as if it had signed itself
        parameters
            .distinguished_name
            .push(DnType::CommonName, "authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new([name.to_owned()]).unwrap();
        Self {
            certificate: leaf.signed_by(&key, &authority).unwrap().pem(),
            authority: authority.pem(),
            key: key.serialize_pem(),
        }
    }

    fn write(&self, directory: &Path) {
        for (name, text) in [
            ("ca.pem", &self.authority),
            ("cert.pem", &self.certificate),
            ("key.pem", &self.key),
        ] {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }

    /// Believes this authority, and proves to be its member.
    fn configuration(&self) -> Arc<ClientConfig> {
        let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.authority)).unwrap();
        let provider = Arc::new(ovsdb::rustls::crypto::ring::default_provider());
        let configuration = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![certificate(&self.certificate)],
                PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap(),
            );
        Arc::new(configuration.unwrap())
    }
}

/// A server with an empty NB database that speaks TLS only.
fn secured(identity: &Identity) -> Standalone {
    let directory = TempDir::new().unwrap();
    create(directory.path(), NB_SCHEMA);
    identity.write(directory.path());
    let server = Server::start_tls(directory.path(), free_port());
    Standalone { directory, server }
}

fn tls_options(remote: Remote, configuration: Arc<ClientConfig>) -> Options {
    options([remote]).tls(configuration)
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<watch::Sender<Vec<u8>>>);

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        use tracing_subscriber::util::SubscriberInitExt;
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        (log, subscriber.set_default())
    }

    /// Waits until a line holds all of `words`.
    async fn tells(&self, words: &[&str]) {
        let told = |text: &Vec<u8>| {
            String::from_utf8_lossy(text)
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
        };
        soon(self.0.subscribe().wait_for(told)).await.unwrap();
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_modify(|text| text.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_member_reads_what_it_writes_over_tls() {
    let identity = Identity::of("127.0.0.1");
    let nb = secured(&identity);
    let client = connect(tls_options(nb.server.ssl(), identity.configuration()));
    for number in 0..100 {
        let name = format!("{number}-{}", "x".repeat(10_000));
        commit(&client, vec![add_switch(Uuid::new_v4(), &name)]).await;
    }
    let second = connect(tls_options(nb.server.ssl(), identity.configuration()));
    soon(second.replica().connected()).await.unwrap();
    assert_eq!(
        second.replica().read().table("Logical_Switch"),
        client.replica().read().table("Logical_Switch")
    );
}

#[tokio::test]
async fn a_large_transaction_gets_through_whole() {
    let identity = Identity::of("127.0.0.1");
    let nb = secured(&identity);
    let client = connect(tls_options(nb.server.ssl(), identity.configuration()));
    let name = "x".repeat(20_000_000);
    commit(&client, vec![add_switch(Uuid::new_v4(), &name)]).await;
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (log, _guard) = Log::start();
    let nb = secured(&Identity::of("127.0.0.1"));
    let stranger = Identity::of("127.0.0.1");
    let client = connect(tls_options(nb.server.ssl(), stranger.configuration()));
    log.tells(&["TLS handshake failed", "invalid peer certificate"])
        .await;
    assert_eq!(client.replica().version().epoch, 0);
}

#[tokio::test]
async fn a_server_whose_certificate_names_another_host_is_refused() {
    let (log, _guard) = Log::start();
    let identity = Identity::of("10.0.0.1");
    let nb = secured(&identity);
    let client = connect(tls_options(nb.server.ssl(), identity.configuration()));
    log.tells(&["TLS handshake failed", "not valid for", "127.0.0.1"])
        .await;
    assert_eq!(client.replica().version().epoch, 0);
}

#[tokio::test]
async fn plain_tcp_to_a_server_that_wants_tls_is_told_so() {
    let (log, _guard) = Log::start();
    let nb = secured(&Identity::of("127.0.0.1"));
    let _client = connect(options([nb.server.tcp()]));
    log.tells(&["hung up without a word", "is the remote ssl:?"])
        .await;
}

#[tokio::test]
async fn tls_to_a_server_without_it_fails_in_the_handshake() {
    let (log, _guard) = Log::start();
    let nb = Standalone::northbound();
    let identity = Identity::of("127.0.0.1");
    let _client = connect(tls_options(nb.server.ssl(), identity.configuration()));
    log.tells(&["TLS handshake failed"]).await;
}

#[tokio::test]
async fn an_ssl_remote_without_a_configuration_is_told_so() {
    let (log, _guard) = Log::start();
    let nb = secured(&Identity::of("127.0.0.1"));
    let _client = connect(options([nb.server.ssl()]));
    log.tells(&["an ssl: remote needs a TLS configuration"])
        .await;
}

#[tokio::test]
async fn each_connection_has_a_configuration_of_its_own() {
    let (first, second) = (Identity::of("127.0.0.1"), Identity::of("127.0.0.1"));
    let nb = secured(&first);
    let current = Arc::new(AtomicUsize::new(0));
    let chosen = Arc::clone(&current);
    let configurations = [first.configuration(), second.configuration()];
    let tls = Tls::new(move || {
        Ok::<_, io::Error>(Arc::clone(&configurations[chosen.load(Ordering::Relaxed)]))
    });
    let client = connect(options([nb.server.ssl()]).tls(tls));
    commit(&client, vec![add_switch(Uuid::new_v4(), "before")]).await;

    let Standalone { directory, server } = nb;
    let mut versions = client.replica().watch();
    second.write(directory.path());
    current.store(1, Ordering::Relaxed);
    let _server = server.restart();
    soon(versions.wait_for(|version| version.epoch > 1))
        .await
        .unwrap();
    commit(&client, vec![add_switch(Uuid::new_v4(), "after")]).await;
    sees(&client, &["before", "after"]).await;
}
