//! Asking an issuer for its keys: its configuration (OpenID Connect Discovery 1.0 §4), then the keys that this names.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::{Certificate, Client, StatusCode, Url};
use serde::Deserialize;

use super::keys::Keys;
use super::{InvalidIssuer, Settings};

/// For one of the two answers.
const DEADLINE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// Where an issuer's keys come from.
pub(super) struct Source {
    issuer: String,
    configuration: Url,
    client: Client,
}

impl Source {
    pub(super) fn new(settings: &Settings) -> Result<Self, InvalidIssuer> {
        let issuer = settings.issuer.clone();
        let invalid = || InvalidIssuer::Url(issuer.clone());
        let url = Url::parse(&issuer).map_err(|_| invalid())?;
        let plain = url.query().is_none() && url.fragment().is_none();
        if !plain || !url.username().is_empty() || url.password().is_some() || !is_safe(&url, &url)
        {
            return Err(invalid());
        }
        let path = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        // A redirect could lead anywhere, to what speaks plain HTTP too.
        let mut client = Client::builder()
            .timeout(DEADLINE)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&url) {
            client = client.no_proxy();
        }
        if let Some(path) = &settings.ca_file {
            let unusable = |error: &dyn fmt::Display| InvalidIssuer::CaFile {
                path: path.clone(),
                message: error.to_string(),
            };
            let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
            let authorities =
                Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&innermost(&error)))?;
            if authorities.is_empty() {
                return Err(unusable(&"holds no certificate"));
            }
            client = client.tls_certs_only(authorities);
        }
        Ok(Self {
            configuration: Url::parse(&path).map_err(|_| invalid())?,
            client: client
                .build()
                .map_err(|error| InvalidIssuer::Client(innermost(&error)))?,
            issuer,
        })
    }

    /// The keys as they are now; an error says what an operator can do something about.
    pub(super) async fn keys(&self) -> Result<Keys, String> {
        #[derive(Deserialize)]
        struct Configuration {
            issuer: String,
            jwks_uri: String,
        }
        let text = self.get(self.configuration.clone()).await?;
        let configuration: Configuration = serde_json::from_slice(&text)
            .map_err(|error| format!("{}: {error}", self.configuration))?;
        if configuration.issuer != self.issuer {
            return Err(format!(
                "{} says that the issuer is {:?}: name it in exactly the same way",
                self.configuration, configuration.issuer
            ));
        }
        let url = Url::parse(&configuration.jwks_uri)
            .ok()
            .filter(|url| is_safe(url, &self.configuration))
            .ok_or_else(|| format!("{}: jwks_uri is no https URL", self.configuration))?;
        Keys::parse(self.get(url).await?)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, String> {
        let failed = |error: &reqwest::Error| format!("{url}: {}", innermost(error));
        let sent = self.client.get(url.clone()).send().await;
        let mut answer = sent.map_err(|error| failed(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{url}: it answered {}", answer.status()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if text.len() + chunk.len() > MAX_ANSWER {
                return Err(format!(
                    "{url}: the answer is longer than {MAX_ANSWER} bytes"
                ));
            }
            text.extend_from_slice(&chunk);
        }
        Ok(text)
    }
}

/// What comes from `url` cannot be changed on its way: TLS, or within this machine where `from` is too.
fn is_safe(url: &Url, from: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url) && from.scheme() == "http",
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<std::net::IpAddr, _> = address.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {DEADLINE:?}");
    }
    let mut innermost: &dyn Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.issuer)
    }
}
