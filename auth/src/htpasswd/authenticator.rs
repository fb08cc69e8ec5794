//! Checking passwords.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use super::hash::MAX_PASSWORD;
use super::users::Users;
use crate::keyed::{Fingerprint, Keyed};
use crate::throttle::{Attempt, Throttle};
use crate::watched::Watched;
use crate::{Authenticator, Credential, Identity, LoadError, Refusal, Secret};

#[cfg(test)]
mod tests;

const PROVIDER: &str = "htpasswd";
/// Checks waiting or running; beyond that clients are told to come again. More than one address may have under way.
const MAX_QUEUED: usize = 256;
/// Attempts by names of no user that may still be forgiven.
const STRANGERS: usize = 16 * 1024;
const BUSY: Refusal = Refusal::Unavailable {
    because: crate::Outage::Busy,
    retry_after: Duration::from_secs(2),
};

/// Authenticates Basic credentials against an htpasswd file.
///
/// A pair that was right is remembered, under a keyed hash, until the file changes: a pull of twenty layers, or a
/// hundred clients starting at once with the same pair, pay for one bcrypt. Wrong pairs are not remembered; they are
/// [throttled](Refusal::Throttled) per account and address. The work runs on at most all cores but one, so a flood of
/// passwords does not starve the rest.
///
/// A name of no user costs and counts the same, and then is left to other authenticators, as clients send tokens of theirs
/// in the place of a password. A pair that one of them knew is remembered too, and counts as no guess.
pub struct Htpasswd {
    users: Arc<Watched<Users>>,
    keyed: Keyed,
    throttle: Throttle,
    /// Attempts by names of no user, each to be forgiven if somebody else knows the pair.
    strangers: Cache<Fingerprint, Attempt>,
    queue: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    checks: AtomicU64,
}

impl Htpasswd {
    /// Reads the file. An error names the line.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            users: Arc::new(Watched::load(path, Users::read, Users::parse)?),
            keyed: Keyed::new()?,
            throttle: Throttle::new(),
            strangers: Cache::new(STRANGERS),
            queue: Arc::new(Semaphore::new(MAX_QUEUED)),
            cores: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            checks: AtomicU64::new(0),
        })
    }

    /// Whether there are no users.
    pub fn is_empty(&self) -> bool {
        self.users.current().is_empty()
    }

    /// Reads the file again if it changed; true when something new is in force. On an error, also when the file is
    /// gone, the users from before stay.
    pub fn reload(&self) -> Result<bool, LoadError> {
        self.users.reload()
    }

    /// Reloads `every` so often, for ever; spawn it. Failures are logged.
    pub fn watch(&self, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.users).watch(every)
    }

    /// For how long the file has held a change that is not in force, as something is wrong with it; zero when it has none.
    /// Spawn what [`Htpasswd::watch`] gives, which finds out.
    pub fn stale(&self) -> impl Fn() -> Duration + Send + Sync + use<> {
        let users = Arc::clone(&self.users);
        move || users.stale_for()
    }

    /// How many passwords were hashed since the start.
    pub fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }

    /// `None`: there is no such user.
    async fn verify(
        &self,
        user: &str,
        password: &Secret,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        let users = Arc::clone(&self.users.current());
        let pair = self.pair(user, password);
        // Whoever asks for the same pair meanwhile waits for this one's outcome.
        let place = match users.verified.get_value_or_guard_async(&pair).await {
            Ok(who) => return Ok(who),
            Err(place) => place,
        };
        let attempt = self
            .throttle
            .attempt(&self.keyed, user, from, now)
            .map_err(|retry_after| Refusal::Throttled { retry_after })?;
        match self.check(&users, user, password).await {
            Ok(true) => {
                self.throttle.forgive(&attempt);
                let who = Identity::authenticated(PROVIDER, user, [])
                    .with_extra(users.uid(user), BTreeMap::new());
                let who = Some(who);
                // It fails only when the place was taken meanwhile, by the same answer.
                let _ = place.insert(who.clone());
                Ok(who)
            }
            Ok(false) if users.contains(user) => Err(Refusal::BadCredential),
            Ok(false) => {
                self.strangers.insert(self.stranger(&pair, from), attempt);
                Ok(None)
            }
            Err(refusal) => {
                self.throttle.forgive(&attempt);
                Err(refusal)
            }
        }
    }

    fn pair(&self, user: &str, password: &Secret) -> Fingerprint {
        let (user, password) = (user.as_bytes(), password.expose().as_bytes());
        self.keyed.of(&[b"pair", user, password])
    }

    /// Where the attempt of a pair by a client is.
    fn stranger(&self, pair: &Fingerprint, from: Option<IpAddr>) -> Fingerprint {
        let from = from.map(|from| from.to_string()).unwrap_or_default();
        self.keyed.of(&[b"stranger", pair, from.as_bytes()])
    }

    /// One bcrypt, whoever the user is.
    async fn check(&self, users: &Users, user: &str, password: &Secret) -> Result<bool, Refusal> {
        let queued = Arc::clone(&self.queue)
            .try_acquire_owned()
            .map_err(|_| BUSY)?;
        let core = Arc::clone(&self.cores)
            .acquire_owned()
            .await
            .map_err(|_| BUSY)?;
        let (hash, known) = users.hash_for(user, &self.keyed).ok_or(BUSY)?;
        let password = password.clone();
        self.checks.fetch_add(1, Ordering::Relaxed);
        let matches = tokio::task::spawn_blocking(move || {
            let matches = hash.matches(&password);
            // Held to here: a client that hangs up does not make room for the next while its work still runs.
            drop((queued, core));
            matches
        });
        Ok(matches.await.map_err(|_| BUSY)? & known)
    }
}

#[async_trait]
impl Authenticator for Htpasswd {
    /// A password that bcrypt cannot hold (over 72 bytes) is not of its kind, and neither is one of no user: it may be the
    /// token of another authenticator. A user's wrong password is shown to no other.
    async fn authenticate(
        &self,
        credential: &Credential,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        match credential {
            Credential::Basic(basic) if is_possible(basic.password()) => {
                let (user, password) = (basic.user(), basic.password());
                self.verify(user, password, from, now).await
            }
            _ => Ok(None),
        }
    }

    fn known_elsewhere(&self, credential: &Credential, from: Option<IpAddr>) {
        let Credential::Basic(basic) = credential else {
            return;
        };
        let pair = self.pair(basic.user(), basic.password());
        // Only what was counted is forgiven, and once.
        if let Some((_, attempt)) = self.strangers.remove(&self.stranger(&pair, from)) {
            self.throttle.forgive(&attempt);
            let users = self.users.current();
            if !users.contains(basic.user()) {
                users.verified.insert(pair, None);
            }
        }
    }

    fn provider(&self) -> &'static str {
        PROVIDER
    }

    /// Also with a changed password: whoever had the old one may not go on by a token, and a new user of the name is
    /// another person.
    fn revoked(&self, who: &Identity) -> bool {
        let uid = self.users.current().uid(who.name());
        who.provider() == PROVIDER && (uid.is_none() || uid.as_deref() != who.uid())
    }

    fn notices_removal(&self) -> bool {
        true
    }

    fn has_user(&self, name: &str) -> bool {
        self.users.current().contains(name)
    }
}

fn is_possible(password: &Secret) -> bool {
    password.expose().len() <= MAX_PASSWORD
}

impl std::fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Htpasswd")
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}
