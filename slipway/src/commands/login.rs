//! `slipway login` and `slipway logout`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use auth::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use super::authfile::{AuthFiles, Kept};
use super::server::Server;
use super::{device, print, prompt, unreachable};
use crate::cli::{Login, Logout, Oidc, Transport};
use crate::providers::{self, Provider, Providers};

/// The user name beside an ID token. It says nothing: who it is says the token.
const ANYBODY: &str = "oidc";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Checks the password with the registry, then keeps it where podman, docker and helm look.
pub(super) async fn login(args: Login) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile)?;
    let server = Server::parse(&args.server)?;
    let bases = server.bases(&args.transport)?;
    let client = client(&args.transport)?;
    if args.oidc.oidc {
        return by_oidc(&client, &server, &bases, &files, &args.oidc).await;
    }
    let user = match args.username {
        Some(user) => user,
        None => prompt::line("User name")?,
    };
    let password = prompt::password(args.password_stdin)?;
    let (base, answer) = reach(&client, &bases).await?;
    let target = target(&base, &answer)?;
    check(&client, &base, target, &user, &password).await?;
    for place in files.put(server.name(), &Kept::Password(&user, &password))? {
        print::line(&format!("logged in to {server} as {user}; kept {place}"))?;
    }
    Ok(())
}

/// Gets an ID token by the device flow, and keeps what the registry gives for it; the ID token itself, which ends soon,
/// only where that is nothing.
async fn by_oidc(
    client: &Client,
    server: &Server,
    bases: &[Url],
    files: &AuthFiles,
    args: &Oidc,
) -> anyhow::Result<()> {
    let (base, answer) = reach(client, bases).await?;
    // Before anybody goes to a browser for nothing.
    let mut target = target(&base, &answer)?;
    let provider = provider(client, &base, args).await?;
    let token = device::id_token(client, &provider).await?;
    target
        .query_pairs_mut()
        .append_pair("client_id", "slipway")
        .append_pair("offline_token", "true");
    let renewing = check(client, &base, target, ANYBODY, &token).await?;
    let kept = match &renewing {
        Some(renewing) => Kept::IdentityToken(renewing),
        None => Kept::Password(ANYBODY, &token),
    };
    let until = match &renewing {
        Some(_) => String::new(),
        None => end_of(&token).map_or(String::new(), |end| {
            let end = humantime::format_rfc3339_seconds(end);
            format!("; it ends at {end}: log in again then")
        }),
    };
    for place in files.put(server.name(), &kept)? {
        print::line(&format!(
            "logged in to {server} by {}; kept {place}{until}",
            provider.issuer
        ))?;
    }
    Ok(())
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
    let answer = answer.map_err(|error| unreachable::explain(&url, &error))?;
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

/// When an ID token says that it ends (RFC 7519 §4.1.4).
fn end_of(token: &Secret) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
    }
    let payload = token.expose().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp))
}

/// Forgets the password.
pub(super) fn logout(args: &Logout) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile.clone())?;
    let server = Server::parse(&args.server)?;
    let removed = files.remove(server.name())?;
    anyhow::ensure!(!removed.is_empty(), "{server}: not logged in");
    for place in removed {
        print::line(&format!("logged out of {server}; was {place}"))?;
    }
    Ok(())
}

/// The first base that answers as a registry does. When none does, the first error tells most: what
/// follows are fall-backs.
async fn reach(client: &Client, bases: &[Url]) -> anyhow::Result<(Url, Response)> {
    let mut failure = None;
    for base in bases {
        match client.get(base.clone()).send().await {
            // A server of TLS answers plain HTTP, too, though not as a registry.
            Ok(answer) if failure.is_none() || is_registry(&answer) => {
                return Ok((base.clone(), answer));
            }
            Ok(_) => {}
            Err(error) if failure.is_none() && !error.is_connect() => {
                return Err(unreachable::explain(base, &error));
            }
            Err(error) => failure = failure.or(Some((base, error))),
        }
    }
    let (base, error) = failure.context("no URL to try")?;
    Err(unreachable::explain(base, &error))
}

fn is_registry(answer: &Response) -> bool {
    answer.status() == StatusCode::OK || answer.headers().contains_key(WWW_AUTHENTICATE)
}

/// Where the registry looks at a login.
fn target(base: &Url, answer: &Response) -> anyhow::Result<Url> {
    if answer.status() == StatusCode::OK {
        anyhow::bail!("{base}: the registry asks for no login");
    }
    anyhow::ensure!(
        base.scheme() != "http" || answer.status() != StatusCode::BAD_REQUEST,
        "{base}: refused plain HTTP (400), probably because it speaks TLS: leave out --plain-http"
    );
    Ok(match realm(answer)? {
        Some(realm) => {
            anyhow::ensure!(
                realm.host() == base.host() && realm.scheme() == base.scheme(),
                "{base}: the registry wants the password sent to {realm}, which is another host \
                 or scheme"
            );
            realm
        }
        None => base.clone(),
    })
}

/// Whether the registry takes a login. Gives the token that renews it, where that was asked for and there is one.
async fn check(
    client: &Client,
    base: &Url,
    target: Url,
    user: &str,
    password: &Secret,
) -> anyhow::Result<Option<Secret>> {
    #[derive(Deserialize)]
    struct Granted {
        refresh_token: Option<String>,
    }
    let request = client.get(target).basic_auth(user, Some(password.expose()));
    let answer = request
        .send()
        .await
        .map_err(|error| unreachable::explain(base, &error))?;
    match answer.status() {
        StatusCode::OK => {
            // Without a token endpoint it answers nothing.
            let granted: Option<Granted> = device::read(answer).await.ok();
            let renewing = granted.and_then(|granted| granted.refresh_token);
            Ok(renewing.map(Secret::new))
        }
        StatusCode::UNAUTHORIZED => anyhow::bail!("{base}: wrong user name or password"),
        status => anyhow::bail!("{base}: the registry answered {status}"),
    }
}

fn client(transport: &Transport) -> anyhow::Result<Client> {
    // A redirect could carry the password to another host.
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = &transport.ca_file {
        let pem = std::fs::read(path).with_context(|| path.display().to_string())?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| path.display().to_string())?
        {
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder.build()?)
}

/// Where the challenge sends for a token; `None` when it asks for Basic.
fn realm(answer: &Response) -> anyhow::Result<Option<Url>> {
    let challenge = answer
        .headers()
        .get(WWW_AUTHENTICATE)
        .and_then(|value| value.to_str().ok())
        .with_context(|| {
            format!(
                "{}: this is no registry ({})",
                answer.url(),
                answer.status()
            )
        })?;
    let Some(parameters) = challenge.strip_prefix("Bearer ") else {
        return Ok(None);
    };
    let realm = parameters
        .split(',')
        .find_map(|parameter| parameter.trim().strip_prefix("realm=\"")?.strip_suffix('"'))
        .with_context(|| format!("{}: a challenge without realm", answer.url()))?;
    let mut realm = Url::parse(realm)?;
    let service = parameters.split(',').find_map(|parameter| {
        parameter
            .trim()
            .strip_prefix("service=\"")?
            .strip_suffix('"')
    });
    if let Some(service) = service {
        realm.query_pairs_mut().append_pair("service", service);
    }
    Ok(Some(realm))
}
