//! A blob that is in a file of this process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::try_unfold;
use oci::{Digest, RepoName};
use tokio::task::spawn_blocking;

use super::{UploadError, Uploads, new_id};
use crate::audit::Cause;
use crate::{BodyError, ByteStream, StorageError, content, layout};

/// Bytes read at a time where they are copied.
const STEP: usize = 1 << 20;

impl Uploads {
    pub(super) async fn receive_file(
        &self,
        repo: &RepoName,
        digest: &Digest,
        file: File,
        cause: &Cause,
    ) -> Result<u64, UploadError> {
        let length = file.metadata().map_err(StorageError::unavailable)?.len();
        self.check_room(0, Some(length))?;
        let (key, file) = (layout::scratch(&new_id()?), Arc::new(file));
        let adopted = self.store.adopt(&file, &key).await;
        let adopted = adopted.map_err(|error| StorageError::from(error).into());
        if !self.or_forgotten(&key, adopted).await? {
            let body = read(file);
            return self
                .receive_whole(repo, digest, body, Some(length), cause)
                .await;
        }
        let stored = async {
            // Reading it anew costs no time: the disk takes longer.
            let (settled, hashed) = tokio::join!(
                self.store.settle(&file),
                content::hashed(Arc::clone(&file), digest.algorithm())
            );
            settled.map_err(StorageError::from)?;
            let progress = hashed?;
            self.publish_whole(repo, &key, digest, &progress, cause)
                .await
        };
        self.or_forgotten(&key, stored.await).await
    }
}

/// The bytes of a file.
fn read(file: Arc<File>) -> ByteStream {
    let step = |(file, offset): (Arc<File>, u64)| async move {
        let work = move || {
            let mut bytes = vec![0; STEP];
            let read = loop {
                match file.read_at(&mut bytes, offset) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            bytes.truncate(read);
            let next = (file, offset + read as u64);
            io::Result::Ok((read > 0).then(|| (Bytes::from(bytes), next)))
        };
        let done = spawn_blocking(work).await.map_err(io::Error::other);
        let broken = |error: io::Error| BodyError::Broken(error.to_string());
        done.and_then(|read| read).map_err(broken)
    };
    try_unfold((file, 0), step).boxed()
}
