//! Keys for what is remembered about secrets.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;

use crate::LoadError;

/// Makes the keys under which caches remember credentials: HMAC-SHA-256 under a key of this process. The secret itself
/// is not kept, and nobody outside can find two inputs with one key.
pub(crate) struct Keyed(hmac::Key);

/// A key of a cache.
pub(crate) type Fingerprint = [u8; 32];

impl Keyed {
    pub(crate) fn new() -> Result<Self, LoadError> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map(Self)
            .map_err(|_| LoadError::Randomness)
    }

    /// The fingerprint of `parts` in this order. Each goes in behind its length, so that ("a:b", "c") and ("a", "b:c")
    /// differ.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(…)")
    }
}

#[cfg(test)]
mod tests;
