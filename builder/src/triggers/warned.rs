//! What was warned of lately: what stays broken is not said at each look.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long it is until the same is said again.
const AGAIN: Duration = Duration::from_secs(3600);

/// Most that is remembered.
const MOST: usize = 10_000;

/// Builds and what is wrong with them, by when it was said last.
#[derive(Debug, Default)]
pub(super) struct Warned(Mutex<BTreeMap<(String, String, String), SystemTime>>);

impl Warned {
    /// Whether it is to be said of a build now; then it is taken to be said.
    pub(super) fn is_due(&self, namespace: &str, build: &str, why: &str, now: SystemTime) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |at: &SystemTime| {
            let age = now.duration_since(*at);
            // A clock that was set back.
            age.is_err() || age.is_ok_and(|age| age >= AGAIN)
        };
        if said.len() >= MOST {
            said.retain(|_, at| !is_old(at));
        }
        let key = (namespace.to_owned(), build.to_owned(), why.to_owned());
        if said.get(&key).is_some_and(|at| !is_old(at)) {
            return false;
        }
        if said.len() < MOST {
            said.insert(key, now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_an_hour() {
        let warned = Warned::default();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(warned.is_due("team", "app", "gone", at(10_000)));
        assert!(!warned.is_due("team", "app", "gone", at(10_015)));
        assert!(warned.is_due("team", "app", "full", at(10_015)));
        assert!(warned.is_due("team", "other", "gone", at(10_015)));
        assert!(!warned.is_due("team", "app", "gone", at(13_599)));
        assert!(warned.is_due("team", "app", "gone", at(13_600)));
        assert!(warned.is_due("team", "app", "gone", at(13_000)), "set back");
        for number in 0..2 * MOST {
            warned.is_due("team", &number.to_string(), "gone", at(20_000));
        }
        assert!(warned.0.lock().unwrap().len() <= MOST);
    }
}
