//! Opaque tokens: texts that say nothing, of which the registry keeps a hash and what they are for.
//!
//! - An *API token* is what a user gives to a program: it acts as that user, within [`Limits`] and until its end. So it
//!   can never do more than its owner, and policy is asked for the owner each time.
//! - A *refresh token* (RFC 6749 §1.5) is what a client keeps of a login: the token endpoint takes it, and nothing else.
//!
//! What a user is besides their name (groups, uid, extra) is kept as it was when the token was made: the registry cannot ask
//! whoever vouched for them again. What takes a token away is its end, [`OpaqueTokens::revoke`], and the removal of its
//! owner where the authenticator knows of it.

mod limits;
mod record;
mod store;
mod text;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

pub use self::limits::{InvalidLimits, Limits};
pub use self::record::{Kind, Token};
pub use self::store::{Most, StoreFailed, StoredToken, TokenStore};
pub use self::text::TokenId;

use self::record::Record;
use self::text::Text;
use crate::answers::Answers;
use crate::keyed::{Fingerprint, Keyed};
use crate::throttle::Throttle;
use crate::{Identity, LoadError, Refusal, Secret};

#[cfg(test)]
mod tests;

/// How long the store's word is good: so long may a token that another replica revoked still be taken here.
const REMEMBERED_FOR: Duration = Duration::from_secs(3);
/// How exactly it is known when a token was last used.
const USED_EVERY: Duration = Duration::from_secs(60);
/// Longest life of a refresh token from a credential that itself ends: a working day.
const MAX_FROM_ENDING: Duration = Duration::from_secs(12 * 3600);
/// Longest description in bytes.
const MAX_DESCRIPTION: usize = 256;
/// Longest name of a client in bytes.
const MAX_CLIENT: usize = 64;

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

/// What an API token shall be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it is for, in the user's words.
    pub description: String,
    /// What it may be used for.
    pub limits: Limits,
    /// How long it shall live; [`Settings::USUAL`] if nothing is said.
    pub lifetime: Option<Duration>,
}

