//! Whose a token is, from `TokenReview`.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use quick_cache::sync::Cache;
use serde::Deserialize;

use super::cluster::{BUSY, Purpose};
use super::{Cluster, Lifetimes};
use crate::answers::Answers;
use crate::keyed::{Fingerprint, Keyed};
use crate::turns::Turns;
use crate::{Authenticator, Credential, Identity, LoadError, Refusal, Secret};

#[cfg(test)]
mod tests;

const PROVIDER: &str = "kubernetes";
/// Tokens that are remembered to have been known.
const GENUINE: usize = 16 * 1024;

/// Authenticates the cluster's tokens: of service accounts and of people, as Bearer, or as the password of Basic with any
/// user name, for clients that know no other way.
pub struct TokenReviews {
    cluster: Arc<Cluster>,
    audiences: Vec<String>,
    lifetimes: Lifetimes,
    keyed: Keyed,
    turns: Arc<Turns>,
    answers: Arc<Answers<Option<Identity>>>,
    /// Tokens that the cluster knew once. Whoever comes with one is asked about at once, whatever others at the same address
    /// do.
    genuine: Arc<Cache<Fingerprint, ()>>,
}

impl TokenReviews {
    /// Takes tokens that were issued for one of `audiences`; for the API server itself when there are none.
    pub fn new(
        cluster: Arc<Cluster>,
        audiences: Vec<String>,
        lifetimes: Lifetimes,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            cluster,
            audiences,
            lifetimes,
            keyed: Keyed::new()?,
            turns: Arc::default(),
            answers: Answers::new(),
            genuine: Arc::new(Cache::new(GENUINE)),
        })
    }

    async fn whose(
        &self,
        token: &Secret,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let question = self.keyed.of(&[token.expose().as_bytes()]);
        if let Some(answer) = self.answers.known(&question) {
            return answer.ok_or(Refusal::BadCredential);
        }
        let end = end_of(token);
        if end.is_some_and(|end| end <= now) {
            return Err(Refusal::BadCredential);
        }
        let answer = self
            .answers
            .get(question, || self.ask(token, question, end, from, now))
            .await;
        answer?.ok_or(Refusal::BadCredential)
    }

    /// Asks the cluster: about tokens that it never knew only a few at once for each address. Failures are not counted, as
    /// nobody guesses a token, and pods have the address of their node. Whoever waits for the same answer is not in line.
    fn ask(
        &self,
        token: &Secret,
        question: Fingerprint,
        end: Option<SystemTime>,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> impl Future<Output = Result<(Option<Identity>, Duration), Refusal>> + use<> {
        let is_genuine = self.genuine.get(&question).is_some();
        let in_line = (!is_genuine).then(|| self.turns.enter(from)).transpose();
        let genuine = Arc::clone(&self.genuine);
        let (cluster, lifetimes) = (Arc::clone(&self.cluster), self.lifetimes);
        let audiences = self.audiences.clone();
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.expose().to_owned()),
                audiences: (!audiences.is_empty()).then(|| audiences.clone()),
            },
            ..TokenReview::default()
        };
        async move {
            let in_line = in_line?;
            let _turn = match &in_line {
                None => None,
                Some(in_line) => {
                    let turn = tokio::time::timeout(cluster.deadline(), in_line.turn()).await;
                    turn.map_err(|_| BUSY)?
                }
            };
            let said = cluster.review(Purpose::Deed, &review).await?;
            let who = identity(said.status.unwrap_or_default(), &audiences);
            let who = who.map(|who| who.ending(end));
            if who.is_some() {
                genuine.insert(question, ());
            }
            let left = end.and_then(|end| end.duration_since(now).ok());
            let lifetime = lifetimes.of(who.is_some());
            Ok((who, left.map_or(lifetime, |left| lifetime.min(left))))
        }
    }
}

/// Who the cluster says it is; `None` unless it is sure and the token was meant for us.
fn identity(status: TokenReviewStatus, audiences: &[String]) -> Option<Identity> {
    if !status.authenticated.unwrap_or_default() {
        return None;
    }
    // An authenticator that knows no audiences answers with none: then the token is one for the API server.
    let is_for_us = audiences.is_empty()
        || status
            .audiences
            .unwrap_or_default()
            .iter()
            .any(|audience| audiences.contains(audience));
    let user = status.user.filter(|_| is_for_us)?;
    let name = user.username.filter(|name| !name.is_empty())?;
    let who = Identity::authenticated(PROVIDER, &name, user.groups.unwrap_or_default());
    Some(who.with_extra(user.uid, user.extra.unwrap_or_default()))
}

/// When a JWT (RFC 7519 §4.1.4) says that it ends. Unverified: it only shortens how long an answer holds.
fn end_of(token: &Secret) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Payload {
        exp: f64,
    }
    let payload = token.expose().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    let end = Duration::try_from_secs_f64(payload.exp).ok()?;
    UNIX_EPOCH.checked_add(end)
}

#[async_trait]
impl Authenticator for TokenReviews {
    async fn authenticate(
        &self,
        credential: &Credential,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        self.whose(credential.token(), from, now).await.map(Some)
    }

    fn provider(&self) -> &'static str {
        PROVIDER
    }

    /// The cluster is not asked about a token that it is not shown: ours run out soon.
    fn revoked(&self, _: &Identity) -> bool {
        false
    }
}

impl fmt::Debug for TokenReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReviews")
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}
