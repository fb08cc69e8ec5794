//! Identity from OpenID Connect: ID tokens (OpenID Connect Core 1.0 §2), verified here with the issuer's public keys.
//! The issuer is asked for its keys and for nothing else, and never about a token.
//!
//! - [`IdTokens`] is the authenticator. A token belongs to the issuer that its unverified `iss` names; what names none of
//!   ours is left to other authenticators, so they live side by side;
//! - `token` is what a token says, and whether that holds for us;
//! - [`Names`] makes user name and groups of it, by the rules of kube-apiserver's `--oidc-*` flags, so that a binding in a
//!   cluster names the same person here;
//! - `issuer` keeps the keys of one issuer: fetched in the background, kept when it is away, asked for again when a token
//!   names one that is not known, but only so often.
//!
//! A token that cannot be judged, because there are no keys, is [`Refusal::Unavailable`]: never a yes and never a no.

mod fetch;
mod issuer;
mod keys;
mod names;
mod token;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::keyed::Keyed;
use crate::{Authenticator, Credential, Identity, LoadError, Refusal};
use issuer::Issuer;
use token::IdToken;

pub use names::Names;
pub use token::ALGORITHMS;

#[cfg(test)]
mod tests;

const PROVIDER: &str = "oidc";

/// One issuer, as configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Exactly as tokens name it in `iss`. `https`, or `http` on a loopback address.
    pub issuer: String,
    /// Tokens must be for this client.
    pub client_id: String,
    /// Or for one of these.
    pub audiences: Vec<String>,
    /// Who a token names.
    pub names: Names,
    /// What tokens may be signed with: some of [`ALGORITHMS`].
    pub algorithms: Vec<String>,
    /// Authorities (PEM) for the issuer's certificate, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why an issuer cannot be used as it is configured. Nothing was asked of it yet.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIssuer {
    /// The URL.
    #[error(
        "issuer: {0:?}: name it as its tokens do: an https URL without query and fragment, or an http one on loopback"
    )]
    Url(String),
    /// Two of them are the same.
    #[error("issuer: {0}: stands twice; one entry may have several audiences")]
    Twice(String),
    /// A client without a name.
    #[error("{0} is empty")]
    NoClient(&'static str),
    /// No token could be verified.
    #[error("algorithms: is empty: name at least one of {list}", list = ALGORITHMS.join(", "))]
    NoAlgorithm,
    /// The allow-list.
    #[error("algorithms: {0:?} is none of {list}", list = ALGORITHMS.join(", "))]
    Algorithm(String),
    /// Names that are the cluster's own.
    #[error("{0}: begins with \"system:\", which no provider may give")]
    System(&'static str),
    /// The authorities.
    #[error("caFile: {}: {message}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// What speaks TLS could not be set up.
    #[error("{0}")]
    Client(String),
    /// No randomness.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Authenticates ID tokens, as Bearer, or as the password of Basic with any user name.
pub struct IdTokens {
    issuers: Vec<Arc<Issuer>>,
    keyed: Keyed,
}

impl IdTokens {
    /// Takes the tokens of these issuers. Asks nothing: see [`IdTokens::watch`].
    pub fn new(settings: Vec<Settings>) -> Result<Self, InvalidIssuer> {
        let mut issuers: Vec<Arc<Issuer>> = Vec::with_capacity(settings.len());
        for settings in settings {
            if issuers.iter().any(|other| other.is(&settings.issuer)) {
                return Err(InvalidIssuer::Twice(settings.issuer));
            }
            issuers.push(Arc::new(Issuer::new(settings)?));
        }
        Ok(Self {
            issuers,
            keyed: Keyed::new()?,
        })
    }

    /// Fetches keys, and again and again, for ever; spawn it. Failures are logged.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let issuers = self.issuers.iter().cloned().map(Issuer::watch);
        let all = futures_util::future::join_all(issuers);
        async move { drop(all.await) }
    }

    /// How often keys were asked for since the start.
    pub fn fetches(&self) -> u64 {
        self.issuers.iter().map(|issuer| issuer.fetches()).sum()
    }

    /// How often of these no keys came.
    pub fn failures(&self) -> u64 {
        self.issuers.iter().map(|issuer| issuer.failures()).sum()
    }
}

#[async_trait]
impl Authenticator for IdTokens {
    async fn authenticate(
        &self,
        credential: &Credential,
        _: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        let text = credential.token().expose();
        let Some(token) = IdToken::read(text) else {
            return Ok(None);
        };
        let Some(issuer) = self.issuers.iter().find(|own| own.is(token.issuer())) else {
            return Ok(None);
        };
        let fingerprint = self.keyed.of(&[b"id token", text.as_bytes()]);
        issuer.whose(&token, &fingerprint, now).await.map(Some)
    }

    fn provider(&self) -> &'static str {
        PROVIDER
    }

    /// Namesakes at two issuers are two, and whoever an issuer vouched for that is configured no more is nobody.
    fn vouches_as(&self, provider: &str) -> bool {
        let issuer = provider.strip_prefix(PROVIDER);
        let issuer = issuer.and_then(|rest| rest.strip_prefix(':'));
        issuer.is_some_and(|issuer| self.issuers.iter().any(|own| own.is(issuer)))
    }

    /// The provider is not asked about users, and has no way to say: its tokens run out, and ours with them.
    fn revoked(&self, _: &Identity) -> bool {
        false
    }
}

impl fmt::Debug for IdTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.issuers).finish()
    }
}
