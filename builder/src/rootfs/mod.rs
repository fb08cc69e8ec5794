//! The root file systems that builds run in: base layers, unpacked once each, stacked by overlayfs.

mod decompress;
pub(crate) mod durable;
mod error;
mod files;
mod limits;
mod lock;
mod metadata;
mod place;
mod prepare;
mod record;
mod scaffold;
mod store;
mod sweep;
mod unpack;

pub use error::UnpackError;
pub(crate) use files::{Bounds, Files, FilesError, Owner};
pub use limits::{Devices, Limits};
pub(crate) use lock::{Lock, Mode};
pub use prepare::{Folders, Rootfs};
pub use store::{Blob, LayerStore, StoredLayer, Swept};
