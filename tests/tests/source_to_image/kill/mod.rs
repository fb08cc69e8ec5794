//! kill -9 at random moments of a run. Of the server: the run ends well once it is there again. Within the sandbox: the run has
//! failed and says why. Either way the log has what it had before, the tag is there whole or not at all, and nothing is left on
//! the machine.
//!
//! `SLIPWAY_KILLS` is the number of kills, an eighth of them for each of these tests, but 20 at least; `SLIPWAY_SEED` repeats the
//! pauses.

use std::cell::Cell;
use std::time::Duration;

use crate::site::Run;

mod sandbox;
mod scene;
mod server;

/// How often each test kills.
fn rounds() -> u64 {
    (tests::kills::rounds(160) / 8).max(20)
}

/// A run that its kill did not end says how long the next may take: the first one of all, on a machine that has just
/// begun, tells little of them. Others are given a little longer.
fn correct(lasts: &Cell<Duration>, run: &Run, measured: impl Fn(&Run) -> Duration) {
    if run.state() == "succeeded" {
        lasts.set(measured(run));
    } else {
        lasts.set(lasts.get().mul_f64(1.1));
    }
}
