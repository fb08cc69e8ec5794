//! Which run is next: a pure value that is told what is asked for and what has ended.
//!
//! Namespaces take turns; within one the run that was asked for first is first, unless something holds it: its build's
//! policy, or the namespace's share of the workers. Whatever is not held runs as soon as there is a worker. No namespace has
//! all workers where another is known and there is more than one: nobody waits for the end of all that somebody else runs.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use crate::records::RunPolicy;

mod line;
#[cfg(test)]
mod tests;

pub(super) use line::Line;

/// A run, by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RunId {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// How many runs may be at work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workers {
    pub(super) all: usize,
    pub(super) of_namespace: usize,
}

/// Why a run waits, by what has to end before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// An earlier run of its build, of this name.
    EarlierRun(String),
    /// One of its namespace, which has no more workers than these.
    NamespaceLimit(usize),
    /// Any: all workers, so many, are busy.
    WorkersBusy(usize),
}

/// A run that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: RunId,
    /// The build whose policy holds for it; `None` if none does.
    pub(super) build: Option<String>,
    pub(super) policy: RunPolicy,
    /// What it is of.
    pub(super) line: Line,
    /// When it was asked for, and its number among those of its build.
    pub(super) asked: (u64, u64),
    /// When it has waited too long, in milliseconds since 1970.
    pub(super) until: u64,
}

/// All runs that have not ended.
#[derive(Debug)]
pub(super) struct Queue {
    workers: Workers,
    /// By namespace, in the order in which they were asked for. No list is empty.
    waiting: BTreeMap<String, Vec<Waiting>>,
    /// With the build whose policy holds.
    working: BTreeMap<RunId, Option<String>>,
    /// Places that are kept for runs which are being asked for, by namespace.
    kept: BTreeMap<String, usize>,
    /// The namespaces of those of them that stay kept, as nobody knows whether the run was made.
    unheard: Vec<String>,
    /// Whose turn it was last.
    last: Option<String>,
    /// A namespace that has runs or builds, and whether another has.
    known: Option<String>,
    are_several: bool,
}

impl Queue {
    pub(super) fn new(workers: Workers) -> Self {
        Self {
            workers,
            waiting: BTreeMap::new(),
            working: BTreeMap::new(),
            kept: BTreeMap::new(),
            unheard: Vec::new(),
            last: None,
            known: None,
            are_several: false,
        }
    }

    /// A namespace has runs, or something that starts some.
    pub(super) fn know(&mut self, namespace: &str) {
        let known = self.known.get_or_insert_with(|| namespace.to_owned());
        self.are_several |= known != namespace;
    }

    /// Keeps a place for one that is to wait, if fewer than `most` do or have one; else says how many.
    pub(super) fn keep(&mut self, namespace: &str, most: usize) -> Result<(), usize> {
        let kept = self.kept.get(namespace).copied().unwrap_or_default();
        let waiting = self.waiting_in(namespace) + kept;
        if waiting >= most {
            return Err(waiting);
        }
        self.kept.insert(namespace.to_owned(), kept + 1);
        Ok(())
    }

    /// A place that was kept is taken, or not needed.
    pub(super) fn give_back(&mut self, namespace: &str) {
        if let Some(kept) = self.kept.get_mut(namespace) {
            *kept -= 1;
            if *kept == 0 {
                self.kept.remove(namespace);
            }
        }
    }

    /// A place that was kept stays so until its run was looked for, which may have been made.
    pub(super) fn leave(&mut self, namespace: String) {
        self.unheard.push(namespace);
    }

