//! Runs that only ask whether an earlier one reproduces.

use crate::records::{Against, Cause, Run, State};

/// Whether a run asks if something reproduces.
pub(super) fn is_check(run: &Run) -> bool {
    matches!(run.cause, Cause::Again { same: true, .. })
}

/// Whether a run has made what its build, or its image's name, stands for.
pub(super) fn has_result(run: &Run) -> bool {
    run.state == State::Succeeded && !is_check(run)
}

/// What another run is held against that is to reproduce this one; `None` if it has not succeeded.
pub(super) fn against(earlier: &Run) -> Option<Against> {
    let result = earlier.result.as_ref();
    let made = result.filter(|_| earlier.state == State::Succeeded)?;
    Some(Against {
        resolved: earlier.resolved.clone(),
        image: made.image.clone(),
    })
}

/// Lets a run begin with what that one was made of.
pub(super) fn pin(run: &mut Run, against: Option<Against>) {
    if let Some(against) = &against {
        run.resolved = against.resolved.clone();
    }
    run.against = against;
}
