//! The parsed file.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use quick_cache::sync::Cache;

use super::hash::Hash;
use crate::keyed::{Fingerprint, Keyed};
use crate::watched::{Source, read_text};
use crate::{Credential, Identity, LoadError};

#[cfg(test)]
mod tests;

/// Largest file in bytes: some 40,000 users.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Verified pairs remembered.
const REMEMBERED: usize = 10_000;
/// What an unknown user is checked against when there is no known one.
const NOBODY: &str = "$2b$12$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK";

/// The users of one state of the file, and the pairs of user and password that were found right for it. A new state
/// starts with none, so a changed or removed password is never remembered.
pub(super) struct Users {
    hashes: HashMap<Box<str>, Hash>,
    decoys: Vec<Hash>,
    /// None of our users where there is none in it, and somebody of another authenticator.
    pub(super) verified: Cache<Fingerprint, Option<Identity>>,
}

impl Users {
    pub(super) fn read(path: &Path) -> Result<Vec<Source>, LoadError> {
        Ok(vec![Source {
            path: path.to_owned(),
            text: read_text(path, MAX_FILE)?,
        }])
    }

    pub(super) fn parse(sources: &[Source]) -> Result<Self, LoadError> {
        let mut hashes = HashMap::new();
        let mut decoys = Vec::new();
        for Source { path, text } in sources {
            for (number, line) in (1..).zip(text.lines()) {
                let Some((user, hash)) = entry(line) else {
                    continue;
                };
                let failed = |message: String| LoadError::line(path, number, message);
                let hash = hash.ok_or_else(|| failed("not of the form user:hash".into()))?;
                check_user(user).map_err(|why| failed(format!("user name {why}")))?;
                let hash = Hash::parse(hash).map_err(|what| {
                    failed(format!(
                        "the password of {user:?} is {what}; set it again with \
                         `slipway user passwd` or `htpasswd -B`"
                    ))
                })?;
                decoys.push(hash.clone());
                if hashes.insert(user.into(), hash).is_some() {
                    return Err(failed(format!(
                        "a second line for user {user:?}; remove one"
                    )));
                }
            }
        }
        if decoys.is_empty() {
            decoys.extend(Hash::parse(NOBODY));
        }
        Ok(Self {
            hashes,
            decoys,
            verified: Cache::new(REMEMBERED),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub(super) fn contains(&self, user: &str) -> bool {
        self.hashes.contains_key(user)
    }

    /// What tells this user from namesakes before and after; `None` when there is no such user.
    pub(super) fn uid(&self, user: &str) -> Option<String> {
        self.hashes.get(user).map(|hash| hash.uid(user))
    }

    /// The hash to check a password of `user` against, and whether a match counts.
    ///
    /// Unknown users get the hash of a known one, always the same for the same name. So they cost what known users
    /// cost, also in a file of mixed costs, and the time tells nothing about who exists (CVE-2023-20902).
    pub(super) fn hash_for(&self, user: &str, keyed: &Keyed) -> Option<(Hash, bool)> {
        let fingerprint = keyed.of(&[b"decoy", user.as_bytes()]);
        let pick = fingerprint
            .iter()
            .take(7)
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let decoy = self.decoys.get(pick % self.decoys.len().max(1))?;
        Some(
            self.hashes
                .get(user)
                .map_or((decoy.clone(), false), |hash| (hash.clone(), true)),
        )
    }
}

/// User and hash of a line; `None` for a comment or an empty line, no hash where there is no `:`.
pub(super) fn entry(line: &str) -> Option<(&str, Option<&str>)> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    // Some tools append further fields, as in /etc/passwd.
    Some(match line.split_once(':') {
        Some((user, rest)) => (user, rest.split(':').next()),
        None => (line, None),
    })
}

/// What a user may not be called.
pub(super) fn check_user(user: &str) -> Result<(), &'static str> {
    if user.is_empty() {
        Err("is empty")
    } else if user.len() > Credential::MAX_USER_LEN {
        Err("is longer than 255 bytes")
    } else if user.contains(':') || user.chars().any(char::is_control) {
        // Without `:` nobody is taken for `system:anonymous` or a ServiceAccount.
        Err("holds ':' or control characters")
    } else if user.trim() != user || user.starts_with('#') {
        Err("begins or ends with a space, or begins with '#'")
    } else {
        Ok(())
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.hashes.len())
    }
}
