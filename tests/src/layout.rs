//! Reads an OCI image layout, so that what came back can be held against what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{OrFail, api::digest_of, fail};

/// A folder in the OCI image layout (image-spec, `image-layout.md`).
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout in this folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `index.json`.
    pub fn index(&self) -> Value {
        let bytes = std::fs::read(self.root.join("index.json")).or_fail("read index.json");
        serde_json::from_slice(&bytes).or_fail("parse index.json")
    }

    /// The digest of the manifest or index that `tag` names; the only one there is, when nothing is tagged so.
    #[track_caller]
    pub fn digest(&self, tag: &str) -> String {
        let index = self.index();
        let entries = index["manifests"]
            .as_array()
            .or_fail("index.json's manifests");
        let named = entries
            .iter()
            .find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == tag);
        let ((Some(entry), _) | (None, [entry])) = (named, entries.as_slice()) else {
            fail(format!("{tag} is not in {index}"))
        };
        entry["digest"].as_str().or_fail("a digest").to_owned()
    }

    /// A blob's bytes, verified against its digest.
    #[track_caller]
    pub fn blob(&self, digest: &str) -> Vec<u8> {
        let path = self.root.join("blobs").join(digest.replace(':', "/"));
        let bytes = std::fs::read(&path).or_fail(format!("read {}", path.display()));
        assert!(
            digest_of(&bytes) == digest,
            "{} does not have the digest of its name",
            path.display()
        );
        bytes
    }

    /// Everything reachable from `tag`: digest → size, every blob read and verified.
    #[track_caller]
    pub fn content(&self, tag: &str) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.digest(tag)];
        while let Some(digest) = open.pop() {
            let bytes = self.blob(&digest);
            found.insert(digest, bytes.len());
            // Only manifests and indexes carry these keys; configs and layers are leaves.
            let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
                continue;
            };
            let lists = ["manifests", "layers"]
                .map(|key| document[key].as_array().cloned().unwrap_or_default());
            for child in lists.concat().iter().chain([&document["config"]]) {
                if let Some(digest) = child["digest"].as_str() {
                    open.push(digest.to_owned());
                }
            }
        }
        found
    }
}

/// The digests of the layers (uncompressed) that an image's config names, in order.
pub fn diff_ids(config: &Value) -> Vec<String> {
    let ids = config["rootfs"]["diff_ids"]
        .as_array()
        .or_fail("rootfs.diff_ids");
    ids.iter()
        .map(|id| id.as_str().or_fail("a diff id").to_owned())
        .collect()
}

/// The names of all files below a folder, relative to it.
pub fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).or_fail(format!("list {}", dir.display())) {
            let path = entry.or_fail("list a folder").path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(
                    path.strip_prefix(root)
                        .or_fail("a path below")
                        .to_path_buf(),
                );
            }
        }
    }
    found
}

/// Where the Distribution layout below `objects` keeps a blob's bytes.
pub fn blob_file(objects: &Path, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    objects
        .join("docker/registry/v2/blobs/sha256")
        .join(&hex[..2])
        .join(hex)
        .join("data")
}
