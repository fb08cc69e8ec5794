//! What `git` means by what it prints.

use super::url::{GitUrl, Scheme};
use crate::room::full;
use crate::source::{Fault, FaultClass};

#[cfg(test)]
mod tests;

/// The class of a failed command by its standard error in the C locale: git's own words, curl's, ssh's and what the
/// great servers say. The order matters: the specific before the general.
const WORDS: &[(&str, FaultClass)] = &[
    // ssh says after it that the key was not verified.
    (
        "remote host identification has changed",
        FaultClass::GitHostKeyChanged,
    ),
    (
        "host key verification failed",
        FaultClass::GitHostKeyUnknown,
    ),
    ("no matching host key type", FaultClass::GitHostKeyUnknown),
    ("permission denied (", FaultClass::GitAuthInvalidKey),
    ("error in libcrypto", FaultClass::GitAuthInvalidKey),
    ("invalid format", FaultClass::GitAuthInvalidKey),
    (
        "authentication failed for",
        FaultClass::GitAuthInvalidUserOrPass,
    ),
    ("access denied", FaultClass::GitAuthInvalidUserOrPass),
    ("error: 403", FaultClass::GitAuthInvalidUserOrPass),
    (
        "could not read username",
        FaultClass::GitRemoteRepositoryPrivate,
    ),
    (
        "could not read password",
        FaultClass::GitRemoteRepositoryPrivate,
    ),
    (
        "terminal prompts disabled",
        FaultClass::GitRemoteRepositoryPrivate,
    ),
    ("couldn't find remote ref", FaultClass::GitRevisionNotFound),
    ("not our ref", FaultClass::GitRevisionNotFound),
    ("unadvertised object", FaultClass::GitRevisionNotFound),
    (
        "repository not found",
        FaultClass::GitRemoteRepositoryNotFound,
    ),
    (
        "does not appear to be a git repository",
        FaultClass::GitRemoteRepositoryNotFound,
    ),
    (
        "project you were looking for could not be found",
        FaultClass::GitRemoteRepositoryNotFound,
    ),
    ("not found", FaultClass::GitRemoteRepositoryNotFound),
    ("error: 404", FaultClass::GitRemoteRepositoryNotFound),
    ("connection reset", FaultClass::GitRemoteUnreachable),
    ("ssl_read", FaultClass::GitRemoteUnreachable),
    ("unexpected eof", FaultClass::GitRemoteUnreachable),
    ("certificate", FaultClass::GitCertificateUntrusted),
    ("ssl", FaultClass::GitCertificateUntrusted),
    ("could not resolve", FaultClass::GitRemoteUnreachable),
    ("no way through the proxy", FaultClass::GitRemoteUnreachable),
    ("failed to connect", FaultClass::GitRemoteUnreachable),
    ("couldn't connect", FaultClass::GitRemoteUnreachable),
    ("connection refused", FaultClass::GitRemoteUnreachable),
    ("connection timed out", FaultClass::GitRemoteUnreachable),
    ("no route to host", FaultClass::GitRemoteUnreachable),
    ("network is unreachable", FaultClass::GitRemoteUnreachable),
    ("operation too slow", FaultClass::GitRemoteUnreachable),
    ("fsck error", FaultClass::SourceRefused),
    ("disallowed submodule", FaultClass::SourceRefused),
    ("no space left on device", FaultClass::DiskPressure),
];

/// Whether the server's certificate is another name's, in words of curl's.
fn is_misnamed(printed: &str) -> bool {
    ["does not match target host", "subject name matches target"]
        .iter()
        .any(|words| printed.contains(words))
}

/// The key that an ssh server showed, by its sum.
fn shown_key(printed: &str) -> Option<&str> {
    let mut words = printed.split_whitespace();
    let sum = words.find(|word| word.starts_with("SHA256:"));
    sum.map(|sum| sum.trim_end_matches('.'))
}

/// Whether the server sent us elsewhere.
pub(crate) fn is_redirect(printed: &str) -> bool {
    let printed = printed.to_ascii_lowercase();
    [
        "error: 301",
        "error: 302",
        "error: 303",
        "error: 307",
        "error: 308",
    ]
    .iter()
    .any(|words| printed.contains(words))
}

/// What a failed command of git means. `printed` is its standard error, shown without secrets.
pub(crate) fn understand(url: &GitUrl, has_credential: bool, printed: &str) -> Fault {
    // What the repository is called says nothing.
    let said = printed
        .replace(&url.to_string(), "")
        .replace(&format!("'{}'", url.path()), "");
    let lower = said.to_ascii_lowercase();
    let class = WORDS.iter().find(|(words, _)| lower.contains(words));
    let class = class.map_or(FaultClass::GitError, |(_, class)| *class);
    let https = url.scheme() == Scheme::Https;
    let advice = match class {
        FaultClass::GitAuthInvalidUserOrPass => "the server refuses the secret's user or password",
        FaultClass::GitAuthInvalidKey if has_credential => "the server refuses the secret's key",
        FaultClass::GitAuthInvalidKey => {
            return Fault::new(
                FaultClass::GitRemoteRepositoryPrivate,
                format!(
                    "{url}: the server wants an ssh key, and the build names no secret (--git-secret; in the API: spec.source.secret)"
                ),
            );
        }
        FaultClass::GitRemoteRepositoryPrivate => {
            "the server wants a user and password: name a secret (--git-secret; in the API: spec.source.secret; some servers say this of repositories that do not exist)"
        }
        FaultClass::GitRemoteRepositoryNotFound => "there is no such repository, or it is private",
        FaultClass::GitRevisionNotFound => "there is no such branch, tag or commit",
        FaultClass::GitHostKeyUnknown if lower.contains("no matching host key type") => {
            "the server has no ssh key of a kind that is still taken"
        }
        FaultClass::GitHostKeyUnknown => {
            "the server's ssh key is not among the known ones: put its line of known_hosts, which ssh-keyscan prints, into the secret (file known_hosts) or the server's configuration (builder.git.knownHostsFile)"
        }
        FaultClass::GitHostKeyChanged => {
            "the server's ssh key is another than the known one: somebody may answer in the server's place; compare the key with those that the forge publishes, and only if it is one of them, write that one for the old one into the secret (file known_hosts) or the server's configuration (builder.git.knownHostsFile)"
        }
        FaultClass::GitCertificateUntrusted if https && is_misnamed(&lower) => {
            "the server's certificate is of another name, and no authority mends that: write the name that it is of into the URL, or give the server one of this name"
        }
        FaultClass::GitCertificateUntrusted if https => {
            "the server's certificate is not trusted: put its authority into the secret (file ca.crt), or an administrator adds it to the server's configuration (builder.git.authorities)"
        }
        FaultClass::GitRemoteUnreachable => "the server cannot be reached",
        FaultClass::SourceRefused => "the repository holds what git calls malformed or malicious",
        FaultClass::DiskPressure => return Fault::new(class, full(&format!("{url} ({printed})"))),
        _ if is_redirect(printed) => {
            "the server sends us elsewhere, which is not followed: use the new URL"
        }
        _ => "git failed",
    };
    let is_of_ssh = lower.contains("host key verification failed");
    let printed = match class {
        // A banner, and how to change a file that nobody has: of it only the key helps, to compare.
        FaultClass::GitHostKeyUnknown | FaultClass::GitHostKeyChanged if is_of_ssh => {
            let Some(key) = shown_key(printed) else {
                return Fault::new(class, format!("{url}: {advice}"));
            };
            format!("it shows the key {key}")
        }
        _ => printed.to_owned(),
    };
    Fault::new(class, format!("{url}: {advice} ({printed})"))
}
