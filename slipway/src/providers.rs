//! `GET /auth/oidc`: the OpenID Connect providers whose tokens the registry takes, and as which client to log in there.
//! `slipway login --oidc` reads it. Open to all: it says what the providers' own pages say to whoever begins a login.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde::{Deserialize, Serialize};

use crate::config::Oidc;

/// Where the document is.
pub(crate) const PATH: &str = "/auth/oidc";

/// The document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Providers {
    /// In the order of the configuration.
    pub(crate) issuers: Vec<Provider>,
}

/// What a client must know to get an ID token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Provider {
    /// The provider's URL.
    pub(crate) issuer: String,
    /// The client that the token must be for.
    pub(crate) client_id: String,
    /// What to ask for.
    pub(crate) scopes: Vec<String>,
}

/// The route. Without providers it says so.
pub(crate) fn router(oidc: &[Oidc]) -> serde_json::Result<Router> {
    let provider = |oidc: &Oidc| Provider {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        scopes: oidc.scopes.clone(),
    };
    let providers = Providers {
        issuers: oidc.iter().map(provider).collect(),
    };
    let text = serde_json::to_string(&providers)?;
    let answer = move || async move { ([(CONTENT_TYPE, "application/json")], text) };
    Ok(Router::new().route(PATH, get(answer)))
}
