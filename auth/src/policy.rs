//! The seam to what decides.

use std::fmt;

use async_trait::async_trait;
use oci::RepoName;

use crate::{Action, Identity, Refusal};

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
}

/// The policy where there are users but no rules: whoever proved who they are may do everything, a stranger nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAuthenticated;

#[async_trait]
impl Policy for AllowAuthenticated {
    async fn allows(&self, who: &Identity, _: Action, _: &RepoName) -> Result<bool, Refusal> {
        Ok(!who.is_anonymous())
    }
}
