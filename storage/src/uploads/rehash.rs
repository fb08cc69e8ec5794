//! The hash of staged bytes by an algorithm that nobody had announced. Keeping every algorithm's
//! hash while receiving would make all pushes pay for the few that need this.

use std::io::Read as _;
use std::sync::Arc;

use oci::{Algorithm, Digest, Hasher};

use crate::{Content, Key, ObjectStore, StorageError};

const BUFFER: usize = 256 << 10;

pub(super) async fn file(
    store: &Arc<dyn ObjectStore>,
    staged: &Key,
    algorithm: Algorithm,
) -> Result<Digest, StorageError> {
    match store.get(staged).await?.content {
        Content::Bytes(bytes) => Ok(Digest::of(algorithm, &bytes)),
        Content::File(file) => tokio::task::spawn_blocking(move || {
            let mut hasher = Hasher::new(algorithm);
            let mut buffer = vec![0; BUFFER];
            loop {
                match (&*file).read(&mut buffer) {
                    Ok(0) => return Ok(hasher.finish()),
                    Ok(read) => hasher.update(&buffer[..read]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(StorageError::unavailable(error)),
                }
            }
        })
        .await
        .map_err(StorageError::unavailable)?,
    }
}
