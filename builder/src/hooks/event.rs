//! What a call says.

use http::HeaderMap;
use serde::de::DeserializeOwned;

use super::{bitbucket, generic, gitea, github, gitlab};
use crate::records::HookKind;
use crate::source::git::ObjectId;

/// Most changes of one call that are looked at; forges send at most 100.
pub(super) const MAX_CHANGES: usize = 1000;

/// What a call says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Branches or tags point elsewhere.
    Push(Push),
    /// Somebody wants to know whether calls arrive.
    Ping,
    /// Something that no build waits for; its name.
    Other(String),
}

/// What was pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// URLs of the repository; none if the call does not say.
    pub repository: Vec<String>,
    /// The branch that the repository calls its own, if the call says it.
    pub default_branch: Option<String>,
    /// What points elsewhere; `None`: the call does not say.
    pub changes: Option<Vec<Change>>,
}

/// One branch or tag that points elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub name: GitRef,
    /// Where a branch points to now, if the call says it and is to be believed; `None` for tags, whose own id it would be.
    pub commit: Option<ObjectId>,
    /// It is gone.
    pub deleted: bool,
    /// The message of the newest commit.
    pub message: Option<String>,
}

/// A branch or tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitRef {
    /// `refs/heads/…`.
    Branch(String),
    /// `refs/tags/…`.
    Tag(String),
}

impl GitRef {
    /// Reads a whole name; `None` for what is neither (`refs/pull/…`, `refs/notes/…`).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let branch = text.strip_prefix("refs/heads/");
        let tag = text.strip_prefix("refs/tags/");
        let branch = branch.map(|name| Self::Branch(name.to_owned()));
        branch.or_else(|| tag.map(|name| Self::Tag(name.to_owned())))
    }
}

impl Change {
    /// A change as GitHub, GitLab and Gitea write it: the id after it, which is nothing but zeros where the branch is gone.
    pub(super) fn of(name: GitRef, after: Option<&str>, message: Option<String>) -> Self {
        let deleted = after.is_some_and(|after| after.bytes().all(|byte| byte == b'0'));
        let of_branch = matches!(name, GitRef::Branch(_)) && !deleted;
        let commit = after.filter(|_| of_branch).and_then(ObjectId::parse);
        Self {
            name,
            commit,
            deleted,
            message,
        }
    }
}

/// A signed call that is not to be understood. It is worth telling: whoever reads it knows the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Event {
    /// Reads the body of a call whose signature holds.
    pub fn read(kind: HookKind, headers: &HeaderMap, body: &[u8]) -> Result<Self, Unreadable> {
        match kind {
            HookKind::GitHub => github::read(headers, body),
            HookKind::GitLab => gitlab::read(headers, body),
            HookKind::Gitea => gitea::read(headers, body),
            HookKind::Bitbucket => bitbucket::read(headers, body),
            HookKind::Generic => generic::read(body),
        }
    }
}

/// JSON of a forge: fields that it has besides are nobody's business here.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| {
        let form = body.starts_with(b"payload=");
        let hint = if form {
            ": set the webhook's content type to application/json"
        } else {
            ""
        };
        Unreadable(format!(
            "the body is not what this forge sends: {error}{hint}"
        ))
    })
}

/// A name of an event that can be shown.
pub(super) fn shown(name: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "_-: ".contains(*c);
    name.chars().filter(plain).take(60).collect()
}
