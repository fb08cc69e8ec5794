//! What somebody may do, from `SubjectAccessReview`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use oci::RepoName;

use super::question::{admin_fingerprint, fingerprint, review};
use super::{Cluster, Lifetimes, Preset};
use crate::answers::Answers;
use crate::keyed::{Fingerprint, Keyed};
use crate::{Action, AdminRight, Identity, LoadError, Policy, Refusal};

/// The cluster's rules decide: RBAC, and whatever other authorizers it has.
pub struct AccessReviews {
    cluster: Arc<Cluster>,
    preset: Preset,
    lifetimes: Lifetimes,
    keyed: Keyed,
    answers: Arc<Answers<bool>>,
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
        })
    }

    /// What the cluster says, or said lately.
    async fn ask(
        &self,
        question: Fingerprint,
        who: &Identity,
        attributes: impl FnOnce(&Preset) -> ResourceAttributes,
    ) -> Result<bool, Refusal> {
        let ask = || {
            let review = review(who, attributes(&self.preset));
            let (cluster, lifetimes) = (Arc::clone(&self.cluster), self.lifetimes);
            async move {
                let status = cluster.review(&review).await?.status.unwrap_or_default();
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
        self.answers.get(question, ask).await
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
        let question = fingerprint(&self.keyed, who, action, repo);
        self.ask(question, who, |preset| preset.attributes(action, repo))
            .await
    }

    async fn allows_admin(&self, who: &Identity, right: AdminRight) -> Result<bool, Refusal> {
        let question = admin_fingerprint(&self.keyed, who, right);
        self.ask(question, who, |preset| preset.admin_attributes(right))
            .await
    }
}

impl fmt::Debug for AccessReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessReviews")
            .field("preset", &self.preset)
            .finish_non_exhaustive()
    }
}
