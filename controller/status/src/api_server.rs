//! An API server in memory, for tests of what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Objects by path, as `/apis/kubeovn.io/v1/subnets/a`: creating one that exists is a conflict, and
/// patches are merged.
#[derive(Debug, Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Value>,
    /// Of these nothing is written.
    refused: BTreeSet<String>,
    writes: u64,
}

// === impl ApiServer ===

impl ApiServer {
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request| server.clone().serve(request));
        Client::new(service, "default")
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.0.lock().objects.insert(path.to_owned(), object);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().objects.get(path).cloned()
    }

    /// Every object whose path begins so.
    pub(crate) fn list(&self, prefix: &str) -> Vec<Value> {
        let state = self.0.lock();
        let found = state.objects.iter();
        let found = found.filter(|(path, _)| path.starts_with(prefix));
        found.map(|(_, object)| object.clone()).collect()
    }

    pub(crate) fn refuse(&self, path: &str) {
        self.0.lock().refused.insert(path.to_owned());
    }

    pub(crate) fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    fn serve(
        self,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let sent = serde_json::from_slice(&bytes).unwrap_or_default();
            let (status, answer) = self.0.lock().answer(&head.method, head.uri.path(), sent);
            let body = Body::from(serde_json::to_vec(&answer).unwrap());
            Ok(Response::builder().status(status).body(body).unwrap())
        }
        .boxed()
    }
}

// === impl State ===

impl State {
    fn answer(&mut self, method: &Method, path: &str, sent: Value) -> (StatusCode, Value) {
        let name = sent["metadata"]["name"].as_str();
        let path = match (method, name) {
            (&Method::POST, Some(name)) => format!("{path}/{name}"),
            _ => path.trim_end_matches("/status").to_owned(),
        };
        if *method != Method::GET && self.refused.contains(&path) {
            return failure(StatusCode::UNPROCESSABLE_ENTITY);
        }
        match (method, self.objects.get_mut(&path)) {
            (&Method::GET, Some(object)) => (StatusCode::OK, object.clone()),
            (&Method::GET, None) => self.listed(&path),
            (&Method::POST, Some(_)) => failure(StatusCode::CONFLICT),
            (&Method::POST, None) => {
                self.writes += 1;
                self.objects.insert(path, sent.clone());
                (StatusCode::CREATED, sent)
            }
            (&Method::PATCH, Some(object)) if is_of_another(object, &sent) => {
                let (code, mut status) = failure(StatusCode::UNPROCESSABLE_ENTITY);
                status["details"] = json!({"causes": [{"field": "metadata.uid"}]});
                (code, status)
            }
            (&Method::PATCH, Some(object)) => {
                self.writes += 1;
                merge(object, &sent);
                (StatusCode::OK, object.clone())
            }
            _ => failure(StatusCode::NOT_FOUND),
        }
    }

    /// Names of collections are plural, those of objects in tests are not.
    fn listed(&self, path: &str) -> (StatusCode, Value) {
        if !path.ends_with('s') {
            return failure(StatusCode::NOT_FOUND);
        }
        let prefix = format!("{path}/");
        let found = self.objects.iter();
        let found = found.filter(|(path, _)| path.starts_with(&prefix));
        let items: Vec<_> = found.map(|(_, object)| object).collect();
        (StatusCode::OK, json!({"metadata": {}, "items": items}))
    }
}

/// Whether the patch says a UID that is not the object's: to change one is refused.
fn is_of_another(object: &Value, patch: &Value) -> bool {
    let (own, said) = (&object["metadata"]["uid"], &patch["metadata"]["uid"]);
    !own.is_null() && !said.is_null() && own != said
}

fn failure(code: StatusCode) -> (StatusCode, Value) {
    let status = json!({
        "status": "Failure",
        "message": code.to_string(),
        "reason": code.canonical_reason(),
        "code": code.as_u16(),
    });
    (code, status)
}

/// RFC 7386.
pub(crate) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    for (key, value) in fields {
        merge(&mut object[key], value);
    }
}
