//! A source as a registry keeps it: an artifact whose one layer is the snapshot's tar, compressed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};

use oci::{Descriptor, MediaType};

use super::hashing::HashingFile;

/// What the artifact says that it is (image-spec `manifest.md`, `artifactType`).
pub const ARTIFACT_TYPE: &str = "application/vnd.slipway.source.v1";

/// zstd's own choice: fast, and good enough for text.
const LEVEL: i32 = 3;

/// Compresses a snapshot's tar into an empty file: the file, at its beginning, and the layer that it is.
pub fn pack(tar: impl Read, into: File) -> io::Result<(File, Descriptor)> {
    let mut encoder = zstd::stream::write::Encoder::new(HashingFile::new(into), LEVEL)?;
    io::copy(&mut BufReader::with_capacity(256 << 10, tar), &mut encoder)?;
    let (mut file, digest, size) = encoder.finish()?.finish()?;
    file.rewind()?;
    let layer = Descriptor::new(MediaType::OCI_LAYER_ZSTD, digest, size);
    Ok((file, layer))
}
