//! Candidates and one lease, on an API server in memory that can be cut off. The time is virtual.

use std::{convert::Infallible, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};
use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response, StatusCode};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;

const DURATION: Duration = Duration::from_secs(15);

/// One `Lease` with the semantics of an API server: a write of an old version is a conflict.
#[derive(Debug, Clone, Default)]
struct ApiServer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    is_cut_off: bool,
}

// === impl ApiServer ===

impl ApiServer {
    fn election(&self, identity: &str) -> Election {
        let server = self.clone();
        let service = tower::service_fn(move |request| server.clone().serve(request));
        let config = LeaseConfig {
            namespace: "kube-system".to_owned(),
            name: "controller".to_owned(),
            identity: identity.to_owned(),
            annotations: BTreeMap::from([("address".to_owned(), identity.to_owned())]),
            duration: DURATION,
        };
        Election::new(Client::new(service, "default"), config)
    }

    fn serve(
        self,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            if self.0.lock().is_cut_off {
                return std::future::pending().await;
            }
            let sent = serde_json::from_slice(&bytes).unwrap_or_default();
            let (status, answer) = self.0.lock().answer(&head.method, sent);
            let body = Body::from(serde_json::to_vec(&answer).unwrap());
            Ok(Response::builder().status(status).body(body).unwrap())
        }
        .boxed()
    }

    fn cut_off(&self, is_cut_off: bool) {
        self.0.lock().is_cut_off = is_cut_off;
    }

    fn field(&self, pointer: &str) -> Value {
        let state = self.0.lock();
        let found = state.lease.as_ref().and_then(|it| it.pointer(pointer));
        found.cloned().unwrap_or_default()
    }

    fn holder(&self) -> Value {
        self.field("/spec/holderIdentity")
    }
}

// === impl State ===

impl State {
    fn answer(&mut self, method: &Method, sent: Value) -> (StatusCode, Value) {
        match (method, &self.lease) {
            (&Method::GET, Some(lease)) => (StatusCode::OK, lease.clone()),
            (&Method::GET | &Method::PUT, None) => failure(StatusCode::NOT_FOUND),
            (&Method::POST, Some(_)) => failure(StatusCode::CONFLICT),
            (&Method::PUT, Some(lease)) if version(lease) != version(&sent) => {
                failure(StatusCode::CONFLICT)
            }
            _ => self.store(sent),
        }
    }

    fn store(&mut self, mut lease: Value) -> (StatusCode, Value) {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        (StatusCode::OK, lease)
    }
}

fn version(lease: &Value) -> Option<&Value> {
    lease.pointer("/metadata/resourceVersion")
}

fn failure(status: StatusCode) -> (StatusCode, Value) {
    let reason = status.canonical_reason().unwrap().replace(' ', "");
    let answer = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                        "message": "", "reason": reason, "code": status.as_u16()});
    (status, answer)
}

#[tokio::test(start_paused = true)]
async fn the_first_candidate_writes_its_name_and_annotations() {
    let server = ApiServer::default();
    server.election("a").win().await;
    assert_eq!(server.holder(), "a");
    assert_eq!(server.field("/metadata/annotations/address"), "a");
    assert_eq!(server.field("/spec/leaseDurationSeconds"), 15);
}

