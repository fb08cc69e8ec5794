//! Webhooks: what forges and scripts say of a repository, and which of it starts a run.
//!
//! A call goes one way: signature → event → verdict → run. Nothing of a body is parsed before the signature holds, and what a
//! call is signed with is all that it proves: headers beside it (a delivery's id, an event's name) are believed only as far as
//! they can do no harm.
//!
//! - [`Keys`] and [`Signed`]: who calls. By kind: GitHub, Gitea, Forgejo and Bitbucket sign the body (HMAC-SHA256); GitLab signs
//!   id, time and body (Standard Webhooks) or shows a token; scripts sign time and body.
//! - [`Event`]: what is said, one file a forge.
//! - [`judge`]: whether it is about what a build builds.
//! - [`Hooks`]: the service: one call starts one run, however often and by how many it is repeated.

mod back;
mod bitbucket;
mod deliveries;
mod event;
mod generic;
mod gitea;
mod github;
mod gitlab;
mod receive;
mod repository;
mod signature;
mod verdict;

#[cfg(test)]
mod tests;

pub use deliveries::{KEPT_FOR, MOST_KEPT};
pub(crate) use deliveries::{forget, prune, taken_by};
pub use event::{Change, Event, GitRef, Push, Unreadable};
pub use receive::{Answer, HookError, Hooks};
pub use signature::{Keys, Signed, WINDOW};
pub use verdict::{Verdict, judge};

use crate::records::HookKind;

/// Longest body of a call, in bytes: what GitHub and GitLab send at most.
pub const MAX_BODY: usize = 25 << 20;

impl HookKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::GitHub,
        Self::GitLab,
        Self::Gitea,
        Self::Bitbucket,
        Self::Generic,
    ];

    /// The last part of a webhook's path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Bitbucket => "bitbucket",
            Self::Generic => "generic",
        }
    }

    /// The kind of that name.
    pub fn from_path(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Where the webhook of a build is, below the server's address.
    pub fn path(self, namespace: &str, build: &str) -> String {
        format!("/hooks/{namespace}/{build}/{}", self.as_str())
    }
}
