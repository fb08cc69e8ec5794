//! What a server says of an error, in one line.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::{Login, Server};

/// The error in an answer: problem details (RFC 9457), an OCI error body, or the status alone; with the request's id,
/// under which the server's log has more.
pub(super) fn explain(server: &Server, answer: &Response, body: &[u8]) -> anyhow::Error {
    let words = words(answer, body);
    let hint = hint(answer, &words);
    anyhow::anyhow!("{server}: {words}{hint}")
}

/// Where a right is missing, how to learn which. What a token is not for, no right mends.
pub(crate) fn hint(answer: &Response, words: &str) -> &'static str {
    let is_refused = answer.status() == StatusCode::FORBIDDEN || is_out_of_scope(answer);
    let is_about_rights = words.starts_with("user \"") || words.starts_with("no right ");
    if is_refused && is_about_rights && !words.contains(" by this token") {
        "; whoever may give rights there sees what is missing by `slipway auth explain`"
    } else {
        ""
    }
}

/// That a server wants a login, or another one than there is, in the same words whatever it was asked for. `said` are its
/// own.
pub(crate) fn login_wanted(server: &Server, login: Option<&Login>, said: &str) -> anyhow::Error {
    let Some(login) = login else {
        return anyhow::anyhow!("{server}: not logged in: slipway login {server}");
    };
    let whose = match login.name() {
        None => String::new(),
        Some(name) => format!(" as {name}"),
    };
    anyhow::anyhow!(
        "{server}: the login{whose} is no longer good: {said}; log in again: slipway login {server}"
    )
}

/// The same without the server's name.
pub(crate) fn words(answer: &Response, body: &[u8]) -> String {
    let said = said(body).unwrap_or_else(|| match answer.status() {
        // What is asked by HEAD is answered without words.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if body.is_empty() => {
            let path = answer.url().path();
            format!("no right to look at {path} ({})", answer.status())
        }
        status => format!("the server answered {status}"),
    });
    match request(answer.headers()) {
        None => said,
        Some(id) => format!("{said} (request {id})"),
    }
}

/// Whether the login is good, and the right is missing (RFC 6750 §3.1).
pub(crate) fn is_out_of_scope(answer: &Response) -> bool {
    let mut challenges = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    challenges.any(|challenge| {
        let challenge = challenge.to_str().unwrap_or_default();
        challenge.contains("error=\"insufficient_scope\"")
    })
}

fn said(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let detail = body["detail"].as_str();
    let text = detail.or_else(|| body["errors"][0]["message"].as_str())?;
    Some(text.chars().filter(|char| !char.is_control()).collect())
}

fn request(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-request-id")?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn both_kinds_of_errors_are_read() {
        let text = |body: &str| said(body.as_bytes());
        assert_eq!(
            text(r#"{"detail":"no \u001b[31mway"}"#).as_deref(),
            Some("no [31mway")
        );
        assert_eq!(
            text(r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#).as_deref(),
            Some("not you")
        );
        for nothing in ["", "<html>", "[]", r#"{"errors":[]}"#] {
            assert_eq!(text(nothing), None);
        }
    }
}
