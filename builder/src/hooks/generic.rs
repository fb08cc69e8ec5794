//! Calls of scripts: every field is optional, and unknown ones are errors, since whoever writes it can mend it.

use serde::Deserialize;

use super::event::{Change, Event, GitRef, Push, Unreadable};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Called {
    /// `refs/heads/main`, `refs/tags/v1` or a branch.
    r#ref: Option<String>,
    /// The repository's URL.
    repository: Option<String>,
    /// The newest commit's message.
    message: Option<String>,
}

/// No body, `{}` or fields. A commit cannot be named: what a branch points to, git says, and not a script.
pub(super) fn read(body: &[u8]) -> Result<Event, Unreadable> {
    if body.trim_ascii().is_empty() {
        return Ok(Event::Push(Push::default()));
    }
    let called: Called = serde_json::from_slice(body)
        .map_err(|error| Unreadable::new(format!("the body: {error}")))?;
    let name = called
        .r#ref
        .map(|name| GitRef::parse(&name).unwrap_or(GitRef::Branch(name)));
    let change = name.map(|name| Change::of(name, None, called.message));
    Ok(Event::Push(Push {
        repository: called.repository.into_iter().collect(),
        default_branch: None,
        changes: change.map(|change| vec![change]),
    }))
}
