//! Servers that live as long as a test, each in its own directory.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use ovsdb::{Backoff, Client, Options, Remote};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Everything a test waits for must come within this time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const NB_SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";
pub(crate) const NB: &str = "OVN_Northbound";

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts real servers and tools"
)]
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null());
    command
}

/// Runs a tool to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = command(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} does not run ({error}): apt-get install openvswitch-switch ovn-common")
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
}

/// Polls a future in the background until it is aborted or ends.
#[expect(clippy::disallowed_methods, reason = "tests have no named tasks")]
pub(crate) fn background(future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(future)
}

/// A future's output, if it comes within [`PATIENCE`].
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("not in time")
}

/// A free port that nobody else of this process gets, below those that the kernel gives to
/// connections: one of them would otherwise take it before the server does.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    const PORTS: u16 = 20_000;
    let first = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap();
    loop {
        let number = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (first + number) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running `ovsdb-server`, killed on drop.
pub(crate) struct Server {
    directory: PathBuf,
    port: u16,
    security: Security,
    child: Child,
}

/// What a server speaks on its TCP port.
#[derive(Clone, Copy)]
enum Security {
    Plain,
    /// With the files `ca.pem`, `cert.pem` and `key.pem` of its directory.
    Tls,
}

impl Server {
    /// A server of the database file `db` in `directory`, on a unix socket and a TCP port there.
    pub(crate) fn start(directory: &Path, port: u16) -> Self {
        Self::spawn(directory, port, Security::Plain)
    }

    /// The same with TLS on the port.
    pub(crate) fn start_tls(directory: &Path, port: u16) -> Self {
        Self::spawn(directory, port, Security::Tls)
    }

    fn spawn(directory: &Path, port: u16, security: Security) -> Self {
        let path = |name: &str| directory.join(name).display().to_string();
        let remote = match security {
            Security::Plain => vec![format!("--remote=ptcp:{port}:127.0.0.1")],
            Security::Tls => vec![
                format!("--remote=pssl:{port}:127.0.0.1"),
                format!("--ca-cert={}", path("ca.pem")),
                format!("--certificate={}", path("cert.pem")),
                format!("--private-key={}", path("key.pem")),
            ],
        };
        let child = command("ovsdb-server")
            .arg(path("db"))
            .arg(format!("--remote=punix:{}", path("sock")))
            .args(remote)
            .arg(format!("--unixctl={}", path("ctl")))
            .arg(format!("--log-file={}", path("log")))
            .arg("--no-chdir")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ovsdb-server does not run: apt-get install openvswitch-switch");
        Self {
            directory: directory.to_owned(),
            port,
            security,
            child,
        }
    }

    pub(crate) fn unix(&self) -> Remote {
        Remote::Unix(self.directory.join("sock"))
    }

    pub(crate) fn tcp(&self) -> Remote {
        Remote::Tcp {
            host: "127.0.0.1".to_owned(),
            port: self.port,
        }
    }

    pub(crate) fn ssl(&self) -> Remote {
        Remote::Ssl {
            host: "127.0.0.1".to_owned(),
            port: self.port,
        }
    }

    /// Ends it without warning, and starts it again.
    pub(crate) fn restart(self) -> Self {
        let (directory, port, security) = (self.directory.clone(), self.port, self.security);
        drop(self);
        Self::spawn(&directory, port, security)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        run("kill", &["-s", signal, &self.child.id().to_string()]);
    }

    /// Sends it a command of ovs-appctl(8).
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let socket = self.directory.join("ctl");
        let output = command("ovs-appctl")
            .arg("-t")
            .arg(socket)
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        assert!(killed.is_ok(), "cannot end our own server: {killed:?}");
    }
}

/// A standalone server with an empty NB database in a directory of its own.
pub(crate) struct Standalone {
    pub(crate) directory: TempDir,
    pub(crate) server: Server,
}

impl Standalone {
    pub(crate) fn start(schema: &str) -> Self {
        let directory = TempDir::new().unwrap();
        create(directory.path(), schema);
        let server = Server::start(directory.path(), free_port());
        Self { directory, server }
    }

    pub(crate) fn northbound() -> Self {
        Self::start(NB_SCHEMA)
    }
}

/// Makes an empty database file in place of the one that may be there.
pub(crate) fn create(directory: &Path, schema: &str) {
    let db = directory.join("db");
    if db.exists() {
        std::fs::remove_file(&db).unwrap();
    }
    run("ovsdb-tool", &["create", db.to_str().unwrap(), schema]);
}

/// A client whose driver runs; it reconnects quickly.
pub(crate) fn connect(mut options: Options) -> Client {
    options.backoff = Backoff {
        min: Duration::from_millis(5),
        max: Duration::from_millis(50),
    };
    let (client, driver) = Client::new(options);
    drop(background(driver.run()));
    client
}
