//! The key file, signing and verifying.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::claims::{Claims, ISSUER, Verified};
use crate::jws::Jws;
use crate::keyed::Fingerprint;
use crate::replace::create;
use crate::sight::Positions;
use crate::watched::{Source, read_text};
use crate::{LoadError, Refusal};

const MAX_FILE: u64 = 64 * 1024;
/// Verified tokens remembered.
const REMEMBERED: usize = 10_000;

/// The keys of one state of the file, and the tokens that were found genuine under them. A removed key takes its tokens
/// along.
pub(super) struct Keys {
    id: String,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    /// The first part of tokens of these keys, as [`Keys::sign`] writes it.
    pub(super) headers: HashSet<String>,
    /// What else servers that share the file must share.
    pub(super) positions: Arc<Positions>,
    pub(super) verified: Cache<Fingerprint, Verified>,
}

/// All that a header of ours holds. `jwk`, `jku`, `x5c`, `x5u`, `crit`, `zip`, `enc` and whatever else (CVE-2025-24976)
/// make a token not one of ours, before anything looks at them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

impl Keys {
    pub(super) fn read(path: &Path) -> Result<Vec<Source>, LoadError> {
        Ok(vec![Source {
            path: path.to_owned(),
            text: read_text(path, MAX_FILE)?,
        }])
    }

    pub(super) fn parse(sources: &[Source]) -> Result<Self, LoadError> {
        let mut verifying = HashMap::new();
        let mut newest = None;
        let mut secrets = Vec::new();
        for Source { path, text } in sources {
            for key in PrivatePkcs8KeyDer::pem_slice_iter(text.as_bytes()) {
                let key =
                    key.map_err(|_| LoadError::file(path, "not a PEM file of PKCS#8 keys"))?;
                let der = key.secret_pkcs8_der();
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| {
                    LoadError::file(
                        path,
                        "a key that is not Ed25519; make one with \
                                           `openssl genpkey -algorithm ed25519`",
                    )
                })?;
                let public = pair.public_key().as_ref();
                let id = thumbprint(public);
                verifying.insert(id.clone(), DecodingKey::from_ed_der(public));
                newest = Some((id, EncodingKey::from_ed_der(der)));
                secrets.push(Zeroizing::new(der.to_vec()));
            }
            if newest.is_none() {
                return Err(LoadError::file(
                    path,
                    "holds no key; remove it to have one made",
                ));
            }
        }
        let (id, signing) = newest.ok_or(LoadError::Randomness)?;
        let positions = Positions::shared(secrets.iter().map(|secret| secret.as_slice()));
        Ok(Self {
            id,
            signing,
            headers: verifying
                .keys()
                .filter_map(|id| written_header(id))
                .collect(),
            verifying,
            positions: Arc::new(positions.ok_or(LoadError::Randomness)?),
            verified: Cache::new(REMEMBERED),
        })
    }

    pub(super) fn sign(&self, claims: &Claims) -> Option<String> {
        jsonwebtoken::encode(&signing_header(&self.id), claims, &self.signing).ok()
    }

    /// Whether a token says that it is of one of these keys. Cheaper than to look for it among those remembered, which
    /// takes a hash of all of it: tokens of others come by here at every request.
    pub(super) fn are_named_by(&self, token: &str) -> bool {
        let first = token.split_once('.').map(|(first, _)| first);
        let known = first.is_some_and(|first| self.headers.contains(first));
        known || header(token).is_some_and(|header| self.verifying.contains_key(&header.kid))
    }

    /// The claims of a genuine token, whatever its life. `Ok(None)`: by its form or key not one of ours.
    pub(super) fn verify(
        &self,
        token: &str,
        services: &[String],
    ) -> Result<Option<Claims>, Refusal> {
        let Some(header) = header(token) else {
            return Ok(None);
        };
        let Some(key) = self.verifying.get(&header.kid) else {
            return Ok(None);
        };
        if header.alg != "EdDSA" || header.typ != "JWT" {
            return Err(Refusal::BadCredential);
        }
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(services);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library would read the clock itself; `Life` checks both against the caller's.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        match jsonwebtoken::decode::<Claims>(token, key, &rules) {
            Ok(data) => Ok(Some(data.claims)),
            Err(_) => Err(Refusal::BadCredential),
        }
    }
}

/// Makes the file with one fresh key, unless it is there.
pub(super) fn create_if_missing(path: &Path) -> Result<(), LoadError> {
    if let Ok(there) = fs::metadata(path) {
        if there.mode() & 0o007 != 0 {
            let path = path.display();
            tracing::warn!("everybody on this machine can read {path}: chmod o-rwx {path}");
        }
        return Ok(());
    }
    let key =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| LoadError::Randomness)?;
    let encoded = Zeroizing::new(STANDARD.encode(key.as_ref()));
    let pem = Zeroizing::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        wrapped(&encoded).as_str()
    ));
    // Whoever was quicker has made a key as good.
    create(path, pem.as_bytes())
        .map(|_| ())
        .map_err(|error| LoadError::io(path, error))
}

fn wrapped(encoded: &str) -> Zeroizing<String> {
    let mut lines = Zeroizing::new(String::with_capacity(encoded.len() * 2));
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines
}

fn signing_header(id: &str) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(id.to_owned());
    header
}

fn written_header(id: &str) -> Option<String> {
    let json = serde_json::to_vec(&signing_header(id)).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json))
}

/// The header, when the token has the form of a JWS of ours: three parts, and no more fields than ours have.
fn header(token: &str) -> Option<StrictHeader> {
    serde_json::from_slice(&Jws::split(token)?.header()?).ok()
}

/// RFC 7638 §3 with the members of RFC 8037 §2.
fn thumbprint(public: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes()))
}
