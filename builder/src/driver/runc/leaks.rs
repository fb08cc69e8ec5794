//! No secret goes where others find it: into a result, or into a cache that later runs have.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::caches::Cache;
use super::secrets::{Secrets, known};
use super::work::Work;
use super::{Failure, failure, scan};
use crate::layer::Layer;
use crate::rootfs::Rootfs;
use crate::tree::{Met, walk};

/// How long the caches of a run are still searched when it is over: it is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// When the caches of a run that is over are not searched any longer: one time for all of them.
#[derive(Debug, Default)]
pub(super) struct Patience(OnceCell<Instant>);

impl Patience {
    /// Begins when it is first asked of a run that is over.
    fn has_ended(&self, is_over: bool, now: Instant) -> bool {
        is_over && now >= *self.0.get_or_init(|| now + PATIENCE)
    }
}

impl Work<'_> {
    /// Refuses a result that has a secret in it.
    pub(super) fn scan(
        &mut self,
        rootfs: &Rootfs<'_>,
        layer: Option<&(Layer, File)>,
        config: &[u8],
    ) -> Result<(), Failure> {
        loop {
            let mut leak = match layer {
                Some((layer, file)) => scan::layer(layer, file, &self.secrets, &self.cancel)?,
                None => None,
            };
            if leak.is_none() {
                leak = scan::config(config, &self.secrets)?;
            }
            let Some(leak) = leak else {
                return Ok(());
            };
            if !leak.is_doubtful || !self.settle_doubts(rootfs)? {
                return Err(leak.failure);
            }
        }
    }

    /// Before a program runs that may put a secret into `caches`: until they are [given back](Self::give_back) they are nobody's.
    pub(super) fn mark(&self, caches: &[Cache]) -> Result<(), Failure> {
        if self.secrets.is_empty() {
            return Ok(());
        }
        let marked = caches.iter().try_for_each(Cache::mark_unsearched);
        marked.map_err(|error| failure::machine("marking caches", &error))
    }

    /// Gives caches back. Those in which this run put a secret are emptied, and so are those that could not be searched. A run that
    /// was stopped for the disk searches none: what it wrote is to go.
    pub(super) fn give_back(&mut self, rootfs: &Rootfs<'_>, caches: Vec<Cache>) {
        if caches.is_empty() {
            return;
        }
        let mut settled = Vec::new();
        for cache in caches {
            let drops = !self.secrets.is_empty() && self.leaks_into(rootfs, &cache);
            settled.push(if drops {
                self.machine.caches.empty(cache)
            } else {
                cache.settle()
            });
        }
        // One that was not counted has no record, and is measured here.
        let pruned = self.machine.caches.prune();
        let results = settled.into_iter().chain([pruned.failed]);
        for error in results.filter_map(Result::err) {
            tracing::warn!(%error, "caches of builds could not be counted or removed");
        }
    }

    /// Whether a cache is to be emptied, which is said.
    fn leaks_into(&mut self, rootfs: &Rootfs<'_>, cache: &Cache) -> bool {
        loop {
            let is_over = || self.is_searched_no_longer();
            let found = scan::folder(&cache.files(), cache.since(), &self.secrets, is_over);
            let why = match found {
                Ok(None) => return false,
                Ok(Some((path, is_doubtful))) => {
                    if is_doubtful && self.settle_doubts(rootfs).is_ok_and(|settled| settled) {
                        continue;
                    }
                    format!("a secret is in {path} of it")
                }
                Err(error) => format!("it could not be searched for secrets: {error}"),
            };
            self.note(format!("cache {} is emptied: {why}", cache.id()));
            return true;
        }
    }

    fn is_searched_no_longer(&self) -> bool {
        let is_over = self.cancel.is_cancelled();
        self.writing.evicted().is_some() || self.patience.has_ended(is_over, Instant::now())
    }

    /// Looks for the doubtful words of the secrets in the source and in the base image, and takes those for no secrets that
    /// are there. False: there are none.
    fn settle_doubts(&mut self, rootfs: &Rootfs<'_>) -> Result<bool, Failure> {
        let reading =
            |error| failure::machine("reading the source and the base image again", &error);
        let known = self.known(rootfs).map_err(reading)?;
        if known.is_empty() {
            return Ok(false);
        }
        self.known.extend(known);
        self.secrets = Secrets::of(&self.job.plan, &self.job.secrets, &self.known)?;
        self.note(
            "some ids or sums in the secrets are in the source or the base image too: they are taken for no secrets by themselves",
        );
        Ok(true)
    }

    /// Those of the doubtful words that are there.
    fn known(&self, rootfs: &Rootfs<'_>) -> io::Result<BTreeSet<Vec<u8>>> {
        let words = self.secrets.doubtful();
        let mut found = self.source.open().and_then(|source| known(words, source))?;
        for folder in rootfs.folders()?.lower {
            let stopped = walk(
                &folder,
                |_| Ok(true),
                |met: Met<'_>| {
                    if self.cancel.is_cancelled() {
                        return Ok(ControlFlow::Break(()));
                    }
                    if let Some(file) = met.file {
                        found.extend(known(words, file.take(met.stat.size))?);
                    }
                    Ok(ControlFlow::Continue(()))
                },
            );
            if stopped?.is_some() {
                break;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caches_of_a_run_that_is_over_have_one_time_together() {
        let patience = Patience::default();
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(!patience.has_ended(false, now));
        // The first cache's search goes on, and takes all of it.
        assert!(!patience.has_ended(true, after(100)));
        assert!(!patience.has_ended(true, after(109)));
        assert!(patience.has_ended(true, after(111)));
        // The second's.
        assert!(patience.has_ended(true, after(112)));
    }
}
