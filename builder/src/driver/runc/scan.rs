//! Whether a secret is in what will be published.
//!
//! The layer is read as it will be pulled, and the configuration: names, targets of links, attributes and content. What a
//! build has compressed or encrypted nobody can see.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::secrets::Secrets;
use super::{Failure, failure};
use crate::Compression;
use crate::archive::{ArchiveError, Entry, Kind, Reader};
use crate::layer::Layer;
use crate::tree::TreePath;

/// Looks through a layer that was made.
pub(super) fn layer(
    layer: &Layer,
    mut file: &File,
    secrets: &Secrets,
    cancelled: &CancellationToken,
) -> Result<(), Failure> {
    let broken = |error: &io::Error| failure::machine("reading the layer again", error);
    file.rewind().map_err(|error| broken(&error))?;
    let bytes = unpacked(layer, file).map_err(|error| broken(&error))?;
    let mut archive = Reader::new(bytes);
    let mut buffer = vec![0; BUFFER];
    let ours = |error: ArchiveError| failure::internal(&error.to_string());
    while let Some(entry) = archive.next().map_err(ours)? {
        if let Some(owner) = in_entry(&entry, secrets) {
            return Err(found(&entry.path, owner));
        }
        let mut search = secrets.search();
        loop {
            if cancelled.is_cancelled() {
                return Err(failure::cancelled());
            }
            let read = archive.read(&mut buffer).map_err(|error| broken(&error))?;
            if read == 0 {
                break;
            }
            if let Some(owner) = search.feed(&buffer[..read]) {
                return Err(found(&entry.path, owner));
            }
        }
    }
    file.rewind().map_err(|error| broken(&error))
}

/// Looks through a configuration: each text in it, as it is once JSON's escapes are read.
pub(super) fn config(config: &[u8], secrets: &Secrets) -> Result<(), Failure> {
    let value: Value = serde_json::from_slice(config)
        .map_err(|error| failure::internal(&format!("the configuration: {error}")))?;
    let mut waiting = vec![&value];
    while let Some(value) = waiting.pop() {
        let owner = match value {
            Value::String(text) => secrets.find(text.as_bytes()),
            Value::Array(values) => {
                waiting.extend(values);
                None
            }
            Value::Object(members) => {
                waiting.extend(members.values());
                members
                    .keys()
                    .find_map(|name| secrets.find(name.as_bytes()))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        };
        if let Some(owner) = owner {
            return Err(failure::secret(format!(
                "{owner} is in the result's configuration, which everyone who pulls it can read: take it out of the \
                 labels and variables; nothing was published"
            )));
        }
    }
    Ok(())
}

fn unpacked<'a>(layer: &Layer, file: &'a File) -> io::Result<Box<dyn Read + 'a>> {
    let file = BufReader::with_capacity(BUFFER, file);
    let compression = Compression::of(&layer.media_type);
    compression.unwrap_or(Compression::Plain).reader(file)
}

fn in_entry<'a>(entry: &Entry, secrets: &'a Secrets) -> Option<&'a str> {
    let target: &[u8] = match &entry.kind {
        Kind::Symlink(target) => target,
        _ => b"",
    };
    let attributes = entry
        .xattrs
        .iter()
        .flat_map(|(name, value)| [&name[..], &value[..]]);
    let mut all = [entry.path.as_bytes(), target]
        .into_iter()
        .chain(attributes);
    all.find_map(|bytes| secrets.find(bytes))
}

fn found(path: &TreePath, owner: &str) -> Failure {
    failure::secret(format!(
        "{owner} is in {path} of the result, which everyone who pulls it can read: let the build remove it, or not write \
         it; nothing was published"
    ))
}

const BUFFER: usize = 256 << 10;
