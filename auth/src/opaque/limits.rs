//! What an API token may be used for.

use oci::RepoName;
use serde::{Deserialize, Serialize};

use crate::{Action, Actions};

/// Most namespaces of one token.
const MAX_NAMESPACES: usize = 32;

/// What a token is limited to, whatever its owner may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Repositories of these names, and those below them; empty: all.
    namespaces: Vec<RepoName>,
    #[serde(with = "verbs")]
    verbs: Actions,
}

/// Why these are no limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// A namespace.
    #[error(
        "namespaces: {0:?} is no namespace, nor the beginning of repositories' names: team, team/app"
    )]
    Namespace(String),
    /// More than a token has reason to have.
    #[error("namespaces: at most {MAX_NAMESPACES}")]
    TooMany,
    /// A verb.
    #[error("verbs: {0:?} is none: there are pull (get), push (create, update), delete")]
    Verb(String),
    /// None at all.
    #[error("verbs: a token without any is of no use")]
    NoVerbs,
}

impl Limits {
    /// `namespaces`: `team` is every repository in that namespace, `team/app` that repository and those below it; none
    /// means wherever the owner may. `verbs`: `pull`, `push` (which is adding and moving tags, as in the token protocol),
    /// `delete`, or those of rules.
    pub fn new(namespaces: &[String], verbs: &[String]) -> Result<Self, InvalidLimits> {
        if namespaces.len() > MAX_NAMESPACES {
            return Err(InvalidLimits::TooMany);
        }
        let read = |name: &String| {
            RepoName::parse(name).map_err(|_| InvalidLimits::Namespace(name.clone()))
        };
        let mut actions = Actions::NONE;
        for verb in verbs {
            let meant = named(verb).ok_or_else(|| InvalidLimits::Verb(verb.clone()))?;
            actions = actions.union(meant);
        }
        if actions.is_empty() {
            return Err(InvalidLimits::NoVerbs);
        }
        Ok(Self {
            namespaces: namespaces.iter().map(read).collect::<Result<_, _>>()?,
            verbs: actions,
        })
    }

    /// No limits besides the owner's.
    pub(crate) fn none() -> Self {
        Self {
            namespaces: Vec::new(),
            verbs: Actions::ALL,
        }
    }

    /// Whether `action` in `repo` is within them. A name ends where a segment does: `team` is not the beginning of
    /// `teamwork/app`.
    pub fn allow(&self, action: Action, repo: &RepoName) -> bool {
        let is_within = |namespace: &RepoName| {
            repo.as_str()
                .strip_prefix(namespace.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.verbs.contains(action)
            && (self.namespaces.is_empty() || self.namespaces.iter().any(is_within))
    }

    /// Where; empty: everywhere.
    pub fn namespaces(&self) -> &[RepoName] {
        &self.namespaces
    }

    /// What.
    pub fn verbs(&self) -> Actions {
        self.verbs
    }
}

fn named(verb: &str) -> Option<Actions> {
    if verb == "push" {
        return Some(Actions::NONE.with(Action::Create).with(Action::Update));
    }
    Action::parse(verb).map(|action| Actions::NONE.with(action))
}

/// Verbs by their names, in what is kept.
mod verbs {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::named;
    use crate::Actions;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde hands it over")]
    pub(super) fn serialize<S: Serializer>(verbs: &Actions, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(verbs.iter().map(crate::Action::verb))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Actions, D::Error> {
        let words = Vec::<String>::deserialize(from)?;
        let read = words.iter().map(|verb| named(verb));
        let read: Option<Vec<Actions>> = read.collect();
        let read = read.ok_or_else(|| de::Error::custom("a verb that is none"))?;
        Ok(read.into_iter().fold(Actions::NONE, Actions::union))
    }
}
