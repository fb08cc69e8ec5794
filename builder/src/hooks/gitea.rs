//! Gitea and Forgejo: <https://docs.gitea.com/usage/repository/webhooks>. They write a push as GitHub does.

use http::HeaderMap;
use serde::Deserialize;

use super::event::{Change, Event, GitRef, Unreadable, json, shown};
use super::github::Repository;
use super::signature::header;

#[derive(Deserialize)]
struct Pushed {
    r#ref: String,
    after: Option<String>,
    head_commit: Option<Commit>,
    #[serde(default)]
    commits: Vec<Commit>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Commit {
    id: Option<String>,
    message: Option<String>,
}

pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Event, Unreadable> {
    let named = ["x-forgejo-event", "x-gitea-event"];
    let event = named.iter().find_map(|name| header(headers, name));
    let event = event.unwrap_or_default();
    if event != "push" {
        return Ok(Event::Other(shown(event)));
    }
    let pushed: Pushed = json(body)?;
    let Some(name) = GitRef::parse(&pushed.r#ref) else {
        return Ok(Event::Other("push of no branch or tag".to_owned()));
    };
    // Older ones have no `head_commit`.
    let after = pushed.after.as_deref();
    let head = pushed.head_commit.or_else(|| {
        let mut commits = pushed.commits.into_iter();
        commits.find(|commit| commit.id.as_deref() == after)
    });
    let message = head.and_then(|commit| commit.message);
    let change = Change::of(name, after, message);
    Ok(Event::Push(pushed.repository.pushed(vec![change])))
}
