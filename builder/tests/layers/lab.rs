//! A store in a folder of its own, and what tests do with it.

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use builder::layer::{ExportError, Layer, Options, export};
use builder::rootfs::{Blob, Devices, LayerStore, Limits, Rootfs, StoredLayer, UnpackError};
use builder::{Compression, IdMap, Marks, TreePath};
use oci::{Algorithm, Digest};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;

/// When everything in the tests was built: no file of a layer is younger.
pub(crate) const EPOCH: u64 = 1_600_000_000;

pub(crate) struct Lab {
    pub(crate) folder: TempDir,
    pub(crate) store: LayerStore,
    runs: AtomicUsize,
}

/// What came of a change: the layer and its bytes.
pub(crate) struct Built {
    pub(crate) layer: Layer,
    pub(crate) bytes: Vec<u8>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        tests::machine::needs_root();
        let folder = tempfile::Builder::new()
            .prefix("slipway-layers-")
            .tempdir()
            .unwrap();
        let store = LayerStore::open(&folder.path().join("store"), IdMap::identity()).unwrap();
        Self {
            folder,
            store,
            runs: AtomicUsize::new(0),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Unpacks an archive.
    pub(crate) fn unpack(&self, archive: &Archive) -> Result<StoredLayer, UnpackError> {
        self.unpack_bytes(&archive.bytes(), Compression::Plain, &limits())
    }

    pub(crate) fn unpack_bytes(
        &self,
        archive: &[u8],
        compression: Compression,
        limits: &Limits,
    ) -> Result<StoredLayer, UnpackError> {
        let packed = match compression {
            Compression::Plain => archive.to_vec(),
            Compression::Gzip => gzip(archive),
            Compression::Zstd => zstd::bulk::compress(archive, 3).unwrap(),
        };
        let diff_id = Digest::of(Algorithm::Sha256, archive);
        self.unpack_packed(&packed, compression, diff_id, limits)
    }

    pub(crate) fn unpack_packed(
        &self,
        packed: &[u8],
        compression: Compression,
        diff_id: Digest,
        limits: &Limits,
    ) -> Result<StoredLayer, UnpackError> {
        let blob = blob(packed, compression, diff_id);
        let never = CancellationToken::new();
        self.store.layer(&blob, limits, UNIX_EPOCH, &never)
    }

    /// Stacks layers, the lowest first.
    pub(crate) fn rootfs(
        &self,
        layers: Vec<StoredLayer>,
        mountpoints: &[TreePath],
    ) -> Result<Rootfs<'_>, UnpackError> {
        let name = format!("run-{}", self.runs.fetch_add(1, Ordering::Relaxed));
        Rootfs::prepare(&self.store, &name, layers, mountpoints)
    }

    /// Stacks layers, lets `change` at their mounted root, and exports what it did.
    pub(crate) fn build(
        &self,
        layers: Vec<StoredLayer>,
        change: impl FnOnce(&Path),
    ) -> Result<Built, ExportError> {
        let rootfs = self.rootfs(layers, &[]).unwrap();
        in_mount(&rootfs, change);
        exported(&rootfs, &options())
    }

    /// The same on one archive; the layer's entries as `tar` lists them.
    pub(crate) fn changes(&self, base: &Archive, change: impl FnOnce(&Path)) -> Vec<String> {
        let base = self.unpack(base).unwrap();
        list(&self.build(vec![base], change).unwrap().bytes)
    }
}

pub(crate) fn blob(packed: &[u8], compression: Compression, diff_id: Digest) -> Blob<'_> {
    let packed = packed.to_vec();
    Blob {
        digest: Digest::of(Algorithm::Sha256, &packed),
        diff_id,
        compression,
        open: Box::new(move || Ok(Box::new(Cursor::new(packed.clone())))),
    }
}

pub(crate) fn in_mount(rootfs: &Rootfs<'_>, change: impl FnOnce(&Path)) {
    let mut mount = rootfs.mount().unwrap();
    mount.attach(&rootfs.mountpoint()).unwrap();
    change(&rootfs.mountpoint());
}

pub(crate) fn exported(rootfs: &Rootfs<'_>, options: &Options) -> Result<Built, ExportError> {
    let mut bytes = Vec::new();
    let layer = export(
        &rootfs.changes(),
        options,
        &mut bytes,
        &CancellationToken::new(),
    )?;
    assert_eq!(layer.digest, Digest::of(Algorithm::Sha256, &bytes));
    assert_eq!(layer.size, bytes.len() as u64);
    let archive = unpacked(&bytes, options.compression);
    assert_eq!(layer.diff_id, Digest::of(Algorithm::Sha256, &archive));
    assert_eq!(layer.unpacked, archive.len() as u64);
    Ok(Built { layer, bytes })
}

/// What `gzip` and `zstd` themselves make of the bytes.
fn unpacked(bytes: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Plain => bytes.to_vec(),
        Compression::Gzip => filter("gzip", &["-dc"], bytes),
        Compression::Zstd => zstd::decode_all(bytes).unwrap(),
    }
}

pub(crate) fn options() -> Options {
    Options {
        compression: Compression::Plain,
        epoch: epoch(),
        ids: IdMap::identity(),
        limit: 1 << 30,
        threads: 2,
    }
}

pub(crate) fn epoch() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(EPOCH)
}

/// Device nodes are made where they can be.
pub(crate) fn limits() -> Limits {
    let is_initial = Marks::of_this_process().unwrap() == Marks::Trusted;
    Limits {
        devices: if is_initial {
            Devices::Keep
        } else {
            Devices::Skip
        },
        ..Limits::default()
    }
}

/// The names in an archive, as GNU tar reads them, escaped as it does.
pub(crate) fn list(archive: &[u8]) -> Vec<String> {
    let listed = filter("tar", &["--list", "--quoting-style=escape"], archive);
    let listed = String::from_utf8(listed).unwrap();
    listed.lines().map(str::to_owned).collect()
}

/// What a program writes when it reads `input`.
pub(crate) fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    output.stdout
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).unwrap()
}
