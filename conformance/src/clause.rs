//! What the suite is made of: clauses, each with a name, a source and a verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;

use crate::client::Client;

/// One demand on a registry.
pub(crate) struct Clause {
    /// `group/demand`, as the official suite names it where it does.
    pub(crate) name: String,
    /// Where the demand comes from.
    pub(crate) source: &'static str,
    /// Finds out.
    pub(crate) run: Box<dyn Fn(Arc<Context>) -> BoxFuture<'static, Verdict> + Send + Sync>,
}

/// What came of a clause.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The registry does what is demanded.
    Pass,
    /// The specification lets it say that it does not offer this.
    Skip(String),
    /// It does something else.
    Fail(String),
    /// Nobody knows: the connection or the suite failed.
    Error(String),
}

/// Why a clause ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    Skip(String),
    Fail(String),
    Error(String),
}

/// What a clause's steps return.
pub(crate) type Step<T = ()> = Result<T, Stop>;

impl From<Step> for Verdict {
    fn from(step: Step) -> Self {
        match step {
            Ok(()) => Self::Pass,
            Err(Stop::Skip(why)) => Self::Skip(why),
            Err(Stop::Fail(why)) => Self::Fail(why),
            Err(Stop::Error(why)) => Self::Error(why),
        }
    }
}

impl From<reqwest::Error> for Stop {
    fn from(error: reqwest::Error) -> Self {
        use std::error::Error as _;
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        Self::Error(format!("{error} {cause}"))
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Error(error.to_string())
    }
}

/// The registry, and names that nobody has used.
pub(crate) struct Context {
    pub(crate) client: Client,
    prefix: String,
    next: AtomicUsize,
}

impl Context {
    pub(crate) fn new(client: Client, repository: &str) -> anyhow::Result<Self> {
        let run = getrandom::u32()?;
        Ok(Self {
            client,
            prefix: format!("{repository}/r{run:08x}"),
            next: AtomicUsize::new(0),
        })
    }

    /// A repository that nobody has used, so that clauses cannot stand in each other's way.
    pub(crate) fn fresh(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}/{number}", self.prefix)
    }
}

/// A clause from a closure.
pub(crate) fn clause<F, R>(name: impl Into<String>, source: &'static str, run: F) -> Clause
where
    F: Fn(Arc<Context>) -> R + Send + Sync + 'static,
    R: Future<Output = Step> + Send + 'static,
{
    Clause {
        name: name.into(),
        source,
        run: Box::new(move |context| {
            let step = run(context);
            Box::pin(async move { step.await.into() })
        }),
    }
}

/// Fails with `why` unless it holds.
pub(crate) fn demand(holds: bool, why: impl FnOnce() -> String) -> Step {
    if holds {
        Ok(())
    } else {
        Err(Stop::Fail(why()))
    }
}
