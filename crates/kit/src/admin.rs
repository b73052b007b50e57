//! The admin HTTP server: `/healthz`, `/readyz` and `/metrics`.
//!
//! It answers `GET` and `HEAD` without credentials, and changes nothing.

use std::{convert::Infallible, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    backoff::Backoff,
    listen::{Listen, ListenError, Listener},
    metrics::Registry,
    readiness::{Missing, Readiness},
    shutdown::Shutdown,
};

/// A client that has not sent its request by then is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Listens and serves until shutdown.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    listen: impl Into<Listen>,
    readiness: Readiness,
    registry: Registry,
    shutdown: Shutdown,
) -> Result<(), ListenError> {
    Admin::bind(&listen.into())
        .await?
        .serve(readiness, registry, shutdown)
        .await;
    Ok(())
}

/// An admin server that listens and does not serve yet.
#[derive(Debug)]
pub struct Admin {
    listener: Listener,
    listen: Listen,
}

/// What the answers are made from.
#[derive(Debug, Clone)]
struct Sources {
    readiness: Readiness,
    registry: Registry,
}

// === impl Admin ===

impl Admin {
    /// Listens; port 0 means any free one.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn bind(listen: &Listen) -> Result<Self, ListenError> {
        let (listener, listen) = Listener::bind(listen).await?;
        Ok(Self { listener, listen })
    }

    /// Where the server listens, with its real port.
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// Answers until shutdown.
    pub async fn serve(self, readiness: Readiness, registry: Registry, shutdown: Shutdown) {
        tracing::info!(listen = %self.listen, "Serving health and metrics");
        let sources = Sources {
            readiness,
            registry,
        };
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
        while let Some(accepted) = shutdown.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok(stream) => {
                    backoff.reset();
                    drop(crate::spawn(
                        "admin",
                        connection(stream, sources.clone(), shutdown.clone()),
                    ));
                }
                Err(error) => {
                    tracing::warn!(%error, "Cannot accept an admin connection");
                    backoff.wait().await;
                }
            }
        }
    }
}

/// Serves one client. What goes wrong is the client's: nobody else can act on it.
async fn connection<S>(stream: S, sources: Sources, shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request: Request<_>| {
        let response = sources.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Some(Err(error)) = shutdown.run_until_cancelled(served).await {
        tracing::debug!(%error, "Admin connection failed");
    }
}

// === impl Sources ===

impl Sources {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
        }
        match path {
            "/healthz" => text(StatusCode::OK, "alive\n"),
            "/readyz" => readiness(&self.readiness.missing()),
            "/metrics" => metrics(&self.registry),
            _ => text(StatusCode::NOT_FOUND, "/healthz\n/readyz\n/metrics\n"),
        }
    }
}

/// 200, or 503 with one line for each missing condition.
fn readiness(missing: &Missing) -> Response<Full<Bytes>> {
    if missing.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    let mut body = "not ready\n".to_owned();
    for (name, why) in missing {
        body.extend([name, ": ", why, "\n"]);
    }
    text(StatusCode::SERVICE_UNAVAILABLE, body)
}

fn metrics(registry: &Registry) -> Response<Full<Bytes>> {
    match registry.encode() {
        Ok(metrics) => respond(StatusCode::OK, METRICS, metrics),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, TEXT, body)
}

fn respond(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests;
