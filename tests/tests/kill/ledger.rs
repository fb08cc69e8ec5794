//! What one writer was told is done, and what it does not know.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::api::digest_of;
use tests::{Api, OrFail};

/// What is known of one thing on the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Known {
    /// Acknowledged, or seen after a restart.
    Present,
    /// Its delete was acknowledged, or it was seen to be absent after a restart.
    Absent,
    /// A write or delete of it was under way when the server died.
    Unsure,
}

/// A manifest that the writer pushed, and the layers and config that it names.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) repository: String,
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) known: Known,
}

/// An upload in chunks, left open.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) repository: String,
    pub(crate) location: String,
    pub(crate) content: Vec<u8>,
}

/// One writer's book. Tags and manifests in it are that writer's alone; layers are shared with others.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) writer: u64,
    /// Writes and deletes that the server acknowledged.
    pub(crate) acknowledged: u64,
    /// By digest.
    pub(crate) images: BTreeMap<String, Image>,
    /// (repository, tag) → the digests it may name; `None` among them when it may be absent.
    pub(crate) tags: BTreeMap<(String, String), Vec<Option<String>>>,
    /// (repository, digest) → a blob that no manifest names.
    pub(crate) blobs: BTreeMap<(String, String), Known>,
    /// (repository, digest) of layers and configs acknowledged since the last check, whether or not a
    /// manifest came to name them.
    pub(crate) leaves: Vec<(String, String)>,
    pub(crate) upload: Option<Upload>,
}

/// Repository, reference, manifest of something in the book.
pub(crate) type Sample = (String, String, Vec<u8>);

impl Ledger {
    pub(crate) fn new(writer: u64) -> Self {
        Self {
            writer,
            acknowledged: 0,
            images: BTreeMap::new(),
            tags: BTreeMap::new(),
            blobs: BTreeMap::new(),
            leaves: Vec::new(),
            upload: None,
        }
    }

    /// An image that is there, a tag that is set, a manifest that was deleted: once the book has all three.
    pub(crate) fn samples(&self) -> Option<[Sample; 3]> {
        let image = |known: Known| {
            let (digest, image) = self.images.iter().find(|(_, image)| image.known == known)?;
            Some((
                image.repository.clone(),
                digest.clone(),
                image.manifest.clone(),
            ))
        };
        let set = self
            .tags
            .iter()
            .find(|(_, names)| names.iter().all(Option::is_some));
        let ((repository, tag), _) = set?;
        let tag = (repository.clone(), tag.clone(), Vec::new());
        Some([image(Known::Present)?, tag, image(Known::Absent)?])
    }

    /// Looks at everything in the book: what was unsure becomes what is seen, what was known must be so.
    pub(crate) fn settle_and_check(&mut self, api: &Api) -> Vec<String> {
        let mut lost = Vec::new();
        for (digest, image) in &mut self.images {
            check_image(api, digest, image, &mut lost);
        }
        for ((repository, tag), names) in &mut self.tags {
            let reply = api.manifest(repository, tag).or_fail("ask for a tag");
            let seen = match reply.status.as_u16() {
                200 => Some(digest_of(&reply.body)),
                404 => None,
                status => {
                    lost.push(format!(
                        "{repository}:{tag} answers {status}: {}",
                        reply.text()
                    ));
                    continue;
                }
            };
            if !names.contains(&seen) {
                lost.push(format!(
                    "{repository}:{tag} is {seen:?}, should be one of {names:?}"
                ));
            }
            if let Some(digest) = &seen
                && self
                    .images
                    .get(digest)
                    .is_none_or(|image| image.known != Known::Present)
            {
                lost.push(format!(
                    "{repository}:{tag} names {digest}, which is not there by its digest"
                ));
            }
            *names = vec![seen];
        }
        for (repository, digest) in self.leaves.drain(..) {
            let reply = api
                .head(&format!("/v2/{repository}/blobs/{digest}"))
                .or_fail("ask for a leaf");
            if reply.status != 200 {
                lost.push(format!(
                    "blob {repository}@{digest} answers {}",
                    reply.status
                ));
            }
        }
        for ((repository, digest), known) in &mut self.blobs {
            let reply = api
                .get(&format!("/v2/{repository}/blobs/{digest}"))
                .or_fail("ask for a blob");
            let seen = match reply.status.as_u16() {
                200 if digest_of(&reply.body) == *digest => Known::Present,
                404 => Known::Absent,
                status => {
                    lost.push(format!("blob {repository}@{digest} answers {status}"));
                    continue;
                }
            };
            settle(
                known,
                seen,
                &format!("blob {repository}@{digest}"),
                &mut lost,
            );
        }
        lost
    }
}

/// The digest of a manifest's first layer.
pub(crate) fn layer_digest(manifest: &[u8]) -> String {
    let manifest: Value = serde_json::from_slice(manifest).or_fail("parse a manifest");
    manifest["layers"][0]["digest"]
        .as_str()
        .or_fail("a layer's digest")
        .to_owned()
}

fn check_image(api: &Api, digest: &str, image: &mut Image, lost: &mut Vec<String>) {
    let repository = &image.repository;
    let reply = api
        .manifest(repository, digest)
        .or_fail("ask for a manifest");
    let seen = match reply.status.as_u16() {
        200 if reply.body == image.manifest => Known::Present,
        404 => Known::Absent,
        status => {
            return lost.push(format!(
                "{repository}@{digest} answers {status} with other bytes or an error"
            ));
        }
    };
    settle(
        &mut image.known,
        seen,
        &format!("{repository}@{digest}"),
        lost,
    );
    if seen == Known::Absent {
        return;
    }
    // What is served as a manifest must be whole: every blob readable in the same repository.
    for blob in &image.blobs {
        let name = digest_of(blob);
        let reply = api
            .get(&format!("/v2/{repository}/blobs/{name}"))
            .or_fail("ask for a blob of an image");
        if reply.status != 200 || &reply.body != blob {
            lost.push(format!(
                "blob {name} of {repository}@{digest} answers {}",
                reply.status
            ));
        }
    }
}

fn settle(known: &mut Known, seen: Known, name: &str, lost: &mut Vec<String>) {
    if *known != Known::Unsure && *known != seen {
        lost.push(format!("{name} is {seen:?}, should be {known:?}"));
    }
    *known = seen;
}
