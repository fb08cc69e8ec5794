//! One goes ahead: where it is refused, the others need not ask.

use tokio::sync::Mutex;

/// What many are about to ask of a registry at the same time. The first goes alone, so that a refusal is one, for whoever
/// waits for the command and in the registry's audit record.
#[derive(Default)]
pub(super) struct Pilot(Mutex<bool>);

impl Pilot {
    /// Does it; alone until one was done.
    pub(super) async fn after<T, E>(
        &self,
        deed: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut is_through = self.0.lock().await;
        if *is_through {
            drop(is_through);
            return deed.await;
        }
        let done = deed.await?;
        *is_through = true;
        Ok(done)
    }
}
