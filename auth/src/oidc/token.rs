//! What an ID token says, and whether that holds for us (OpenID Connect Core 1.0 §2, §3.1.3.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use crate::jws::{Jws, Unambiguous};

/// What tokens may be signed with (RFC 7518 §3.1, RFC 8037). No secrets (`HS256`) and no `none`, whatever is configured.
pub const ALGORITHMS: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];
/// Header fields that bring or point to a key, or that change what the rest means. A token with one of them is refused
/// before anything looks at it (CVE-2025-24976); others are ignored, as RFC 7515 §4 has it.
const REFUSED_FIELDS: &[&str] = &["jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc"];
/// How far the issuer's clock may be ahead of ours. It never lengthens a token's life.
const LEEWAY: Duration = Duration::from_secs(60);
/// A token that is good for longer is a password that nobody can change.
const MAX_LIFE: Duration = Duration::from_secs(366 * 24 * 3600);

/// A token in the form of an ID token. Nothing of it is verified.
pub(super) struct IdToken<'a> {
    pub(super) jws: Jws<'a>,
    claims: Map<String, Value>,
    issuer: String,
}

/// What the header says of key and algorithm.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: Option<String>,
}

/// When a token holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) issued: SystemTime,
    pub(super) end: SystemTime,
}

/// Why a token is not good. Said in the log, and to nobody who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("its header is malformed, or brings a key")]
    Header,
    #[error("its algorithm is not in the list")]
    Algorithm,
    #[error("its signature is not by a key of the issuer")]
    Signature,
    #[error("it is for another audience than clientId and audiences")]
    Audience,
    #[error("it was issued to another client (azp) than clientId and audiences")]
    Party,
    #[error(
        "it does not say when it was issued and when it ends, or not in a way that makes sense"
    )]
    Times,
    #[error("it has ended")]
    Ended,
    #[error("it does not hold yet: do the clocks agree?")]
    Early,
    #[error("the claim of usernameClaim is not there, is no text, or begins with \"system:\"")]
    Name,
    #[error("its email address is not verified")]
    Email,
    #[error("the claim of groupsClaim is neither a text nor a list of texts")]
    Groups,
    #[error("a claim of requiredClaims is not there or has another value")]
    Required,
}

impl<'a> IdToken<'a> {
    /// `None`: it is something else, such as a password.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let jws = Jws::split(text)?;
        let Unambiguous(claims) = serde_json::from_slice(&jws.payload()?).ok()?;
        let issuer = claims.get("iss")?.as_str()?.to_owned();
        Some(Self {
            jws,
            claims,
            issuer,
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    pub(super) fn header(&self) -> Result<Header, Flaw> {
        let bytes = self.jws.header().ok_or(Flaw::Header)?;
        let Ok(Unambiguous(fields)) = serde_json::from_slice(&bytes) else {
            return Err(Flaw::Header);
        };
        let is_refused = |name: &String| REFUSED_FIELDS.contains(&name.as_str());
        if fields.keys().any(is_refused) {
            return Err(Flaw::Header);
        }
        // Access tokens have a type of their own (RFC 9068 §2.1), and so have others that are none of ours.
        match fields.get("typ") {
            None => {}
            Some(Value::String(kind)) if kind.eq_ignore_ascii_case("JWT") => {}
            Some(_) => return Err(Flaw::Header),
        }
        let key = match fields.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(Flaw::Header),
        };
        let name = fields.get("alg").and_then(Value::as_str);
        let name = name.filter(|name| ALGORITHMS.contains(name));
        let name = name.ok_or(Flaw::Algorithm)?.to_owned();
        let algorithm = name.parse().map_err(|_| Flaw::Algorithm)?;
        Ok(Header {
            name,
            algorithm,
            key,
        })
    }

    /// That the token is for one of `ours`, and was not issued to somebody else.
    ///
    /// Of a token with more audiences than ours, each of the others could use it here: the one that it was issued to must
    /// be ours then.
    pub(super) fn check_audience(&self, ours: &[String]) -> Result<(), Flaw> {
        let is_ours = |name: &Value| {
            name.as_str()
                .is_some_and(|name| ours.iter().any(|own| own == name))
        };
        let all = match self.claims.get("aud") {
            Some(name @ Value::String(_)) => std::slice::from_ref(name),
            Some(Value::Array(names)) if names.iter().all(Value::is_string) => names,
            _ => return Err(Flaw::Audience),
        };
        if !all.iter().any(is_ours) {
            return Err(Flaw::Audience);
        }
        match self.claims.get("azp") {
            Some(party) if is_ours(party) => Ok(()),
            None if all.iter().all(is_ours) => Ok(()),
            _ => Err(Flaw::Party),
        }
    }

    pub(super) fn life(&self) -> Result<Life, Flaw> {
        let time = |name: &str| match self.claims.get(name) {
            None => Ok(None),
            Some(value) => numeric_date(value).map(Some).ok_or(Flaw::Times),
        };
        let issued = time("iat")?.ok_or(Flaw::Times)?;
        let end = time("exp")?.ok_or(Flaw::Times)?;
        let from = time("nbf")?.map_or(issued, |from| from.max(issued));
        let length = end.duration_since(issued).map_err(|_| Flaw::Times)?;
        if length > MAX_LIFE {
            return Err(Flaw::Times);
        }
        Ok(Life { issued: from, end })
    }
}

impl Life {
    pub(super) fn check(self, now: SystemTime) -> Result<(), Flaw> {
        if self.end <= now {
            Err(Flaw::Ended)
        } else if self.issued > now + LEEWAY {
            Err(Flaw::Early)
        } else {
            Ok(())
        }
    }
}

/// Seconds since 1970, perhaps with a fraction (RFC 7519 §2).
fn numeric_date(value: &Value) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(value.as_f64()?).ok()?;
    UNIX_EPOCH.checked_add(since)
}
