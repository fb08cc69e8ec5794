//! Who is asking.

use std::sync::Arc;

use crate::Access;

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
}

#[derive(Debug, PartialEq, Eq)]
struct Who {
    provider: Box<str>,
    name: Box<str>,
    groups: Box<[Box<str>]>,
    principal: Box<str>,
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
        Self::new(provider, name, groups)
    }

    /// A stranger: user `system:anonymous` in group `system:unauthenticated`.
    pub fn anonymous() -> Self {
        Self::new("", ANONYMOUS, vec![UNAUTHENTICATED.into()])
    }

    fn new(provider: &str, name: &str, groups: Vec<Box<str>>) -> Self {
        // The length keeps ("a:b", "c") and ("a", "b:c") apart.
        let principal = format!("{}:{provider}:{name}", provider.len()).into_boxed_str();
        Self {
            who: Arc::new(Who {
                provider: provider.into(),
                name: name.into(),
                groups: groups.into_boxed_slice(),
                principal,
            }),
            access: None,
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

    /// User name.
    pub fn name(&self) -> &str {
        &self.who.name
    }

    /// Groups, `system:authenticated` or `system:unauthenticated` among them.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.who.groups.iter().map(|group| &**group)
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

    /// Whether nobody is named.
    pub fn is_anonymous(&self) -> bool {
        self.who.provider.is_empty()
    }
}
