//! How the harness gives up: one panic, with what was being done and the caller's line.

use std::fmt::{Debug, Display};

/// Unwraps what a test cannot go on without.
pub trait OrFail<T> {
    /// The value, or a failed test that says what was being done.
    fn or_fail(self, doing: impl Display) -> T;
}

impl<T, E: Debug> OrFail<T> for Result<T, E> {
    #[track_caller]
    fn or_fail(self, doing: impl Display) -> T {
        match self {
            Ok(value) => value,
            Err(error) => fail(format!("{doing}: {error:?}")),
        }
    }
}

impl<T> OrFail<T> for Option<T> {
    #[track_caller]
    fn or_fail(self, doing: impl Display) -> T {
        match self {
            Some(value) => value,
            None => fail(format!("{doing}: there is none")),
        }
    }
}

/// Fails the running test.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn fail(why: impl Display) -> ! {
    panic!("{why}")
}
