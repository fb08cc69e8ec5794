//! The public keys of an issuer (RFC 7517).

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, crypto};
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::Value;

use super::token::Header;
use crate::Identity;
use crate::jws::Jws;
use crate::keyed::Fingerprint;

/// Most keys of one issuer.
const MAX_KEYS: usize = 100;
/// Verified tokens remembered for each issuer.
const REMEMBERED: usize = 10_000;

/// The keys of one state of the issuer's document, and the tokens that were found genuine under them. A removed key takes
/// its tokens along.
pub(super) struct Keys {
    text: Vec<u8>,
    all: Vec<Key>,
    pub(super) verified: Cache<Fingerprint, Identity>,
}

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
}

/// What the keys say of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Genuine,
    Forged,
    /// The key is not among them; perhaps it is new.
    Unknown,
}

impl Keys {
    /// Reads a JWK Set. Keys that are not for signatures, or of a kind that is not known here, are left out.
    pub(super) fn parse(text: Vec<u8>) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(&text)
            .map_err(|error| format!("its keys are no JWK Set: {error}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("it has {} keys; {MAX_KEYS} may be", set.keys.len()));
        }
        let all: Vec<Key> = set.keys.into_iter().filter_map(Key::read).collect();
        if all.is_empty() {
            return Err("none of its keys is one to verify signatures with".to_owned());
        }
        let verified = Cache::new(REMEMBERED);
        Ok(Self {
            text,
            all,
            verified,
        })
    }

    /// Whether the issuer's document is still the same.
    pub(super) fn are(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// A token that names no key is for the only one there is of its kind (OpenID Connect Core 1.0 §10.1).
    pub(super) fn verify(&self, header: &Header, token: &Jws<'_>) -> Verdict {
        let is_named = |key: &&Key| header.key.is_none() || header.key == key.id;
        let named: Vec<&Key> = self.all.iter().filter(is_named).collect();
        if named.is_empty() {
            return Verdict::Unknown;
        }
        let mut fitting = named
            .into_iter()
            .filter(|key| key.algorithms.contains(&header.algorithm));
        if header.key.is_none() && fitting.clone().count() != 1 {
            return Verdict::Forged;
        }
        if fitting.any(|key| key.signed(token, header.algorithm)) {
            Verdict::Genuine
        } else if header.key.is_none() {
            Verdict::Unknown
        } else {
            Verdict::Forged
        }
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let is_for_signatures =
            matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let operations = common.key_operations.as_ref();
        let verifies = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !is_for_signatures || !verifies {
            return None;
        }
        // The key says what it is for, never the token: a public key is no secret to compute a MAC with.
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => vec![Algorithm::EdDSA],
            _ => return None,
        };
        if let Some(declared) = common.key_algorithm {
            let declared = Algorithm::try_from(declared).ok()?;
            algorithms.retain(|algorithm| *algorithm == declared);
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithms,
            public: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }

    fn signed(&self, token: &Jws<'_>, algorithm: Algorithm) -> bool {
        let verified = crypto::verify(
            token.signature,
            token.signed.as_bytes(),
            &self.public,
            algorithm,
        );
        matches!(verified, Ok(true))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.all.iter().map(|key| &key.id);
        f.debug_list().entries(ids).finish()
    }
}
