//! JSON in and out.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use registry::http::Problem;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer, Serialize};

#[cfg(test)]
mod tests;

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
        read(&bytes)
            .map(Self)
            .map_err(|why| Problem::invalid(format!("the body: {why}")))
    }
}

/// Characters of a field's place that are shown: names in it are the client's.
const SHOWN: usize = 200;

/// Reads JSON, or says where it is wrong and what belongs there. What stands there is never said: it may be a secret that
/// was sent in the wrong form, and answers are logged.
fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.inner());
        let why = without_value(error);
        // A body that is no JSON has no places.
        if path == "." || !error.is_data() {
            return why;
        }
        let place = match unknown(error).filter(|field| !path.ends_with(&**field)) {
            Some(field) => format!("{path}.{field}"),
            None => path,
        };
        let place: String = place.escape_debug().take(SHOWN).collect();
        format!("{place}: {why}")
    })?;
    reader.end().map_err(|error| without_value(&error))?;
    Ok(value)
}

/// An error in serde's words (`serde::de::Error`), of which only those are kept that the reading type chose. Of an error in
/// words of its own nothing is.
fn without_value(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let (line, column) = (error.line(), error.column());
    if !error.is_data() {
        // Of JSON itself: about characters and not about values.
        return said;
    }
    let suffix = format!(" at line {line} column {column}");
    let why = said.strip_suffix(&suffix).unwrap_or(&said);
    let begins = |words: &[&str]| words.iter().any(|word| why.starts_with(word));
    let expected = why.rsplit_once(", expected ");
    let kept = match expected {
        _ if begins(&["missing field ", "duplicate field "]) => why.to_owned(),
        Some((_, fields)) if begins(&["unknown field "]) => {
            format!("there is no such field: expected is {fields}")
        }
        Some((_, what)) if begins(&["invalid ", "unknown variant "]) => {
            format!("something else stands there: expected is {what}")
        }
        _ => "it does not have the form that belongs there".to_owned(),
    };
    format!("{kept} (line {line}, column {column})")
}

/// The field that an error in serde's words says is unknown.
fn unknown(error: &serde_json::Error) -> Option<String> {
    let said = error.to_string();
    let (field, _) = said.strip_prefix("unknown field `")?.split_once('`')?;
    Some(field.to_owned())
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

/// A parameter that is true where it has no value, as in `?follow`.
pub(crate) fn flag<'de, D: Deserializer<'de>>(value: D) -> Result<Option<bool>, D::Error> {
    let text = String::deserialize(value)?;
    match &*text {
        "" | "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(D::Error::custom(format!(
            "{text:?} is neither true nor false"
        ))),
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
