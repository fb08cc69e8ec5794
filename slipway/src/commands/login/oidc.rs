//! `slipway login --oidc`: an ID token by the device flow, and what the registry gives for it.

use auth::Secret;
use reqwest::{Client, StatusCode, Url};

use super::super::print;
use super::known::{Granted, Known};
use super::way::Refused;
use super::{Target, device, present, target};
use crate::cli::Oidc;
use crate::client::{AuthFiles, Login, Server, explain, reach};
use crate::providers::{self, Provider, Providers};

/// The user name beside an ID token. It says nothing: who it is says the token.
const ANYBODY: &str = "oidc";

/// Keeps what the registry gives for an ID token; the ID token itself, which ends soon, only where that is nothing. Gives
/// the URL by which the registry was reached.
pub(super) async fn login(
    client: &Client,
    server: &Server,
    bases: &[Url],
    files: &AuthFiles,
    args: &Oidc,
) -> anyhow::Result<Url> {
    let (base, answer) = reach(client, bases).await?;
    // Before anybody goes to a browser for nothing.
    let Target { mut url, asked } = target(&base, &answer)?;
    let provider = provider(client, &base, args).await?;
    let token = device::id_token(client, &provider).await?;
    let login = Login {
        user: ANYBODY.to_owned(),
        password: token,
    };
    url.query_pairs_mut()
        .append_pair("client_id", "slipway")
        .append_pair("offline_token", "true");
    let refused = Refused {
        what: format!(
            "the ID token that {} issued for client {:?}",
            provider.issuer, provider.client_id
        ),
        advice: "; the registry's log says why".to_owned(),
    };
    let answer = present(client, server, url, &login, &refused).await?;
    // A registry without a token endpoint answers nothing.
    let mut granted: Granted = device::read(answer).await.unwrap_or_default();
    let renewing = granted.refresh_token.take().map(Secret::new);
    let places = match &renewing {
        Some(renewing) => files.put_identity_token(server.name(), renewing)?,
        None => files.put(server.name(), ANYBODY, &login.password)?,
    };
    let Known { name, until } = Known::ask(client, &base, &login, granted, asked).await;
    // The ID token's end is not that of what is kept in its place.
    let until = until.filter(|_| renewing.is_none()).unwrap_or_default();
    for place in places {
        let issuer = &provider.issuer;
        print::line(&format!(
            "logged in to {server} as {name}{until} by {issuer}; kept {place}"
        ))?;
    }
    Ok(base)
}

/// The provider that was named, or the registry's.
async fn provider(client: &Client, base: &Url, args: &Oidc) -> anyhow::Result<Provider> {
    if let (Some(issuer), Some(client_id)) = (&args.issuer, &args.client_id) {
        return Ok(Provider {
            issuer: issuer.clone(),
            client_id: client_id.clone(),
            scopes: args.scope.clone(),
        });
    }
    let url = base.join(providers::PATH)?;
    let answer = client.get(url.clone()).send().await;
    let answer = answer.map_err(|error| explain(&url, &error))?;
    anyhow::ensure!(
        answer.status() == StatusCode::OK,
        "{url}: the registry names no OpenID Connect providers ({}): name one with --issuer and \
         --client-id",
        answer.status()
    );
    let Providers { issuers } = device::read(answer).await?;
    let names: Vec<_> = issuers.iter().map(|one| one.issuer.as_str()).collect();
    let names = names.join(", ");
    let is_meant = |one: &Provider| args.issuer.as_ref().is_none_or(|name| *name == one.issuer);
    let mut meant = issuers.iter().filter(|one| is_meant(one));
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => {
            anyhow::bail!("{base}: name one of its providers with --issuer: {names}")
        }
        (None, _) if issuers.is_empty() => {
            anyhow::bail!("{base}: the registry has no OpenID Connect provider (auth.oidc)")
        }
        (None, _) => anyhow::bail!(
            "{base}: none of its providers is this --issuer; it has {names}; with --client-id any \
             can be named"
        ),
    }
}
