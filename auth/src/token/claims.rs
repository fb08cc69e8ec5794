//! What a token says.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::RepoName;
use serde::{Deserialize, Serialize};

use super::Tokens;
use crate::opaque::{Kind, Limits};
use crate::{Access, Action, Actions, Identity, TokenId};

/// `iss` of every token.
pub(super) const ISSUER: &str = "slipway";
/// How far the clocks of two replicas may be apart. It never lengthens a token's life.
const LEEWAY: u64 = 30;

/// The payload (RFC 7519 §4.1; `access` as in the Docker token protocol). Times are seconds since 1970.
///
/// Only we write it, so anything more than this is not ours.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    /// Which authenticator vouched for `sub`; empty for a stranger.
    provider: String,
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
    access: Vec<Entry>,
    /// What was asked for and not granted, so that a refusal can say which it is and the record what was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    denied: Vec<Entry>,
    /// The opaque token that it was issued by: it is worth nothing when that one is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    r#type: String,
    name: String,
    actions: Vec<String>,
}

/// When a token holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    from: u64,
    until: u64,
}

/// A verified token.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) who: Identity,
    pub(super) life: Life,
}

impl Claims {
    pub(super) fn new(
        who: &Identity,
        access: &Access,
        service: &str,
        ttl: Duration,
        now: SystemTime,
    ) -> Self {
        let iat = seconds(now);
        let mut entries = Entry::repositories(access.repositories());
        if access.catalog() {
            entries.push(Entry::registry("catalog"));
        }
        if access.account() {
            entries.push(Entry::registry("account"));
        }
        Self {
            iss: ISSUER.into(),
            // The Docker token protocol has strangers without a subject.
            sub: if who.is_anonymous() {
                String::new()
            } else {
                who.name().into()
            },
            aud: service.into(),
            exp: iat.saturating_add(ttl.as_secs()),
            nbf: iat,
            iat,
            provider: who.provider().into(),
            groups: who.groups().map(str::to_owned).collect(),
            uid: who.uid().map(str::to_owned),
            extra: who.extra().clone(),
            access: entries,
            denied: Entry::repositories(access.denied()),
            token: who.token().map(ToString::to_string),
        }
    }

    /// The identity and life; `None` when they make no sense.
    pub(super) fn into_verified(self) -> Option<Verified> {
        let issued_within_limits = self.iat <= self.nbf
            && self.nbf <= self.exp
            && self.exp - self.iat <= Tokens::MAX_TTL.as_secs();
        if !issued_within_limits {
            return None;
        }
        let mut access = Access::default();
        for entry in self.access {
            match entry.r#type.as_str() {
                "repository" => {
                    let (name, actions) = entry.repository()?;
                    access.add(name, actions);
                }
                "registry" if entry.name == "catalog" => access.add_catalog(),
                "registry" if entry.name == "account" => access.add_account(),
                _ => return None,
            }
        }
        for entry in &self.denied {
            let (name, actions) = entry.repository()?;
            access.add_denied(name, actions);
        }
        let who = match (self.provider.as_str(), self.sub.as_str()) {
            ("", "") => Identity::anonymous(),
            ("", _) | (_, "") => return None,
            (provider, name) => Identity::authenticated(provider, name, self.groups)
                .with_extra(self.uid, self.extra),
        };
        let who = match self.token {
            None => who,
            // What that one is limited to now, the gate looks up.
            Some(id) => who.by_token(TokenId::parse(&id)?, Kind::Api, Limits::none(), None),
        };
        let end = UNIX_EPOCH.checked_add(Duration::from_secs(self.exp));
        let life = Life {
            from: self.nbf,
            until: self.exp,
        };
        Some(Verified {
            who: who.limited_to(access).ending(end),
            life,
        })
    }
}

impl Entry {
    fn repositories(access: &[(RepoName, Actions)]) -> Vec<Self> {
        let entry =
            |(name, actions): &(RepoName, _)| Self::new("repository", name.as_str(), *actions);
        access.iter().map(entry).collect()
    }

    fn repository(&self) -> Option<(RepoName, Actions)> {
        let actions = self.actions.iter().map(|name| by_name(name));
        Some((
            RepoName::parse(&self.name).ok()?,
            actions.collect::<Option<_>>()?,
        ))
    }

    fn new(kind: &str, name: &str, actions: Actions) -> Self {
        Self {
            r#type: kind.into(),
            name: name.into(),
            actions: actions
                .iter()
                .map(|action| action.scope_name().into())
                .collect(),
        }
    }

    fn registry(name: &str) -> Self {
        Self {
            r#type: "registry".into(),
            name: name.into(),
            actions: vec!["*".into()],
        }
    }
}

impl Life {
    pub(super) fn contains(self, now: SystemTime) -> bool {
        let now = seconds(now);
        self.from <= now.saturating_add(LEEWAY) && now < self.until
    }
}

fn by_name(name: &str) -> Option<Action> {
    Action::ALL
        .into_iter()
        .find(|action| action.scope_name() == name)
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
