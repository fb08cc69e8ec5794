//! The seam to what decides.

use std::fmt;

use async_trait::async_trait;
use oci::RepoName;

use crate::kubernetes::Preset;
use crate::rbac::Resource;
use crate::{Action, Identity, Refusal, Right};

/// Where the rules are by which a policy decides, and what they name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesKept {
    /// There are none.
    Nowhere,
    /// In files of the server.
    InFiles(Resource),
    /// In a Kubernetes cluster.
    InCluster(Preset),
}

/// Decides what an identity may do. It does not look at [`Identity::access`]: the gate has done so.
#[async_trait]
pub trait Policy: fmt::Debug + Send + Sync + 'static {
    /// Whether `who` may do `action` in `repo`. No rule means no; no answer is [`Refusal::Unavailable`].
    async fn allows(
        &self,
        who: &Identity,
        action: Action,
        repo: &RepoName,
    ) -> Result<bool, Refusal>;

    /// The same for a list, which is long and can wait: a policy that asks elsewhere puts it behind what deeds need.
    async fn lists(&self, who: &Identity, repo: &RepoName) -> Result<bool, Refusal> {
        self.allows(who, Action::Get, repo).await
    }

    /// Whether `who` may read every repository of `namespace`, for a list. `None` where that is no question, since asking
    /// for each repository costs nothing.
    async fn lists_all_of(&self, _: &Identity, _namespace: &str) -> Result<Option<bool>, Refusal> {
        Ok(None)
    }

    /// Whether `who` has a right that is about no repository, over the whole registry or in `namespace` only. No rule means
    /// no; no answer is [`Refusal::Unavailable`].
    async fn has_right(
        &self,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal>;

    /// The same for a list: see [`lists`](Self::lists).
    async fn lists_right(
        &self,
        who: &Identity,
        right: Right,
        namespace: &str,
    ) -> Result<bool, Refusal> {
        self.has_right(who, right, Some(namespace)).await
    }

    /// Where its rules are, for whoever wants to read them.
    fn rules_kept(&self) -> RulesKept;
}

/// The policy where there are users but no rules: whoever proved who they are may do everything in every repository, a
/// stranger nothing; and so it is with the builds of every namespace. Nobody is an administrator.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAuthenticated;

#[async_trait]
impl Policy for AllowAuthenticated {
    async fn allows(&self, who: &Identity, _: Action, _: &RepoName) -> Result<bool, Refusal> {
        Ok(!who.is_anonymous())
    }

    async fn has_right(
        &self,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        Ok(match right {
            Right::Admin(_) => false,
            Right::Build(_) => !who.is_anonymous() && namespace.is_some(),
        })
    }

    fn rules_kept(&self) -> RulesKept {
        RulesKept::Nowhere
    }
}