#[tokio::test(start_paused = true)]
async fn while_the_holder_renews_nobody_else_wins() {
    let server = ApiServer::default();
    let (a, b) = (server.election("a"), server.election("b"));
    let tenure = a.win().await;
    let hour = Duration::from_hours(1);
    let both = async {
        tokio::select! {
            lost = a.hold(tenure) => panic!("{lost}"),
            _tenure = b.win() => panic!("b won"),
        }
    };
    assert!(timeout(hour, both).await.is_err());
    assert_eq!(server.holder(), "a");
    assert_eq!(server.field("/spec/leaseTransitions"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_holder_is_followed_after_the_duration() {
    let server = ApiServer::default();
    drop(server.election("a").win().await);
    let began = Instant::now();
    server.election("b").win().await;
    let waited = began.elapsed();
    assert!(waited >= DURATION, "{waited:?}");
    assert!(waited < DURATION + Duration::from_secs(3), "{waited:?}");
    assert_eq!(server.holder(), "b");
}

#[tokio::test(start_paused = true)]
async fn of_two_candidates_for_an_expired_lease_one_wins() {
    let server = ApiServer::default();
    drop(server.election("gone").win().await);
    let (a, b) = (server.election("a"), server.election("b"));
    let first = tokio::select! {
        tenure = a.win() => (tenure, "a"),
        tenure = b.win() => (tenure, "b"),
    };
    assert_eq!(server.holder(), first.1);
    assert_eq!(server.field("/spec/leaseTransitions"), 2);
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_gives_up_before_anybody_else_can_win() {
    let server = ApiServer::default();
    let a = server.election("a");
    let tenure = a.win().await;
    let began = Instant::now();
    server.cut_off(true);
    let lost = a.hold(tenure).await;
    assert!(matches!(lost, Lost::NotRenewed { .. }), "{lost}");
    assert!(began.elapsed() <= DURATION * 2 / 3 + Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn an_annotation_by_somebody_else_is_kept_and_does_not_end_the_tenure() {
    let server = ApiServer::default();
    let a = server.election("a");
    let tenure = a.win().await;
    {
        let mut state = server.0.lock();
        let mut edited = state.lease.clone().unwrap();
        edited["metadata"]["annotations"]["note"] = json!("mine");
        state.store(edited);
    }
    let held = timeout(DURATION * 10, a.hold(tenure)).await;
    assert!(held.is_err(), "{held:?}");
    assert_eq!(server.field("/metadata/annotations/note"), "mine");
}

#[tokio::test(start_paused = true)]
async fn who_finds_another_name_in_the_lease_has_lost_it() {
    let server = ApiServer::default();
    let a = server.election("a");
    let tenure = a.win().await;
    server.cut_off(true);
    let waiting = timeout(DURATION / 3, a.hold(tenure)).await;
    assert!(waiting.is_err());
    server.cut_off(false);
    let again = a.win().await;
    server.0.lock().lease.as_mut().unwrap()["spec"]["holderIdentity"] = json!("b");
    server.0.lock().lease.as_mut().unwrap()["metadata"]["resourceVersion"] = json!("99");
    let lost = a.hold(again).await;
    assert!(matches!(lost, Lost::Taken { holder, .. } if holder == "b"));
}

#[tokio::test(start_paused = true)]
async fn a_namesake_that_comes_later_ends_the_tenure_of_the_first() {
    let server = ApiServer::default();
    let first = server.election("a");
    let tenure = first.win().await;
    let second = server.election("a").win().await;
    let lost = first.hold(tenure).await;
    assert!(matches!(lost, Lost::Taken { .. }), "{lost}");
    assert_ne!(second.term(), Term(1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_given_back_is_taken_without_waiting() {
    let server = ApiServer::default();
    let a = server.election("a");
    let term = a.win().await.term();
    a.release(term).await.unwrap();
    let began = Instant::now();
    let b = server.election("b").win().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    a.release(term).await.unwrap();
    assert_eq!(server.holder(), "b");
    assert_eq!(b.term(), Term(2));
}

#[tokio::test(start_paused = true)]
async fn who_was_stopped_may_not_write_before_it_hears_that_the_lease_is_lost() {
    let server = ApiServer::default();
    let a = server.election("a");
    let tenure = a.win().await;
    let permit = tenure.permit();
    let held = timeout(DURATION * 3, a.hold(tenure)).await;
    assert!(held.is_err(), "{held:?}");
    assert!(permit.holds(), "a holder that renews may write");
    // from here on nothing of it runs
    server.election("b").win().await;
    assert!(!permit.holds(), "b leads");
    assert!(Permit::always().holds());
}
