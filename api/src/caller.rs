//! Who asks, as handlers take it.

use std::sync::Arc;
use std::time::SystemTime;

use auth::{AdminPermit, Identity};
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

#[derive(Debug, thiserror::Error)]
#[error("the handler wants to know of its caller what the route's permission does not ask for")]
struct Unguarded;
