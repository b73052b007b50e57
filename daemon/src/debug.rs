//! The gRPC service that shows what the node should be like, what it is, and why. It writes nothing.
//!
//! The only owner is the node itself; attachments of pods belong to the runtime that asked for them.

mod rows;

use daemon_plan::NodeState;
use futures::stream::{self, Iter};
use kit::error::Chain;
use kit::readiness::Readiness;
use model::NodeName;
use proto::debug::v1::debug_server::Debug;
use proto::debug::v1::{
    Change, CheckRequest, DumpRequest, ExplainRequest, Explanation, Finding, GatewaySet,
    GatewaysRequest, OwnerRows, PlanRequest,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use self::rows::Rows;
use crate::host::Host;

/// Answers from what was last planned, and from the kernel and Open vSwitch at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) node: NodeName,
    pub(crate) host: Host,
    pub(crate) desired: watch::Receiver<Option<NodeState>>,
    pub(crate) readiness: Readiness,
}

type Answers<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;

// === impl Service ===

impl Service {
    fn owner(&self) -> String {
        format!("node/{}", self.node)
    }

    /// Whether the owner is asked for: by its name, by its kind, or with all.
    fn is_asked(&self, owners: &[String]) -> Result<(), Status> {
        let owner = self.owner();
        let unknown = owners
            .iter()
            .find(|name| **name != owner && **name != "node");
        unknown.map_or(Ok(()), |name| {
            Err(Status::not_found(format!(
                "there is no owner {name}; there is {owner}"
            )))
        })
    }

    /// Desired and actual rows.
    async fn look(&self) -> Result<(Rows, Rows), Status> {
        let state = self.desired.borrow().clone();
        let unplanned = || {
            let missing = self.problems().join("; ");
            Status::unavailable(format!("the node has not been planned yet: {missing}"))
        };
        let state = state.ok_or_else(unplanned)?;
        let actual = rows::actual(&self.host, &state).await;
        let actual = actual.map_err(|error| Status::unavailable(Chain(&error).to_string()))?;
        Ok((rows::desired(&state), actual))
    }

    /// What is not ready, with its reason.
    fn problems(&self) -> Vec<String> {
        let missing = self.readiness.missing();
        missing
            .iter()
            .map(|(name, why)| format!("{name}: {why}"))
            .collect()
    }
}

fn answers<T>(answers: Vec<T>) -> Response<Answers<T>> {
    Response::new(stream::iter(
        answers.into_iter().map(Ok).collect::<Vec<_>>(),
    ))
}

#[tonic::async_trait]
impl Debug for Service {
    type DumpStream = Answers<OwnerRows>;
    type PlanStream = Answers<Change>;
    type ExplainStream = Answers<Explanation>;
    type CheckStream = Answers<Finding>;
    type GatewaysStream = Answers<GatewaySet>;

    async fn dump(
        &self,
        request: Request<DumpRequest>,
    ) -> Result<Response<Self::DumpStream>, Status> {
        self.is_asked(&request.get_ref().owners)?;
        let (desired, actual) = self.look().await?;
        Ok(answers(vec![OwnerRows {
            owner: self.owner(),
            desired: rows::printed(&desired),
            actual: rows::printed(&actual),
            problems: self.problems(),
        }]))
    }

    async fn plan(
        &self,
        request: Request<PlanRequest>,
    ) -> Result<Response<Self::PlanStream>, Status> {
        self.is_asked(&request.get_ref().owners)?;
        let (desired, actual) = self.look().await?;
        Ok(answers(rows::changes(&self.owner(), &desired, &actual)))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<Self::ExplainStream>, Status> {
        let name = &request.get_ref().name;
        let (desired, actual) = self.look().await?;
        let owner = self.owner();
        let fits = |row: &&String| *name == owner || row.contains(name.as_str());
        let explanations = rows::names(&desired, &actual).filter(fits).map(|row| {
            let standing = rows::standing(desired.get(row), actual.get(row));
            Explanation {
                row: row.clone(),
                uuid: String::new(),
                owner: owner.clone(),
                object: format!("node {}", self.node),
                standing: standing.into(),
                problems: self.problems(),
            }
        });
        let explanations: Vec<_> = explanations.collect();
        if explanations.is_empty() {
            return Err(Status::not_found(format!(
                "no row of this node has `{name}`"
            )));
        }
        Ok(answers(explanations))
    }

    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<Self::CheckStream>, Status> {
        Err(Status::unimplemented("only controllers check their plan"))
    }

    async fn gateways(
        &self,
        _: Request<GatewaysRequest>,
    ) -> Result<Response<Self::GatewaysStream>, Status> {
        Err(Status::unimplemented("only controllers know the gateways"))
    }
}
