//! An object's bytes, as a whole or as their digest.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, Hashers};
use tokio::task::spawn_blocking;

use crate::{Content, Object, Progress, StorageError};

/// Bytes read at a time for hashing.
const STEP: usize = 256 << 10;

/// All bytes of an object that is known to be small.
pub(crate) async fn bytes(object: Object) -> Result<Bytes, StorageError> {
    match object.content {
        Content::Bytes(bytes) => Ok(bytes),
        Content::File(file) => blocking(move || whole(&file, object.size)).await,
    }
}

/// The digest of an object of any size.
pub(crate) async fn digest(object: Object, algorithm: Algorithm) -> Result<Digest, StorageError> {
    match object.content {
        Content::Bytes(bytes) => Ok(Digest::of(algorithm, &bytes)),
        Content::File(file) => blocking(move || hash(&file, algorithm)).await,
    }
}

/// A file as an upload of which all has come.
pub(crate) async fn hashed(
    file: Arc<File>,
    algorithm: Algorithm,
) -> Result<Progress, StorageError> {
    blocking(move || {
        let mut hashers = Hashers::new(&[algorithm]);
        let offset = read(&file, |bytes| hashers.update(bytes))?;
        Ok(Progress { offset, hashers })
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    spawn_blocking(work)
        .await
        .map_err(StorageError::unavailable)?
        .map_err(StorageError::unavailable)
}

fn whole(file: &File, size: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.into())
}

fn hash(file: &File, algorithm: Algorithm) -> io::Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    read(file, |bytes| hasher.update(bytes))?;
    Ok(hasher.finish())
}

/// Reads a file from its beginning; how many bytes it has.
fn read(file: &File, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; STEP];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(offset),
            Ok(read) => {
                take(&buffer[..read]);
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
