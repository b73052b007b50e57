//! CNI commands, served to the plugin over gRPC.
//!
//! ```text
//! request (parse) -> pod (wait for the allocation) -> plan (steps) -> execute -> answer
//! ```
//!
//! A command runs to its end, undo included, also when the caller hangs up: the runtime would
//! otherwise leave half an attachment behind. Commands of one sandbox take turns.

use std::sync::Arc;

use daemon_plan::Redirection;
use kit::error::Chain;
use kit::readiness::Readiness;
use proto::cni::v1::cni_server::Cni;
use proto::cni::v1::{CniReply, CniRequest};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};
use tonic::{Request, Response, Status};

use crate::host::Host;
use crate::metrics::Outcome;
use crate::node::Facts;
use crate::object::Subnet;
use crate::table::Table;

mod add;
mod answer;
mod check;
mod execute;
mod failure;
mod pod;
mod release;
mod request;
mod turns;

pub(crate) use failure::Failure;
pub(crate) use pod::Pods;
use request::{Command, Config, Sandbox};
pub(crate) use turns::Turns;

/// The CNI service of this node.
#[derive(Debug, Clone)]
pub(crate) struct Service(Arc<Agent>);

/// All that commands need.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) host: Host,
    pub(crate) pods: Pods,
    pub(crate) subnets: watch::Receiver<Table<Subnet>>,
    pub(crate) facts: watch::Receiver<Option<Facts>>,
    /// The rules and tables of the node, as they were last made.
    pub(crate) redirection: watch::Receiver<Redirection>,
    pub(crate) readiness: Readiness,
    /// How long a command may take.
    pub(crate) limit: Duration,
    pub(crate) turns: Turns,
}

type Answer = Result<Vec<u8>, Failure>;

// === impl Service ===

impl Service {
    pub(crate) fn new(agent: Agent) -> Self {
        Self(Arc::new(agent))
    }

    async fn serve(
        &self,
        command: Command,
        request: Request<CniRequest>,
    ) -> Result<Response<CniReply>, Status> {
        let agent = Arc::clone(&self.0);
        let request = request.into_inner();
        let work = async move { agent.run(command, &request).await };
        let answer = kit::spawn("cni", work).await;
        let answer = answer.map_err(|panic| Status::internal(panic.to_string()))?;
        Ok(Response::new(answer::reply(answer)))
    }
}

#[tonic::async_trait]
impl Cni for Service {
    async fn add(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.serve(Command::Add, request).await
    }

    async fn del(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.serve(Command::Del, request).await
    }

    async fn check(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.serve(Command::Check, request).await
    }

    async fn gc(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.serve(Command::Gc, request).await
    }

    async fn status(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.serve(Command::Status, request).await
    }
}

// === impl Agent ===

impl Agent {
    async fn run(&self, command: Command, request: &CniRequest) -> Answer {
        let started = Instant::now();
        let answer = self.command(command, request, started + self.limit).await;
        let took = started.elapsed();
        self.host
            .metrics
            .cni(command.name(), Outcome::of(&answer), took);
        let id = &request.container_id;
        match &answer {
            Ok(_) => tracing::info!(command = command.name(), id, ?took, "CNI command done"),
            Err(failure) => {
                let error = Chain(failure).to_string();
                tracing::warn!(
                    command = command.name(),
                    id,
                    ?took,
                    error,
                    "CNI command failed"
                );
            }
        }
        answer
    }

    async fn command(&self, command: Command, request: &CniRequest, deadline: Instant) -> Answer {
        let config = Config::parse(command, &request.config)?;
        match command {
            Command::Add => self.add(config, request, deadline).await,
            Command::Del => {
                let sandbox = Sandbox::parse(request)?;
                let _turn = self.turn(&sandbox, deadline).await?;
                self.release(&sandbox, deadline).await
            }
            Command::Check => self.check(&Sandbox::parse(request)?, request).await,
            Command::Gc => self.collect(&config, deadline).await,
            Command::Status => self.status(),
        }
    }

    async fn add(&self, config: Config, request: &CniRequest, deadline: Instant) -> Answer {
        let request = request::Attach::parse(config, request)?;
        let _turn = self.turn(&request.sandbox, deadline).await?;
        self.attach(&request, deadline).await
    }

    async fn turn(&self, sandbox: &Sandbox, deadline: Instant) -> Result<turns::Turn, Failure> {
        let turn = tokio::time::timeout_at(deadline, self.turns.take(sandbox)).await;
        turn.map_err(|_elapsed| Failure::Busy {
            sandbox: sandbox.to_string(),
        })
    }

    fn status(&self) -> Answer {
        if self.readiness.missing().is_empty() {
            return Ok(Vec::new());
        }
        Err(self.not_ready())
    }

    fn not_ready(&self) -> Failure {
        let missing = self.readiness.missing();
        let lines = missing.iter().map(|(name, why)| format!("{name}: {why}"));
        Failure::NotReady {
            missing: lines.collect::<Vec<_>>().join("; "),
        }
    }
}
