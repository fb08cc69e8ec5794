//! What somebody sees of lists that go over namespaces: of repositories, and of builds.

use std::collections::{HashMap, HashSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use oci::RepoName;

use crate::answers::BUSY;
use crate::gate::in_scope;
use crate::{Gate, Identity, Refusal};

mod positions;
#[cfg(test)]
mod tests;

pub(crate) use positions::Positions;

/// Most questions that one request puts to a policy that asks elsewhere.
const BUDGET: usize = 200;
/// Repositories that are looked at together. Each costs two questions at most: its namespace, and its name; and two more
/// where it holds sources: the rights with its namespace's builds.
const TOGETHER: usize = 16;
/// What a sealed position begins with, and no name does.
const SEALED: char = '~';

/// One request's look at a list that goes over namespaces: by whom, and how much it has asked.
#[derive(Debug)]
pub struct Sight<'a> {
    gate: &'a Gate,
    who: &'a Identity,
    /// What policy said of namespaces: all that is in them, or not all, or that it is to be asked by name.
    namespaces: HashMap<Box<str>, Option<bool>>,
    /// In which namespaces they may touch sources.
    sources: HashMap<Box<str>, bool>,
    left: usize,
}

/// How far a [`Sight`] came.
#[derive(Debug)]
pub struct Seen {
    /// Those of the names that are seen, in order.
    pub repositories: Vec<RepoName>,
    /// How many of the names were looked at; the others wait for the next request, since this one has asked enough.
    pub looked_at: usize,
}

impl<'a> Sight<'a> {
    pub(crate) fn new(gate: &'a Gate, who: &'a Identity) -> Self {
        Self {
            gate,
            who,
            namespaces: HashMap::new(),
            sources: HashMap::new(),
            left: BUDGET,
        }
    }

    /// Looks at `names` in order, until more than `enough` are seen or this request has asked enough. The first call of a
    /// request looks at some at least, so that whoever goes on where it ended comes to the end.
    // Boxed, since the compiler does not see of streams of such futures in a greater one that they are `Send`.
    pub fn look<'s>(
        &'s mut self,
        names: &'s [RepoName],
        enough: usize,
    ) -> BoxFuture<'s, Result<Seen, Refusal>> {
        let look = async move {
            let mut seen = Seen {
                repositories: Vec::new(),
                looked_at: 0,
            };
            for some in names.chunks(TOGETHER) {
                let questions = if some.iter().any(RepoName::holds_sources) {
                    4
                } else {
                    2
                };
                if self.left < questions * TOGETHER || seen.repositories.len() > enough {
                    break;
                }
                seen.repositories.extend(self.look_at(some).await?);
                seen.looked_at += some.len();
            }
            Ok(seen)
        };
        look.boxed()
    }

    /// In which of `namespaces`, some at a time and in order, they may list builds; fewer answers than names once this request
    /// has asked enough. The first call of a request gives one at least.
    pub fn look_for_builds<'s>(
        &'s mut self,
        namespaces: &'s [String],
    ) -> BoxFuture<'s, Result<Vec<bool>, Refusal>> {
        let some = namespaces.len().min(self.left);
        self.left -= some;
        let (gate, who) = (self.gate, self.who);
        let asked = namespaces[..some].iter();
        let asked = asked.map(move |namespace| gate.lists_builds(who, namespace));
        stream::iter(asked).buffered(TOGETHER).try_collect().boxed()
    }

    async fn look_at(&mut self, names: &[RepoName]) -> Result<Vec<RepoName>, Refusal> {
        let (gate, who) = (self.gate, self.who);
        let in_scope = names.iter().filter(|name| in_scope(who, name)).cloned();
        let mut in_scope: Vec<RepoName> = in_scope.collect();
        let holding = in_scope.iter().filter(|name| name.holds_sources());
        let asked = unknown(holding, &self.sources)
            .into_iter()
            .map(|namespace| async move {
                let answer = gate.allows_sources(who, &namespace).await?;
                Ok::<_, Refusal>((namespace, answer))
            });
        let answers: Vec<(Box<str>, bool)> = stream::iter(asked)
            .buffer_unordered(TOGETHER)
            .try_collect()
            .await?;
        self.left -= 2 * answers.len();
        self.sources.extend(answers);
        in_scope.retain(|name| {
            !name.holds_sources() || self.sources.get(name.namespace()) == Some(&true)
        });
        let asked =
            unknown(in_scope.iter(), &self.namespaces)
                .into_iter()
                .map(|namespace| async move {
                    let answer = gate.sees_all_of(who, &namespace).await?;
                    Ok::<_, Refusal>((namespace, answer))
                });
        let answers: Vec<(Box<str>, Option<bool>)> = stream::iter(asked)
            .buffer_unordered(TOGETHER)
            .try_collect()
            .await?;
        for (namespace, answer) in answers {
            self.left -= usize::from(answer.is_some());
            self.namespaces.insert(namespace, answer);
        }
        let mut asked = Vec::new();
        for name in in_scope {
            let all = self.namespaces.get(name.namespace()).copied().flatten();
            // Rules may name repositories: a no for the namespace is none for each of them.
            self.left -= usize::from(all == Some(false));
            asked.push(async move {
                let is_seen = all == Some(true) || gate.lists(who, &name).await?;
                Ok::<_, Refusal>(is_seen.then_some(name))
            });
        }
        let seen: Vec<Option<RepoName>> =
            stream::iter(asked).buffered(TOGETHER).try_collect().await?;
        Ok(seen.into_iter().flatten().collect())
    }

    /// The position behind `name` for a link. The name may be one that they must not know of, so it is sealed, for them
    /// alone. Whoever shares the keys that sign tokens opens it: other servers, and this one after a restart.
    pub fn seal(&self, name: &str) -> Result<String, Refusal> {
        let positions = self.gate.positions().ok_or(BUSY)?;
        let sealed = positions.seal(name, self.who.principal()).ok_or(BUSY)?;
        Ok(format!("{SEALED}{sealed}"))
    }

    /// The position that a client came with: a name, or what [`seal`](Self::seal) made for the same user. `None`: it was
    /// sealed with a key that is gone, or for somebody else.
    pub fn position(&self, last: &str) -> Result<Option<String>, Refusal> {
        if last.starts_with(SEALED) {
            self.sealed_position(last)
        } else {
            Ok(Some(last.to_owned()))
        }
    }

    /// The same where nobody chooses a position by its name.
    pub fn sealed_position(&self, last: &str) -> Result<Option<String>, Refusal> {
        let Some(sealed) = last.strip_prefix(SEALED) else {
            return Ok(None);
        };
        let positions = self.gate.positions().ok_or(BUSY)?;
        Ok(positions.open(sealed, self.who.principal()))
    }
}

/// The namespaces of `names` of which nothing is known yet.
fn unknown<'n, T>(
    names: impl Iterator<Item = &'n RepoName>,
    known: &HashMap<Box<str>, T>,
) -> HashSet<Box<str>> {
    let namespaces = names.map(RepoName::namespace).map(Box::from);
    namespaces
        .filter(|name| !known.contains_key(name))
        .collect()
}
