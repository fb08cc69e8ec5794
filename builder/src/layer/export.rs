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
    let compression = options.compression;
    let workers = options.threads.max(1);
    let (blocks, work, ordered) = compress::pipe(compression, workers);
    std::thread::scope(|scope| {
        let work = &work;
        for _ in 0..workers {
            scope.spawn(|| work.run(compression));
        }
        let writer = scope.spawn(|| ordered.write_to(sink, compression));
        let archived = archive(changes, options, blocks, cancelled);
        // If the sink fails, the walk only learns that nobody takes its blocks.
        let written = writer.join();
        let written = written.unwrap_or_else(|_| Err(io::Error::other("the writing thread ended")));
        match (archived, written) {
            (Err(ExportError::Sink(_)) | Ok(_), Err(error)) => Err(ExportError::Sink(error)),
            (Err(error), _) => Err(error),
            (Ok((diff_id, unpacked, entries)), Ok((digest, size))) => Ok(Layer {
                media_type: compression.media_type(),
                digest,
                size,
                diff_id,
                unpacked,
                entries,
            }),
        }
    })
}

fn archive(
    changes: &Changes<'_>,
    options: &Options,
    blocks: compress::Blocks,
    cancelled: &CancellationToken,
) -> Result<(Digest, u64, u64), ExportError> {
    let epoch = options.epoch.duration_since(UNIX_EPOCH);
    let epoch = epoch.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    let node = Node {
        ids: &options.ids,
        epoch: Some(epoch),
    };
    let hashed = Hashed {
        hasher: Hasher::new(Algorithm::Sha256),
        sink: blocks,
    };
    let walk = Walk::new(changes, node, hashed, options.limit, cancelled);
    let (hashed, entries) = walk.run()?.finish().map_err(ExportError::Sink)?;
    hashed.sink.finish().map_err(ExportError::Sink)?;
    let unpacked = hashed.hasher.written();
    Ok((hashed.hasher.finish(), unpacked, entries))
}

struct Hashed<W> {
    hasher: Hasher,
    sink: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
