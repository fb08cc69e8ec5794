//! The vocabulary of OCI Distribution: what a registry's words are, and which of them are words at all.
//!
//! No I/O, no async, no clock. Every type here is made by one constructor that refuses what is invalid, so whoever
//! holds one need not check again. Sources: distribution-spec 1.1.1 and its development text, image-spec 1.1,
//! and CNCF Distribution's HTTP API V2 where the former are silent.
//!
//! # Glossary
//!
//! - **blob**: bytes of any kind, named by their digest: a layer, a configuration.
//! - **digest**: [`Digest`]: algorithm and hash of some content; its address.
//! - **repository**: [`RepoName`]: what holds manifests, tags and blobs; its first segment is its *namespace*.
//! - **manifest**: [`Manifest`]: a small document that names blobs or other manifests; a root of what is kept.
//! - **index**: a manifest that lists manifests (its *children*), such as one image for several machines.
//! - **descriptor**: [`Descriptor`]: media type, digest and size; how a manifest names something.
//! - **tag**: [`Tag`]: a name in a repository that stands for a manifest and may be moved.
//! - **reference**: [`Reference`]: a tag or a digest.
//! - **subject**, **referrer**: a manifest may be about another, its subject; it is then a referrer of it.
//! - **upload**: [`UploadId`]: a session in which a blob is sent in parts.
//! - **mount**: to take a blob from another repository of the same registry instead of sending it.
//! - **operation**: [`Operation`]: one endpoint with its arguments.

mod code;
mod descriptor;
mod digest;
mod fold;
mod hasher;
mod hashers;
mod manifest;
mod media_type;
mod name;
mod operation;
mod page;
mod reference;
#[cfg(test)]
mod strategies;
mod tag;
mod text;
mod upload_id;

pub use code::{ErrorBody, ErrorCode};
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use fold::folded;
pub use hasher::{Hasher, InvalidCheckpoint};
pub use hashers::Hashers;
pub use manifest::{
    Expected, InvalidManifest, MAX_DEPTH, MAX_DESCRIPTORS, MAX_MANIFEST_BYTES, MAX_VALUES,
    Manifest, ManifestKind, inferred_media_type,
};
pub use media_type::{InvalidMediaType, MediaType};
pub use name::{InvalidName, RepoName};
pub use operation::{MAX_TAG_PARAMETERS, Operation, OperationError, Request};
pub use page::{InvalidPage, Page};
pub use reference::{InvalidReference, Reference};
pub use tag::{InvalidTag, Tag};
pub use upload_id::{InvalidUploadId, UploadId};
