//! What a cluster lets somebody do, and by which of its rules: asked with the rights of whoever wants to know.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding, Subject};
use kube::api::{Api, ListParams, PostParams, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AccountName, Person, PersonError, Preset};
use crate::rbac::{Resource as ImageResource, Rules};
use crate::{Deed, Identity, LoadError};

/// Objects of one kind that are read at most.
const MAX_OBJECTS: usize = 50_000;
/// Objects in one answer.
const PAGE: u32 = 500;

/// What the cluster decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Yes.
    pub allowed: bool,
    /// Why, in the cluster's words: RBAC names the binding, webhooks say what they like. Often nothing for a no.
    pub reason: Option<String>,
    /// What went wrong on the way: then a no may be none.
    pub error: Option<String>,
}

/// The cluster's rules, as far as they may be read.
#[derive(Debug)]
pub struct Readable {
    /// The rules.
    pub rules: Rules,
    /// Kinds of objects that may not be listed: what they give is not seen.
    pub hidden: Vec<&'static str>,
}

/// Something that is not there, so that rights in it or for it are worth nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A namespace.
    Namespace(String),
    /// A ServiceAccount.
    ServiceAccount(AccountName),
}

impl Person {
    /// The same person in the place of somebody else, which takes the right to `impersonate` them.
    #[must_use]
    pub fn acting_as(&self, user: &str, groups: &[String]) -> Self {
        let mut acting = self.clone();
        acting.config.auth_info.impersonate = Some(user.to_owned());
        let groups = (!groups.is_empty()).then(|| groups.to_vec());
        acting.config.auth_info.impersonate_groups = groups;
        acting.client = Arc::default();
        acting
    }

    /// Whom the cluster takes them for (`SelfSubjectReview`, authentication.k8s.io/v1).
    pub async fn identity(&self) -> Result<Identity, PersonError> {
        let api: Api<SelfSubjectReview> = Api::all(self.client()?);
        let asked = api
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await;
        let said = asked.map_err(|error| self.refused(&error))?;
        let user = said.status.and_then(|status| status.user_info);
        let user = user.unwrap_or_default();
        let name = user.username.unwrap_or_default();
        let who = Identity::authenticated("kubernetes", &name, user.groups.unwrap_or_default());
        Ok(who.with_extra(user.uid, user.extra.unwrap_or_default()))
    }

