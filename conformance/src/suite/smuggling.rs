//! Requests hidden in requests (RFC 9112 §11.2): one reading of the bytes, or none.

use std::sync::Arc;

use super::steps::start;
use crate::clause::{Clause, Context, Step, clause, demand};
use crate::client::status_of;

pub(super) fn clauses() -> Vec<Clause> {
    VECTORS
        .iter()
        .map(|(name, headers, body)| {
            clause(
                format!("smuggling/{name}"),
                "RFC 9112 §11.2",
                move |context| vector(context, headers, body),
            )
        })
        .collect()
}

/// Headers and body; `HIDDEN` is a whole request, `LENGTH` its length.
const VECTORS: [(&str, &str, &str); 10] = [
    (
        "CL.TE",
        "content-length: LENGTH\r\ntransfer-encoding: chunked",
        "0\r\n\r\nHIDDEN",
    ),
    (
        "TE.CL",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "0\r\n\r\nHIDDEN",
    ),
    (
        "TE.TE",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "0\r\n\r\nHIDDEN",
    ),
    (
        "TE unknown",
        "transfer-encoding: xchunked",
        "0\r\n\r\nHIDDEN",
    ),
    (
        "TE with a space",
        "transfer-encoding : chunked",
        "0\r\n\r\nHIDDEN",
    ),
    (
        "CL.CL",
        "content-length: 0\r\ncontent-length: LENGTH",
        "HIDDEN",
    ),
    ("CL with a plus", "content-length: +LENGTH", "HIDDEN"),
    (
        "CL too large",
        "content-length: 99999999999999999999",
        "HIDDEN",
    ),
    (
        "bare LF in a chunk",
        "transfer-encoding: chunked",
        "0\n\nHIDDEN",
    ),
    (
        "chunk size overflow",
        "transfer-encoding: chunked",
        "fffffffffffffffff1\r\n\r\nHIDDEN",
    ),
];

async fn vector(context: Arc<Context>, headers: &str, body: &str) -> Step {
    let host = context.client.base.host_str().unwrap_or_default();
    let hidden = format!("GET /v2/hidden/manifests/v1 HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let length = hidden.len().to_string();
    let repo = context.fresh();
    // The honest form is let in, so what is refused below is the framing.
    start(&context, &repo).await?;
    let who = context.client.authorization_line();
    let raw = format!(
        "POST /v2/{repo}/blobs/uploads/ HTTP/1.1\r\nhost: {host}\r\n{who}{headers}\r\n\r\n{body}"
    )
    .replace("LENGTH", &length)
    .replace("HIDDEN", &hidden);
    let answer = context.client.raw(raw.as_bytes()).await?;
    let answers = answer.matches("HTTP/1.1 ").count();
    demand(answers <= 1, || {
        format!("{answers} answers to one request: {answer:.300}")
    })?;
    demand(!matches!(status_of(&answer), Some(401 | 403)), || {
        format!("refused for who sent it: {answer:.300}")
    })
}
