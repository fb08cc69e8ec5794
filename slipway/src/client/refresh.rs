//! A token by a refresh token, as `docker login` keeps it (OAuth 2 in the Docker token protocol).

use anyhow::Context as _;
use auth::Secret;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::unreachable::Away;
use super::{Login, Server, explain, failure, may_pass, stayed, whole};

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

/// Exchanges the login for a token of `scope`, or for one that only says who it is.
pub(super) async fn exchange(
    http: &Client,
    server: &Server,
    base: &Url,
    login: &Login,
    scope: Option<&str>,
) -> anyhow::Result<Secret> {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "slipway"),
        ("refresh_token", login.password.expose()),
        ("scope", scope.unwrap_or_default()),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = http
        .post(base.join("/auth/token")?)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let mut answer = request
        .send()
        .await
        .map_err(|error| explain(base, &error))?;
    stayed(&answer)?;
    let body = whole(&mut answer)
        .await
        .with_context(|| server.to_string())?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        let said = failure::words(&answer, &body);
        return Err(failure::login_wanted(server, Some(login), &said));
    }
    if !answer.status().is_success() {
        let said = failure::explain(server, &answer, &body);
        if may_pass(answer.status()) {
            return Err(Away(said.to_string()).into());
        }
        return Err(said);
    }
    // What is wrong with it is told without what is in it.
    let granted = serde_json::from_slice::<Granted>(&body).ok();
    let granted = granted.with_context(|| format!("{server}: no token in what it says"))?;
    Ok(Secret::new(granted.access_token))
}
