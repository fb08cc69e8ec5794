//! What lasts: so many at once, and so many for one caller, so that nobody takes all places. The front's classes count a request
//! only until its answer begins, and all callers together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth::Identity;
use registry::http::Problem;

/// Seconds that whoever is turned away is asked to wait.
const RETRY_AFTER: u64 = 5;

/// Places for what lasts.
#[derive(Debug)]
pub(super) struct Places {
    taken: Mutex<HashMap<Box<str>, usize>>,
    most: Most,
}

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// What takes one, in words: `logs are being followed`.
    pub(super) what: &'static str,
    /// For all callers.
    pub(super) all: usize,
    /// Of them for one caller.
    pub(super) of_one: usize,
}

/// One that is taken; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    whose: Box<str>,
}

impl Places {
    pub(super) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
            most,
        })
    }

    /// A place for one more.
    pub(super) fn admit(self: &Arc<Self>, who: &Identity) -> Result<Place, Problem> {
        let Most { what, all, of_one } = self.most;
        let whose: Box<str> = who.principal().into();
        let mut taken = self.taken();
        let now: usize = taken.values().sum();
        let own = taken.get(&whose).copied().unwrap_or_default();
        if now >= all || own >= of_one {
            let message = format!(
                "{now} {what}, {own} of them by you, and {of_one} of one caller and {all} of all are the most: try \
                 again in {RETRY_AFTER} s"
            );
            return Err(Problem::too_many_of(message, RETRY_AFTER));
        }
        taken.insert(whose.clone(), own + 1);
        drop(taken);
        Ok(Place {
            places: Arc::clone(self),
            whose,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Box<str>, usize>> {
        // A count is whole after each step.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&self.whose) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use auth::Identity;

    use super::super::{ASKING, FOLLOWING, PROBING};
    use super::Places;

    #[test]
    fn nobody_has_too_many_and_all_together_neither() {
        for most in [FOLLOWING, ASKING, PROBING] {
            let places = Places::new(most);
            let user = |number: usize| Identity::authenticated("htpasswd", &number.to_string(), []);
            let mut taken: Vec<_> = (0..most.of_one)
                .map(|_| places.admit(&user(0)).unwrap())
                .collect();
            assert!(places.admit(&user(0)).is_err());
            assert!(most.all > most.of_one, "somebody else has room");
            taken
                .extend((most.of_one..most.all).map(|number| places.admit(&user(number)).unwrap()));
            assert!(places.admit(&user(most.all)).is_err(), "all are taken");
            taken.remove(0);
            taken.push(places.admit(&user(0)).unwrap());
            assert!(places.admit(&user(0)).is_err());
            drop(taken);
            assert!(places.taken().is_empty(), "nothing is kept of who is gone");
        }
    }
}
