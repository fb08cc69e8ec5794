//! Who is asking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::opaque::{Kind, Limits};
use crate::{Access, TokenId};

mod document;

pub(crate) use document::Document;

#[cfg(test)]
mod tests;

/// Group of every identity that proved who it is.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// Group of strangers.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// User name of strangers.
pub(crate) const ANONYMOUS: &str = "system:anonymous";

/// Who is asking, in Kubernetes' terms: a user name and groups. When it came from a token of ours, also what that
/// token is limited to. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    who: Arc<Who>,
    access: Option<Arc<Access>>,
    until: Option<SystemTime>,
    by: Option<Arc<ByToken>>,
}

/// The opaque token that somebody came by, or whose token they came by.
#[derive(Debug, PartialEq, Eq)]
struct ByToken {
    id: TokenId,
    kind: Kind,
    limits: Limits,
}

#[derive(Debug, PartialEq, Eq)]
struct Who {
    provider: Box<str>,
    name: Box<str>,
    groups: Box<[Box<str>]>,
    uid: Option<Box<str>>,
    extra: BTreeMap<String, Vec<String>>,
    principal: Box<str>,
    whole: Box<[u8]>,
}

impl Identity {
    /// Somebody who proved who they are to `provider` (`htpasswd`, `kubernetes`, …). `system:authenticated` is added to the
    /// groups.
    pub fn authenticated(
        provider: &str,
        name: &str,
        groups: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut groups: Vec<Box<str>> = groups
            .into_iter()
            .filter(|group| group != UNAUTHENTICATED)
            .map(String::into_boxed_str)
            .collect();
        if !groups.iter().any(|group| &**group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.into());
        }
        Self::new(provider, name, groups, None, BTreeMap::new())
    }

    /// The same identity with what else it is known by: its `uid`, and attributes of a cluster that rules may look at.
    #[must_use]
    pub(crate) fn with_extra(
        self,
        uid: Option<String>,
        extra: BTreeMap<String, Vec<String>>,
    ) -> Self {
        let groups = self.who.groups.to_vec();
        let uid = uid
            .filter(|uid| !uid.is_empty())
            .map(String::into_boxed_str);
        Self::new(&self.who.provider, &self.who.name, groups, uid, extra)
    }

    /// A stranger: user `system:anonymous` in group `system:unauthenticated`.
    pub fn anonymous() -> Self {
        let groups = vec![UNAUTHENTICATED.into()];
        Self::new("", ANONYMOUS, groups, None, BTreeMap::new())
    }

    fn new(
        provider: &str,
        name: &str,
        groups: Vec<Box<str>>,
        uid: Option<Box<str>>,
        extra: BTreeMap<String, Vec<String>>,
    ) -> Self {
        // The length keeps ("a:b", "c") and ("a", "b:c") apart.
        let principal = format!("{}:{provider}:{name}", provider.len()).into_boxed_str();
        let mut whole = Whole::default();
        whole.add(name);
        whole.add(uid.as_deref().unwrap_or_default());
        whole.add_all(groups.iter().map(|group| &**group));
        for (key, values) in &extra {
            whole.add(key);
            whole.add_all(values.iter().map(String::as_str));
        }
        Self {
            who: Arc::new(Who {
                provider: provider.into(),
                name: name.into(),
                groups: groups.into_boxed_slice(),
                uid,
                extra,
                principal,
                whole: whole.0.into_boxed_slice(),
            }),
            access: None,
            until: None,
            by: None,
        }
    }

    /// The same identity, limited to `access`.
    #[must_use]
    pub(crate) fn limited_to(self, access: Access) -> Self {
        Self {
            access: Some(Arc::new(access)),
            ..self
        }
    }

    /// The same identity by the opaque token of this id, within its limits.
    #[must_use]
    pub(crate) fn by_token(self, id: TokenId, kind: Kind, limits: Limits) -> Self {
        Self {
            by: Some(Arc::new(ByToken { id, kind, limits })),
            ..self
        }
    }

    /// The same identity by the opaque token that `other` came by.
    #[must_use]
    pub(crate) fn by_token_of(self, other: &Self) -> Self {
        Self {
            by: other.by.clone(),
            ..self
        }
    }

    /// The same identity by a credential that ends at `until`.
    #[must_use]
    pub(crate) fn ending(self, until: Option<SystemTime>) -> Self {
        Self { until, ..self }
    }

    /// User name.
    pub fn name(&self) -> &str {
        &self.who.name
    }

    /// Groups, `system:authenticated` or `system:unauthenticated` among them.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.who.groups.iter().map(|group| &**group)
    }

    /// What namesakes are told apart by: the cluster's, or of a user of htpasswd one that each password has.
    pub fn uid(&self) -> Option<&str> {
        self.who.uid.as_deref()
    }

    /// What else the cluster knows, by key: the pod that a token is bound to, say.
    pub fn extra(&self) -> &BTreeMap<String, Vec<String>> {
        &self.who.extra
    }

    /// All that rules may look at in one: the same for two only when they cannot be told apart.
    pub(crate) fn whole(&self) -> &[u8] {
        &self.who.whole
    }

    /// Which authenticator vouched for it; empty for a stranger.
    pub fn provider(&self) -> &str {
        &self.who.provider
    }

    /// What owns an upload: the same text for the same user whether it comes by password or by token, and never the
    /// same for two.
    pub fn principal(&self) -> &str {
        &self.who.principal
    }

    /// What its token is limited to; `None` when it did not come by a token of ours.
    pub fn access(&self) -> Option<&Access> {
        self.access.as_deref()
    }

    /// When its credential ends; `None` when that is not known, as of a password.
    pub fn until(&self) -> Option<SystemTime> {
        self.until
    }

    /// The opaque token behind its credential: an API token, or a login's refresh token.
    pub fn token(&self) -> Option<&TokenId> {
        self.by.as_deref().map(|by| &by.id)
    }

    /// What that token is limited to.
    pub fn limits(&self) -> Option<&Limits> {
        self.by.as_deref().map(|by| &by.limits)
    }

    /// Whether this is the person: they showed who they are, or keep a login for it. Not so by an API token.
    pub(crate) fn is_person(&self) -> bool {
        self.by.as_deref().is_none_or(|by| by.kind == Kind::Login)
    }

    /// Whether the person acts, and not a token that is for images.
    pub fn is_in_person(&self) -> bool {
        self.is_person() && self.access().is_none_or(Access::account)
    }

    /// Whether nobody is named.
    pub fn is_anonymous(&self) -> bool {
        self.who.provider.is_empty()
    }
}

/// Texts in a row, each behind its length and lists behind their number.
#[derive(Default)]
struct Whole(Vec<u8>);

impl Whole {
    fn add(&mut self, text: &str) {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn add_all<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a str>) {
        self.0.extend((texts.len() as u64).to_le_bytes());
        texts.for_each(|text| self.add(text));
    }
}
