//! The routes outside `/v2` and `/auth`: health, metrics. Other rooms of the program add theirs.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::trace::Observer;
use crate::Registry;

#[derive(Clone)]
struct Shared {
    registry: Arc<Registry>,
    observer: Arc<Observer>,
}

/// `/healthz`: the process runs. `/readyz`: storage answers one bounded question.
/// `/metrics`: counters. None of them tells anything of the content, so they are open to all.
pub(super) fn router(registry: Arc<Registry>, observer: Arc<Observer>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(nothing)
        .with_state(Shared { registry, observer })
}

async fn nothing() -> (StatusCode, &'static str) {
    let text = "this is a container registry: its API is below /v2/, and nothing is here\n";
    (StatusCode::NOT_FOUND, text)
}

async fn ready(State(shared): State<Shared>) -> Response {
    match shared.registry.storage().ready().await {
        Ok(()) if shared.registry.storage().takes_writes() => "ready\n".into_response(),
        // Still ready: taken out of service it could not serve pulls either.
        Ok(()) => "ready to serve; writes have stopped after a failed sync\n".into_response(),
        Err(error) => {
            tracing::warn!(error = %error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "storage does not answer\n").into_response()
        }
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.observer.metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
