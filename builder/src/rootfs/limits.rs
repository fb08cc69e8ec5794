//! How much a layer may be.

/// What one layer may make of a disk. Beyond any of these it is refused and what was unpacked is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive when it is decompressed.
    pub bytes: u64,
    /// Files and directories.
    pub entries: u64,
    /// How many times larger than it came the archive may become, once it is over 256 MiB. Layers of programs and texts
    /// shrink to a third; one of zeros shrinks a thousandfold with gzip and without end with zstd.
    pub ratio: u64,
    /// What becomes of device nodes.
    pub devices: Devices,
}

/// What becomes of the device nodes in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// They are left out, as podman does for an ordinary user: the runtime mounts a `/dev` of its own over them, and
    /// one elsewhere is nothing that a build should open.
    Skip,
    /// They are made. Not possible inside a user namespace.
    Keep,
    /// A layer that has one is refused.
    Refuse,
}

/// 32 GiB, a million entries, 200 times; device nodes are left out.
impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 << 30,
            entries: 1_000_000,
            ratio: 200,
            devices: Devices::Skip,
        }
    }
}

/// From where on the ratio counts: what is smaller harms nobody.
pub(super) const RATIO_FROM: u64 = 256 << 20;
