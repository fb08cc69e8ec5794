//! Our own tokens.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::{Access, Identity, LoadError, Refusal, Secret};

/// Issues and verifies the registry's own tokens.
#[derive(Debug)]
pub struct Tokens {}

impl Tokens {
    /// Reads the key file, or makes one (0600). `services` are the names that tokens may be for (`hosts` of the
    /// configuration); the first goes into those issued here. `ttl` is at most an hour.
    pub fn load_or_create(
        path: &Path,
        services: Vec<String>,
        ttl: Duration,
    ) -> Result<Self, LoadError> {
        let _ = (path, services, ttl);
        unimplemented!()
    }

    /// The name that challenges give as `service`, and tokens as `aud`.
    pub fn service(&self) -> &str {
        unimplemented!()
    }

    /// A token for `who`, limited to `access`.
    pub fn issue(
        &self,
        who: &Identity,
        access: &Access,
        now: SystemTime,
    ) -> Result<IssuedToken, Refusal> {
        let _ = (who, access, now);
        unimplemented!()
    }

    /// Whom `token` was issued to, limited to what it was issued for. `Ok(None)`: it is not one of ours.
    pub fn verify(&self, token: &Secret, now: SystemTime) -> Result<Option<Identity>, Refusal> {
        let _ = (token, now);
        unimplemented!()
    }
}

/// A token and its life, for the answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// How long it holds.
    pub expires_in: Duration,
    /// Since when.
    pub issued_at: SystemTime,
}
