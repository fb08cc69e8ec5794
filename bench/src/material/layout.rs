//! Writing the CNCF Distribution storage layout directly, to set a stage of a million manifests in reasonable time.
//!
//! Format: <https://github.com/distribution/distribution/blob/main/registry/storage/paths.go>.
//! Distribution's servers serve it as it is; Slipway after `slipway storage reindex`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Blob, Manifest};

/// A storage root being written. Nothing is made durable; no server is looking yet.
#[derive(Debug)]
pub(crate) struct Layout {
    top: PathBuf,
}

impl Layout {
    /// The layout under a storage root.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            top: root.join("docker/registry/v2"),
        }
    }

    /// Writes a blob's bytes and links it into a repository.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn blob(&self, repo: &str, blob: &Blob) -> Result<()> {
        let mut bytes = Vec::new();
        blob.write_to(&mut bytes)?;
        self.data(blob.digest(), &bytes)?;
        self.link_blob(repo, blob)
    }

    /// Links a blob that is there into a repository.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn link_blob(&self, repo: &str, blob: &Blob) -> Result<()> {
        let path = format!(
            "repositories/{repo}/_layers/{}/link",
            slashed(blob.digest())
        );
        self.write(&path, blob.digest().as_bytes())
    }

    /// Writes a manifest's bytes and links it into a repository.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn manifest(&self, repo: &str, manifest: &Manifest) -> Result<()> {
        self.data(&manifest.digest, &manifest.bytes)?;
        let path = format!(
            "repositories/{repo}/_manifests/revisions/{}/link",
            slashed(&manifest.digest)
        );
        self.write(&path, manifest.digest.as_bytes())
    }

    /// Points a tag at a manifest.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn tag(&self, repo: &str, tag: &str, manifest: &Manifest) -> Result<()> {
        let tag = format!("repositories/{repo}/_manifests/tags/{tag}");
        self.write(&format!("{tag}/current/link"), manifest.digest.as_bytes())?;
        let path = format!("{tag}/index/{}/link", slashed(&manifest.digest));
        self.write(&path, manifest.digest.as_bytes())
    }

    fn data(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let (algorithm, hex) = digest.split_once(':').context("a digest")?;
        let path = format!("blobs/{algorithm}/{}/{hex}/data", &hex[..2]);
        self.write(&path, bytes)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.top.join(path);
        let folder = path.parent().context("a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    }
}

fn slashed(digest: &str) -> String {
    digest.replacen(':', "/", 1)
}
