//! Whether what a call says is about what a build builds.

use super::event::{Change, Event, GitRef, Push};
use super::repository::Place;
use crate::records::{BuildSpec, SourceSpec};
use crate::source::git::{ObjectId, Revision};

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It starts a run: of this commit, or of what the build's revision stands for when it runs.
    Start(Option<ObjectId>),
    /// It starts nothing, and why.
    Nothing(String),
}

/// Marks in a commit's message that ask for no run.
const SKIP: [&str; 2] = ["[skip ci]", "[ci skip]"];

/// Judges an event for a build.
pub fn judge(spec: &BuildSpec, event: &Event) -> Verdict {
    let push = match event {
        Event::Push(push) => push,
        Event::Ping => return nothing("the call has arrived, and its signature holds"),
        Event::Other(name) => {
            return nothing(format!(
                "{name:?} starts no run: pushes of branches and tags do"
            ));
        }
    };
    let SourceSpec::Git { url, revision, .. } = &spec.source else {
        return nothing("the build's source is no git repository");
    };
    let wanted = Place::of(url);
    let named: Vec<_> = push.repository.iter().map(|url| Place::of(url)).collect();
    if !named.is_empty() && !named.contains(&wanted) {
        return nothing("the call is about another repository than the build's");
    }
    let Ok(revision) = revision.as_deref().unwrap_or_default().parse() else {
        return nothing("the build's revision is not to be understood");
    };
    if let Revision::Commit(_) = revision {
        return nothing("the build is of one commit, which no push changes");
    }
    let Some(changes) = &push.changes else {
        return Verdict::Start(None);
    };
    let mut why = None;
    for change in changes
        .iter()
        .filter(|change| is_of(&revision, change, push))
    {
        match idle(change) {
            // One that starts nothing hides no other of the push.
            Some(idle) => why = why.or(Some(idle)),
            None => return Verdict::Start(commit(&revision, change, push)),
        }
    }
    nothing(why.unwrap_or("the push is of another branch or tag than the build's"))
}

/// Why a change starts nothing, whichever branch or tag it is of.
fn idle(change: &Change) -> Option<&'static str> {
    if change.deleted {
        return Some("the branch or tag was deleted");
    }
    let message = change.message.as_deref().unwrap_or_default();
    let is_skipped = SKIP.iter().any(|mark| message.contains(mark));
    is_skipped.then_some("the commit's message asks for no run")
}

fn is_of(revision: &Revision, change: &Change, push: &Push) -> bool {
    match (revision, &change.name) {
        // Which branch that is, not every forge says; the run finds out, and builds nothing twice.
        (Revision::Default, GitRef::Branch(name)) => push
            .default_branch
            .as_ref()
            .is_none_or(|default| default == name),
        (Revision::Branch(wanted), GitRef::Branch(name))
        | (Revision::Tag(wanted), GitRef::Tag(name))
        | (Revision::Name(wanted), GitRef::Branch(name) | GitRef::Tag(name)) => {
            wanted.as_str() == name
        }
        _ => false,
    }
}

/// The commit, where the forge says that the branch which is built points to it.
fn commit(revision: &Revision, change: &Change, push: &Push) -> Option<ObjectId> {
    let is_known = *revision != Revision::Default || push.default_branch.is_some();
    change.commit.clone().filter(|_| is_known)
}

fn nothing(why: impl Into<String>) -> Verdict {
    Verdict::Nothing(why.into())
}
