//! Answers that last: so many at once, and so many for one caller. They are counted here, as the front's classes count a
//! request only until its answer begins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth::Identity;
use registry::http::Problem;

/// Open at once.
const MOST: usize = 512;
/// Of them for one caller.
const MOST_OF_ONE: usize = 32;
/// Seconds that whoever is turned away is asked to wait.
const RETRY_AFTER: u64 = 5;

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<HashMap<Box<str>, usize>>);

/// One that is open; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    streams: Arc<Streams>,
    whose: Box<str>,
}

impl Streams {
    /// A place for one more.
    pub(super) fn admit(self: &Arc<Self>, who: &Identity) -> Result<Place, Problem> {
        let whose: Box<str> = who.principal().into();
        let mut open = self.open();
        let all: usize = open.values().sum();
        let own = open.get(&whose).copied().unwrap_or_default();
        if all >= MOST || own >= MOST_OF_ONE {
            let message = format!(
                "{all} logs are being followed, {own} of them by you, and {MOST_OF_ONE} of one caller is the most: \
                 end some, or try again"
            );
            return Err(Problem::too_many_of(message, RETRY_AFTER));
        }
        open.insert(whose.clone(), own + 1);
        drop(open);
        Ok(Place {
            streams: Arc::clone(self),
            whose,
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Box<str>, usize>> {
        // A count is whole after each step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        if let Some(own) = open.get_mut(&self.whose) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use auth::Identity;

    use super::{MOST, MOST_OF_ONE, Streams};

    #[test]
    fn nobody_has_too_many_and_all_together_neither() {
        let streams = Arc::new(Streams::default());
        let user = |number: usize| Identity::authenticated("htpasswd", &number.to_string(), []);
        let mut open: Vec<_> = (0..MOST_OF_ONE)
            .map(|_| streams.admit(&user(0)).unwrap())
            .collect();
        assert!(streams.admit(&user(0)).is_err());
        open.extend((MOST_OF_ONE..MOST).map(|number| streams.admit(&user(number)).unwrap()));
        assert!(streams.admit(&user(1)).is_err(), "all places are taken");
        open.remove(0);
        open.push(streams.admit(&user(0)).unwrap());
        assert!(streams.admit(&user(0)).is_err());
        drop(open);
        assert!(streams.open().is_empty(), "nothing is kept of who is gone");
    }
}
