//! What of the cluster's objects matters here. Nothing else of them is kept, least of all tokens.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace as KubeNamespace, Secret, ServiceAccount};
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;

use super::content::{self, Claims};
use super::settings::Settings;

/// On a namespace: the value `disabled` opts it out.
pub(super) const OPT_OUT: &str = "registry.alauda.io/pull-secrets";
/// On a secret and a `RoleBinding`: it is ours, of the installation that has this name.
pub(super) const OWNER: &str = "registry.alauda.io/pull-secret";

/// A ServiceAccount that may be there or not, and its secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: Arc<str>,
    pub(super) account: Arc<str>,
}

/// What is kept. In this order where several are due: a pod that finds its secret may pull already.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Duty {
    /// The right of this namespace's pods to pull its images.
    Grant(Arc<str>),
    /// The secret of a ServiceAccount.
    Login(Key),
}

impl Duty {
    pub(super) fn namespace(&self) -> &Arc<str> {
        match self {
            Self::Grant(namespace) => namespace,
            Self::Login(key) => &key.namespace,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Namespace {
    pub(super) opted_out: bool,
    pub(super) ending: bool,
}

impl Namespace {
    pub(super) fn of(namespace: &PartialObjectMeta<KubeNamespace>) -> Self {
        Self {
            opted_out: namespace
                .labels()
                .get(OPT_OUT)
                .is_some_and(|value| value == "disabled"),
            ending: namespace.metadata.deletion_timestamp.is_some(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: String,
    pub(super) version: String,
    /// Its `imagePullSecrets`.
    pub(super) references: Vec<String>,
    /// The reference to our secret was made by us.
    pub(super) is_marked: bool,
}

impl Account {
    pub(super) fn of(account: &ServiceAccount, settings: &Settings) -> Self {
        let references = account.image_pull_secrets.iter().flatten();
        Self {
            uid: account.uid().unwrap_or_default(),
            version: account.resource_version().unwrap_or_default(),
            references: references.map(|reference| reference.name.clone()).collect(),
            is_marked: account.annotations().contains_key(&settings.mark()),
        }
    }
}

/// A secret that has the name of one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PullSecret {
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) ending: bool,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Somebody else's, whatever is in it.
    Foreign,
    /// Its type is another or it cannot be changed: it must be made anew.
    Fixed,
    /// Nothing yet.
    Empty,
    /// Not what we write for these hosts.
    Altered,
    /// A login with a token for each host.
    Token(Claims),
}

impl PullSecret {
    pub(super) fn of(secret: &Secret, settings: &Settings) -> Self {
        Self {
            uid: secret.uid().unwrap_or_default(),
            version: secret.resource_version().unwrap_or_default(),
            ending: secret.metadata.deletion_timestamp.is_some(),
            content: content_of(secret, settings),
        }
    }

    pub(super) fn claims(&self) -> Option<&Claims> {
        match &self.content {
            Content::Token(claims) => Some(claims),
            Content::Foreign | Content::Fixed | Content::Empty | Content::Altered => None,
        }
    }
}

fn content_of(secret: &Secret, settings: &Settings) -> Content {
    if secret.labels().get(OWNER) != Some(&settings.name) {
        return Content::Foreign;
    }
    if secret.type_.as_deref() != Some(content::TYPE) || secret.immutable == Some(true) {
        return Content::Fixed;
    }
    let held = secret.data.as_ref().and_then(|data| data.get(content::KEY));
    let held = held.map_or(&[][..], |held| &held.0);
    if held == content::EMPTY {
        return Content::Empty;
    }
    content::token_in(held, &settings.hosts)
        .and_then(|token| Claims::read(&token))
        .map_or(Content::Altered, Content::Token)
}

/// Namespaces as tests meet them.
#[cfg(test)]
pub(super) mod namespaces {
    use super::Namespace;

    pub(in super::super) const OPEN: Namespace = Namespace {
        opted_out: false,
        ending: false,
    };
    pub(in super::super) const OPTED_OUT: Namespace = Namespace {
        opted_out: true,
        ..OPEN
    };
    pub(in super::super) const ENDING: Namespace = Namespace {
        ending: true,
        ..OPEN
    };
}
