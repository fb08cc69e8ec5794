//! A folder in the OCI layout (image-spec `image-layout.md`).

use std::fs;
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::{Algorithm, Descriptor, Digest, Expected, Hasher, Manifest, Reference};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use super::failure::{Failure, persist};
use super::progress::Progress;
use super::store::{ByteStream, Store};

/// The tag of an entry in the index (image-spec `annotations.md`).
const TAG: &str = "org.opencontainers.image.ref.name";
/// What containerd calls the image when it imports the layout.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const CHUNK: usize = 128 << 10;
/// Who made the folder could have put a link to any file of whoever reads or writes it.
const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// A folder of images.
pub(super) struct Layout {
    dir: PathBuf,
    /// What containerd is to call an image that is written.
    name: Option<String>,
}

impl Layout {
    /// One that is there.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let marker = dir.join("oci-layout");
        anyhow::ensure!(
            marker.is_file(),
            "{}: no OCI layout, which has a file oci-layout",
            dir.display()
        );
        Ok(Self {
            dir: dir.to_owned(),
            name: None,
        })
    }

    /// One to write to, which may be there already.
    pub(super) fn create(dir: &Path, name: Option<String>) -> anyhow::Result<Self> {
        let place = || dir.display().to_string();
        if !dir.join("oci-layout").is_file() {
            let is_empty = match fs::read_dir(dir) {
                Ok(mut entries) => entries.next().is_none(),
                Err(error) => error.kind() == ErrorKind::NotFound,
            };
            anyhow::ensure!(
                is_empty,
                "{}: there is something else in this folder; name an empty or a new one",
                dir.display()
            );
            fs::create_dir_all(dir).with_context(place)?;
            replace(&dir.join("index.json"), empty().to_string().as_bytes()).with_context(place)?;
            let marker = dir.join("oci-layout");
            replace(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#).with_context(place)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            name,
        })
    }

    pub(super) fn place(&self, reference: &Reference) -> String {
        format!("oci:{}:{reference}", self.dir.display())
    }

    /// What it holds if that is one image.
    pub(super) fn only(&self) -> anyhow::Result<Reference> {
        let entries = self.entries()?;
        let named = |entry: &&Descriptor| entry.annotations.contains_key(TAG);
        let mut candidates: Vec<_> = entries.iter().filter(named).collect();
        if candidates.is_empty() {
            candidates = entries.iter().collect();
        }
        if let [one] = candidates[..] {
            return Ok(one.digest.into());
        }
        let tags = candidates
            .iter()
            .filter_map(|entry| entry.annotations.get(TAG));
        let tags: Vec<_> = tags.map(String::as_str).collect();
        anyhow::bail!(
            "{}: it holds {} images: name one of {}",
            self.dir.display(),
            candidates.len(),
            tags.join(", ")
        )
    }

    pub(super) fn manifest(&self, reference: &Reference) -> anyhow::Result<Option<Manifest>> {
        let entries = self.entries()?;
        let (digest, entry) = match reference {
            Reference::Digest(digest) => (
                *digest,
                entries.iter().find(|entry| entry.digest == *digest),
            ),
            Reference::Tag(tag) => {
                let tagged = |entry: &&Descriptor| {
                    entry.annotations.get(TAG).map(String::as_str) == Some(tag.as_str())
                };
                match entries.iter().find(tagged) {
                    None => return Ok(None),
                    Some(entry) => (entry.digest, Some(entry)),
                }
            }
        };
        let path = self.blob(digest);
        let mut options = fs::OpenOptions::new();
        let opened = options.read(true).custom_flags(NO_LINK).open(&path);
        let mut bytes = Vec::new();
        match opened.and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unlinked(error)).with_context(|| path.display().to_string()),
        }
        let media_type = entry.map(|entry| &entry.media_type);
        Manifest::parse(bytes.into(), media_type, Expected::Digest(digest))
            .map(Some)
            .with_context(|| path.display().to_string())
    }

    pub(super) fn referrers(&self, subject: Digest) -> anyhow::Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        for entry in self.entries()? {
            let manifest = self.manifest(&entry.digest.into())?;
            let about = manifest.as_ref().and_then(Manifest::subject);
            if about.is_some_and(|about| about.digest == subject) {
                found.push(entry);
            }
        }
        Ok(found)
    }

    pub(super) fn has_blob(&self, blob: &Descriptor) -> anyhow::Result<bool> {
        let path = self.blob(blob.digest);
        match fs::symlink_metadata(&path) {
            // It is renamed to its name when it is whole.
            Ok(found) => Ok(found.is_file() && found.len() == blob.size),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    pub(super) async fn open_blob(
        &self,
        digest: Digest,
        offset: u64,
    ) -> Result<ByteStream, Failure> {
        let path = self.blob(digest);
        let failed = |error: Error| anyhow::anyhow!("{}: {}", path.display(), unlinked(error));
        let mut options = tokio::fs::OpenOptions::new();
        options.read(true).custom_flags(NO_LINK);
        let mut file = options.open(&path).await.map_err(failed)?;
        file.seek(std::io::SeekFrom::Start(offset))
            .await
            .map_err(failed)?;
        let stream = ReaderStream::with_capacity(file, CHUNK)
            .map_err(|error| Failure::Lasting(error.into()))
            .boxed();
        Ok(stream)
    }

    /// Streams a blob from `source` here, behind what an attempt before left of it.
    pub(super) async fn receive(
        &self,
        blob: &Descriptor,
        source: &Store,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let path = self.blob(blob.digest);
        let place = || path.display().to_string();
        let folder = path.parent().with_context(place)?;
        fs::create_dir_all(folder).with_context(place)?;
        let partial = folder.join(format!(".{}.partial", blob.digest.hex()));
        let mut options = tokio::fs::OpenOptions::new();
        options.create(true).read(true).append(true);
        let opened = options.custom_flags(NO_LINK).open(&partial).await;
        let mut file = opened
            .map_err(unlinked)
            .with_context(|| partial.display().to_string())?;
        let mut hasher = hashed(&mut file, blob.digest.algorithm())
            .await
            .with_context(place)?;
        if hasher.written() > blob.size {
            file.set_len(0).await.with_context(place)?;
            hasher = Hasher::new(blob.digest.algorithm());
        }
        persist(async || {
            let part = progress.part(hasher.written());
            if hasher.written() < blob.size {
                let mut stream = source.open_blob(blob.digest, hasher.written()).await?;
                while let Some(chunk) = stream.try_next().await? {
                    let written = file.write_all(&chunk).await;
                    written.with_context(place)?;
                    hasher.update(&chunk);
                    part.add(chunk.len());
                    if hasher.written() > blob.size {
                        break;
                    }
                }
            }
            if hasher.written() < blob.size {
                let error = anyhow::anyhow!("{}: the source ended too early", blob.digest);
                return Err(Failure::Passing(error));
            }
            part.keep();
            Ok(())
        })
        .await?;
        let is_whole = hasher.finish() == blob.digest;
        if !is_whole {
            // What is wrong stays wrong, however much is added to it.
            drop(fs::remove_file(&partial));
            anyhow::bail!(
                "{}: the source has other content under this digest",
                blob.digest
            );
        }
        file.sync_all().await.with_context(place)?;
        fs::rename(&partial, &path).with_context(place)
    }

    /// Stores a manifest. One that is listed stands in the index, under its tag if it has one; others are reached from those.
    pub(super) fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &Manifest,
        is_listed: bool,
    ) -> anyhow::Result<()> {
        let path = self.blob(manifest.digest());
        let place = || path.display().to_string();
        fs::create_dir_all(path.parent().with_context(place)?).with_context(place)?;
        replace(&path, manifest.bytes()).with_context(place)?;
        if !is_listed {
            return Ok(());
        }
        let mut entry = manifest.descriptor();
        let tag = reference.tag().map(ToString::to_string);
        // Its own annotations are in the manifest; these are the entry's.
        entry.annotations.clear();
        if let Some(tag) = &tag {
            entry.annotations.insert(TAG.to_owned(), tag.clone());
            if let Some(name) = &self.name {
                let name = name.clone();
                entry.annotations.insert(CONTAINERD_NAME.to_owned(), name);
            }
        }
        let mut entries = self.entries()?;
        entries.retain(|other| match other.annotations.get(TAG) {
            Some(taken) => Some(taken) != tag.as_ref(),
            None => other.digest != entry.digest,
        });
        entries.push(entry);
        let mut index = empty();
        index["manifests"] = json!(entries);
        replace(&self.dir.join("index.json"), index.to_string().as_bytes()).with_context(place)
    }

    fn entries(&self) -> anyhow::Result<Vec<Descriptor>> {
        let path = self.dir.join("index.json");
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let index = Manifest::parse(
            Bytes::from(bytes),
            Some(&oci::MediaType::OCI_INDEX),
            Algorithm::Sha256,
        );
        let index = index.with_context(|| path.display().to_string())?;
        Ok(index.children().to_vec())
    }

    fn blob(&self, digest: Digest) -> PathBuf {
        let algorithm = digest.algorithm().as_str();
        self.dir.join("blobs").join(algorithm).join(digest.hex())
    }
}

fn empty() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": oci::MediaType::OCI_INDEX.as_str(),
        "manifests": [],
    })
}

/// The hash of what a file holds so far.
async fn hashed(file: &mut tokio::fs::File, algorithm: Algorithm) -> std::io::Result<Hasher> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok(hasher),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// What it means that a file opened with [`NO_LINK`] was not opened.
fn unlinked(error: Error) -> Error {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return Error::other("a symbolic link, which is not followed: put the file itself there");
    }
    error
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
