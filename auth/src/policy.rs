//! The seam to what decides.

use std::fmt;

use async_trait::async_trait;
use oci::RepoName;

use crate::{Action, AdminRight, Identity, Refusal};

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

    /// Whether `who` has a right over the whole registry. No rule means no; no answer is [`Refusal::Unavailable`].
    async fn allows_admin(&self, who: &Identity, right: AdminRight) -> Result<bool, Refusal>;
}

/// The policy where there are users but no rules: whoever proved who they are may do everything in every repository, a
/// stranger nothing. Nobody is an administrator.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAuthenticated;

#[async_trait]
impl Policy for AllowAuthenticated {
    async fn allows(&self, who: &Identity, _: Action, _: &RepoName) -> Result<bool, Refusal> {
        Ok(!who.is_anonymous())
    }

    async fn allows_admin(&self, _: &Identity, _: AdminRight) -> Result<bool, Refusal> {
        Ok(false)
    }
}
