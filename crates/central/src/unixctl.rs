//! The control socket of OVN's and Open vSwitch's programs (ovs-appctl(8)): JSON-RPC 1.0.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

/// How long an answer may take; a busy northd answers between two runs.
const PATIENCE: Duration = Duration::from_secs(5);
/// No answer that we ask for is longer.
const LONGEST: usize = 1 << 20;

/// Why a program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnixctlError {
    #[error("{} cannot be reached", socket.display())]
    Unreachable { socket: PathBuf, source: io::Error },
    #[error("{} gave no answer in {PATIENCE:?}", socket.display())]
    Silent { socket: PathBuf },
    #[error("{} gave no readable answer", socket.display())]
    Unreadable { socket: PathBuf },
    #[error("{} refused: {said}", socket.display())]
    Refused { socket: PathBuf, said: String },
}

#[derive(Debug, Deserialize)]
struct Reply {
    result: Option<String>,
    error: Option<String>,
}

/// The socket of a program that was not given another.
pub(crate) fn socket(directory: &Path, program: &str, pid: u32) -> PathBuf {
    directory.join(format!("{program}.{pid}.ctl"))
}

/// Sends a command and returns what the program answers.
///
/// # Errors
/// See [`UnixctlError`].
pub(crate) async fn ask(socket: &Path, command: &str) -> Result<String, UnixctlError> {
    tell(socket, command, &[]).await
}

/// Sends a command with arguments and returns what the program answers.
///
/// # Errors
/// See [`UnixctlError`].
pub(crate) async fn tell(
    socket: &Path,
    command: &str,
    arguments: &[&str],
) -> Result<String, UnixctlError> {
    let owned = || socket.to_owned();
    let request = json!({ "id": 0, "method": command, "params": arguments }).to_string();
    let reply = timeout(PATIENCE, exchange(socket, &request))
        .await
        .map_err(|_elapsed| UnixctlError::Silent { socket: owned() })?
        .map_err(|source| UnixctlError::Unreachable {
            socket: owned(),
            source,
        })?;
    match reply {
        Some(Reply {
            error: Some(said), ..
        }) => Err(UnixctlError::Refused {
            socket: owned(),
            said: said.trim().to_owned(),
        }),
        Some(Reply {
            result: Some(text), ..
        }) => Ok(text.trim().to_owned()),
        Some(_) | None => Err(UnixctlError::Unreadable { socket: owned() }),
    }
}

/// `None` when what comes is no reply.
async fn exchange(socket: &Path, request: &str) -> io::Result<Option<Reply>> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    // nothing ends a message but its last brace
    while stream.read_buf(&mut bytes).await? > 0 && bytes.len() < LONGEST {
        match serde_json::from_slice(&bytes) {
            Ok(reply) => return Ok(Some(reply)),
            Err(error) if error.is_eof() => {}
            Err(_unreadable) => return Ok(None),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// Serves one client with these pieces of an answer.
    async fn answer(listener: UnixListener, pieces: &[&str]) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 1024];
        let length = stream.read(&mut request).await.unwrap();
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        request.truncate(length);
        String::from_utf8(request).unwrap()
    }

    async fn told(pieces: &[&str]) -> (String, Result<String, UnixctlError>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("x.ctl");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::join!(answer(listener, pieces), ask(&socket, "status"))
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_put_together() {
        let (request, answer) = told(&[
            "{\"id\":0,\"result\":\"Status:",
            " active\\n\",\"error\":null}",
        ])
        .await;
        assert_eq!(answer.unwrap(), "Status: active");
        assert_eq!(request, r#"{"id":0,"method":"status","params":[]}"#);
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_program_s_words() {
        let (_, answer) =
            told(&[r#"{"id":0,"result":null,"error":"\"x\" is no command\n"}"#]).await;
        let error = answer.unwrap_err().to_string();
        assert!(error.ends_with("refused: \"x\" is no command"), "{error}");
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_at_is_named() {
        let error = ask(Path::new("/absent/x.ctl"), "status").await.unwrap_err();
        assert_eq!(error.to_string(), "/absent/x.ctl cannot be reached");
    }
}
