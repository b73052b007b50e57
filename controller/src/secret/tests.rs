//! Controllers and their Secrets, on an API server in memory.

use std::sync::Arc;

use futures::{FutureExt as _, future::BoxFuture};
use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response, StatusCode};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;

/// Secrets by name, with the semantics of an API server: what exists is not created again, and a
/// write of an old version is a conflict.
#[derive(Debug, Clone, Default)]
struct ApiServer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    secrets: BTreeMap<String, Value>,
    version: u64,
}

// === impl ApiServer ===

impl ApiServer {
    fn keeper(&self) -> Keeper {
        self.keeper_and_identity().0
    }

    fn keeper_and_identity(&self) -> (Keeper, Identity) {
        let server = self.clone();
        let service = tower::service_fn(move |request| server.clone().serve(request));
        Keeper::new(&Client::new(service, "default"), "kube-system")
    }

    fn serve(
        self,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            // others come between a question and the next
            tokio::task::yield_now().await;
            let sent = serde_json::from_slice(&bytes).unwrap_or_default();
            let name = head.uri.path().rsplit('/').next().unwrap();
            let (status, answer) = self.0.lock().answer(&head.method, name, sent);
            let body = Body::from(serde_json::to_vec(&answer).unwrap());
            Ok(Response::builder().status(status).body(body).unwrap())
        }
        .boxed()
    }

    /// What is stored now, without what only counts writes.
    fn stored(&self, name: &str) -> Option<Value> {
        self.0.lock().secrets.get(name).cloned()
    }

    fn store(&self, name: &str, secret: Value) {
        self.0.lock().store(name, secret);
    }

    fn writes(&self) -> u64 {
        self.0.lock().version
    }
}

// === impl State ===

impl State {
    fn answer(&mut self, method: &Method, last: &str, sent: Value) -> (StatusCode, Value) {
        let name = if method == Method::POST {
            sent["metadata"]["name"].as_str().unwrap().to_owned()
        } else {
            last.to_owned()
        };
        match (method, self.secrets.get(&name)) {
            (&Method::GET, Some(secret)) => (StatusCode::OK, secret.clone()),
            (&Method::GET | &Method::PUT, None) => failure(StatusCode::NOT_FOUND),
            (&Method::POST, Some(_)) => failure(StatusCode::CONFLICT),
            (&Method::PUT, Some(secret)) if version(secret) != version(&sent) => {
                failure(StatusCode::CONFLICT)
            }
            _ => (StatusCode::OK, self.store(&name, sent)),
        }
    }

    fn store(&mut self, name: &str, mut secret: Value) -> Value {
        self.version += 1;
        secret["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.secrets.insert(name.to_owned(), secret.clone());
        secret
    }
}

fn version(secret: &Value) -> Option<&Value> {
    secret.pointer("/metadata/resourceVersion")
}

fn failure(status: StatusCode) -> (StatusCode, Value) {
    let reason = status.canonical_reason().unwrap().replace(' ', "");
    let answer = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                        "message": "", "reason": reason, "code": status.as_u16()});
    (status, answer)
}

fn today() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn without_a_secret_one_is_made_whose_key_of_the_authority_stays_apart() {
    let server = ApiServer::default();
    let pem = server.keeper().ensure(today()).await.unwrap();
    assert!(Identity::new(move || Ok(pem.clone())).client().is_ok());

    let secret = server.stored(MEMBERS).unwrap();
    let keys: Vec<_> = secret["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, [AUTHORITIES, CERTIFICATE, KEY]);
    let authority = server.stored(AUTHORITY).unwrap();
    assert_ne!(secret["data"][KEY], authority["data"][KEY]);
    assert_eq!(secret["data"][AUTHORITIES], authority["data"][AUTHORITIES]);
}

#[tokio::test]
async fn a_second_look_writes_nothing() {
    let server = ApiServer::default();
    let first = server.keeper().ensure(today()).await.unwrap();
    let writes = server.writes();
    let tomorrow = today() + DAY;
    assert_eq!(server.keeper().ensure(tomorrow).await.unwrap(), first);
    assert_eq!(server.writes(), writes);
}

#[tokio::test]
async fn controllers_that_start_together_agree() {
    let server = ApiServer::default();
    let keepers = [server.keeper(), server.keeper(), server.keeper()];
    let [a, b, c] = keepers.map(|keeper| async move { keeper.ensure(today()).await.unwrap() });
    let (a, b, c) = tokio::join!(a, b, c);
    assert_eq!(a, b);
    assert_eq!(b, c);
    assert_eq!(server.writes(), 2);
}

#[tokio::test]
async fn a_certificate_is_renewed_before_its_end_by_the_same_authority() {
    let server = ApiServer::default();
    let first = server.keeper().ensure(today()).await.unwrap();
    let late = today() + TERM_OF_MEMBERS.lifetime - TERM_OF_MEMBERS.renewed_before;
    let second = server.keeper().ensure(late).await.unwrap();
    assert_ne!(second.certificate, first.certificate);
    assert_ne!(second.key, first.key);
    assert_eq!(second.authorities, first.authorities);
}

#[tokio::test]
async fn the_successor_of_an_authority_is_believed_beside_it() {
    let server = ApiServer::default();
    let first = server.keeper().ensure(today()).await.unwrap();
    let late = today() + TERM_OF_AUTHORITY.lifetime - TERM_OF_AUTHORITY.renewed_before;
    let second = server.keeper().ensure(late).await.unwrap();
    assert!(second.authorities.ends_with(&first.authorities));
    assert_ne!(second.authorities, first.authorities);
    assert_eq!(server.keeper().ensure(late).await.unwrap(), second);
}

#[tokio::test]
async fn a_lost_authority_is_replaced_together_with_what_it_signed() {
    let server = ApiServer::default();
    let first = server.keeper().ensure(today()).await.unwrap();
    server.0.lock().secrets.remove(AUTHORITY);
    let second = server.keeper().ensure(today()).await.unwrap();
    assert_ne!(second.authorities, first.authorities);
    assert_ne!(second.certificate, first.certificate);
}

#[tokio::test]
async fn a_secret_that_somebody_else_made_is_used_and_never_changed() {
    let server = ApiServer::default();
    let data = json!({ "cacert": "YQ==", "cert": "Yg==", "key": "Yw==" });
    server.store(
        MEMBERS,
        json!({ "metadata": { "name": MEMBERS }, "data": data }),
    );
    let pem = server.keeper().ensure(today()).await.unwrap();
    assert_eq!(
        [pem.authorities, pem.certificate, pem.key],
        ["a", "b", "c"].map(str::to_owned)
    );
    assert_eq!(server.writes(), 1);
}

#[tokio::test]
async fn what_a_secret_lacks_is_named_with_the_remedy() {
    let server = ApiServer::default();
    let secret = json!({ "metadata": { "name": MEMBERS }, "data": { "cacert": "YQ==" } });
    server.store(MEMBERS, secret);
    let error = server.keeper().ensure(today()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Secret kube-ovn-tls lacks `cert`: add it, or delete the Secret to have another made"
    );
}

#[tokio::test]
async fn connections_have_no_certificate_until_there_is_one() {
    let (keeper, identity) = ApiServer::default().keeper_and_identity();
    assert!(matches!(identity.client(), Err(TlsError::Absent)));
    let shutdown = Shutdown::new();
    let mut current = keeper.current.subscribe();
    let kept = kit::spawn("keeper", keeper.run(shutdown.clone()));
    current.wait_for(Option::is_some).await.unwrap();
    assert!(identity.client().is_ok());
    shutdown.cancel();
    kept.await.unwrap().unwrap();
}
