//! How builds run on this machine.

use std::path::PathBuf;

use crate::rootfs;
use crate::sandbox::{self, AddressRules, Egress, HostRule};

use crate::plan::Network;
use crate::source::git::Mirrors;

/// How builds run on this machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A folder of the driver's own, on a file system that overlayfs can write to.
    pub folder: PathBuf,
    /// The sandbox.
    pub sandbox: sandbox::Settings,
    /// What a base layer may make of the disk.
    pub unpacking: rootfs::Limits,
    /// How many bytes of unpacked base layers are kept when nobody uses them.
    pub keep_layers: u64,
    /// How many bytes of caches are kept when nobody uses them.
    pub keep_caches: u64,
    /// Repositories that sources were fetched from, on the same disk.
    pub mirrors: Mirrors,
    /// How many bytes of mirrors are kept when nobody uses them.
    pub keep_mirrors: u64,
    /// What each run may use up at most, and does where its plan says nothing. A limit that this machine cannot enforce fails
    /// every run; `None` leaves it to the plan.
    pub limits: sandbox::Limits,
    /// How many bytes of output one program may have; of what is more the end is kept.
    pub output: u64,
    /// How many bytes `save-artifacts` may give.
    pub artifacts: u64,
    /// The package registries of [`Network::RegistriesOnly`].
    pub registries: Vec<HostRule>,
    /// Which addresses programs may connect to, if any.
    pub addresses: AddressRules,
    /// Roots of trust in PEM for the tools of a build: all of them. In no image.
    pub certificates: Option<Vec<u8>>,
    /// How many threads compress a layer.
    pub threads: usize,
}

impl Settings {
    /// Everything in one folder: 20 GiB of layers, 20 GiB of caches, 10 GiB of mirrors, 64 MiB of output, 4 GiB of artifacts; no limits, no
    /// registries, public addresses only.
    pub fn new(folder: impl Into<PathBuf>, sandbox: sandbox::Settings) -> Self {
        let folder = folder.into();
        Self {
            mirrors: Mirrors::new(folder.join("mirrors")),
            folder,
            sandbox,
            unpacking: rootfs::Limits::default(),
            keep_layers: 20 << 30,
            keep_caches: 20 << 30,
            keep_mirrors: 10 << 30,
            limits: sandbox::Limits::default(),
            output: 64 << 20,
            artifacts: 4 << 30,
            registries: Vec::new(),
            addresses: AddressRules::default(),
            certificates: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.folder.join("layers")
    }

    pub(super) fn caches(&self) -> PathBuf {
        self.folder.join("caches")
    }

    /// For files without a name, which no crash leaves behind.
    pub(super) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    pub(super) fn egress(&self, network: Network) -> Egress {
        let addresses = self.addresses.clone();
        match network {
            Network::None => Egress::None,
            Network::RegistriesOnly => Egress::Registries {
                hosts: self.registries.clone(),
                addresses,
            },
            Network::Full => Egress::Full { addresses },
        }
    }
}
