//! What somebody may do, from `SubjectAccessReview`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use oci::RepoName;

use super::cluster::Purpose;
use super::question::{fingerprint, review, right_fingerprint};
use super::{Cluster, Lifetimes, Preset};
use crate::answers::Answers;
use crate::keyed::{Fingerprint, Keyed};
use crate::{Action, Identity, LoadError, Policy, Refusal, Right, RulesKept};

/// The cluster's rules decide: RBAC, and whatever other authorizers it has.
pub struct AccessReviews {
    cluster: Arc<Cluster>,
    preset: Preset,
    lifetimes: Lifetimes,
    keyed: Keyed,
    answers: Arc<Answers<bool>>,
    /// What was asked for lists alone, which are long and would push out what deeds asked for.
    listed: Arc<Answers<bool>>,
}

impl AccessReviews {
    /// Asks `cluster` in the words of `preset`.
    pub fn new(
        cluster: Arc<Cluster>,
        preset: Preset,
        lifetimes: Lifetimes,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            cluster,
            preset,
            lifetimes,
            keyed: Keyed::new()?,
            answers: Answers::new(),
            listed: Answers::new(),
        })
    }

    /// What the cluster says, or said lately.
    async fn ask(
        &self,
        purpose: Purpose,
        question: Fingerprint,
        who: &Identity,
        attributes: impl FnOnce(&Preset) -> ResourceAttributes,
    ) -> Result<bool, Refusal> {
        let ask = || {
            let review = review(who, attributes(&self.preset));
            let (cluster, lifetimes) = (Arc::clone(&self.cluster), self.lifetimes);
            async move {
                let status = cluster
                    .review(purpose, &review)
                    .await?
                    .status
                    .unwrap_or_default();
                let is_allowed = status.allowed && !status.denied.unwrap_or_default();
                // "No, but one of the authorizers failed" may be a yes in a moment.
                let is_sure = is_allowed || status.evaluation_error.is_none();
                let lifetime = if is_sure {
                    lifetimes.of(is_allowed)
                } else {
                    Duration::ZERO
                };
                Ok((is_allowed, lifetime))
            }
        };
        match purpose {
            Purpose::Deed => self.answers.get(question, ask).await,
            Purpose::List => match self.answers.known(&question) {
                Some(answer) => Ok(answer),
                None => self.listed.get(question, ask).await,
            },
        }
    }

    async fn ask_about(
        &self,
        purpose: Purpose,
        who: &Identity,
        action: Action,
        repo: &RepoName,
    ) -> Result<bool, Refusal> {
        let question = fingerprint(&self.keyed, who, action, repo);
        let attributes = |preset: &Preset| preset.attributes(action, repo);
        self.ask(purpose, question, who, attributes).await
    }

    async fn ask_about_right(
        &self,
        purpose: Purpose,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        let question = right_fingerprint(&self.keyed, who, right, namespace);
        let attributes = |preset: &Preset| preset.right_attributes(right, namespace);
        self.ask(purpose, question, who, attributes).await
    }
}

#[async_trait]
impl Policy for AccessReviews {
    async fn allows(
        &self,
        who: &Identity,
        action: Action,
        repo: &RepoName,
    ) -> Result<bool, Refusal> {
        self.ask_about(Purpose::Deed, who, action, repo).await
    }

    async fn lists(&self, who: &Identity, repo: &RepoName) -> Result<bool, Refusal> {
        self.ask_about(Purpose::List, who, Action::Get, repo).await
    }

    /// A rule that names no repositories holds for all in the namespace, and only such a rule gives a right to what has no
    /// name: the repository that is called as the namespace.
    async fn lists_all_of(&self, who: &Identity, namespace: &str) -> Result<Option<bool>, Refusal> {
        match RepoName::parse(namespace) {
            Ok(whole) => self.lists(who, &whole).await.map(Some),
            Err(_) => Ok(Some(false)),
        }
    }

    async fn has_right(
        &self,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        self.ask_about_right(Purpose::Deed, who, right, namespace)
            .await
    }

    async fn lists_right(
        &self,
        who: &Identity,
        right: Right,
        namespace: &str,
    ) -> Result<bool, Refusal> {
        self.ask_about_right(Purpose::List, who, right, Some(namespace))
            .await
    }

    fn rules_kept(&self) -> RulesKept {
        RulesKept::InCluster(self.preset.clone())
    }
}

impl fmt::Debug for AccessReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessReviews")
            .field("preset", &self.preset)
            .finish_non_exhaustive()
    }
}
