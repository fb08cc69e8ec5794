//! Changes to a layer: archive, hash, compress, hash, in one pass.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use oci::{Algorithm, Descriptor, Digest, Hasher, MediaType};
use tokio_util::sync::CancellationToken;

use super::changes::Walk;
use super::{Changes, ExportError, Node, compress};
use crate::{Compression, IdMap};

/// How a layer is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the archive is packed in.
    pub compression: Compression,
    /// No file of the layer is younger (`SOURCE_DATE_EPOCH`): usually when the source was committed. Files that are
    /// unpacked, downloaded or built at another time then have the same time in the layer.
    pub epoch: SystemTime,
    /// What users and groups are called in the container.
    pub ids: IdMap,
    /// Most bytes of content: beyond that the layer is refused. A sparse file counts with its holes, which an archive
    /// has as zeros.
    pub limit: u64,
    /// How many threads compress; at least one. The bytes do not depend on it.
    pub threads: usize,
}

/// A layer that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What to call its bytes.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
    /// The digest of the archive inside, which the image's configuration names.
    pub diff_id: Digest,
    /// How many bytes the archive has.
    pub unpacked: u64,
    /// How many entries it has: with none, nothing was changed and the image needs no such layer.
    pub entries: u64,
}

impl Layer {
    /// How a manifest names it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest, self.size)
    }
}

/// Writes what was changed as one layer to `sink`.
///
/// It blocks, and uses as many threads as it is told and one that writes to `sink`; an asynchronous sink is reached through
/// `tokio_util::io::SyncIoBridge`. In memory there are some blocks for each thread, whatever the size of the layer. The same
/// changes on the same layers are the same bytes, whichever machine they were made on.
pub fn export(
    changes: &Changes<'_>,
    options: &Options,
    sink: &mut (dyn Write + Send),
    cancelled: &CancellationToken,
) -> Result<Layer, ExportError> {
    let epoch = options.epoch.duration_since(UNIX_EPOCH);
    let epoch = epoch.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    let node = Node {
        ids: &options.ids,
        epoch: Some(epoch),
    };
    pack(options.compression, options.threads, sink, |archive| {
        let walk = Walk::new(changes, node, archive, options.limit, cancelled);
        walk.run()?.finish().map_err(ExportError::Sink)
    })
}

/// Writes an archive as a layer to `sink`: what `archive` writes, which gives its sink back with the number of entries.
pub(crate) fn pack<E: From<ExportError>>(
    compression: Compression,
    threads: usize,
    sink: &mut (dyn Write + Send),
    archive: impl FnOnce(Packing) -> Result<(Packing, u64), E>,
) -> Result<Layer, E> {
    let (blocks, work, ordered) = compress::pipe(compression, threads.max(1));
    std::thread::scope(|scope| {
        let work = &work;
        for _ in 0..threads.max(1) {
            scope.spawn(|| work.run(compression));
        }
        let writer = scope.spawn(|| ordered.write_to(sink, compression));
        let archived = archive(Packing {
            hasher: Hasher::new(Algorithm::Sha256),
            blocks,
        });
        let archived = archived.and_then(|(packing, entries)| Ok((packing.finish()?, entries)));
        // If the sink fails, the archive only learns that nobody takes its blocks.
        let written = writer.join();
        let written = written.unwrap_or_else(|_| Err(io::Error::other("the writing thread ended")));
        match (archived, written) {
            (Ok(((diff_id, unpacked), entries)), Ok((digest, size))) => Ok(Layer {
                media_type: compression.media_type(),
                digest,
                size,
                diff_id,
                unpacked,
                entries,
            }),
            (_, Err(error)) => Err(ExportError::Sink(error).into()),
            (Err(error), Ok(_)) => Err(error),
        }
    })
}

/// Takes an archive to hash and to compress.
pub(crate) struct Packing {
    hasher: Hasher,
    blocks: compress::Blocks,
}

impl Packing {
    /// The archive's digest and size.
    fn finish(self) -> Result<(Digest, u64), ExportError> {
        self.blocks.finish().map_err(ExportError::Sink)?;
        let unpacked = self.hasher.written();
        Ok((self.hasher.finish(), unpacked))
    }
}

impl Write for Packing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.blocks.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blocks.flush()
    }
}
