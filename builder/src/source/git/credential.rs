//! What identifies us to a git server.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use super::url::{GitUrl, Scheme};
use crate::source::{Fault, FaultClass};

/// A secret for one git server. It is handed to `git` and `ssh` in files that only this user can read, which go when the
/// fetch is over; never in arguments, environment, URLs or messages.
#[derive(Clone)]
pub enum Credential {
    /// For https: a user (for tokens often anything) and a password or token.
    Basic {
        /// The user.
        user: String,
        /// The password or token.
        password: Zeroizing<String>,
    },
    /// For ssh: a private key in any form that `ssh` reads, without a passphrase.
    Key {
        /// The key file's content.
        private_key: Zeroizing<String>,
        /// The server's keys as lines of `known_hosts`; without, those of the builder's configuration count.
        known_hosts: Option<String>,
    },
}

impl Credential {
    /// A user and a password or token.
    pub fn basic(user: &str, password: &str) -> Result<Self, Fault> {
        let incomplete = |why: &str| Fault::new(FaultClass::GitBasicAuthIncomplete, why);
        if user.is_empty() {
            return Err(incomplete(
                "the secret has a password but no user: for a token, servers take any name, such as git",
            ));
        }
        if password.is_empty() {
            return Err(incomplete("the secret has a user but no password or token"));
        }
        if user.chars().chain(password.chars()).any(char::is_control) {
            return Err(incomplete(
                "the secret's user or password has a control character in it, such as a line's end",
            ));
        }
        Ok(Self::Basic {
            user: user.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        })
    }

    /// As a header of http (RFC 7617), for a user and a password.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let Self::Basic { user, password } = self else {
            return None;
        };
        let encoded = Zeroizing::new(BASE64.encode(format!("{user}:{}", **password)));
        // Base64 has no character that a header may not have.
        let mut value = HeaderValue::from_str(&format!("Basic {}", *encoded)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A private key, and the server's keys if they are known.
    pub fn key(private_key: &str, known_hosts: Option<&str>) -> Result<Self, Fault> {
        let key = private_key.replace("\r\n", "\n");
        let invalid = |why: &str| Fault::new(FaultClass::GitAuthInvalidKey, why);
        if ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|kind| key.starts_with(kind))
        {
            return Err(invalid(
                "the secret's ssh key is the public one: what is wanted is the file beside it, without .pub",
            ));
        }
        if !key.trim_start().starts_with("-----BEGIN ") {
            return Err(invalid(
                "the secret's ssh key is no private key: it begins with -----BEGIN",
            ));
        }
        if is_locked(&key) {
            return Err(invalid(
                "the secret's ssh key has a passphrase, which nobody is there to type: set a key without, such as a deploy key of its own",
            ));
        }
        // Without a last line's end ssh calls the key invalid.
        Ok(Self::Key {
            private_key: Zeroizing::new(key.trim().to_owned() + "\n"),
            known_hosts: known_hosts.map(str::to_owned),
        })
    }

    /// Refuses a credential of the other kind before the server sees any of it.
    pub(crate) fn fits(&self, url: &GitUrl) -> Result<(), Fault> {
        match (url.scheme(), self) {
            (Scheme::Https | Scheme::Http, Self::Basic { .. })
            | (Scheme::Ssh, Self::Key { .. }) => Ok(()),
            (Scheme::Https | Scheme::Http, Self::Key { .. }) => Err(Fault::new(
                FaultClass::GitSSHAuthUnexpected,
                format!(
                    "the secret holds an ssh key, but {url} wants a user and a password or token"
                ),
            )),
            (Scheme::Ssh, Self::Basic { .. }) => Err(Fault::new(
                FaultClass::GitSSHAuthExpected,
                format!("the secret holds a user and password, but {url} wants an ssh key"),
            )),
        }
    }
}

/// Whether a private key is encrypted: by the headers of PEM (RFC 1421, RFC 5958) or in OpenSSH's own form (`PROTOCOL.key`), where the
/// name of the cipher comes first.
fn is_locked(key: &str) -> bool {
    let mut lines = key.trim_start().lines();
    let (first, second) = (lines.next().unwrap_or_default(), lines.next());
    if first.contains("ENCRYPTED") || second.is_some_and(|line| line.contains("ENCRYPTED")) {
        return true;
    }
    // 27 bytes of it.
    let start = second.and_then(|line| line.get(..36));
    let start = start.and_then(|start| BASE64.decode(start).ok());
    let cipher = start
        .as_deref()
        .and_then(|start| start.strip_prefix(b"openssh-key-v1\0"));
    cipher.is_some_and(|cipher| !cipher.starts_with(b"\0\0\0\x04none"))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Credential::Basic",
            Self::Key { .. } => "Credential::Key",
        })
    }
}
