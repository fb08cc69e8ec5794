//! All that can be said of a tree of files, to compare two.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use oci::{Algorithm, Digest};
use rustix::fs::{lgetxattr, llistxattr};

use crate::lab::EPOCH;

/// Every path below a root with what is there.
pub(crate) type Survey = BTreeMap<Vec<u8>, Node>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: &'static str,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Seconds, no later than the epoch.
    pub(crate) mtime: i64,
    /// The digest of the content, the target of a link, the number of a device.
    pub(crate) content: String,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first of all names that this file has here.
    pub(crate) first_name: Vec<u8>,
}

/// Looks at all below `root`, and at itself.
pub(crate) fn survey(root: &Path) -> Survey {
    let mut survey = Survey::new();
    let mut first_names = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    let mut paths = Vec::new();
    while let Some(path) = waiting.pop() {
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            let children = fs::read_dir(&path).unwrap();
            waiting.extend(children.map(|child| child.unwrap().path()));
        }
        paths.push(path);
    }
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
        let inode = fs::symlink_metadata(&path).unwrap().ino();
        let first_name = first_names.entry(inode).or_insert_with(|| name.to_vec());
        survey.insert(name.to_vec(), node(&path, first_name.clone()));
    }
    survey
}

fn node(path: &Path, first_name: Vec<u8>) -> Node {
    let found = fs::symlink_metadata(path).unwrap();
    let kind = found.file_type();
    let (kind, content) = if kind.is_file() {
        let digest = Digest::of(Algorithm::Sha256, &fs::read(path).unwrap());
        ("file", format!("{} {digest}", found.len()))
    } else if kind.is_dir() {
        ("directory", String::new())
    } else if kind.is_symlink() {
        let target = fs::read_link(path).unwrap();
        (
            "link",
            target.as_os_str().as_bytes().escape_ascii().to_string(),
        )
    } else if kind.is_fifo() {
        ("fifo", String::new())
    } else if kind.is_socket() {
        ("socket", String::new())
    } else if kind.is_char_device() {
        ("char", found.rdev().to_string())
    } else {
        ("block", found.rdev().to_string())
    };
    Node {
        kind,
        mode: found.mode() & 0o7777,
        owner: (found.uid(), found.gid()),
        mtime: found.mtime().clamp(0, i64::try_from(EPOCH).unwrap()),
        content,
        xattrs: xattrs(path),
        first_name: if kind == "directory" {
            Vec::new()
        } else {
            first_name
        },
    }
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut list = vec![0; 64 << 10];
    let length = llistxattr(path, list.as_mut_slice()).unwrap();
    let names = list[..length].split(|byte| *byte == 0);
    let own = |name: &&[u8]| !name.is_empty() && !name.starts_with(b"trusted.");
    names
        .filter(own)
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = lgetxattr(path, name, value.as_mut_slice()).unwrap();
            (name.to_vec(), value[..length].to_vec())
        })
        .collect()
}

/// What differs, as lines; few enough to read.
pub(crate) fn difference(expected: &Survey, found: &Survey) -> Vec<String> {
    let mut lines = Vec::new();
    let paths: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for path in paths {
        let (one, other) = (expected.get(path), found.get(path));
        if one != other {
            lines.push(format!("/{}: {one:?} → {other:?}", path.escape_ascii()));
        }
    }
    lines.truncate(20);
    lines
}
