//! The REST API: what people and programs ask of a registry besides images. JSON over HTTP below `/api/v1`.
//!
//! A request comes from [`registry::http::Front`], which knows its id, its time and the client's address:
//!
//! ```text
//! Front ─► Route (its Permission: who may) ─► Caller ─► handler ─► JSON, or a Problem that the front words
//! ```
//!
//! - Credentials are those of `/v2`: one `Authorization` header, Basic or Bearer, or none where strangers come in.
//! - A [`Route`] cannot be made without a [`Permission`], and the router and the `OpenAPI` document are made of the same
//!   routes: neither has one that the other lacks.
//! - Errors are problem details (RFC 9457) with the request's id.
//! - Bodies are small, and unknown fields in them are errors.

mod audit;
mod body;
pub mod builds;
mod caller;
mod can_i;
mod guard;
pub mod hooks;
mod openapi;
mod page;
mod route;
mod rules;
mod tokens;
mod whoami;

pub use audit::AuditRow;
pub use body::{Body, MAX_BODY, Query, Reply};
pub use caller::{Administrator, Builder, Caller};
pub use page::{Listed, Page};
pub use route::{Permission, Route};

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, any};
use registry::Registry;
use registry::http::Problem;

/// The routes that are about the caller: who they are, what they may do, their tokens; and the audit record.
pub fn routes(registry: &Arc<Registry>) -> Vec<Route> {
    let mut routes = vec![
        whoami::route(),
        can_i::route(Arc::clone(registry)),
        rules::route(Arc::clone(registry)),
    ];
    routes.extend(tokens::routes(registry));
    routes.extend(audit::routes(registry));
    routes
}

/// All that is below `/api`: the routes, behind their permissions, and the document that describes them. `version` is the
/// program's.
pub fn router(registry: &Arc<Registry>, mut routes: Vec<Route>, version: &str) -> Router {
    routes.push(openapi::route());
    let document = openapi::document(&routes, version);
    let mut paths: BTreeMap<&str, (MethodRouter, Vec<String>)> = BTreeMap::new();
    for route in routes {
        let (path, method) = (route.path, route.method.to_string());
        let guarded = guard::guarded(route, registry);
        let (all, methods) = paths.entry(path).or_default();
        *all = std::mem::take(all).merge(guarded);
        methods.push(method);
    }
    let mut all_paths = Router::new();
    for (path, (all, methods)) in paths {
        let allowed = methods.join(", ");
        let other = move || async move { Problem::method_not_allowed(&allowed) };
        all_paths = all_paths.route(path, all.fallback(other));
    }
    let nothing = any(|| async { Problem::not_found("there is nothing below this path") });
    all_paths
        .route("/api", nothing.clone())
        .route("/api/", nothing.clone())
        .route("/api/{*rest}", nothing)
        .layer(axum::Extension(document))
}
