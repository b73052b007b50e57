//! The built program: what it serves and how it ends.

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use kit::backoff::Backoff;
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    use tempfile::TempDir;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
        process::{Child, Command},
        time::timeout,
    };
    use tonic::transport::Endpoint;
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };

    const IN_TIME: Duration = Duration::from_secs(20);

    #[expect(clippy::disallowed_methods, reason = "the program that is tested")]
    fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nat-gateway"));
        command.env_clear().kill_on_drop(true);
        command
    }

    /// The running program with its sockets in a folder of its own.
    struct Program {
        child: Child,
        agent: PathBuf,
        admin: PathBuf,
        _folder: TempDir,
    }

    impl Program {
        fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (agent, admin) = (
                folder.path().join("agent.sock"),
                folder.path().join("admin.sock"),
            );
            let mut command = command();
            command
                .arg("--bind-socket")
                .arg(&agent)
                .arg("--admin-socket")
                .arg(&admin);
            let child = command.spawn().unwrap();
            Self {
                child,
                agent,
                admin,
                _folder: folder,
            }
        }

        async fn health(&self) -> ServingStatus {
            drop(connect(&self.agent).await);
            let endpoint = format!("unix://{}", self.agent.display());
            let channel = Endpoint::from_shared(endpoint)
                .unwrap()
                .connect()
                .await
                .unwrap();
            let reply = HealthClient::new(channel)
                .check(HealthCheckRequest::default())
                .await;
            reply.unwrap().into_inner().status()
        }

        async fn get(&self, path: &str) -> String {
            let mut stream = connect(&self.admin).await;
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            response
        }
    }

    /// Connects as soon as the program listens.
    async fn connect(socket: &PathBuf) -> UnixStream {
        let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
        let connected = timeout(IN_TIME, async {
            loop {
                match UnixStream::connect(socket).await {
                    Ok(stream) => return stream,
                    Err(_not_yet) => backoff.wait().await,
                }
            }
        });
        connected.await.unwrap()
    }

    #[tokio::test]
    async fn it_is_healthy_and_says_that_it_is_not_ready() {
        let program = Program::start();
        assert_eq!(program.health().await, ServingStatus::NotServing);
        assert!(program.get("/healthz").await.starts_with("HTTP/1.0 200 "));
        assert!(
            program
                .get("/readyz")
                .await
                .ends_with("rules: not implemented\n")
        );
    }

    #[tokio::test]
    async fn metrics_are_served_on_a_unix_socket() {
        let metrics = Program::start().get("/metrics").await;
        assert!(
            metrics.contains("\nprocess_start_time_seconds "),
            "{metrics}"
        );
    }

    #[tokio::test]
    async fn a_signal_ends_it_gracefully_and_removes_its_sockets() {
        let mut program = Program::start();
        drop((connect(&program.agent).await, connect(&program.admin).await));
        kill(
            Pid::from_raw(program.child.id().unwrap().cast_signed()),
            Signal::SIGTERM,
        )
        .unwrap();
        let ended = timeout(IN_TIME, program.child.wait())
            .await
            .unwrap()
            .unwrap();
        assert!(ended.success());
        assert!(!program.agent.exists() && !program.admin.exists());
    }

    #[tokio::test]
    async fn help_says_what_it_does_not_do_yet() {
        let output = command().arg("--help").output().await.unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            help.contains("Not yet") && help.contains("never ready"),
            "{help}"
        );
    }
}
