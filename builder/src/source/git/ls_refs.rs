//! Asking a server over http what it lists, without git.
//!
//! This is asked by every run, and of most repositories nothing else is: git, its confinement and its transport take many times as
//! long to start as the answer takes to come. `ls-refs` of protocol version 2 is one request (gitprotocol-http(5), "Smart Clients";
//! gitprotocol-v2(5)), which no server needs to be asked beforehand whether it understands.
//!
//! Only a whole and plain answer counts. Whatever else comes back, git is asked the same: it speaks to older servers, too, and it
//! is what git says that faults are made of.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::{Client, StatusCode};

use super::credential::Credential;
use super::listing::Listing;
use super::remote::MAX_REFERENCES;
use super::url::{GitUrl, Scheme};
use crate::source::SourceNetwork;
use crate::source::web::bound;

/// How long it is waited for: who calls has little more in some places, and git has longer.
const PATIENCE: Duration = Duration::from_secs(3);

const QUESTION: &str = "application/x-git-upload-pack-request";
const ANSWER: &str = "application/x-git-upload-pack-result";

/// Servers tell git from people by how this begins.
const AGENT: &str = concat!("git/2 (slipway ", env!("CARGO_PKG_VERSION"), ")");

/// A repository's server.
#[derive(Debug)]
pub(super) struct LsRefs {
    client: Client,
    place: String,
    authorization: Option<HeaderValue>,
}

impl LsRefs {
    /// The server of `url` at checked `addresses` (empty if a proxy resolves it); `None` if it is not one of the web.
    pub(super) fn of(
        url: &GitUrl,
        addresses: &[IpAddr],
        credential: Option<&Credential>,
        network: &SourceNetwork,
    ) -> Option<Self> {
        let to = bound(url.host(), url.port(), addresses, network).ok()?;
        let client = match url.scheme() {
            Scheme::Https => to.https_only(true),
            // Authorities are not even read.
            Scheme::Http => to.no_proxy().tls_certs_only([]),
            Scheme::Ssh => return None,
        };
        Some(Self {
            client: client.build().ok()?,
            place: format!("{}/git-upload-pack", url.to_string().trim_end_matches('/')),
            authorization: credential.and_then(Credential::header),
        })
    }

    /// What it lists of references that begin with one of these.
    pub(super) async fn ask(&self, prefixes: &[&str], until: Instant) -> Option<Listing> {
        let until = until.min(Instant::now() + PATIENCE);
        let asked = tokio::time::timeout_at(until.into(), self.answer(prefixes));
        Listing::answered(&asked.await.ok()??)
    }

    async fn answer(&self, prefixes: &[&str]) -> Option<Vec<u8>> {
        let mut request = self
            .client
            .post(&self.place)
            .header("git-protocol", "version=2")
            .header(CONTENT_TYPE, QUESTION)
            .header(ACCEPT, ANSWER)
            .header(USER_AGENT, AGENT)
            .body(question(prefixes));
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let mut response = request.send().await.ok()?;
        let kind = response.headers().get(CONTENT_TYPE);
        if response.status() != StatusCode::OK || kind.is_none_or(|kind| kind != ANSWER) {
            return None;
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if bytes.len() + chunk.len() > MAX_REFERENCES {
                return None;
            }
            bytes.extend_from_slice(&chunk);
        }
        Some(bytes)
    }
}

/// The command, a delimiter, its arguments, and the end.
fn question(prefixes: &[&str]) -> String {
    let packet = |line: &str| format!("{:04x}{line}\n", line.len() + 5);
    let mut text = packet("command=ls-refs") + "0001" + &packet("peel") + &packet("symrefs");
    for prefix in prefixes {
        text += &packet(&format!("ref-prefix {prefix}"));
    }
    text + "0000"
}