    /// Takes out those places, to [give each back](Self::give_back) when their runs were looked for.
    pub(super) fn take_unheard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unheard)
    }

    /// Takes a run in; one that is known already stays where it is.
    pub(super) fn push(&mut self, run: Waiting) {
        if self.has(&run.id) {
            return;
        }
        self.know(&run.id.namespace);
        let line = self.waiting.entry(run.id.namespace.clone()).or_default();
        let at = line.partition_point(|other| (other.asked, &other.id) < (run.asked, &run.id));
        line.insert(at, run);
    }

    /// Whether a run waits or is at work.
    pub(super) fn has(&self, id: &RunId) -> bool {
        self.working.contains_key(id) || self.is_waiting(id)
    }

    fn is_waiting(&self, id: &RunId) -> bool {
        let line = self.waiting.get(&id.namespace);
        line.is_some_and(|line| line.iter().any(|run| run.id == *id))
    }

    /// How many wait in a namespace.
    fn waiting_in(&self, namespace: &str) -> usize {
        self.waiting.get(namespace).map_or(0, Vec::len)
    }

    /// All that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// All that are at work.
    pub(super) fn working(&self) -> usize {
        self.working.len()
    }

    /// The run that is to begin now; it counts as at work until it has [ended](Self::ended).
    pub(super) fn next(&mut self) -> Option<RunId> {
        if self.working.len() >= self.workers.all {
            return None;
        }
        let after = match &self.last {
            Some(last) => Bound::Excluded(last.clone()),
            None => Bound::Unbounded,
        };
        let rest = self.waiting.range((after.clone(), Bound::Unbounded));
        let first = self.waiting.range((Bound::Unbounded, upper(after)));
        let mut turns = rest.chain(first);
        let (namespace, index) = turns.find_map(|(namespace, line)| {
            let index = self.may_begin(namespace, line)?;
            Some((namespace.clone(), index))
        })?;
        let line = self.waiting.get_mut(&namespace)?;
        let run = line.remove(index);
        if line.is_empty() {
            self.waiting.remove(&namespace);
        }
        self.last = Some(namespace);
        self.working.insert(run.id.clone(), run.build);
        Some(run.id)
    }

    /// How many workers a namespace may have.
    fn share(&self) -> usize {
        let Workers { all, of_namespace } = self.workers;
        if self.are_several && all > 1 {
            of_namespace.min(all - 1)
        } else {
            of_namespace
        }
    }

    /// Why a run waits; `None` if it does not, or is about to begin. What would still hold it were there a worker comes first.
    pub(super) fn wait(&self, id: &RunId) -> Option<Wait> {
        let line = self.waiting.get(&id.namespace)?;
        let index = line.iter().position(|run| run.id == *id)?;
        let run = &line[index];
        let working = || {
            let all = self.working.iter();
            all.filter(|(other, _)| other.namespace == id.namespace)
        };
        if run.policy != RunPolicy::Parallel && run.build.is_some() {
            let at_work = working().find(|(_, build)| **build == run.build);
            let before = || {
                let mut before = line[..index].iter();
                before.find(|other| other.build == run.build && other.policy != RunPolicy::Parallel)
            };
            let earlier = at_work.map(|(id, _)| id);
            if let Some(earlier) = earlier.or_else(|| before().map(|run| &run.id)) {
                return Some(Wait::EarlierRun(earlier.name.clone()));
            }
        }
        let (share, all) = (self.share(), self.workers.all);
        if share < all && working().count() >= share {
            return Some(Wait::NamespaceLimit(share));
        }
        (self.working.len() >= all).then_some(Wait::WorkersBusy(all))
    }

    /// The first of a line that nothing holds.
    fn may_begin(&self, namespace: &str, line: &[Waiting]) -> Option<usize> {
        let of_namespace = self.working.keys().filter(|id| id.namespace == namespace);
        if of_namespace.count() >= self.share() {
            return None;
        }
        let working = self.working.iter();
        let working = working.filter(|(id, _)| id.namespace == namespace);
        let mut taken: HashSet<&str> = working.filter_map(|(_, build)| build.as_deref()).collect();
        line.iter().position(|run| match (&run.build, run.policy) {
            (None, _) | (_, RunPolicy::Parallel) => true,
            (Some(build), RunPolicy::Serial | RunPolicy::SerialLatestOnly) => taken.insert(build),
        })
    }

    /// A run has ended, or is not wanted any more.
    pub(super) fn ended(&mut self, id: &RunId) {
        self.working.remove(id);
        if let Some(line) = self.waiting.get_mut(&id.namespace) {
            line.retain(|run| run.id != *id);
            if line.is_empty() {
                self.waiting.remove(&id.namespace);
            }
        }
    }

    /// Takes out the runs that a newer one of their build, and of the same there, makes needless, each with that one.
    pub(super) fn superseded(&mut self) -> Vec<(RunId, RunId)> {
        self.take_out(|line, index| {
            let run = &line[index];
            if run.policy != RunPolicy::SerialLatestOnly || run.build.is_none() {
                return None;
            }
            let is_newer = |other: &&Waiting| other.build == run.build && other.line == run.line;
            let mut newer = line[index + 1..].iter().rev().filter(is_newer);
            newer.next().map(|newer| newer.id.clone())
        })
    }

    /// Takes out the runs that have waited too long.
    pub(super) fn overdue(&mut self, now: u64) -> Vec<RunId> {
        let overdue = self.take_out(|line, index| (line[index].until <= now).then_some(()));
        overdue.into_iter().map(|(id, ())| id).collect()
    }

    fn take_out<T>(&mut self, why: impl Fn(&[Waiting], usize) -> Option<T>) -> Vec<(RunId, T)> {
        let mut out = Vec::new();
        for line in self.waiting.values() {
            let reasons = (0..line.len()).map(|index| (index, why(line, index)));
            let found = reasons.filter_map(|(index, why)| Some((line[index].id.clone(), why?)));
            out.extend(found);
        }
        for (id, _) in &out {
            self.ended(id);
        }
        out
    }

    /// When the next of those that wait will have waited too long.
    pub(super) fn due(&self) -> Option<u64> {
        let all = self.waiting.values().flatten();
        all.map(|run| run.until).min()
    }
}

/// The end of the second half of a turn.
fn upper(after: Bound<String>) -> Bound<String> {
    match after {
        Bound::Excluded(last) | Bound::Included(last) => Bound::Included(last),
        // There is no second half: the first had all.
        Bound::Unbounded => Bound::Excluded(String::new()),
    }
}
