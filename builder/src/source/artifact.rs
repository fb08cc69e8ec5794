//! A source as a registry keeps it: an artifact whose one layer is the snapshot's tar, compressed, and whose config says what a
//! plan needs to know of it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Descriptor, Digest, MediaType};
use serde::{Deserialize, Serialize};

use super::Snapshot;
use super::hashing::HashingFile;
use crate::plan::Source;
use crate::room::Written;
use crate::s2i::{IgnoreMode, SourceScripts, Warning};

/// What the artifact says that it is (image-spec `manifest.md`, `artifactType`).
pub const ARTIFACT_TYPE: &str = "application/vnd.slipway.source.v1";

/// What its config is; in artifacts of others, and older ones, it is the empty one.
pub const CONFIG_TYPE: &str = "application/vnd.slipway.source.config.v1+json";

/// Longest config that is read, in bytes: no snapshot's is as long.
pub(crate) const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// Warnings that a config has, in bytes; the others are said when the layer is read.
const MAX_WARNINGS_BYTES: usize = 256 << 10;

/// zstd's own choice: fast, and good enough for text.
const LEVEL: i32 = 3;

/// Compresses a snapshot's tar into an empty file: the file, at its beginning, and the layer that it is.
pub fn pack(tar: impl Read, into: File) -> io::Result<(File, Descriptor)> {
    pack_for(&Written::default(), tar, into)
}

/// The same; its bytes are counted in `written` as they come.
pub(crate) fn pack_for(
    written: &Written,
    tar: impl Read,
    into: File,
) -> io::Result<(File, Descriptor)> {
    let mut encoder = zstd::stream::write::Encoder::new(HashingFile::new(into, written), LEVEL)?;
    io::copy(&mut BufReader::with_capacity(256 << 10, tar), &mut encoder)?;
    let (mut file, digest, size) = encoder.finish()?.finish()?;
    file.rewind()?;
    let layer = Descriptor::new(MediaType::OCI_LAYER_ZSTD, digest, size);
    Ok((file, layer))
}

/// What is said of a snapshot, so that whoever finds that it has been built already need not read it. Whoever pushed the artifact
/// says so: whoever reads the layer compares.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    /// [`Snapshot::digest`]: of the tar, not of the layer.
    snapshot: Digest,
    /// How `.s2iignore` was read; read otherwise, the same tar may be another snapshot.
    ignore: IgnoreMode,
    scripts: SourceScripts,
    /// `.s2i/environment`, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    warnings: Vec<String>,
}

/// The config of a snapshot's artifact, JSON of [`CONFIG_TYPE`].
pub fn config(snapshot: &Snapshot, ignore: IgnoreMode) -> serde_json::Result<Vec<u8>> {
    let mut room = MAX_WARNINGS_BYTES;
    let warnings = snapshot.warnings.iter().map(Warning::to_string);
    let fits = |warning: &String| {
        let left = room.checked_sub(warning.len());
        room = left.unwrap_or(0);
        left.is_some()
    };
    let environment = snapshot.environment.as_ref();
    serde_json::to_vec(&Config {
        snapshot: snapshot.digest,
        ignore,
        scripts: snapshot.scripts.clone(),
        environment: environment.map(|bytes| STANDARD.encode(bytes)),
        warnings: warnings.take_while(fits).collect(),
    })
}

/// What a config says of the snapshot that is read in this way; `None` if that is nothing that this program knows.
pub(crate) fn said(config: &[u8], ignore: IgnoreMode) -> Option<(Source, Vec<Warning>)> {
    let config: Config = serde_json::from_slice(config).ok()?;
    let environment = config.environment.map(|text| STANDARD.decode(text));
    let source = Source {
        digest: config.snapshot,
        scripts: config.scripts,
        environment: environment.transpose().ok()?,
        location: String::new(),
        context_dir: String::new(),
        commit: None,
    };
    let warnings = config.warnings.into_iter().map(Warning::new).collect();
    (config.ignore == ignore).then_some((source, warnings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(environment: Option<&[u8]>, warnings: usize) -> Snapshot {
        let mut scripts = SourceScripts::default();
        scripts.note(".s2i/bin/assemble", ".s2i/bin/assemble");
        scripts.note(".sti/bin/run", "scripts/run");
        let warning = |number| Warning::new(format!("{number}: {}", "w".repeat(1000)));
        Snapshot {
            file: tempfile::tempfile().unwrap(),
            digest: Digest::of(oci::Algorithm::Sha256, b"tar"),
            size: 3,
            files: 1,
            left_out: 0,
            scripts,
            environment: environment.map(<[u8]>::to_vec),
            warnings: (0..warnings).map(warning).collect(),
            location: String::new(),
            context_dir: String::new(),
            commit: None,
        }
    }

    #[test]
    fn what_is_said_of_a_snapshot_is_what_it_is() {
        for environment in [None, Some(b"A=\xff\0\n".as_slice())] {
            let snapshot = snapshot(environment, 2);
            let config = config(&snapshot, IgnoreMode::Classic).unwrap();
            let (source, warnings) = said(&config, IgnoreMode::Classic).unwrap();
            assert_eq!(source, snapshot.source());
            assert_eq!(warnings, snapshot.warnings);
        }
    }

    #[test]
    fn nothing_is_said_that_this_program_does_not_know() {
        let config = config(&snapshot(None, 0), IgnoreMode::Classic).unwrap();
        assert_eq!(said(&config, IgnoreMode::Recursive), None);
        assert_eq!(said(b"{}", IgnoreMode::Classic), None);
        let mut newer: serde_json::Value = serde_json::from_slice(&config).unwrap();
        newer["more"] = true.into();
        let newer = newer.to_string();
        assert_eq!(said(newer.as_bytes(), IgnoreMode::Classic), None);
    }

    #[test]
    fn the_longest_config_can_be_read() {
        let environment = vec![0; crate::s2i::EnvironmentFile::MAX_BYTES];
        let config = config(&snapshot(Some(&environment), 1000), IgnoreMode::Classic).unwrap();
        assert!(config.len() as u64 <= MAX_CONFIG_BYTES, "{}", config.len());
        let (_, warnings) = said(&config, IgnoreMode::Classic).unwrap();
        assert_eq!(warnings.len(), MAX_WARNINGS_BYTES / 1005);
    }
}
