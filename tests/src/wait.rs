//! Waiting for what comes in its own time.

use std::time::{Duration, Instant};

use crate::{daemon::PATIENCE, fail};

/// How long a wait may take. Generous, as [`PATIENCE`] is: nothing is measured by it.
const LIMIT: Duration = PATIENCE.saturating_mul(2);

/// Asks again and again until it holds; `what` names it in the failure.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
}

/// The same for what takes longer than others, as what is done five hundred times.
#[track_caller]
pub fn until_within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let look = || holds().then_some(());
    look_for(limit, look, || format!("never: {what}"));
}

/// Looks again and again until something is found; `what` names it in the failure.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_or(look, || format!("never: {what}"))
}

/// The same where the failure has to be looked up too, as what the cluster says of a pod that does not start.
#[track_caller]
pub fn eventually_or<T>(look: impl FnMut() -> Option<T>, failure: impl FnOnce() -> String) -> T {
    look_for(LIMIT, look, failure)
}

#[track_caller]
fn look_for<T>(
    limit: Duration,
    mut look: impl FnMut() -> Option<T>,
    failure: impl FnOnce() -> String,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        if begun.elapsed() > limit {
            fail(failure());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
