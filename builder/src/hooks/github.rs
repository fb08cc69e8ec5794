//! GitHub: <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

use http::HeaderMap;
use serde::Deserialize;

use super::event::{Change, Event, GitRef, Push, Unreadable, json, shown};
use super::signature::header;

#[derive(Deserialize)]
struct Pushed {
    r#ref: String,
    after: Option<String>,
    head_commit: Option<Commit>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Created {
    r#ref: String,
    ref_type: String,
    repository: Repository,
}

#[derive(Deserialize)]
struct Commit {
    message: Option<String>,
}

/// Gitea has these too.
#[derive(Deserialize)]
pub(super) struct Repository {
    clone_url: Option<String>,
    ssh_url: Option<String>,
    html_url: Option<String>,
    default_branch: Option<String>,
}

impl Repository {
    pub(super) fn pushed(self, changes: Vec<Change>) -> Push {
        let urls = [self.clone_url, self.ssh_url, self.html_url];
        Push {
            repository: urls.into_iter().flatten().collect(),
            default_branch: self.default_branch,
            changes: Some(changes),
        }
    }
}

pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Event, Unreadable> {
    match header(headers, "x-github-event").unwrap_or_default() {
        "ping" => Ok(Event::Ping),
        "push" => {
            let pushed: Pushed = json(body)?;
            let Some(name) = GitRef::parse(&pushed.r#ref) else {
                return Ok(Event::Other("push of no branch or tag".to_owned()));
            };
            let message = pushed.head_commit.and_then(|commit| commit.message);
            let change = Change::of(name, pushed.after.as_deref(), message);
            Ok(Event::Push(pushed.repository.pushed(vec![change])))
        }
        // Without a commit. A branch's creation is a push as well.
        "create" => {
            let created: Created = json(body)?;
            if created.ref_type != "tag" {
                return Ok(Event::Other("create of a branch".to_owned()));
            }
            let change = Change::of(GitRef::Tag(created.r#ref), None, None);
            Ok(Event::Push(created.repository.pushed(vec![change])))
        }
        other => Ok(Event::Other(shown(other))),
    }
}
