//! One bcrypt hash.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Secret;

/// Longest password in bytes. bcrypt does not look further, so a longer one is refused rather than cut (CVE-2024-9683).
pub(super) const MAX_PASSWORD: usize = 72;
/// Highest cost accepted, also that of `htpasswd -C`: each step doubles the work, and 17 is seconds.
const MAX_COST: u32 = 17;
/// Bytes of SHA-256 in a uid.
const UID: usize = 15;

/// A bcrypt hash in crypt form, `$2b$12$` and 53 characters. Hashes are not printed.
#[derive(Clone)]
pub(super) struct Hash {
    text: Arc<str>,
    cost: u32,
}

impl Hash {
    /// Reads a hash; the error says what it is instead, without showing it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(other) = other_kind(text) {
            return Err(format!("{other}, but only bcrypt is accepted"));
        }
        let parts = (text.len() == 60 && text.is_ascii())
            .then(|| bcrypt::HashParts::from_str(text).ok())
            .flatten()
            .ok_or("a damaged bcrypt hash")?;
        match parts.get_cost() {
            cost @ 4..=MAX_COST => Ok(Self {
                text: text.into(),
                cost,
            }),
            cost => Err(format!(
                "a bcrypt hash of cost {cost}, but 4 to {MAX_COST} are accepted"
            )),
        }
    }

    /// Tells the user of this name and password from whoever has the name before or after: the same wherever the line is the
    /// same. It says nothing of the password, as the salt is 128 random bits that stand in the file alone.
    pub(super) fn uid(&self, user: &str) -> String {
        let line = format!("slipway htpasswd uid\n{user}:{}", self.text);
        let digest = digest::digest(&digest::SHA256, line.as_bytes());
        let (uid, _) = digest.as_ref().split_at(UID);
        URL_SAFE_NO_PAD.encode(uid)
    }

    /// Whether `password` is the one. Takes tens of milliseconds of one core; constant in the password.
    pub(super) fn matches(&self, password: &Secret) -> bool {
        // The library's non-truncating form refuses 72 bytes already; the caller has refused more than that.
        bcrypt::verify(password.expose(), &self.text).unwrap_or(false)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash(bcrypt, cost {})", self.cost)
    }
}

fn other_kind(text: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 6] = [
        // What crypt_blowfish made before 2011, with a sign error that lets passwords collide.
        ("$2x$", "a bcrypt hash of the broken 2x kind"),
        ("$apr1$", "an MD5 hash (apr1)"),
        ("{SHA}", "a SHA-1 hash"),
        ("$5$", "a SHA-256 crypt hash"),
        ("$6$", "a SHA-512 crypt hash"),
        ("$argon2", "an Argon2 hash"),
    ];
    if let Some((_, kind)) = KINDS.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return Some(kind);
    }
    let is_bcrypt = ["$2a$", "$2b$", "$2y$"]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    (!is_bcrypt).then_some("no bcrypt hash (perhaps crypt, or a password in plain text)")
}
