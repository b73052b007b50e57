//! A client of the API server for as long as the lease is held.

use hyper::{Request, Response};
use kube::{Client, client::Body};
use tower::{BoxError, service_fn};

use super::Permit;

/// A request was not sent, since others may write by now.
#[derive(Debug, thiserror::Error)]
#[error("the lease is not held any more")]
struct NotPermitted;

// === impl Permit ===

impl Permit {
    /// The client, whose requests fail without being sent once the permit does not hold: a process
    /// that was stopped in the midst of its work writes nothing when it goes on.
    pub fn guard(&self, client: Client) -> Client {
        if self.0.is_none() {
            return client;
        }
        let namespace = client.default_namespace().to_owned();
        let permit = self.clone();
        let service = service_fn(move |request| send(client.clone(), permit.clone(), request));
        Client::new(service, namespace)
    }
}

async fn send(
    client: Client,
    permit: Permit,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    if !permit.holds() {
        return Err(BoxError::from(NotPermitted));
    }
    client.send(request).await.map_err(BoxError::from)
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU32, Ordering::SeqCst},
        time::Duration,
    };

    use super::*;
    use crate::lease::*;

    #[tokio::test(start_paused = true)]
    async fn r02_requests_are_sent_until_the_permit_ends_and_never_after() {
        let sent = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&sent);
        let server = service_fn(move |_request: Request<Body>| {
            counted.fetch_add(1, SeqCst);
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        });
        let permit = Permit::until(Instant::now() + Duration::from_secs(3));
        let client = permit.guard(Client::new(server, "default"));
        let ask = async || {
            let request = Request::get("/version").body(Vec::new()).unwrap();
            client.request_text(request).await
        };
        ask().await.unwrap();
        tokio::time::advance(Duration::from_secs(4)).await;
        let error = crate::error::Chain(&ask().await.unwrap_err()).to_string();
        assert!(error.contains("lease is not held"), "{error}");
        assert_eq!(sent.load(SeqCst), 1);
        permit.extend(Instant::now() + Duration::from_secs(3));
        ask().await.unwrap();
        assert_eq!(sent.load(SeqCst), 2);
    }
}
