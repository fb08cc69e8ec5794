//! What the front and the other rooms' routes tell each other of a request.

use std::net::IpAddr;
use std::time::SystemTime;

use auth::Identity;
use axum::response::{IntoResponse, Response};

use super::{Problem, RequestId};

/// What the front knows of a request: an extension of every request that it hands to another room.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The id that the reply, an error's body and the log carry.
    pub request: RequestId,
    /// The client's address, behind proxies that are trusted.
    pub client: IpAddr,
    /// When it came: the one time that goes for the whole request.
    pub at: SystemTime,
}

/// What a room tells the front for log, metrics and the audit record: an extension of its response.
#[derive(Debug, Clone)]
pub struct Account {
    /// The operation, of few values.
    pub operation: &'static str,
    /// Who asked, once that is known.
    pub user: Option<Identity>,
    /// Whether it changes something, so that the audit record says when it was done.
    pub is_change: bool,
    /// What the audit record says that it was about: method and path, with nothing in it that may be a secret, and the id
    /// of what was made.
    pub reference: String,
}

/// A room's error. The front makes the reply of it, as problem+json (RFC 9457) with the request's id, the challenge that
/// a 401 needs and the line in the log.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
