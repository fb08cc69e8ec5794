//! From source and a builder image to an image.
//!
//! What is pure:
//!
//! - [`s2i`]: the contract of source-to-image: what a builder image promises, what a source may override, what the result
//!   looks like.
//! - [`plan`]: a request becomes a [`plan::Plan`], a value that any driver can run and that says beforehand all that will
//!   happen.
//!
//! What does it:
//!
//! - [`source`]: git repositories, folders and archives become snapshots that a plan names by digest.
//! - [`rootfs::LayerStore`] unpacks each base layer once, verified, into a directory that all builds share read-only;
//!   [`rootfs::Rootfs`] stacks them for one build, mounts them and knows what lay below.
//! - [`sandbox`] runs one process of the build in it, where it can harm nothing.
//! - [`layer::export`] writes what the build changed as one layer: the same changes, the same bytes.
//! - [`debian`] makes builder images of our own.
//!
//! What asks for it, and where it goes:
//!
//! - [`records`]: builds, runs, the catalogue of builder images, secrets; kept in a [`ledger`].
//! - [`secrets`]: how secrets are sealed where they are kept.
//! - [`driver`]: who runs a plan. [`images`]: what a build needs of a registry.
//! - [`builds`]: the service: a queue of runs, and the way of each from being asked for to its image's tag.
//!
//! `rootfs` and `layer` block: call them from threads that may. Errors are enums by what the caller can do.
//!
//! # Glossary
//!
//! - **layer**: an archive of what to add to and take away from the layers below (image-spec `layer.md`).
//! - **diffID**: the digest of a layer's archive as it is uncompressed; the digest of a layer is that of its bytes.
//! - **whiteout**: an entry that says that a name is gone. Archives and overlayfs have each a form of their own.
//! - **opaque**: of a directory: what lower layers have in it is not to be seen.
//! - **upper**, **lower**: where an overlay puts changes, and what it shows through.
//! - **epoch**: `SOURCE_DATE_EPOCH`; no file of a layer is younger.

mod addresses;
mod archive;
pub mod builds;
mod compression;
pub mod convert;
pub mod debian;
pub mod driver;
pub mod hooks;
mod ids;
pub mod images;
pub mod layer;
pub mod ledger;
mod misspelt;
mod overlay;
pub mod plan;
mod programs;
mod pruned;
mod public_images;
pub mod records;
mod room;
pub mod rootfs;
pub mod s2i;
pub mod sandbox;
mod scratch;
pub mod secrets;
pub mod source;
mod tree;
pub mod triggers;
mod until;

pub use addresses::AddressRules;
pub use compression::Compression;
pub use ids::{IdMap, InvalidIdMap, Range};
pub use misspelt::{edits, meant};
pub use overlay::{Marks, Mount};
pub use pruned::Pruned;
pub use public_images::{PUBLIC_IMAGES, PublicImage};
pub use room::NoRoom;
pub use tree::{InvalidPath, Tree, TreePath};
