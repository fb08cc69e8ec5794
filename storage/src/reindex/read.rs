//! From a key below the repositories to the fact that it stands for.

use std::sync::Arc;

use oci::{Digest, Manifest, MediaType, RepoName, Tag};

use super::Link;
use crate::fsck::{Finding, Kind, object, quoted};
use crate::index::{self, Fact};
use crate::{Key, ObjectStore, StorageError, content, layout};

/// What a key came to.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Facts, each with the key that says so.
    pub(super) facts: Vec<(Key, Fact)>,
    pub(super) finding: Option<Finding>,
    pub(super) hashed_bytes: u64,
}

impl Read {
    pub(super) fn fact(key: &Key, fact: Fact) -> Self {
        Self {
            facts: vec![(key.clone(), fact)],
            ..Self::default()
        }
    }

    pub(super) fn finding(finding: Finding) -> Self {
        Self {
            finding: Some(finding),
            ..Self::default()
        }
    }
}

pub(super) async fn link(
    store: &Arc<dyn ObjectStore>,
    key: Key,
    link: Link,
) -> Result<Read, StorageError> {
    let store = &**store;
    match link {
        Link::Layer(repo, digest) => {
            let stale = index::Link::Layer(repo.clone(), digest);
            let fact = Fact::Layer { repo, digest };
            named(store, &key, &digest, fact, stale).await
        }
        Link::Revision(repo, digest, beside) => {
            let manifest = match manifest(store, &digest, beside.as_ref()).await? {
                Ok(manifest) => Box::new(manifest),
                Err(problem) => return Ok(Read::finding(problem.at(key))),
            };
            let stale = index::Link::Revision(repo.clone(), digest);
            let fact = Fact::Manifest { repo, manifest };
            named(store, &key, &digest, fact, stale).await
        }
        Link::Tag(repo, tag) => tagged(store, key, repo, tag).await,
        Link::Upload => {
            let what = "an upload of the old index: its client has to start anew";
            Ok(Read::finding(Finding::new(Kind::UploadOrphan, key, what)))
        }
        Link::Nothing => Ok(Read::default()),
        Link::Unknown => {
            let what = "not of the layout";
            Ok(Read::finding(Finding::new(Kind::FileUnknown, key, what)))
        }
    }
}

/// A link whose place says already what it must say. So an empty one, as a loss of power leaves
/// it, loses nothing: it is recorded, and written again when the server starts. One that says
/// something else is believed in neither.
async fn named(
    store: &dyn ObjectStore,
    key: &Key,
    digest: &Digest,
    fact: Fact,
    stale: index::Link,
) -> Result<Read, StorageError> {
    let Some(said) = object::link(store, key).await? else {
        return Ok(Read::default());
    };
    if said == digest.to_string() {
        return Ok(Read::fact(key, fact));
    }
    if !said.is_empty() {
        let what = format!("{} instead of {digest}; it was left out", quoted(&said));
        return Ok(Read::finding(Finding::new(Kind::LinkContent, key, what)));
    }
    let what = "is empty; what it said is in its name, and the server will write it again";
    Ok(Read {
        facts: vec![(key.clone(), fact), (key.clone(), Fact::Stale(stale))],
        finding: Some(Finding::new(Kind::LinkContent, key, what).noted()),
        hashed_bytes: 0,
    })
}

/// What a tag points to is nowhere but in its link.
async fn tagged(
    store: &dyn ObjectStore,
    key: Key,
    repo: RepoName,
    tag: Tag,
) -> Result<Read, StorageError> {
    let Some(said) = object::link(store, &key).await? else {
        return Ok(Read::default());
    };
    let Ok(digest) = Digest::parse(&said) else {
        let what = format!(
            "{} instead of a digest; the tag was left out",
            quoted(&said)
        );
        return Ok(Read::finding(Finding::new(Kind::LinkContent, key, what)));
    };
    let entry = layout::tag_index(&repo, &tag, &digest);
    let stale = index::Link::Tag(repo.clone(), tag.clone());
    let mut read = Read::fact(&key, Fact::Tag { repo, tag, digest });
    if object::link(store, &entry).await? != Some(said) {
        read.facts.push((entry, Fact::Stale(stale)));
    }
    Ok(read)
}

/// Why a manifest is left out.
struct Problem(Kind, String);

impl Problem {
    fn at(self, key: Key) -> Finding {
        let Self(kind, what) = self;
        Finding::new(kind, key, what)
    }
}

async fn manifest(
    store: &dyn ObjectStore,
    digest: &Digest,
    beside: Option<&Key>,
) -> Result<Result<Manifest, Problem>, StorageError> {
    let refused = |why: String| {
        let what = format!("the manifest was left out: {why}");
        Ok(Err(Problem(Kind::ManifestRefused, what)))
    };
    let media_type = match beside {
        None => None,
        Some(beside) => {
            let said = object::link(store, beside).await?.unwrap_or_default();
            match MediaType::parse(&said) {
                Ok(media_type) => Some(media_type),
                Err(error) => {
                    return refused(format!(
                        "the media type beside it {}: {error}",
                        quoted(&said)
                    ));
                }
            }
        }
    };
    let Some(object) = object::open(store, &layout::blob(digest)).await? else {
        let what = format!("the bytes of manifest {digest} are not there; it was left out");
        return Ok(Err(Problem(Kind::BlobMissing, what)));
    };
    let size = object.size;
    if size > oci::MAX_MANIFEST_BYTES as u64 {
        return refused(oci::InvalidManifest::TooLarge.to_string());
    }
    let found = content::bytes(object).await?;
    match Manifest::parse(found, media_type.as_ref(), *digest) {
        Ok(manifest) => Ok(Ok(manifest)),
        Err(oci::InvalidManifest::DigestMismatch { actual }) => {
            let what =
                format!("the bytes of manifest {digest} have the digest {actual}; it was left out");
            Ok(Err(Problem(Kind::BlobHash, what)))
        }
        Err(error) => refused(error.to_string()),
    }
}
