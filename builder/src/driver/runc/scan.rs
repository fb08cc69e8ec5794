//! Whether a secret is in what will be published, or in what later runs will find.
//!
//! The layer is read as it will be pulled, and the configuration: names, targets of links, attributes and content. Of a cache
//! what is new in it is read. What a build has compressed or encrypted nobody can see.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::secrets::{Hit, Secrets};
use super::{Failure, failure};
use crate::Compression;
use crate::archive::{ArchiveError, Entry, Kind, Mtime, Reader};
use crate::layer::Layer;
use crate::tree::{Met, TreePath, walk};

#[cfg(test)]
mod tests;

/// A secret where it must not be.
pub(super) struct Leak {
    pub(super) failure: Failure,
    /// See [`Hit::is_doubtful`].
    pub(super) is_doubtful: bool,
}

/// Looks through a layer that was made.
pub(super) fn layer(
    layer: &Layer,
    mut file: &File,
    secrets: &Secrets,
    cancelled: &CancellationToken,
) -> Result<Option<Leak>, Failure> {
    let broken = |error: &io::Error| failure::machine("reading the layer again", error);
    file.rewind().map_err(|error| broken(&error))?;
    let bytes = unpacked(layer, file).map_err(|error| broken(&error))?;
    let mut archive = Reader::new(bytes);
    let mut buffer = vec![0; BUFFER];
    let ours = |error: ArchiveError| failure::internal(&error.to_string());
    while let Some(entry) = archive.next().map_err(ours)? {
        if let Some(hit) = in_entry(&entry, secrets) {
            return Ok(Some(found(&entry.path, hit)));
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
            if let Some(hit) = search.feed(&buffer[..read]) {
                return Ok(Some(found(&entry.path, hit)));
            }
        }
    }
    file.rewind().map_err(|error| broken(&error))?;
    Ok(None)
}

/// Looks through a configuration: each text in it, as it is once JSON's escapes are read.
pub(super) fn config(config: &[u8], secrets: &Secrets) -> Result<Option<Leak>, Failure> {
    let value: Value = serde_json::from_slice(config)
        .map_err(|error| failure::internal(&format!("the configuration: {error}")))?;
    let mut waiting = vec![&value];
    while let Some(value) = waiting.pop() {
        let hit = match value {
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
        if let Some(Hit { owner, is_doubtful }) = hit {
            let failure = failure::secret(format!(
                "{owner} is in the result's configuration, which everyone who pulls it can read: take it out of the \
                 labels and variables; nothing was published"
            ));
            return Ok(Some(Leak {
                failure,
                is_doubtful,
            }));
        }
    }
    Ok(None)
}

/// Looks through what has changed in a folder since a time: where the first secret is, and whether it is
/// [doubtful](Hit::is_doubtful) that it is one. `is_over` before the end is an error.
pub(super) fn folder(
    folder: &Path,
    since: Mtime,
    secrets: &Secrets,
    is_over: impl Fn() -> bool,
) -> io::Result<Option<(TreePath, bool)>> {
    let over = || io::Error::other("the run is over");
    let mut buffer = vec![0; BUFFER];
    walk(
        folder,
        |stat| {
            if is_over() {
                return Err(over());
            }
            Ok(stat.ctime >= since)
        },
        |mut met: Met<'_>| {
            let attributes = met.attributes()?;
            let attributes = attributes
                .iter()
                .flat_map(|(name, value)| [&name[..], &value[..]]);
            let mut hit = [met.path.as_bytes(), &met.target]
                .into_iter()
                .chain(attributes)
                .find_map(|bytes| secrets.find(bytes));
            let mut search = secrets.search();
            while let Some(file) = met.file.as_mut().filter(|_| hit.is_none()) {
                if is_over() {
                    return Err(over());
                }
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hit = search.feed(&buffer[..read]);
            }
            Ok(match hit {
                Some(hit) => ControlFlow::Break((met.path, hit.is_doubtful)),
                None => ControlFlow::Continue(()),
            })
        },
    )
}

fn unpacked<'a>(layer: &Layer, file: &'a File) -> io::Result<Box<dyn Read + 'a>> {
    let file = BufReader::with_capacity(BUFFER, file);
    let compression = Compression::of(&layer.media_type);
    compression.unwrap_or(Compression::Plain).reader(file)
}

fn in_entry<'a>(entry: &Entry, secrets: &'a Secrets) -> Option<Hit<'a>> {
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

fn found(path: &TreePath, hit: Hit<'_>) -> Leak {
    let Hit { owner, is_doubtful } = hit;
    let failure = failure::secret(format!(
        "{owner} is in {path} of the result, which everyone who pulls it can read: let the build remove it, or not write \
         it; nothing was published"
    ));
    Leak {
        failure,
        is_doubtful,
    }
}

const BUFFER: usize = 256 << 10;
