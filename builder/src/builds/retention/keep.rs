//! Which ended runs are kept: a pure rule.

use std::time::Duration;

use crate::builds::brief::Brief;
use crate::builds::name;
use crate::records::Retention;

/// Ended runs of a kind that a build may keep, where the operator does not let all keep more.
const MOST: u32 = 200;

/// Runs that share places: those of a build, or, of no build, those that make images of one repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Group {
    Build(String),
    Repository(String),
}

impl Group {
    pub(super) fn of(run: &Brief, hosts: &[String]) -> Self {
        if let Some(build) = &run.build {
            return Self::Build(build.clone());
        }
        let image = run.output.as_deref().unwrap_or_default();
        let parsed = name::image(image, hosts, "output.image");
        Self::Repository(parsed.map_or_else(|_| image.to_owned(), |name| name.repo().to_string()))
    }

    pub(super) fn build(&self) -> Option<&str> {
        match self {
            Self::Build(build) => Some(build),
            Self::Repository(_) => None,
        }
    }
}

/// How long ended runs of one group are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    succeeded: Count,
    failed: Count,
    /// For how many seconds at most.
    seconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    most: u32,
    /// How many seconds a run stays even if there are more.
    at_least: u64,
}

impl Keep {
    /// As a build says, but no more runs than [`MOST`], or than the operator lets all keep. Where it says no number, a run
    /// stays `at_least` so long: what failed a minute ago is still to be read.
    pub(super) fn new(asked: Retention, defaults: Retention, at_least: Duration) -> Self {
        let count = |asked: Option<u32>, default: Option<u32>| {
            let most = default.unwrap_or(MOST).max(MOST);
            Count {
                most: asked.or(default).unwrap_or(MOST).min(most),
                at_least: asked.map_or(at_least.as_secs(), |_| 0),
            }
        };
        Self {
            succeeded: count(asked.succeeded, defaults.succeeded),
            failed: count(asked.failed, defaults.failed),
            seconds: asked.seconds.or(defaults.seconds),
        }
    }

    /// Whether a run goes that ended `age` seconds ago, as the `nth` newest (from 1) of those that it is counted with.
    pub(super) fn is_over(&self, has_succeeded: bool, nth: u32, age: u64) -> bool {
        let count = if has_succeeded {
            self.succeeded
        } else {
            self.failed
        };
        let too_many = nth > count.most && age >= count.at_least;
        too_many || self.seconds.is_some_and(|seconds| age > seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builds::tests::run_record;

    const DAY: Duration = Duration::from_secs(86_400);

    fn of(succeeded: Option<u32>) -> Retention {
        Retention {
            succeeded,
            ..Retention::default()
        }
    }

    #[test]
    fn a_build_keeps_no_more_than_the_most() {
        let kept = |asked, default| Keep::new(of(asked), of(default), DAY).succeeded.most;
        assert_eq!(kept(None, Some(20)), 20);
        assert_eq!(kept(Some(50), Some(20)), 50);
        assert_eq!(kept(Some(u32::MAX), Some(20)), 200);
        assert_eq!(kept(Some(u32::MAX), Some(1000)), 1000);
        assert_eq!(kept(None, None), 200);
    }

    #[test]
    fn a_run_stays_a_while_unless_its_build_says_how_many() {
        let usual = Keep::new(Retention::default(), of(Some(1)), DAY);
        assert!(!usual.is_over(true, 1, u64::MAX));
        assert!(!usual.is_over(true, 99, 86_399));
        assert!(usual.is_over(true, 2, 86_400));
        let own = Keep::new(of(Some(1)), of(Some(20)), DAY);
        assert!(own.is_over(true, 2, 0));
        let short = Retention {
            seconds: Some(60),
            ..Retention::default()
        };
        let short = Keep::new(short, of(Some(1)), DAY);
        assert!(short.is_over(false, 1, 61));
        assert!(!short.is_over(false, 99, 60));
    }

    #[test]
    fn runs_of_no_build_share_places_by_what_they_make() {
        let group = |build: Option<&str>, image: &str| {
            let mut run = run_record("team", "x");
            run.build = build.map(str::to_owned);
            run.spec.output.image = image.to_owned();
            Group::of(&Brief::of(&run), &["registry.example.com".to_owned()])
        };
        let app = group(None, "team/app:v1");
        assert_eq!(app, group(None, "registry.example.com/team/app:v2"));
        assert_ne!(app, group(None, "team/other:v1"));
        assert_ne!(app, group(Some("team/app"), "team/app:v1"));
        assert_eq!(
            group(Some("app"), "team/a:1"),
            group(Some("app"), "team/b:1")
        );
    }
}
