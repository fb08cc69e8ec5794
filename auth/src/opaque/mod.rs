//! Opaque tokens: texts that say nothing, of which the registry keeps a hash and what they are for.
//!
//! - An *API token* is what a user gives to a program: it acts as that user, within [`Limits`] and until its end. So it
//!   can never do more than its owner, and policy is asked for the owner each time.
//! - A *refresh token* (RFC 6749 §1.5) is what a client keeps of a login: the token endpoint takes it, and nothing else.
//!
//! What a user is besides their name (groups, uid, extra) is kept as it was when the token was made: the registry cannot ask
//! whoever vouched for them again. What takes a token away is its end, [`OpaqueTokens::revoke`], and the removal of its
//! owner, or of the password it was made with, where the authenticator knows of it.

mod create;
mod limits;
mod record;
mod store;
mod text;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;

pub use self::create::{CreateError, NewToken};
pub use self::limits::{InvalidLimits, Limits};
pub use self::record::{Kind, Token};
pub use self::store::{Most, StoreFailed, StoredToken, TokenStore};
pub use self::text::TokenId;

pub(crate) use self::record::End;
use self::record::Record;
use self::text::Text;
use crate::answers::Answers;
use crate::keyed::{Fingerprint, Keyed};
use crate::throttle::Throttle;
use crate::{Identity, LoadError, Refusal, Secret, SpentToken};

#[cfg(test)]
mod tests;

/// How long the store's word is good: so long may a token that another replica revoked still be taken here.
const REMEMBERED_FOR: Duration = Duration::from_secs(3);
/// How exactly it is known when a token was last used.
const USED_EVERY: Duration = Duration::from_secs(60);
/// Ids that are remembered to be none that were guessed.
const GENUINE: usize = 16 * 1024;
/// How long tokens live, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Longest life of an API token.
    pub max_lifetime: Duration,
    /// API tokens of one user at once.
    pub per_user: usize,
    /// Life of a refresh token; zero where none are given.
    pub refresh: Duration,
}

impl Settings {
    /// Life of an API token that is made without saying for how long, if it may be that long.
    pub const USUAL: Duration = Duration::from_secs(90 * 24 * 3600);
    /// Logins of one user at once; the oldest gives way to a new one.
    const LOGINS: usize = 50;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_lifetime: Duration::from_secs(365 * 24 * 3600),
            per_user: 100,
            refresh: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// A page of a list of tokens.
#[derive(Clone, Debug)]
pub struct TokenPage {
    /// Those on it.
    pub tokens: Vec<Token>,
    /// Where the next page begins: after this; `None` on the last.
    pub next: Option<String>,
}

/// Makes, checks, lists and revokes opaque tokens.
pub struct OpaqueTokens {
    store: Arc<dyn TokenStore>,
    settings: Settings,
    keyed: Keyed,
    throttle: Arc<Throttle>,
    known: Arc<Answers<Option<Arc<Record>>>>,
    /// Ids that there were. Whoever comes with one guesses none, and is let to the store whatever others at the same
    /// address do.
    genuine: Arc<Cache<Fingerprint, ()>>,
}

impl OpaqueTokens {
    /// Tokens that are kept in `store`.
    pub fn new(store: Arc<dyn TokenStore>, settings: Settings) -> Result<Self, LoadError> {
        Ok(Self {
            store,
            settings,
            keyed: Keyed::new()?,
            throttle: Arc::new(Throttle::new()),
            known: Answers::new(),
            genuine: Arc::new(Cache::new(GENUINE)),
        })
    }

    /// How long tokens live.
    pub(crate) fn settings(&self) -> Settings {
        self.settings
    }

    /// Whose API token `secret` is, limited as it is. `Ok(None)`: it has not the form of one.
    pub(crate) async fn identify(
        &self,
        secret: &Secret,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        match Text::parse(secret)? {
            None => Ok(None),
            // What is for the token endpoint alone opens nothing else.
            Some(text) if text.kind() != Kind::Api => Err(Refusal::BadCredential),
            Some(text) => {
                let record = self.check(&text, from, now).await?;
                Ok(Some(record.identity().clone()))
            }
        }
    }

    /// Whose refresh token `secret` is, if it was given for `service`.
    pub(crate) async fn redeem(
        &self,
        secret: &Secret,
        service: &str,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let text = Text::parse(secret)?
            .filter(|text| text.kind() == Kind::Login)
            .ok_or(Refusal::BadCredential)?;
        let record = self.check(&text, from, now).await?;
        if record.token().service() == Some(service) {
            Ok(record.identity().clone())
        } else {
            Err(Refusal::BadCredential)
        }
    }

