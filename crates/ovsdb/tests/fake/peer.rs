//! A server that does what a test says, over a real unix socket.

use std::{path::PathBuf, time::Duration};

use ovsdb::{Backoff, Client, Columns, Options, Remote, Uuid};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

pub(crate) const ROW: Uuid = Uuid::from_u128(1);

/// A future's output, if it comes soon enough.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("not in time")
}

/// A client whose driver runs.
#[expect(clippy::disallowed_methods, reason = "tests have no named tasks")]
pub(crate) fn connect(options: Options) -> Client {
    let (client, driver) = Client::new(options);
    drop(tokio::spawn(driver.run()));
    client
}

/// A listening socket in a directory of its own.
pub(crate) struct Fake {
    listener: UnixListener,
    path: PathBuf,
    _directory: TempDir,
}

impl Fake {
    pub(crate) fn listen() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        Self {
            listener,
            path,
            _directory: directory,
        }
    }

    pub(crate) fn options(&self) -> Options {
        let mut options =
            Options::new(vec![Remote::Unix(self.path.clone())], "D").table("T", Columns::All);
        options.backoff = Backoff {
            min: Duration::from_millis(1),
            max: Duration::from_millis(5),
        };
        options.max_message = 1 << 16;
        options
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        Peer {
            stream,
            input: Vec::new(),
        }
    }

    /// The next connection, brought to the point where the client has a copy with one row.
    pub(crate) async fn serve(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.refuse("set_db_change_aware").await;
        peer.answer("get_schema", schema()).await;
        let rows = json!({ "T": { ROW.to_string(): { "initial": { "name": "a" } } } });
        peer.answer("monitor_cond_since", json!([false, Uuid::nil(), rows]))
            .await;
        peer
    }
}

/// The server's side of a connection.
pub(crate) struct Peer {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Peer {
    /// The next message of the client.
    pub(crate) async fn receive(&mut self) -> Value {
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.input).into_iter();
            if let Some(Ok(value)) = values.next() {
                let length = values.byte_offset();
                self.input.drain(..length);
                return value;
            }
            let read = soon(self.stream.read_buf(&mut self.input)).await.unwrap();
            assert!(read > 0, "the client closed the connection");
        }
    }

    /// Waits until the client closes the connection.
    pub(crate) async fn closed(&mut self) {
        while matches!(soon(self.stream.read_buf(&mut self.input)).await, Ok(1..)) {}
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    pub(crate) async fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({ "id": null, "method": method, "params": params }).to_string())
            .await;
    }

    /// Expects a request and returns its id.
    pub(crate) async fn expect(&mut self, method: &str) -> Value {
        let mut request = self.receive().await;
        assert_eq!(request["method"], method);
        request["id"].take()
    }

    pub(crate) async fn answer(&mut self, method: &str, result: Value) {
        let id = self.expect(method).await;
        self.send(json!({ "id": id, "result": result, "error": null }).to_string())
            .await;
    }

    pub(crate) async fn refuse(&mut self, method: &str) {
        let id = self.expect(method).await;
        let reply = json!({ "id": id, "result": null, "error": "unknown method" });
        self.send(reply.to_string()).await;
    }
}

pub(crate) fn schema() -> Value {
    json!({ "name": "D", "version": "1.0.0", "tables": { "T": { "columns": {
        "name": { "type": "string" },
        "tags": { "type": { "key": "string", "min": 0, "max": "unlimited" } },
    } } } })
}

/// The name of the only row that a client sees.
pub(crate) fn name(client: &Client) -> Option<String> {
    let database = client.replica().read();
    database.row("T", ROW).map(|row| row.str("name").to_owned())
}

/// Waits until a client is connected for the n-th time, and sees this name.
pub(crate) async fn sees(client: &Client, epoch: u64, wanted: &str) {
    let mut versions = client.replica().watch();
    let seen = versions.wait_for(|version| {
        version.connected && version.epoch == epoch && name(client).as_deref() == Some(wanted)
    });
    soon(seen).await.unwrap();
}
