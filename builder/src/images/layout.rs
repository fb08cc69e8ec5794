//! Images in a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use oci::{Descriptor, Digest, Hasher, MAX_MANIFEST_BYTES, Manifest, Reference, RepoName, Tag};
use serde::{Deserialize, Serialize};

use super::{Images, ImagesError};
use crate::records::Actor;

/// Repositories as OCI layouts (image-spec `image-layout.md`), each in a folder of its own that other tools can read
/// (`skopeo inspect oci:<folder>:<tag>`). Whoever may read and write the folder may do all; actors mean nothing here.
///
/// A repository's folder has its name, with `+` for `/`. One process at a time may write.
#[derive(Clone, Debug)]
pub struct Layouts {
    root: PathBuf,
    writing: Arc<Mutex<()>>,
}

impl Layouts {
    /// The repositories below `root`, which is made with the first that is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            writing: Arc::default(),
        }
    }

    /// The folder of a repository.
    pub fn folder(&self, repo: &RepoName) -> PathBuf {
        self.root.join(repo.as_str().replace('/', "+"))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> Result<T, ImagesError> + Send + 'static,
    ) -> Result<T, ImagesError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || act(&own)).await;
        done.unwrap_or_else(|error| Err(ImagesError::Unavailable(error.to_string())))
    }
}

#[async_trait]
impl Images for Layouts {
    fn for_run(&self, _: &str) -> Arc<dyn Images> {
        Arc::new(self.clone())
    }

    async fn manifest(
        &self,
        _actor: &Actor,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<Manifest>, ImagesError> {
        let layout = Layout(self.folder(repo));
        let reference = reference.clone();
        self.blocking(move |_| layout.manifest(&reference)).await
    }

    async fn blob(
        &self,
        _actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<Box<dyn Read + Send>>, ImagesError> {
        let path = Layout(self.folder(repo)).blob(digest);
        self.blocking(move |_| match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file) as Box<dyn Read + Send>)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk(&path, &error)),
        })
        .await
    }

    async fn mount(
        &self,
        _actor: &Actor,
        into: &RepoName,
        from: &RepoName,
        digest: &Digest,
    ) -> Result<bool, ImagesError> {
        let (from, into) = (Layout(self.folder(from)), Layout(self.folder(into)));
        let (from, digest) = (from.blob(digest), *digest);
        self.blocking(move |_| match File::open(&from) {
            Ok(file) => into.put(&digest, file).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(disk(&from, &error)),
        })
        .await
    }

    async fn put_blob(
        &self,
        _actor: &Actor,
        repo: &RepoName,
        digest: &Digest,
        mut content: File,
    ) -> Result<(), ImagesError> {
        let (layout, digest) = (Layout(self.folder(repo)), *digest);
        self.blocking(move |_| {
            content.rewind().map_err(|error| disk(&layout.0, &error))?;
            layout.put(&digest, content)
        })
        .await
    }

    async fn put_manifest(
        &self,
        _actor: &Actor,
        repo: &RepoName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), ImagesError> {
        let layout = Layout(self.folder(repo));
        let (manifest, tags) = (manifest.clone(), tags.to_vec());
        self.blocking(move |all| {
            let _alone = all.writing.lock().unwrap_or_else(PoisonError::into_inner);
            layout.put_manifest(&manifest, &tags)
        })
        .await
    }
}

/// One repository's folder.
struct Layout(PathBuf);

/// `index.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    manifests: Vec<Descriptor>,
}