    /// What the cluster decides for them (`SelfSubjectAccessReview`, authorization.k8s.io/v1): all of its authorizers, in the
    /// same words as the registry asks in.
    pub async fn may(&self, preset: &Preset, deed: &Deed) -> Result<Decision, PersonError> {
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client()?);
        let question = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(preset.question(deed)),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let asked = api.create(&PostParams::default(), &question).await;
        let status = asked.map_err(|error| self.refused(&error))?.status;
        let status = status.unwrap_or_default();
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Decision {
            allowed: status.allowed && !status.denied.unwrap_or_default(),
            reason: said(status.reason),
            error: said(status.evaluation_error),
        })
    }

    /// What a question names and the cluster does not have: the namespace, the ServiceAccount. What they may not see counts
    /// as being there.
    pub async fn missing(
        &self,
        namespace: Option<&str>,
        account: Option<&AccountName>,
    ) -> Result<Vec<Missing>, PersonError> {
        let client = self.client()?;
        let mut missing = Vec::new();
        if let Some(name) = namespace {
            let all = Api::<Namespace>::all(client.clone());
            if self.is_missing(&all, name).await? {
                missing.push(Missing::Namespace(name.to_owned()));
            }
        }
        if let Some(account) = account {
            let there = Api::<ServiceAccount>::namespaced(client, account.namespace());
            if self.is_missing(&there, account.name()).await? {
                missing.push(Missing::ServiceAccount(account.clone()));
            }
        }
        Ok(missing)
    }

    async fn is_missing<K>(&self, api: &Api<K>, name: &str) -> Result<bool, PersonError>
    where
        K: Clone + fmt::Debug + DeserializeOwned,
    {
        match api.get_metadata(name).await {
            Ok(_) => Ok(false),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(false),
            Err(error) => Err(self.refused(&error)),
        }
    }

    /// The rules that hold in a namespace (`None`: for the cluster as a whole), as far as they may list them.
    pub async fn rules(
        &self,
        resource: &ImageResource,
        namespace: Option<&str>,
    ) -> Result<Readable, PersonError> {
        let client = self.client()?;
        let mut objects = Vec::new();
        let mut hidden = Vec::new();
        let all = Api::<ClusterRole>::all(client.clone());
        self.read(&all, "ClusterRoles", &mut objects, &mut hidden, |_| {})
            .await?;
        let all = Api::<ClusterRoleBinding>::all(client.clone());
        self.read(
            &all,
            "ClusterRoleBindings",
            &mut objects,
            &mut hidden,
            |one| {
                plain(one.subjects.as_mut());
            },
        )
        .await?;
        if let Some(namespace) = namespace {
            let here = Api::<Role>::namespaced(client.clone(), namespace);
            self.read(&here, "Roles", &mut objects, &mut hidden, |_| {})
                .await?;
        }
        // Of other namespaces too, if that is allowed: somebody may have looked into the wrong one.
        let everywhere = Api::<RoleBinding>::all(client.clone());
        let mut unseen = Vec::new();
        let subjects = |one: &mut RoleBinding| plain(one.subjects.as_mut());
        self.read(
            &everywhere,
            "RoleBindings",
            &mut objects,
            &mut unseen,
            subjects,
        )
        .await?;
        if let Some(namespace) = namespace.filter(|_| !unseen.is_empty()) {
            let here = Api::<RoleBinding>::namespaced(client, namespace);
            self.read(&here, "RoleBindings", &mut objects, &mut hidden, subjects)
                .await?;
        }
        let rules = Rules::of_cluster(&objects, resource);
        let rules = rules.map_err(|error: LoadError| PersonError::Cluster(error.to_string()))?;
        Ok(Readable { rules, hidden })
    }

    async fn read<K>(
        &self,
        api: &Api<K>,
        kind: &'static str,
        objects: &mut Vec<String>,
        hidden: &mut Vec<&'static str>,
        tidy: impl Fn(&mut K),
    ) -> Result<(), PersonError>
    where
        K: Resource<DynamicType = ()> + Clone + fmt::Debug + Serialize + DeserializeOwned,
    {
        let mut page = ListParams::default().limit(PAGE);
        let mut count = 0;
        loop {
            let list = match api.list(&page).await {
                Ok(list) => list,
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    hidden.push(kind);
                    return Ok(());
                }
                Err(error) => return Err(self.refused(&error)),
            };
            for mut object in list.items {
                tidy(&mut object);
                // Of no use here, and large.
                object.meta_mut().managed_fields = None;
                object.meta_mut().annotations = None;
                let text = serde_json::to_string(&object)
                    .map_err(|error| PersonError::Cluster(format!("{kind}: {error}")))?;
                objects.push(text);
                count += 1;
            }
            if count > MAX_OBJECTS {
                let said = format!("the cluster has more than {MAX_OBJECTS} {kind}");
                return Err(PersonError::Cluster(said));
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                None => return Ok(()),
                Some(token) => page = page.continue_token(&token),
            }
        }
    }

    fn refused(&self, error: &kube::Error) -> PersonError {
        PersonError::Cluster(format!("context {}: {}", self.context(), self.said(error)))
    }
}

/// A namespace beside a user or group means nothing; the cluster takes it, our files do not.
fn plain(subjects: Option<&mut Vec<Subject>>) {
    for subject in subjects.into_iter().flatten() {
        if subject.kind != "ServiceAccount" {
            subject.namespace = None;
        }
    }
}
