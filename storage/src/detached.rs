//! Work that goes on when its caller goes away.

use std::future::Future;

use crate::StorageError;

/// Runs `work` to its end, also when the returned future is dropped: hyper drops a request's
/// future when the client disconnects, and a change that has begun must not stop between the
/// index, the memory and the objects.
pub(crate) async fn detached<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => Err(StorageError::unavailable(error).into()),
    }
}
