//! What a secret for git holds: the files of Kubernetes' secrets of the types `basic-auth` and `ssh-auth`, and authorities.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::Invalid;
use super::hosts::Hosts;
use crate::driver::SecretFiles;
use crate::source::git::Credential;
use crate::source::{Fault, FaultClass};

#[cfg(test)]
mod tests;

/// The files that mean something, but `hosts`.
const FILES: [&str; 5] = [USER, PASSWORD, KEY, KNOWN_HOSTS, AUTHORITIES];

const USER: &str = "username";
const PASSWORD: &str = "password";
const KEY: &str = "ssh-privatekey";
const KNOWN_HOSTS: &str = "known_hosts";
const AUTHORITIES: &str = "ca.crt";

/// What a server is shown, and what its certificate is checked with.
pub(super) struct GitFiles {
    pub(super) credential: Option<Credential>,
    /// PEM; empty if there are none.
    pub(super) authorities: String,
}

impl GitFiles {
    /// Refuses a secret that no server could be shown, when it is set rather than when it is used.
    pub(super) fn check(files: &SecretFiles) -> Result<(), Invalid> {
        let mut names = files.0.keys().filter(|name| *name != Hosts::FILE);
        if let Some(other) = names.find(|name| !FILES.contains(&name.as_str())) {
            let known = FILES.join(", ");
            let message = format!("means nothing in a secret for git, whose files are {known}");
            return Err(Invalid::new(format!("files[{other:?}]"), message));
        }
        let made = Self::of(files);
        made.map(drop).map_err(|fault| Invalid::new("files", fault))
    }

    /// Those of a secret.
    pub(super) fn of(files: &SecretFiles) -> Result<Self, Fault> {
        let text = |file: &str, class: FaultClass| -> Result<Option<&str>, Fault> {
            let text = files
                .0
                .get(file)
                .map(|content| std::str::from_utf8(content));
            let no_text = |_| Fault::new(class, format!("the secret's file {file} is no text"));
            text.transpose().map_err(no_text)
        };
        let authorities = text(AUTHORITIES, FaultClass::GitCertificateUntrusted)?;
        if let Some(pem) = authorities {
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            if found.map_or(true, |found| found.is_empty()) {
                let message = "the secret's ca.crt holds no certificates (PEM)";
                return Err(Fault::new(FaultClass::GitCertificateUntrusted, message));
            }
        }
        let key = text(KEY, FaultClass::GitAuthInvalidKey)?;
        let user = text(USER, FaultClass::GitBasicAuthIncomplete)?;
        let password = text(PASSWORD, FaultClass::GitBasicAuthIncomplete)?;
        let credential = match (key, user, password) {
            (Some(key), ..) => {
                let known = text(KNOWN_HOSTS, FaultClass::GitHostKeyUnknown)?;
                Some(Credential::key(key, known)?)
            }
            // Servers that show their repositories to everybody, with a certificate of an authority of their own.
            (None, None, None) if authorities.is_some() => None,
            // Written by `echo`, most of them: a line's end is in no user's name and no token.
            (None, user, password) => Some(Credential::basic(
                user.unwrap_or_default().trim_end(),
                password.unwrap_or_default().trim_end(),
            )?),
        };
        Ok(Self {
            credential,
            authorities: authorities.unwrap_or_default().to_owned(),
        })
    }
}
