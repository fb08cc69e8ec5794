//! Small builder images, and reading what came out.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::process::Command;
use std::sync::Arc;

use builder::driver::Built;
use builder::images::{ImageName, Images, Layouts};
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName, Tag};
use serde_json::{Value, json};

use super::lab::actor;

/// An archive that is being made.
pub(crate) struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn header(kind: tar::EntryType, mode: u32, owner: u64, size: usize) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(0);
        header.set_mtime(1_500_000_000);
        header.set_size(size as u64);
        header
    }

    pub(crate) fn folder(mut self, path: &str, mode: u32, owner: u64) -> Self {
        let mut header = Self::header(tar::EntryType::Directory, mode, owner, 0);
        self.0
            .append_data(&mut header, format!("{path}/"), &b""[..])
            .unwrap();
        self
    }

    pub(crate) fn file(
        mut self,
        path: &str,
        mode: u32,
        owner: u64,
        content: impl AsRef<[u8]>,
    ) -> Self {
        let content = content.as_ref();
        let mut header = Self::header(tar::EntryType::Regular, mode, owner, content.len());
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        let mut header = Self::header(tar::EntryType::Symlink, 0o777, 0, 0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    /// An entry whose name no well-behaved program writes.
    pub(crate) fn raw(mut self, path: &str, content: &[u8]) -> Self {
        let mut header = Self::header(tar::EntryType::Regular, 0o644, 0, content.len());
        let name = &mut header.as_gnu_mut().unwrap().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A root with busybox in `/bin`, a user `app` (1001), `/tmp` and a home in `/opt/app` that is the user's.
pub(crate) fn busybox() -> Vec<u8> {
    let found = Command::new("sh")
        .args(["-c", "command -v busybox"])
        .output();
    let path = String::from_utf8(found.unwrap().stdout).unwrap();
    let list = Command::new(path.trim()).arg("--list").output().unwrap();
    let mut tar = Tar::new()
        .folder("bin", 0o755, 0)
        .file("bin/busybox", 0o755, 0, std::fs::read(path.trim()).unwrap())
        .folder("etc", 0o755, 0)
        .file(
            "etc/passwd",
            0o644,
            0,
            "root:x:0:0::/root:/bin/sh\napp:x:1001:0::/opt/app:/bin/sh\n",
        )
        .file("etc/group", 0o644, 0, "root:x:0:\nstaff:x:50:app\n")
        .folder("opt", 0o755, 0)
        .folder("opt/app", 0o775, 1001)
        .folder("tmp", 0o1777, 0)
        .folder("usr", 0o755, 0)
        .folder("usr/libexec", 0o755, 0)
        .folder("usr/libexec/s2i", 0o755, 0);
    for applet in String::from_utf8(list.stdout).unwrap().lines() {
        if applet != "busybox" {
            tar = tar.link(&format!("bin/{applet}"), "busybox");
        }
    }
    tar.bytes()
}

/// The S2I scripts of an image, as one layer.
pub(crate) fn scripts(scripts: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Tar::new();
    for (name, text) in scripts {
        let text = format!("#!/bin/sh\nset -e\n{text}\n");
        tar = tar.file(&format!("usr/libexec/s2i/{name}"), 0o755, 0, text);
    }
    tar.bytes()
}

/// What such an image says of itself.
pub(crate) fn execution() -> Value {
    json!({
        "User": "1001",
        "Env": ["PATH=/bin:/usr/bin", "APP_ROOT=/opt/app"],
        "WorkingDir": "/opt/app",
        "Cmd": ["/usr/libexec/s2i/usage"],
        "Labels": {"io.openshift.s2i.scripts-url": "image:///usr/libexec/s2i"},
    })
}

/// Pushes an image.
pub(crate) async fn push(
    images: &Layouts,
    name: &str,
    layers: &[Vec<u8>],
    config: Value,
) -> Manifest {
    let name = ImageName::parse(name, &[]).unwrap();
    let ids: Vec<_> = layers
        .iter()
        .map(|layer| Digest::of(Algorithm::Sha256, layer))
        .collect();
    let history: Vec<_> = layers
        .iter()
        .map(|_| json!({"created_by": "test"}))
        .collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": ids},
        "history": history,
        "x-kept": 1.50,
    });
    let config = config.to_string().into_bytes();
    let mut described = Vec::new();
    for layer in layers {
        let packed = gzip(layer);
        let descriptor = put(images, name.repo(), MediaType::OCI_LAYER_GZIP, &packed).await;
        described.push(descriptor);
    }
    let config = put(images, name.repo(), MediaType::OCI_CONFIG, &config).await;
    let body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": config,
        "layers": described,
    });
    put_image(images, &name, &body).await
}