impl Layout {
    fn manifest(&self, reference: &Reference) -> Result<Option<Manifest>, ImagesError> {
        let index = self.index()?;
        let named = |entry: &&Descriptor| match reference {
            Reference::Tag(tag) => entry
                .annotations
                .get(REF_NAME)
                .is_some_and(|name| name == tag.as_str()),
            Reference::Digest(digest) => entry.digest == *digest,
        };
        let entry = index.manifests.iter().find(named);
        // What an index lists is named by nothing else.
        let Some(digest) = entry.map(|entry| entry.digest).or(reference.digest()) else {
            return Ok(None);
        };
        let path = self.blob(&digest);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| disk(&path, &error))?,
        };
        let mut bytes = Vec::new();
        let read = file
            .take(MAX_MANIFEST_BYTES as u64 + 1)
            .read_to_end(&mut bytes);
        read.map_err(|error| disk(&path, &error))?;
        let media_type = entry.map(|entry| &entry.media_type);
        let manifest = Manifest::parse(bytes.into(), media_type, digest);
        match (manifest, entry) {
            (Ok(manifest), _) => Ok(Some(manifest)),
            // Some blob's digest.
            (Err(_), None) => Ok(None),
            (Err(error), Some(_)) => Err(ImagesError::Unavailable(format!(
                "{digest} is damaged: {error}"
            ))),
        }
    }

    fn put_manifest(&self, manifest: &Manifest, tags: &[Tag]) -> Result<(), ImagesError> {
        let missing = manifest
            .required_blobs()
            .find(|blob| !self.blob(&blob.digest).exists());
        if let Some(blob) = missing {
            let text = format!("{} is not there, and the manifest names it", blob.digest);
            return Err(ImagesError::Refused(text));
        }
        self.put(&manifest.digest(), &manifest.bytes()[..])?;
        let mut index = self.index()?;
        let entry = |tag: Option<&Tag>| {
            let mut entry = Descriptor::new(
                manifest.media_type().clone(),
                manifest.digest(),
                manifest.bytes().len() as u64,
            );
            let name = tag.map(|tag| (REF_NAME.to_owned(), tag.as_str().to_owned()));
            entry.annotations = BTreeMap::from_iter(name);
            entry
        };
        let has = |tag: &Tag, entry: &Descriptor| {
            entry
                .annotations
                .get(REF_NAME)
                .is_some_and(|name| name == tag.as_str())
        };
        for entry in &mut index.manifests {
            // It had the tag: it is still there by its digest.
            if tags.iter().any(|tag| has(tag, entry)) {
                entry.annotations.remove(REF_NAME);
            }
        }
        index
            .manifests
            .retain(|entry| !(entry.digest == manifest.digest() && entry.annotations.is_empty()));
        if tags.is_empty() {
            index.manifests.push(entry(None));
        }
        index
            .manifests
            .extend(tags.iter().map(|tag| entry(Some(tag))));
        let bytes = serde_json::to_vec(&index)
            .map_err(|error| ImagesError::Unavailable(error.to_string()))?;
        self.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.write("index.json", &bytes)
    }

    fn index(&self) -> Result<Index, ImagesError> {
        let path = self.0.join("index.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| ImagesError::Unavailable(format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Index {
                schema_version: 2,
                manifests: Vec::new(),
            }),
            Err(error) => Err(disk(&path, &error)),
        }
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        let folder = self.0.join("blobs").join(digest.algorithm().as_str());
        folder.join(digest.hex())
    }

    /// Stores a blob, if its content has the digest.
    fn put(&self, digest: &Digest, mut content: impl Read) -> Result<(), ImagesError> {
        let path = self.blob(digest);
        if path.exists() {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.0);
        let mut store = || {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            let mut hasher = Hasher::new(digest.algorithm());
            let mut buffer = vec![0; 256 << 10];
            loop {
                let read = content.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hasher.update(&buffer[..read]);
                file.write_all(&buffer[..read])?;
            }
            let found = hasher.finish();
            if found == *digest {
                file.persist(&path)?;
            }
            Ok(found)
        };
        let found = store().map_err(|error: io::Error| disk(&path, &error))?;
        if found != *digest {
            let text = format!("the content's digest is {found}, not {digest}");
            return Err(ImagesError::Refused(text));
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ImagesError> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
            file.write_all(bytes)?;
            file.persist(self.0.join(name))?;
            Ok(())
        };
        write().map_err(|error: io::Error| disk(&self.0, &error))
    }
}

/// Image-spec `annotations.md`.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn disk(path: &Path, error: &io::Error) -> ImagesError {
    ImagesError::Unavailable(format!("{}: {error}", path.display()))
}
