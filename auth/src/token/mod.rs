//! Our own tokens: short-lived JWTs (RFC 7519), signed with Ed25519 (RFC 8037), that say who somebody is and what the
//! token may be used for.

mod claims;
mod keys;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::claims::{Claims, seconds};
use self::keys::Keys;
use crate::keyed::Keyed;
use crate::sight::Positions;
use crate::watched::Watched;
use crate::{Access, Identity, LoadError, Refusal, Secret};

#[cfg(test)]
mod tests;

/// Longest token in bytes that is looked at.
const MAX_LEN: usize = 64 * 1024;

/// Issues and verifies the registry's own tokens.
///
/// The key file is PEM with one or more PKCS#8 Ed25519 keys. The last one signs, all verify. To rotate, append a key
/// (`openssl genpkey -algorithm ed25519 >> FILE`), and remove the old one an hour later. Where several servers read it, each
/// at its own time, the new key goes in front first, so that all can verify before any signs.
pub struct Tokens {
    keys: Arc<Watched<Keys>>,
    keyed: Keyed,
    services: Vec<String>,
    ttl: Duration,
}

impl Tokens {
    /// Longest life of a token.
    pub const MAX_TTL: Duration = Duration::from_secs(3600);
    /// Usual life of a token.
    pub const DEFAULT_TTL: Duration = Duration::from_secs(300);

    /// Reads the key file, or makes one, readable for its owner only (0600).
    ///
    /// `services` are the names that tokens may be for (`hosts` of the configuration); the first goes into those issued
    /// here, and without any it is `slipway`. `ttl` is cut to [`Tokens::MAX_TTL`].
    pub fn load_or_create(
        path: &Path,
        mut services: Vec<String>,
        ttl: Duration,
    ) -> Result<Self, LoadError> {
        if services.is_empty() {
            services.push("slipway".into());
        }
        keys::create_if_missing(path)?;
        Ok(Self {
            keys: Arc::new(Watched::load(path, Keys::read, Keys::parse)?),
            keyed: Keyed::new()?,
            services,
            ttl: ttl.min(Self::MAX_TTL),
        })
    }

    /// Whether the key file is there; an error when it is and cannot be used. Makes nothing.
    pub fn check(path: &Path) -> Result<bool, LoadError> {
        match Keys::read(path) {
            Ok(sources) => Keys::parse(&sources).map(|_| true),
            Err(LoadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the key file again if it changed; true when something new is in force. On an error the keys from before
    /// stay.
    pub fn reload(&self) -> Result<bool, LoadError> {
        self.keys.reload()
    }

    /// Reloads `every` so often, for ever; spawn it. Failures are logged.
    pub fn watch(&self, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.keys).watch(every)
    }

    /// The name that challenges give as `service`, and tokens as `aud`.
    pub fn service(&self) -> &str {
        self.services.first().map_or("", String::as_str)
    }

    /// What seals positions in lists for every server that reads the same key file.
    pub(crate) fn positions(&self) -> Arc<Positions> {
        Arc::clone(&self.keys.current().positions)
    }

    /// A token for `who`, limited to `access`. It ends no later than the credential that `who` came by.
    pub fn issue(
        &self,
        who: &Identity,
        access: &Access,
        now: SystemTime,
    ) -> Result<IssuedToken, Refusal> {
        // Whole seconds, as the claims have them.
        let left = who
            .until()
            .map_or(u64::MAX, |end| seconds(end).saturating_sub(seconds(now)));
        let ttl = self.ttl.min(Duration::from_secs(left));
        if ttl.is_zero() {
            return Err(Refusal::BadCredential);
        }
        let claims = Claims::new(who, access, self.service(), ttl, now);
        let token = self
            .keys
            .current()
            .sign(&claims)
            .ok_or(Refusal::Unavailable {
                because: crate::Outage::Registry,
                retry_after: Duration::from_secs(1),
            })?;
        Ok(IssuedToken {
            token: Secret::new(token),
            expires_in: ttl,
            issued_at: now,
        })
    }

    /// Whom `token` was issued to, limited to what it was issued for. `Ok(None)`: it is not one of ours, by its form or
    /// key. Without remembering, a check costs two hash blocks per 64 bytes and one signature; a remembered token costs
    /// the hash.
    pub fn verify(&self, token: &Secret, now: SystemTime) -> Result<Option<Identity>, Refusal> {
        let text = token.expose();
        if text.len() > MAX_LEN {
            return Err(Refusal::BadCredential);
        }
        let keys = self.keys.current();
        if !keys.are_named_by(text) {
            return Ok(None);
        }
        let fingerprint = self.keyed.of(&[b"token", text.as_bytes()]);
        let verified = match keys.verified.get(&fingerprint) {
            Some(verified) => verified,
            None => match keys.verify(text, &self.services)? {
                None => return Ok(None),
                Some(claims) => {
                    let verified = claims.into_verified().ok_or(Refusal::BadCredential)?;
                    // Before its time it is refused below, and after its end it is worth nothing.
                    keys.verified.insert(fingerprint, verified.clone());
                    verified
                }
            },
        };
        if verified.life.contains(now) {
            Ok(Some(verified.who))
        } else {
            Err(Refusal::BadCredential)
        }
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// A token and its life, for the answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    token: Secret,
    expires_in: Duration,
    issued_at: SystemTime,
}

impl IssuedToken {
    /// The token, to be given to the client and to nobody else.
    pub fn token(&self) -> &str {
        self.token.expose()
    }

    /// How long it holds.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// Since when.
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }
}
