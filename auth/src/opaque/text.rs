//! How an opaque token is written: `slp_` for an API token, `slr_` for a refresh token, then 54 characters of lower-case
//! base32 (RFC 4648 §6): 16 of the id, 32 of the secret (160 random bits), 6 of a checksum.
//!
//! The prefix and the checksum are what scanners look for in sources and logs. The checksum is no secret: it tells a token
//! that was mistyped or cut from one that was revoked, before anything is looked up.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::Kind;
use crate::{Refusal, Secret};

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const PREFIX: usize = 4;
const ID: usize = 16;
const SECRET: usize = 32;
const CHECKSUM: usize = 6;
/// So many letters and digits behind the prefix are meant to be a token; fewer may be somebody's password.
const LEAST: usize = 32;

/// The public part of a token, by which it is listed, logged and revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenId(Box<str>);

impl TokenId {
    /// Reads an id; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == ID && is_base32(text)).then(|| Self(text.into()))
    }

    /// The id of a token, by its text; `None` when that is no token.
    pub fn of(text: &Secret) -> Option<Self> {
        let text = Text::parse(text).ok().flatten()?;
        Some(text.id)
    }

    /// Whether a text begins as tokens do, be it right or mistyped.
    pub fn begins(text: &Secret) -> bool {
        [Kind::Api, Kind::Login]
            .into_iter()
            .any(|kind| text.expose().starts_with(prefix(kind)))
    }

    /// Characters of a token's text that are no secret: its prefix and its id.
    pub const PUBLIC: usize = PREFIX + ID;

    /// Whether the whole is meant to be a token's text, as [`Self::text_at_start`] has it.
    pub fn is_like(text: &str) -> bool {
        Self::text_at_start(text.as_bytes()) == Some(text.len())
    }

    /// How many bytes at the beginning are meant to be a token's text, right, mistyped, cut short or put into capitals, and
    /// no name or password that begins alike: of a secret of 160 bits, less than half stands in what is shorter.
    pub fn text_at_start(text: &[u8]) -> Option<usize> {
        let (start, rest) = text.split_at_checked(PREFIX)?;
        let is_ours = [Kind::Api, Kind::Login]
            .into_iter()
            .any(|kind| start.eq_ignore_ascii_case(prefix(kind).as_bytes()));
        let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric());
        let length = end.unwrap_or(rest.len());
        (is_ours && length >= LEAST).then_some(PREFIX + length)
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token as it is written, its form and checksum right.
pub(super) struct Text {
    kind: Kind,
    id: TokenId,
    whole: Secret,
}

impl Text {
    pub(super) fn generate(kind: Kind) -> Result<Self, Refusal> {
        let mut random = Zeroizing::new([0; ID + SECRET]);
        rand::fill(&mut *random).map_err(|_| Refusal::Unavailable {
            because: crate::Outage::Registry,
            retry_after: std::time::Duration::from_secs(1),
        })?;
        let mut whole = String::with_capacity(PREFIX + ID + SECRET + CHECKSUM);
        whole.push_str(prefix(kind));
        // 256 is a multiple of 32: each character is as likely.
        whole.extend(random.iter().map(|byte| letter(*byte)));
        let sum = checksum(&whole);
        whole.push_str(&sum);
        let id = TokenId(whole[PREFIX..PREFIX + ID].into());
        Ok(Self {
            kind,
            id,
            whole: Secret::new(whole),
        })
    }

    /// `Ok(None)`: it has not the form. [`Refusal::MistypedToken`]: it has, but was never given out.
    pub(super) fn parse(secret: &Secret) -> Result<Option<Self>, Refusal> {
        let text = secret.expose();
        let kind = match text.get(..PREFIX) {
            Some("slp_") => Kind::Api,
            Some("slr_") => Kind::Login,
            _ => return Ok(None),
        };
        if text.len() != PREFIX + ID + SECRET + CHECKSUM || !is_base32(&text[PREFIX..]) {
            return if TokenId::is_like(text) {
                Err(Refusal::MistypedToken)
            } else {
                Ok(None)
            };
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM);
        if checksum(body) != sum {
            return Err(Refusal::MistypedToken);
        }
        Ok(Some(Self {
            kind,
            id: TokenId(text[PREFIX..PREFIX + ID].into()),
            whole: secret.clone(),
        }))
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn id(&self) -> &TokenId {
        &self.id
    }

    /// SHA-256 of the whole. A password needs a slow hash because people choose it; 160 random bits are not found by
    /// trying, whatever the hash.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.whole.expose().as_bytes()).as_ref());
        hash
    }

    pub(super) fn into_secret(self) -> Secret {
        self.whole
    }
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Api => "slp_",
        Kind::Login => "slr_",
    }
}

pub(super) fn checksum(body: &str) -> String {
    let sum = digest(&SHA256, body.as_bytes());
    sum.as_ref()
        .iter()
        .take(CHECKSUM)
        .map(|byte| letter(*byte))
        .collect()
}

fn letter(byte: u8) -> char {
    char::from(ALPHABET[usize::from(byte % 32)])
}

fn is_base32(text: &str) -> bool {
    text.bytes().all(|byte| ALPHABET.contains(&byte))
}
