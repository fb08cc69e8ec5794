//! A folder in the OCI layout (image-spec `image-layout.md`).

use std::fs;
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::{
    Algorithm, Descriptor, Digest, Expected, Hasher, MAX_MANIFEST_BYTES, Manifest, Reference,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use super::failure::{Failure, persist};
use super::progress::Progress;
use super::ref_name::{RefName, TAG};
use super::store::{ByteStream, Store};

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

    /// The image of this name; without one, what it holds if that is one image.
    pub(super) fn find(&self, name: Option<&RefName>) -> anyhow::Result<Reference> {
        let entries = self.entries()?;
        if let Some(name) = name {
            let is_called = |entry: &&Descriptor| {
                let names = [TAG, CONTAINERD_NAME].map(|key| entry.annotations.get(key));
                names
                    .into_iter()
                    .flatten()
                    .any(|other| other == name.as_str())
            };
            let found = entries.iter().find(is_called).with_context(|| {
                let dir = self.dir.display();
                format!(
                    "{dir}: no image is called {name} there, but {}",
                    RefName::all(&entries)
                )
            })?;
            return Ok(found.digest.into());
        }
        let named = |entry: &&Descriptor| entry.annotations.contains_key(TAG);
        let mut candidates: Vec<_> = entries.iter().filter(named).collect();
        if candidates.is_empty() {
            candidates = entries.iter().collect();
        }
        if let [one] = candidates[..] {
            return Ok(one.digest.into());
        }
        anyhow::bail!(
            "{}: it holds {} images: name one behind a colon: {}",
            self.dir.display(),
            candidates.len(),
            RefName::all(&entries)
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

    pub(super) async fn small_blob(&self, blob: &Descriptor) -> anyhow::Result<Bytes> {
        let place = || self.blob(blob.digest).display().to_string();
        let stream = self.open_blob(blob.digest, 0).await;
        let mut stream = stream.map_err(Failure::into_error)?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = stream.try_next().await.map_err(Failure::into_error)? {
            bytes.extend_from_slice(&chunk);
            anyhow::ensure!(
                bytes.len() <= MAX_MANIFEST_BYTES,
                "{}: it is larger than {MAX_MANIFEST_BYTES} bytes",
                place()
            );
        }
        let found = Digest::of(blob.digest.algorithm(), &bytes);
        anyhow::ensure!(
            found == blob.digest,
            "{}: other content than its name says",
            place()
        );
        Ok(bytes.freeze())
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

    /// Stores the manifest of the image itself, which stands in the index, by its name if it has one.
    pub(super) fn put_root(
        &self,
        name: Option<&RefName>,
        manifest: &Manifest,
    ) -> anyhow::Result<bool> {
        self.write(manifest)?;
        let is_tag = name.is_some_and(|name| name.tag().is_some());
        // A name that is whole already is the better one.
        let whole = self.name.as_deref().filter(|_| is_tag);
        self.list(manifest, name.map(RefName::as_str), whole)?;
        Ok(true)
    }

    /// Stores another manifest. It stands in the index only if nothing there leads to it: by its tag, or for what it is about.
    pub(super) fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &Manifest,
    ) -> anyhow::Result<()> {
        self.write(manifest)?;
        match reference.tag() {
            Some(tag) => self.list(manifest, Some(tag.as_str()), None),
            None if manifest.subject().is_some() => self.list(manifest, None, None),
            None => Ok(()),
        }
    }

    fn write(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let path = self.blob(manifest.digest());
        let place = || path.display().to_string();
        fs::create_dir_all(path.parent().with_context(place)?).with_context(place)?;
        replace(&path, manifest.bytes()).with_context(place)
    }

    fn list(
        &self,
        manifest: &Manifest,
        name: Option<&str>,
        whole: Option<&str>,
    ) -> anyhow::Result<()> {
        let mut entry = manifest.descriptor();
        // Its own annotations are in the manifest; these are the entry's.
        entry.annotations.clear();
        for (key, value) in [(TAG, name), (CONTAINERD_NAME, whole)] {
            if let Some(value) = value {
                entry.annotations.insert(key.to_owned(), value.to_owned());
            }
        }
        let mut entries = self.entries()?;
        entries.retain(|other| match other.annotations.get(TAG) {
            Some(taken) => Some(taken.as_str()) != name,
            None => other.digest != entry.digest,
        });
        entries.push(entry);
        let mut index = empty();
        index["manifests"] = json!(entries);
        let path = self.dir.join("index.json");
        replace(&path, index.to_string().as_bytes()).with_context(|| path.display().to_string())
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