    /// Somebody who came by a token that was issued by an opaque one, within that one's limits; refused when that one is
    /// gone.
    pub(crate) async fn still(
        &self,
        who: Identity,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let Some(id) = who.token() else {
            return Ok(who);
        };
        let record = self.record(id, from, now).await?;
        let record = record.ok_or(Refusal::BadCredential)?;
        let who = who.by_token_of(record.identity());
        match record.token().end(now) {
            None => Ok(who),
            Some(end) => Err(Refusal::SpentToken(SpentToken::new(&who, end))),
        }
    }

    /// A page of the tokens of `owner`, or of everybody: in the order of their ids, after `after`. It may have fewer than
    /// `limit`, and not be the last.
    pub async fn list(
        &self,
        owner: Option<&Identity>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<TokenPage, Refusal> {
        let owner = owner.map(Identity::principal);
        let stored = self.store.list(owner, after, limit).await;
        let stored = stored.map_err(unavailable)?;
        let last = stored.last().filter(|_| stored.len() == limit);
        let next = last.map(|last| last.id.clone());
        let records = stored.into_iter().filter_map(Record::read);
        Ok(TokenPage {
            tokens: records.map(|record| record.token().clone()).collect(),
            next,
        })
    }

    /// Takes a token away, if it is `owner`'s where one is given. False: there is none. It holds here at once, and on other
    /// replicas within seconds.
    pub async fn revoke(
        &self,
        owner: Option<&Identity>,
        id: &TokenId,
        now: SystemTime,
    ) -> Result<bool, Refusal> {
        let owner = owner.map(Identity::principal);
        let revoked = self.store.revoke(owner, id.as_str(), now).await;
        let revoked = revoked.map_err(unavailable)?;
        self.known.forget(&self.place(id));
        Ok(revoked)
    }

    async fn check(
        &self,
        text: &Text,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Arc<Record>, Refusal> {
        let Some(record) = self.record(text.id(), from, now).await? else {
            return Err(Refusal::BadCredential);
        };
        if !record.is_of(text) {
            // The id is right, so the store was perhaps not asked, and nothing counted yet.
            self.attempt(text.id(), from, now)?;
            return Err(Refusal::BadCredential);
        }
        if let Some(end) = record.token().end(now) {
            let spent = SpentToken::new(record.identity(), end);
            return Err(Refusal::SpentToken(spent));
        }
        self.note_use(&record, now);
        Ok(record)
    }

    /// The record of this name. Unknown names count as wrong passwords do, each as an account of its own.
    async fn record(
        &self,
        id: &TokenId,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Arc<Record>>, Refusal> {
        let place = self.place(id);
        let ask = || {
            let is_genuine = self.genuine.get(&place).is_some();
            let attempt = (!is_genuine).then(|| self.attempt(id, from, now));
            let (store, throttle) = (Arc::clone(&self.store), Arc::clone(&self.throttle));
            let (genuine, id) = (Arc::clone(&self.genuine), id.clone());
            async move {
                let attempt = attempt.transpose()?;
                let found = store.find(id.as_str()).await.map_err(unavailable);
                if matches!(found, Ok(Some(_))) {
                    genuine.insert(place, ());
                }
                if let (Some(attempt), Ok(Some(_)) | Err(_)) = (&attempt, &found) {
                    throttle.forgive(attempt);
                }
                let record = found?.and_then(Record::read).map(Arc::new);
                Ok((record, REMEMBERED_FOR))
            }
        };
        self.known.get(place, ask).await
    }

    fn attempt(
        &self,
        id: &TokenId,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<crate::throttle::Attempt, Refusal> {
        self.throttle
            .attempt(&self.keyed, id.as_str(), from, now)
            .map_err(|retry_after| Refusal::Throttled { retry_after })
    }

    /// Writes down roughly when a token was used, and lets nobody wait for it.
    fn note_use(&self, record: &Record, now: SystemTime) {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap_or_default().as_secs()
        };
        let (now_seconds, noted) = (seconds(now), record.noted.load(Ordering::Relaxed));
        let is_due = now_seconds >= noted.saturating_add(USED_EVERY.as_secs())
            && record
                .noted
                .compare_exchange(noted, now_seconds, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !is_due {
            return;
        }
        let (store, id) = (Arc::clone(&self.store), record.token().id().clone());
        tokio::spawn(async move {
            if let Err(error) = store.touch(id.as_str(), now).await {
                tracing::debug!(%error, "the use of a token was not noted");
            }
        });
    }

    /// Ids are random: as they are, they are good places to remember them by.
    fn place(&self, id: &TokenId) -> Fingerprint {
        self.keyed.of(&[id.as_str().as_bytes()])
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn unavailable(error: StoreFailed) -> Refusal {
    tracing::error!(%error, "tokens cannot be looked up or kept");
    Refusal::Unavailable {
        because: crate::Outage::Registry,
        retry_after: Duration::from_secs(2),
    }
}

impl fmt::Debug for OpaqueTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaqueTokens")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
