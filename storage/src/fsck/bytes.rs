//! Reading objects whole or through a hash.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};

use crate::{Content, Key, Meta, Object, ObjectStore, StorageError, StoreError};

/// Longest link that is read: a digest and more than anybody would put around it.
const MAX_LINK: u64 = 1024;
const BUFFER: usize = 256 << 10;

/// An object, or `None` where there is none.
pub(crate) async fn open(
    store: &dyn ObjectStore,
    key: &Key,
) -> Result<Option<Object>, StorageError> {
    absent(store.get(key).await)
}

/// An object's outside, or `None` where there is none.
pub(crate) async fn head(store: &dyn ObjectStore, key: &Key) -> Result<Option<Meta>, StorageError> {
    absent(store.head(key).await)
}

/// What a link says, or `None` where there is none. What is no text is shown as such.
pub(crate) async fn link(
    store: &dyn ObjectStore,
    key: &Key,
) -> Result<Option<String>, StorageError> {
    let Some(object) = open(store, key).await? else {
        return Ok(None);
    };
    let length = object.size.min(MAX_LINK);
    let bytes = read(object, length).await?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The first `length` bytes.
pub(crate) async fn read(object: Object, length: u64) -> Result<Bytes, StorageError> {
    // Callers ask for a manifest's length at most.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    match object.content {
        Content::Bytes(bytes) => Ok(bytes.slice(..length.min(bytes.len()))),
        Content::File(file) => {
            blocking(move || {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, 0)?;
                Ok(bytes.into())
            })
            .await
        }
    }
}

/// The digest that the bytes have.
pub(crate) async fn hash(object: Object, algorithm: Algorithm) -> Result<Digest, StorageError> {
    match object.content {
        Content::Bytes(bytes) => Ok(Digest::of(algorithm, &bytes)),
        Content::File(file) => blocking(move || hash_file(&file, algorithm)).await,
    }
}

fn hash_file(file: &File, algorithm: Algorithm) -> io::Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read_at(&mut buffer, hasher.written()) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(StorageError::unavailable)?
        .map_err(StorageError::unavailable)
}

fn absent<T>(found: Result<T, StoreError>) -> Result<Option<T>, StorageError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
