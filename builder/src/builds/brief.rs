//! Runs in brief: what lists, retention and the search for a result look at, of each run of a namespace. It is written in the same
//! write as the run, and read without it.

use serde::{Deserialize, Serialize};

use super::record::{Record as _, Store, key};
use super::reproduce::is_check;
use super::runs::Age;
use super::{BuildsError, What};
use crate::images::ImageName;
use crate::ledger::{self, Kept, LedgerError, MAX_BATCH_BYTES, MAX_BODY_BYTES, Write};
use crate::records::{Run, StateKind};

/// A run in brief. One that a newer program wrote, with more in it, is not read: the run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Brief {
    #[serde(skip)]
    pub(super) name: String,
    pub(super) uid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) build: Option<String>,
    /// Of a run without a build: the image that it makes, as its spec has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<String>,
    pub(super) asked: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<u64>,
    pub(super) state: StateKind,
    /// Whether it asks if an earlier one reproduces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) check: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<String>,
    /// The digest of the image that came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made: Option<String>,
}

impl Brief {
    pub(super) fn of(run: &Run) -> Self {
        let image = run.result.as_ref().map(|result| &result.image);
        let image = image.and_then(|image| ImageName::parse(image, &[]).ok());
        Self {
            name: run.metadata.name.clone(),
            uid: run.uid.clone(),
            build: run.build.clone(),
            output: match run.build {
                Some(_) => None,
                None => Some(run.spec.output.image.clone()),
            },
            asked: run.asked,
            ended: run.ended,
            state: run.state.kind(),
            check: is_check(run),
            plan: run.resolved.plan.clone(),
            made: image.and_then(|image| Some(image.digest()?.to_string())),
        }
    }

    pub(super) fn age(&self) -> Age {
        Age::named(self.asked, &self.name)
    }

    pub(super) fn is_of(&self, build: &str) -> bool {
        self.build.as_deref() == Some(build)
    }

    /// Whether what it made is a result: what only shows whether something comes out again is none.
    pub(super) fn has_result(&self) -> bool {
        self.state == StateKind::Succeeded && !self.check
    }

    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.state, StateKind::Queued | StateKind::Running)
    }

    /// As it is kept; `None` if it is too long for that.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let bytes = serde_json::to_vec(self).ok()?;
        (bytes.len() <= ledger::MAX_BRIEF_BYTES).then_some(bytes)
    }

    fn read(kept: &ledger::Brief) -> Option<Self> {
        let brief: Self = serde_json::from_slice(kept.brief.as_ref()?).ok()?;
        Some(Self {
            name: kept.name.clone(),
            ..brief
        })
    }
}

/// Briefs that are read at a time.
const STRIDE: usize = 1_000;

/// Runs that are written anew at a time, however long they are.
const WRITTEN: usize = MAX_BATCH_BYTES / MAX_BODY_BYTES;

impl Store {
    /// Looks at the runs of a namespace whose names begin so, in brief. How many were passed over, as they cannot be read.
    pub(super) async fn look(
        &self,
        namespace: &str,
        prefix: &str,
        mut look: impl FnMut(Brief),
    ) -> Result<usize, BuildsError> {
        let (mut after, mut passed_over) = (None, 0);
        while let Some(page) = self.briefs(namespace, prefix, &mut after).await? {
            for kept in page {
                let brief = match Brief::read(&kept) {
                    Some(brief) => Some(brief),
                    // Of a program that wrote none, or another.
                    None => match self.find::<Run>(namespace, &kept.name).await {
                        Ok(run) => run.map(|run| Brief::of(&run.value)),
                        Err(BuildsError::Unreadable { .. }) => {
                            passed_over += 1;
                            None
                        }
                        Err(error) => return Err(error),
                    },
                };
                if let Some(brief) = brief {
                    look(brief);
                }
            }
        }
        Ok(passed_over)
    }

    /// Writes briefs of runs that have none which this program reads. Who writes one of them at the same time writes it, too.
    pub(super) async fn write_briefs(&self, namespace: &str) -> Result<(), BuildsError> {
        let mut after = None;
        while let Some(page) = self.briefs(namespace, "", &mut after).await? {
            let missing: Vec<_> = page
                .iter()
                .filter(|one| Brief::read(one).is_none())
                .collect();
            for some in missing.chunks(WRITTEN) {
                let mut writes = Vec::new();
                for one in some {
                    let kept = self.ledger().get(&key::<Run>(namespace, &one.name)).await?;
                    writes.extend(kept.and_then(|kept| self.with_brief(kept)));
                }
                if writes.is_empty() {
                    continue;
                }
                match self.ledger().write(writes).await {
                    Ok(()) | Err(LedgerError::Conflict(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// The same record with its brief; `None` if it cannot be read, or has none.
    fn with_brief(&self, kept: Kept) -> Option<Write> {
        let run = self.readable::<Run>(&kept)?;
        Some(Write::Put {
            brief: Some(run.value.brief()?),
            key: kept.key,
            revision: Some(kept.revision),
            open: kept.open,
            body: kept.body,
        })
    }

    /// The next page; `None` after the last.
    async fn briefs(
        &self,
        namespace: &str,
        prefix: &str,
        after: &mut Option<String>,
    ) -> Result<Option<Vec<ledger::Brief>>, BuildsError> {
        let kind = What::Run.kind();
        let page = self
            .ledger()
            .briefs(kind, namespace, prefix, after.as_deref(), STRIDE);
        let page = page.await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        *after = Some(last.name.clone());
        Ok(Some(page))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run_record;
    use super::*;
    use crate::records::{Cause, State};

    #[test]
    fn what_is_read_is_what_was_written() {
        let mut run = run_record("team", "app-3");
        for build in [None, Some("app".to_owned())] {
            run.build = build;
            let brief = Brief::of(&run);
            let kept = ledger::Brief {
                name: "app-3".to_owned(),
                brief: brief.bytes(),
            };
            assert_eq!(Brief::read(&kept), Some(brief));
        }
        run.state = State::Succeeded;
        assert!(Brief::of(&run).has_result());
        run.cause = Cause::Again {
            run: "app-1".to_owned(),
            same: true,
            by: "ann".to_owned(),
        };
        let check = Brief::of(&run);
        assert!(!check.has_result());
        let check = ledger::Brief {
            name: check.name.clone(),
            brief: check.bytes(),
        };
        assert!(Brief::read(&check).is_some_and(|read| read.check));
        let other = |brief: Option<&[u8]>| ledger::Brief {
            name: "app-3".to_owned(),
            brief: brief.map(<[u8]>::to_vec),
        };
        assert_eq!(Brief::read(&other(None)), None);
        assert_eq!(Brief::read(&other(Some(b"{\"version\": 9}"))), None);
    }
}
