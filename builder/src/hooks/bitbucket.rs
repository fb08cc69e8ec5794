//! Bitbucket Cloud (<https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/>) and Bitbucket Server and Data Center
//! (<https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html>).

use http::HeaderMap;
use serde::Deserialize;

use super::event::{Change, Event, GitRef, MAX_CHANGES, Push, Unreadable, json, shown};
use super::signature::header;
use crate::source::git::ObjectId;

/// `repo:push` of Cloud.
#[derive(Deserialize)]
struct Pushed {
    push: Changes,
    repository: CloudRepository,
}

#[derive(Deserialize)]
struct Changes {
    changes: Vec<CloudChange>,
}

#[derive(Deserialize)]
struct CloudChange {
    /// Absent where it is gone.
    new: Option<Pointer>,
    old: Option<Pointer>,
}

#[derive(Deserialize)]
struct Pointer {
    name: String,
    r#type: String,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    hash: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct CloudRepository {
    links: CloudLinks,
}

#[derive(Deserialize)]
struct CloudLinks {
    html: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

/// `repo:refs_changed` of Server.
#[derive(Deserialize)]
struct RefsChanged {
    changes: Vec<ServerChange>,
    repository: ServerRepository,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerChange {
    r#ref: ServerRef,
    to_hash: Option<String>,
}

#[derive(Deserialize)]
struct ServerRef {
    id: String,
}

#[derive(Deserialize)]
struct ServerRepository {
    #[serde(default)]
    links: ServerLinks,
}

#[derive(Default, Deserialize)]
struct ServerLinks {
    #[serde(default)]
    clone: Vec<Link>,
}

pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Event, Unreadable> {
    match header(headers, "x-event-key").unwrap_or_default() {
        "diagnostics:ping" => Ok(Event::Ping),
        "repo:push" => {
            let pushed: Pushed = json(body)?;
            let changes = pushed.push.changes.into_iter().take(MAX_CHANGES);
            let html = pushed.repository.links.html;
            Ok(Event::Push(Push {
                repository: html.map(|link| link.href).into_iter().collect(),
                default_branch: None,
                changes: Some(changes.filter_map(of_cloud).collect()),
            }))
        }
        "repo:refs_changed" => {
            let told: RefsChanged = json(body)?;
            let changes = told.changes.into_iter().take(MAX_CHANGES);
            let changes = changes.filter_map(|one| {
                let name = GitRef::parse(&one.r#ref.id)?;
                // The message is not told.
                Some(Change::of(name, one.to_hash.as_deref(), None))
            });
            let clone = told.repository.links.clone.into_iter();
            Ok(Event::Push(Push {
                changes: Some(changes.collect()),
                repository: clone.map(|link| link.href).collect(),
                default_branch: None,
            }))
        }
        other => Ok(Event::Other(shown(other))),
    }
}

fn of_cloud(change: CloudChange) -> Option<Change> {
    let deleted = change.new.is_none();
    let pointer = change.new.or(change.old)?;
    let target = pointer.target.filter(|_| !deleted);
    let (hash, message) = target.map_or((None, None), |target| (target.hash, target.message));
    let (name, commit) = match &*pointer.r#type {
        "branch" | "named_branch" => {
            let commit = hash.as_deref().and_then(ObjectId::parse);
            (GitRef::Branch(pointer.name), commit)
        }
        "tag" | "annotated_tag" => (GitRef::Tag(pointer.name), None),
        _ => return None,
    };
    Some(Change {
        name,
        commit,
        deleted,
        message,
    })
}