/// An image's manifest, under its name's tag.
async fn put_image(images: &dyn Images, name: &ImageName, body: &Value) -> Manifest {
    let manifest = Manifest::parse(
        body.to_string().into_bytes().into(),
        None,
        Algorithm::Sha256,
    )
    .unwrap();
    let tags: Vec<Tag> = name.tag().cloned().into_iter().collect();
    images
        .put_manifest(&actor(), name.repo(), &manifest, &tags)
        .await
        .unwrap();
    manifest
}

async fn put(images: &Layouts, repo: &RepoName, media_type: MediaType, bytes: &[u8]) -> Descriptor {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    images
        .put_blob(&actor(), repo, &digest, file)
        .await
        .unwrap();
    Descriptor::new(media_type, digest, bytes.len() as u64)
}

/// Publishes what was built, as a run does.
pub(crate) async fn publish(
    images: &Arc<dyn Images>,
    built: &mut Built,
    base: &RepoName,
    name: &str,
) -> Manifest {
    let name = ImageName::parse(name, &[]).unwrap();
    let actor = actor();
    let manifest = images
        .manifest(&actor, base, &built.base.into())
        .await
        .unwrap()
        .unwrap();
    let mut layers = manifest.layers().to_vec();
    for layer in &layers {
        assert!(
            images
                .mount(&actor, name.repo(), base, &layer.digest)
                .await
                .unwrap()
        );
    }
    if let Some((layer, file)) = &built.layer {
        let file = file.try_clone().unwrap();
        images
            .put_blob(&actor, name.repo(), &layer.digest, file)
            .await
            .unwrap();
        layers.push(layer.descriptor());
    }
    let digest = Digest::of(Algorithm::Sha256, &built.config);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&built.config).unwrap();
    images
        .put_blob(&actor, name.repo(), &digest, file)
        .await
        .unwrap();
    let body = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": Descriptor::new(MediaType::OCI_CONFIG, digest, built.config.len() as u64),
        "layers": layers,
    });
    put_image(&**images, &name, &body).await
}

/// What a layer has: by path, what kind, mode and owner (`-644 1001:0`), and content or target.
pub(crate) fn listing(built: &Built) -> BTreeMap<String, (String, String)> {
    use std::io::Seek as _;
    let Some((_, file)) = &built.layer else {
        return BTreeMap::new();
    };
    let mut file = file.try_clone().unwrap();
    file.rewind().unwrap();
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(file));
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let kind = match header.entry_type() {
            tar::EntryType::Directory => 'd',
            tar::EntryType::Symlink => 'l',
            tar::EntryType::Link => 'h',
            _ => '-',
        };
        let what = format!(
            "{kind}{:o} {}:{}",
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap()
        );
        let path = entry.path().unwrap().display().to_string();
        let target = entry
            .link_name()
            .unwrap()
            .map(|target| target.display().to_string());
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        found.insert(path, (what, target.unwrap_or(content)));
    }
    found
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::GzEncoder::new(Cursor::new(bytes), flate2::Compression::fast());
    let mut packed = Vec::new();
    encoder.read_to_end(&mut packed).unwrap();
    packed
}