/// Why an API token was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// By whom it was asked for.
    #[error("{0}")]
    NotForYou(&'static str),
    /// What was asked for.
    #[error("{0}")]
    Invalid(String),
    /// There are as many as allowed.
    #[error("you have {0} API tokens, which is the most: revoke one first")]
    TooMany(usize),
    /// It cannot be kept now.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Makes, checks, lists and revokes opaque tokens.
pub struct OpaqueTokens {
    store: Arc<dyn TokenStore>,
    settings: Settings,
    keyed: Keyed,
    throttle: Arc<Throttle>,
    known: Arc<Answers<Option<Arc<Record>>>>,
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
        })
    }

    /// Makes an API token for `owner`. Its text is in no other place from then on.
    ///
    /// Whoever came by a token gets none: it would outlive that one. Neither does a ServiceAccount, whose own tokens end
    /// with it.
    pub async fn create(
        &self,
        owner: &Identity,
        new: NewToken,
        now: SystemTime,
    ) -> Result<(Secret, Token), CreateError> {
        if let Some(why) = no_standing(owner) {
            return Err(CreateError::NotForYou(why));
        }
        if new.description.len() > MAX_DESCRIPTION || new.description.chars().any(char::is_control)
        {
            let what = format!("description: at most {MAX_DESCRIPTION} bytes, on one line");
            return Err(CreateError::Invalid(what));
        }
        let most = self.settings.max_lifetime;
        let lifetime = new.lifetime.unwrap_or(Settings::USUAL.min(most));
        if lifetime > most || lifetime.as_secs() == 0 {
            let most = most.as_secs();
            let what = format!("the lifetime: 1 to {most} seconds, as this server has it");
            return Err(CreateError::Invalid(what));
        }
        let text = Text::generate(Kind::Api)?;
        let record = Record::api(&text, owner, new, lifetime, now);
        let most = self.settings.per_user;
        let added = self
            .store
            .add(record.stored(), Most::Refused(most), now)
            .await;
        if added.map_err(unavailable)? {
            Ok((text.into_secret(), record.token().clone()))
        } else {
            Err(CreateError::TooMany(most))
        }
    }

    /// A refresh token for a login of `who` by a client that calls itself `client`; `None` where none are given, or not to
    /// them: to strangers, to whoever came by a token, and to `ServiceAccount`s.
    pub(crate) async fn remember(
        &self,
        who: &Identity,
        service: &str,
        client: &str,
        now: SystemTime,
    ) -> Result<Option<Secret>, Refusal> {
        let mut lifetime = self.settings.refresh;
        if lifetime.is_zero() || no_standing(who).is_some() {
            return Ok(None);
        }
        if who.until().is_some() {
            lifetime = lifetime.min(MAX_FROM_ENDING);
        }
        let client: String = client
            .chars()
            .filter(|char| !char.is_control())
            .take(MAX_CLIENT / 4)
            .collect();
        let text = Text::generate(Kind::Login)?;
        let record = Record::login(&text, who, service, client, lifetime, now);
        let most = Most::InPlaceOfOldest(Settings::LOGINS);
        let added = self.store.add(record.stored(), most, now).await;
        added.map_err(unavailable)?;
        Ok(Some(text.into_secret()))
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
            Some(text) => self.check(&text, from, now).await.map(Some),
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
        let who = self.check(&text, from, now).await?;
        let record = self.record(text.id(), from, now).await?;
        let is_for_service = record.is_some_and(|record| record.token().service() == Some(service));
        if is_for_service {
            Ok(who)
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
        record
            .filter(|record| now < record.token().expires())
            .map(|record| who.by_token_of(record.identity()))
            .ok_or(Refusal::BadCredential)
    }

    /// Tokens of `owner`, or of everybody, in the order of their ids after `after`.
    pub async fn list(
        &self,
        owner: Option<&Identity>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Token>, Refusal> {
        let owner = owner.map(Identity::principal);
        let stored = self.store.list(owner, after, limit).await;
        let stored = stored.map_err(unavailable)?;
        let records = stored.into_iter().filter_map(Record::read);
        Ok(records.map(|record| record.token().clone()).collect())
    }

    /// Takes a token away, if it is `owner`'s where one is given. False: there is none. It holds here at once, and on other
    /// replicas within seconds.
    pub async fn revoke(&self, owner: Option<&Identity>, id: &TokenId) -> Result<bool, Refusal> {
        let owner = owner.map(Identity::principal);
        let removed = self.store.remove(owner, id.as_str()).await;
        let removed = removed.map_err(unavailable)?;
        self.known.forget(&self.place(id));
        Ok(removed)
    }

    async fn check(
        &self,
        text: &Text,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let Some(record) = self.record(text.id(), from, now).await? else {
            return Err(Refusal::BadCredential);
        };
        if !record.is_of(text) {
            // The id is right, so the store was perhaps not asked, and nothing counted yet.
            self.attempt(text.id(), from, now)?;
            return Err(Refusal::BadCredential);
        }
        if now >= record.token().expires() {
            return Err(Refusal::BadCredential);
        }
        self.note_use(&record, now);
        Ok(record.identity().clone())
    }

    /// The record of this name. Unknown names count as wrong passwords do, each as an account of its own.
    async fn record(
        &self,
        id: &TokenId,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Arc<Record>>, Refusal> {
        let ask = || {
            let attempt = self.attempt(id, from, now);
            let (store, throttle) = (Arc::clone(&self.store), Arc::clone(&self.throttle));
            let id = id.clone();
            async move {
                let attempt = attempt?;
                let found = store.find(id.as_str()).await.map_err(unavailable);
                if !matches!(found, Ok(None)) {
                    throttle.forgive(&attempt);
                }
                let record = found?.and_then(Record::read).map(Arc::new);
                Ok((record, REMEMBERED_FOR))
            }
        };
        self.known.get(self.place(id), ask).await
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

/// Why somebody gets no token that outlives their credential.
fn no_standing(who: &Identity) -> Option<&'static str> {
    if who.is_anonymous() {
        Some("a stranger has no tokens")
    } else if who.access().is_some() || who.token().is_some() {
        Some("a token makes no further token: use the password, or what you log in with")
    } else if who.name().starts_with("system:serviceaccount:") {
        Some("a ServiceAccount has its own tokens (kubectl create token), which end with it")
    } else {
        None
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn unavailable(error: StoreFailed) -> Refusal {
    tracing::error!(%error, "tokens cannot be looked up or kept");
    Refusal::Unavailable {
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
