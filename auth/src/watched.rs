//! Files that are read again when they change.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

#[cfg(test)]
mod tests;

/// How long a changed file must stay as it is before a watcher believes it.
const SETTLE: Duration = Duration::from_millis(100);
/// How often it is said again that something is broken.
const REMIND: Duration = Duration::from_secs(600);

/// What was made of a file or folder, and again whenever its content changes. What is broken or gone leaves the last good
/// state in force.
pub(crate) struct Watched<T> {
    path: PathBuf,
    read: fn(&Path) -> Result<Vec<Source>, LoadError>,
    parse: Parse<T>,
    current: ArcSwap<T>,
    seen: Mutex<Vec<Source>>,
    failing: Mutex<Failing>,
}

type Parse<T> = Box<dyn Fn(&[Source]) -> Result<T, LoadError> + Send + Sync>;

/// One file and what it holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl<T: Send + Sync + 'static> Watched<T> {
    pub(crate) fn load(
        path: &Path,
        read: fn(&Path) -> Result<Vec<Source>, LoadError>,
        parse: impl Fn(&[Source]) -> Result<T, LoadError> + Send + Sync + 'static,
    ) -> Result<Self, LoadError> {
        let sources = read(path)?;
        let first = parse(&sources)?;
        Ok(Self {
            path: path.to_owned(),
            read,
            parse: Box::new(parse),
            current: ArcSwap::from_pointee(first),
            seen: Mutex::new(sources),
            failing: Mutex::default(),
        })
    }

    /// For how long a change has not been in force because something is wrong with it; zero when nothing is.
    pub(crate) fn stale_for(&self) -> Duration {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing
            .since
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn current(&self) -> arc_swap::Guard<Arc<T>> {
        self.current.load()
    }

    /// Reads again; true when the content was new and is now in force.
    ///
    /// The content itself is compared: time stamps miss a change within their own grain, and a symlink swapped to another
    /// folder (Kubernetes' volumes) is then nothing special. The files are small.
    pub(crate) fn reload(&self) -> Result<bool, LoadError> {
        self.reload_settled(Duration::ZERO)
    }

    /// Reloads, but leaves a change that is not the same after `settle` for the next time: an editor that empties a file
    /// before it writes must not lock everybody out in between.
    fn reload_settled(&self, settle: Duration) -> Result<bool, LoadError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = (self.read)(&self.path)?;
        if *seen == sources {
            return Ok(false);
        }
        if !settle.is_zero() {
            std::thread::sleep(settle);
            if (self.read)(&self.path)? != sources {
                return Ok(false);
            }
        }
        let next = (self.parse)(&sources)?;
        self.current.store(Arc::new(next));
        *seen = sources;
        Ok(true)
    }

    /// Reloads for ever. A lasting failure is logged, again and again, and so is its end.
    pub(crate) async fn watch(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let watched = Arc::clone(&self);
            let reload = tokio::task::spawn_blocking(move || watched.reload_settled(SETTLE));
            let failure = match reload.await {
                Ok(Ok(false)) => None,
                Ok(Ok(true)) => {
                    tracing::info!(path = %self.path.display(), "read again after a change");
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
            match failing.note(failure, Instant::now()) {
                Some(News::Broken(error)) => {
                    tracing::error!(%error, "the change is not in force; the state before it stays");
                }
                Some(News::StillBroken(error, since)) => {
                    let minutes = since.as_secs() / 60;
                    tracing::error!(%error, "a change is not in force for {minutes} minutes; the state before it stays");
                }
                Some(News::Mended) => {
                    tracing::info!(path = %self.path.display(), "mended: what it says is in force");
                }
                None => {}
            }
        }
    }
}

/// What is wrong with a change, since when, and when that was last said.
#[derive(Default)]
struct Failing {
    error: Option<String>,
    since: Option<Instant>,
    told: Option<Instant>,
}

/// What there is to say after a look.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Broken(String),
    StillBroken(String, Duration),
    Mended,
}

impl Failing {
    fn note(&mut self, failure: Option<String>, now: Instant) -> Option<News> {
        let Some(error) = failure else {
            return std::mem::take(self).since.map(|_| News::Mended);
        };
        let since = *self.since.get_or_insert(now);
        let is_new = self.error.as_ref() != Some(&error);
        let is_due = self
            .told
            .is_none_or(|told| now.duration_since(told) >= REMIND);
        if !is_new && !is_due {
            return None;
        }
        self.told = Some(now);
        self.error = Some(error.clone());
        Some(if is_new {
            News::Broken(error)
        } else {
            News::StillBroken(error, now.duration_since(since))
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may be hashes or keys.
        write!(f, "Source({})", self.path.display())
    }
}

/// Why a file of users, rules or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It holds something that it may not.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Where, from 1.
        line: u64,
        /// What, and how to mend it.
        message: String,
    },
    /// It cannot be used as a whole.
    #[error("{}: {message}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What, and how to mend it.
        message: String,
    },
    /// The operating system gave no random bytes for a key.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl LoadError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn line(path: &Path, line: u64, message: impl Into<String>) -> Self {
        Self::Line {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }

    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({})", self.path.display())
    }
}

/// Reads a text file of at most `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, LoadError> {
    use io::Read;
    let failed = |source| LoadError::io(path, source);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limit + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > limit {
        return Err(LoadError::file(path, format!("larger than {limit} bytes")));
    }
    Ok(text)
}
