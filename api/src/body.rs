//! JSON in and out.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use registry::http::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes of a request's body, where a route says nothing else.
pub const MAX_BODY: usize = 64 << 10;

/// A request's JSON body of at most `MOST` bytes. `T` refuses fields that it does not know.
#[derive(Debug)]
pub struct Body<T, const MOST: usize = MAX_BODY>(pub T);

impl<S: Sync, T: DeserializeOwned, const MOST: usize> FromRequest<S> for Body<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        // A page of another site can make a browser send a form or text, though not this type.
        if !is_json(&request) {
            return Err(Problem::not_json());
        }
        let bytes = match Limited::new(request.into_body(), MOST).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Problem::too_large(MOST));
            }
            Err(_) => return Err(Problem::invalid("the body did not arrive whole")),
        };
        let read = serde_json::from_slice(&bytes);
        read.map(Self)
            .map_err(|error| Problem::invalid(format!("the body: {error}")))
    }
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// A request's query. `T` refuses parameters that it does not know.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default());
        read.map(Self)
            .map_err(|error| Problem::invalid(format!("the query: {error}")))
    }
}

/// A JSON answer.
#[derive(Debug)]
pub struct Reply<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(body) => (self.0, [(CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}
