//! Getting an ID token by the device flow (RFC 8628): the person logs in with a browser, on whatever device has one.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use auth::Secret;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::print;
use crate::client::explain;
use crate::providers::Provider;

/// Between two questions where the provider names no other time (RFC 8628 §3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// What `slow_down` adds to it (§3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// The least, whatever the provider names.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Longest that a person is waited for.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// The parts of a provider's configuration (OpenID Connect Discovery 1.0 §3, RFC 8628 §4) that matter here.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

/// RFC 8628 §3.2.
#[derive(Deserialize)]
struct Authorization {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// A refresh token that may stand beside it is not kept: it renews whatever the person may do at the provider, and here
/// the registry has a narrower one of its own.
#[derive(Deserialize)]
struct Granted {
    id_token: Option<String>,
}

/// RFC 6749 §5.2.
#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

/// Shows the person where to log in, and waits until they have.
pub(super) async fn id_token(client: &Client, provider: &Provider) -> anyhow::Result<Secret> {
    let endpoints = endpoints(client, provider).await?;
    let authorization = begin(client, provider, &endpoints.device).await?;
    show(provider, &authorization)?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", &authorization.device_code),
        ("client_id", &provider.client_id),
    ];
    let end = Instant::now() + Duration::from_secs(authorization.expires_in).min(PATIENCE);
    let interval = authorization.interval.map_or(INTERVAL, Duration::from_secs);
    let mut interval = interval.clamp(MIN_INTERVAL, PATIENCE);
    while Instant::now() + interval < end {
        tokio::time::sleep(interval).await;
        let request = client.post(endpoints.token.clone()).form(&form);
        let answer = match request.send().await {
            // The person is still at it: that one question got lost is no reason to begin anew.
            Ok(answer) if answer.status().is_server_error() => {
                interval *= 2;
                continue;
            }
            Ok(answer) => answer,
            Err(error) if error.is_timeout() || error.is_connect() => {
                interval *= 2;
                continue;
            }
            Err(error) => return Err(explain(&endpoints.token, &error)),
        };
        if answer.status() == StatusCode::OK {
            let granted: Granted = read(answer).await?;
            let token = granted.id_token.with_context(|| {
                format!(
                    "{}: no ID token came; is openid among the scopes?",
                    provider.issuer
                )
            })?;
            return Ok(Secret::new(token));
        }
        let refused: Refused = read(answer).await?;
        match refused.error.as_str() {
            "authorization_pending" => {}
            "slow_down" => interval += SLOWER,
            "access_denied" => anyhow::bail!("{}: the login was refused", provider.issuer),
            "expired_token" => break,
            _ => return Err(refused.explain(provider)),
        }
    }
    anyhow::bail!("nobody logged in in time: run the command again for a new code")
}

struct Endpoints {
    device: Url,
    token: Url,
}

async fn endpoints(client: &Client, provider: &Provider) -> anyhow::Result<Endpoints> {
    let issuer = provider.issuer.trim_end_matches('/');
    let url = format!("{issuer}/.well-known/openid-configuration");
    let url = Url::parse(&url).with_context(|| provider.issuer.clone())?;
    ensure_safe(&url)?;
    let answer = client.get(url.clone()).send().await;
    let answer = answer.map_err(|error| explain(&url, &error))?;
    anyhow::ensure!(
        answer.status() == StatusCode::OK,
        "{url}: it answered {}; is this an OpenID Connect provider?",
        answer.status()
    );
    let configuration: Configuration = read(answer).await?;
    anyhow::ensure!(
        configuration.issuer == provider.issuer,
        "{url}: says that the issuer is {:?}, not {:?}",
        configuration.issuer,
        provider.issuer
    );
    let device = configuration.device_authorization_endpoint.with_context(|| {
        format!(
            "{}: the provider has no device flow; get an ID token in another way and pass it with \
             --password-stdin",
            provider.issuer
        )
    })?;
    Ok(Endpoints {
        device: endpoint(&device)?,
        token: endpoint(&configuration.token_endpoint)?,
    })
}

fn endpoint(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).with_context(|| format!("{text:?}: is no URL"))?;
    ensure_safe(&url)?;
    Ok(url)
}

/// Codes and tokens go over TLS, or stay on this machine.
fn ensure_safe(url: &Url) -> anyhow::Result<()> {
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    anyhow::ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && is_loopback),
        "{url}: the provider must be reached by https"
    );
    Ok(())
}

async fn begin(client: &Client, provider: &Provider, url: &Url) -> anyhow::Result<Authorization> {
    let scope = provider.scopes.join(" ");
    let form = [("client_id", &provider.client_id), ("scope", &scope)];
    let answer = client.post(url.clone()).form(&form).send().await;
    let answer = answer.map_err(|error| explain(url, &error))?;
    if answer.status() != StatusCode::OK {
        let refused: Refused = read(answer).await?;
        return Err(refused.explain(provider));
    }
    read(answer).await
}

fn show(provider: &Provider, authorization: &Authorization) -> anyhow::Result<()> {
    let Authorization {
        user_code,
        verification_uri,
        verification_uri_complete,
        ..
    } = authorization;
    let whole = verification_uri_complete.as_deref().unwrap_or_default();
    // They go to a terminal.
    for text in [user_code, verification_uri, whole] {
        anyhow::ensure!(
            !text.contains(char::is_control),
            "{}: its answer holds what is no text",
            provider.issuer
        );
    }
    let client = &provider.client_id;
    print::line(&format!(
        "to let {client:?} log in as you, open\n\n  {verification_uri}\n\nand enter the code\n\n  {user_code}\n"
    ))?;
    if !whole.is_empty() {
        print::line(&format!("or open this, which has it: {whole}\n"))?;
    }
    Ok(())
}

impl Refused {
    fn explain(&self, provider: &Provider) -> anyhow::Error {
        let more = self.error_description.as_deref().unwrap_or_default();
        let said = format!("{} {more}", self.error).replace(char::is_control, " ");
        anyhow::anyhow!("{}: it answered: {}", provider.issuer, said.trim())
    }
}

/// An answer of bounded size.
pub(super) async fn read<T: DeserializeOwned>(mut answer: Response) -> anyhow::Result<T> {
    let url = answer.url().clone();
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.with_context(|| url.to_string())? {
        anyhow::ensure!(
            text.len() + chunk.len() <= MAX_ANSWER,
            "{url}: the answer is longer than {MAX_ANSWER} bytes"
        );
        text.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{url}: answered {} with what is not expected",
            answer.status()
        )
    })
}
