//! GitLab: <https://docs.gitlab.com/user/project/integrations/webhook_events/>.

use http::HeaderMap;
use serde::Deserialize;

use super::event::{Change, Event, GitRef, Push, Unreadable, json, shown};
use super::signature::header;

#[derive(Deserialize)]
struct Pushed {
    r#ref: String,
    after: Option<String>,
    #[serde(default)]
    commits: Vec<Commit>,
    project: Project,
}

#[derive(Deserialize)]
struct Commit {
    id: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Project {
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    web_url: Option<String>,
    default_branch: Option<String>,
}

pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Event, Unreadable> {
    let event = header(headers, "x-gitlab-event").unwrap_or_default();
    if !["Push Hook", "Tag Push Hook"].contains(&event) {
        return Ok(Event::Other(shown(event)));
    }
    let pushed: Pushed = json(body)?;
    let Some(name) = GitRef::parse(&pushed.r#ref) else {
        return Ok(Event::Other("push of no branch or tag".to_owned()));
    };
    let after = pushed.after.as_deref();
    let mut commits = pushed.commits.into_iter();
    let head = commits.find(|commit| commit.id.as_deref() == after);
    let message = head.and_then(|commit| commit.message);
    let change = Change::of(name, after, message);
    let project = pushed.project;
    let urls = [project.git_http_url, project.git_ssh_url, project.web_url];
    Ok(Event::Push(Push {
        repository: urls.into_iter().flatten().collect(),
        default_branch: project.default_branch,
        changes: Some(vec![change]),
    }))
}
