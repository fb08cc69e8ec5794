//! What is to be kept, and where.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Shortest and longest life of a token. The API server issues none shorter.
const LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(10 * 60)..=Duration::from_secs(30 * 24 * 3600);
/// It is the first part of secrets' names and the value of a label.
const MAX_NAME: usize = 50;
/// Each costs two watches.
const MAX_ACCOUNTS: usize = 16;
/// Each is an entry in every secret.
const MAX_HOSTS: usize = 16;
/// Longest name of a ServiceAccount: with [`MAX_NAME`] before it, it is still a secret's name.
const MAX_ACCOUNT: usize = 200;

/// What [`Settings`] are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// First part of the secrets' names; the rest is the ServiceAccount's. All of the RoleBindings' name.
    pub name: String,
    /// Names of the registry, `host` or `host:port`: each secret has an entry for each.
    pub hosts: Vec<String>,
    /// The `ServiceAccounts` of every namespace that get one.
    pub accounts: Vec<String>,
    /// What the tokens are issued for.
    pub audience: String,
    /// How long a token is good.
    pub lifetime: Duration,
    /// How long before its end a token is replaced.
    pub renew_before: Duration,
    /// Let the pods of every namespace pull its images.
    pub grant_pull: bool,
    /// Take back what was given, everywhere.
    pub withdraw: bool,
}

/// Which pull secrets are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(super) name: String,
    pub(super) hosts: BTreeSet<String>,
    pub(super) accounts: Vec<Arc<str>>,
    pub(super) audience: String,
    pub(super) lifetime: Duration,
    pub(super) renew_before: Duration,
    pub(super) grant_pull: bool,
    pub(super) withdraw: bool,
}

/// A part that cannot be: its name as in the configuration, and what it may be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {message}")]
pub struct InvalidSettings {
    part: &'static str,
    message: String,
}

impl Settings {
    /// Checks the parts.
    pub fn new(parts: Parts) -> Result<Self, InvalidSettings> {
        let invalid = |part, message: String| Err(InvalidSettings { part, message });
        if parts.name.len() > MAX_NAME || parts.name.contains('.') || !is_name(&parts.name) {
            let message = format!(
                "{:?} is no name: write at most {MAX_NAME} of a-z, 0-9 and -",
                parts.name
            );
            return invalid("name", message);
        }
        let wrong = |account: &&String| account.len() > MAX_ACCOUNT || !is_name(account);
        if let Some(account) = parts.accounts.iter().find(wrong) {
            return invalid(
                "serviceAccounts",
                format!("{account:?} is no name of a ServiceAccount"),
            );
        }
        let accounts: BTreeSet<&String> = parts.accounts.iter().collect();
        if accounts.is_empty() || accounts.len() > MAX_ACCOUNTS {
            return invalid("serviceAccounts", format!("name 1 to {MAX_ACCOUNTS}"));
        }
        let hosts: BTreeSet<String> = parts.hosts.into_iter().collect();
        if hosts.is_empty() || hosts.len() > MAX_HOSTS {
            return invalid(
                "hosts",
                format!("name 1 to {MAX_HOSTS} addresses by which images are pulled"),
            );
        }
        if parts.audience.is_empty() {
            return invalid(
                "enabled",
                "needs one of auth.kubernetes.audiences: a token for the API server itself must \
                 lie in no secret"
                    .to_owned(),
            );
        }
        if !LIFETIME.contains(&parts.lifetime) {
            return invalid("lifetime", "may be from 10m to 30d".to_owned());
        }
        if parts.renew_before.is_zero() || parts.renew_before >= parts.lifetime {
            return invalid(
                "renewBefore",
                "must be longer than nothing and shorter than lifetime".to_owned(),
            );
        }
        Ok(Self {
            accounts: accounts
                .into_iter()
                .map(|name| Arc::from(name.as_str()))
                .collect(),
            name: parts.name,
            hosts,
            audience: parts.audience,
            lifetime: parts.lifetime,
            renew_before: parts.renew_before,
            grant_pull: parts.grant_pull,
            withdraw: parts.withdraw,
        })
    }

    /// The secret of a ServiceAccount.
    pub(super) fn secret_of(&self, account: &str) -> String {
        format!("{}-{account}", self.name)
    }

    /// The annotation of a ServiceAccount that says that its reference to our secret is ours.
    pub(super) fn mark(&self) -> String {
        format!("pull-secret.registry.alauda.io/{}", self.name)
    }
}

/// A DNS subdomain (RFC 1123), as Kubernetes' names are.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        label.bytes().all(|byte| inner(byte) || byte == b'-')
            && label.bytes().next().is_some_and(inner)
            && label.bytes().last().is_some_and(inner)
    };
    text.split('.').all(is_label)
}
