//! The built program: what it serves and how it ends.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, process::Stdio, time::Duration};

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    use serde_json::Value;
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpStream,
        process::{Child, Command},
        time::timeout,
    };
    use tonic::transport::Endpoint;
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };

    const IN_TIME: Duration = Duration::from_secs(20);

    /// The running program, and the addresses that it logged by message.
    struct Program {
        child: Child,
        addresses: BTreeMap<String, String>,
    }

    #[expect(clippy::disallowed_methods, reason = "the program that is tested")]
    fn command(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinger"));
        command.args(arguments).env_clear().kill_on_drop(true);
        command
    }

    /// The message of a log line, and where it says that the program listens.
    fn address(line: &str) -> Option<(String, String)> {
        let line: Value = serde_json::from_str(line).unwrap();
        let (message, listen) = (line["message"].as_str()?, line["listen"].as_str()?);
        Some((message.to_owned(), listen.to_owned()))
    }

    impl Program {
        /// Starts it on free ports, and waits until it serves on both.
        async fn start() -> Self {
            let arguments = ["--admin-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0"];
            let mut child = command(&arguments)
                .arg("--log-format=json")
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let mut addresses = BTreeMap::new();
            while addresses.len() < 2 {
                let line = timeout(IN_TIME, lines.next_line()).await.unwrap().unwrap();
                addresses.extend(address(&line.expect("still running")));
            }
            Self { child, addresses }
        }

        async fn end(mut self, signal: Signal) -> bool {
            let pid = Pid::from_raw(self.child.id().unwrap().cast_signed());
            kill(pid, signal).unwrap();
            timeout(IN_TIME, self.child.wait())
                .await
                .unwrap()
                .unwrap()
                .success()
        }
    }

    #[tokio::test]
    async fn health_is_served_over_grpc() {
        let program = Program::start().await;
        let endpoint = format!("http://{}", program.addresses["Serving gRPC"]);
        let channel = Endpoint::from_shared(endpoint)
            .unwrap()
            .connect()
            .await
            .unwrap();
        let reply = HealthClient::new(channel)
            .check(HealthCheckRequest::default())
            .await;
        assert_eq!(reply.unwrap().into_inner().status(), ServingStatus::Serving);
    }

    #[tokio::test]
    async fn metrics_are_served_and_claim_no_probe() {
        let program = Program::start().await;
        let address = &program.addresses["Serving health and metrics"];
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
            .await
            .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(
            response.contains("\nprocess_start_time_seconds "),
            "{response}"
        );
        assert!(!response.contains("pinger_"), "{response}");
    }

    #[tokio::test]
    async fn a_signal_ends_it_gracefully_even_when_nobody_reads_its_log() {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            assert!(Program::start().await.end(signal).await, "{signal}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_ends_it_with_an_error() {
        let program = Program::start().await;
        let address = &program.addresses["Serving health and metrics"];
        let arguments = ["--grpc-address=127.0.0.1:0", "--admin-address", address];
        let output = timeout(IN_TIME, command(&arguments).output())
            .await
            .unwrap()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(
            stderr.contains(&format!("cannot listen on {address}")),
            "{stderr}"
        );
    }

    #[tokio::test]
    async fn help_says_what_it_does_not_do_yet() {
        let output = command(&["--help"]).output().await.unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Not yet"), "{help}");
        assert!(help.contains("[default: [::]:8080]"), "{help}");
    }
}
