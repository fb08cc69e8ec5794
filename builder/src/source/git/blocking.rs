//! What blocks, on threads that may.

use std::ops::Deref;

use tokio::runtime::Handle;

use crate::source::Fault;

/// Runs it there.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Fault::machine(
            "reading the source",
            &std::io::Error::other(error),
        )),
    }
}

/// What is dropped there, wherever it is let go: whose files are removed, or whose program is waited for.
#[derive(Debug)]
pub(super) struct Aside<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Aside<T> {
    pub(super) fn new(of: T) -> Self {
        Self(Some(of))
    }

    /// Drops it, and waits until that is done.
    pub(super) async fn end(mut self) {
        let ended = self.0.take();
        let _ = tokio::task::spawn_blocking(move || drop(ended)).await;
    }
}

impl<T: Send + 'static> Deref for Aside<T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "nothing is taken but by drop")]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Aside<T> {
    fn drop(&mut self) {
        let dropped = self.0.take();
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(dropped)));
        }
    }
}
