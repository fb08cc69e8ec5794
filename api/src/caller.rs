//! Who asks, as handlers take it.

use std::sync::Arc;
use std::time::SystemTime;

use auth::{AdminPermit, BuildPermit, Identity};
use axum::extract::FromRequestParts;
use http::request::Parts;
use registry::http::{Arrival, Problem};

/// Who asks, and what the front knows of the request. There for every route but those that are
/// [open](crate::Permission::Open).
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub who: Identity,
    /// The request's id, time and client.
    pub arrival: Arrival,
}

impl Caller {
    /// When the request came.
    pub fn now(&self) -> SystemTime {
        self.arrival.at
    }
}

/// The proof that the caller has the right that the route's [`Permission::Admin`](crate::Permission::Admin) names.
#[derive(Clone, Debug)]
pub struct Administrator(pub Arc<AdminPermit>);

/// The proof that the caller has the right that the route's [`Permission::Build`](crate::Permission::Build) names, in the
/// path's namespace.
#[derive(Clone, Debug)]
pub struct Builder(pub Arc<BuildPermit>);

impl Builder {
    /// The namespace; empty for what is everybody's.
    pub fn namespace(&self) -> &str {
        self.0.namespace().unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal(&Unguarded))
    }
}

impl<S: Sync> FromRequestParts<S> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let administrator = parts.extensions.get::<Self>().cloned();
        administrator.ok_or_else(|| Problem::internal(&Unguarded))
    }
}

impl<S: Sync> FromRequestParts<S> for Builder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let builder = parts.extensions.get::<Self>().cloned();
        builder.ok_or_else(|| Problem::internal(&Unguarded))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the handler wants to know of its caller what the route's permission does not ask for")]
struct Unguarded;
