//! Objects that may not be there.

use crate::{Key, Meta, Object, ObjectStore, StorageError, StoreError, content};

/// Longest link that is read: a digest, and more than anybody would put around it.
const MAX_LINK: u64 = 1024;

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

/// What a link says, or `None` where there is none.
pub(crate) async fn link(
    store: &dyn ObjectStore,
    key: &Key,
) -> Result<Option<String>, StorageError> {
    let Some(object) = open(store, key).await? else {
        return Ok(None);
    };
    if object.size > MAX_LINK {
        return Ok(Some(format!("({} bytes)", object.size)));
    }
    let bytes = content::bytes(object).await?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn absent<T>(found: Result<T, StoreError>) -> Result<Option<T>, StorageError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
