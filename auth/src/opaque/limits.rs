//! What an API token may be used for.

use oci::RepoName;
use serde::{Deserialize, Serialize};

use crate::{Action, Actions, BuildRight};

/// The verb that is about builds.
const BUILD: &str = "build";

/// Most namespaces of one token.
const MAX_NAMESPACES: usize = 32;

/// What a token is limited to, whatever its owner may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Repositories of these names, and those below them; empty: all.
    namespaces: Vec<RepoName>,
    #[serde(with = "words")]
    verbs: Verbs,
}

/// What may be done: with images, and whether one may build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Verbs {
    images: Actions,
    build: bool,
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
    #[error("verbs: {0:?} is none: there are pull (get), push (create, update), delete, build")]
    Verb(String),
    /// None at all.
    #[error("verbs: a token without any is of no use")]
    NoVerbs,
    /// `build`, and no namespace among the names.
    #[error("namespaces: builds belong to a whole namespace; name it: {0}")]
    NoNamespace(String),
}

impl Limits {
    /// `namespaces`: `team` is every repository in that namespace, `team/app` that repository and those below it; none
    /// means wherever the owner may. `verbs`: `pull`, `push` (which is adding and moving tags, as in the token protocol),
    /// `delete`, or those of rules; and `build`, which holds in whole namespaces.
    pub fn new(namespaces: &[String], verbs: &[String]) -> Result<Self, InvalidLimits> {
        if namespaces.len() > MAX_NAMESPACES {
            return Err(InvalidLimits::TooMany);
        }
        let read = |name: &String| {
            RepoName::parse(name).map_err(|_| InvalidLimits::Namespace(name.clone()))
        };
        let mut all = Verbs::default();
        for verb in verbs {
            all = all
                .with(verb)
                .ok_or_else(|| InvalidLimits::Verb(verb.clone()))?;
        }
        if all == Verbs::default() {
            return Err(InvalidLimits::NoVerbs);
        }
        let namespaces = namespaces.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if let Some(first) = namespaces.first().filter(|_| all.build)
            && namespaces.iter().all(|name| !name.rest().is_empty())
        {
            return Err(InvalidLimits::NoNamespace(first.namespace().to_owned()));
        }
        Ok(Self {
            namespaces,
            verbs: all,
        })
    }

    /// No limits besides the owner's.
    pub(crate) fn none() -> Self {
        Self {
            namespaces: Vec::new(),
            verbs: Verbs {
                images: Actions::ALL,
                build: true,
            },
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
        self.verbs.images.contains(action)
            && (self.namespaces.is_empty() || self.namespaces.iter().any(is_within))
    }

    /// Whether this right with the builds of a namespace is within them: a program builds, and neither removes builds nor
    /// sets secrets. What is everybody's (`None`) no program changes.
    pub fn allow_build(&self, right: BuildRight, namespace: Option<&str>) -> bool {
        let is_within = |namespace: &str| {
            self.namespaces.is_empty()
                || self
                    .namespaces
                    .iter()
                    .any(|name| name.as_str() == namespace)
        };
        self.verbs.build && right.is_building() && namespace.is_some_and(is_within)
    }

    /// Whether anything with builds is within them.
    pub(crate) fn build(&self) -> bool {
        self.verbs.build
    }

    /// Where; empty: everywhere.
    pub fn namespaces(&self) -> &[RepoName] {
        &self.namespaces
    }

    /// What, by its names: the verbs of rules about images, and `build`.
    pub fn verbs(&self) -> impl Iterator<Item = &'static str> {
        self.verbs.names()
    }
}

impl Verbs {
    /// These and what `verb` names.
    fn with(self, verb: &str) -> Option<Self> {
        let named = |action: &Action| action.verb() == verb || action.scope_name() == verb;
        let more = match verb {
            BUILD => {
                return Some(Self {
                    build: true,
                    ..self
                });
            }
            "push" => Actions::NONE.with(Action::Create).with(Action::Update),
            _ => Actions::NONE.with(Action::ALL.into_iter().find(named)?),
        };
        Some(Self {
            images: self.images.union(more),
            ..self
        })
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let images = self.images.iter().map(Action::verb);
        images.chain(self.build.then_some(BUILD))
    }
}

/// Verbs by their names, in what is kept.
mod words {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::Verbs;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde hands it over")]
    pub(super) fn serialize<S: Serializer>(verbs: &Verbs, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(verbs.names())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Verbs, D::Error> {
        let words = Vec::<String>::deserialize(from)?;
        let mut words = words.iter();
        let read = words.try_fold(Verbs::default(), |verbs, word| verbs.with(word));
        read.ok_or_else(|| de::Error::custom("a verb that is none"))
    }
}
