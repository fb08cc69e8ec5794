//! Where everything lies: the layout of CNCF Distribution, so that its directories are served in
//! place and ours can be taken back to it.
//!
//! ```text
//! docker/registry/v2/
//!   blobs/<algorithm>/<first two hex digits>/<hex>/data         the bytes of blobs and manifests
//!   repositories/<name>/
//!     _layers/<algorithm>/<hex>/link                            the repository holds this blob
//!     _manifests/
//!       revisions/<algorithm>/<hex>/link                        … this manifest
//!       revisions/<algorithm>/<hex>/mediatype                   ours: its media type, only where
//!                                                               its bytes do not tell
//!       tags/<tag>/current/link                                 what the tag points to
//!       tags/<tag>/index/<algorithm>/<hex>/link                 what it points or pointed to
//!     _uploads/<uuid>/data                                      the bytes of an upload session so far
//! .slipway-scratch/<uuid>                                       ours: what is on its way to its name
//!                                                               and of no use once the server stops
//! .slipway-lock                                                 ours: held by the process that writes here
//! ```
//!
//! A link's content is the digest as text, without a line break.

#[cfg(test)]
mod tests;

use oci::{Algorithm, Digest, RepoName, Tag, UploadId};

use crate::{Key, Prefix};

/// The folder of everything that Distribution knows.
pub(crate) const ROOT: &str = "docker/registry/v2";
const BLOBS: &str = "docker/registry/v2/blobs";
/// Where things are written before they get their name, when nobody can go on with them later.
pub(crate) const SCRATCH: &str = ".slipway-scratch";
/// What the process that writes here holds.
pub(crate) const LOCK: &str = ".slipway-lock";

/// A key, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The bytes of a blob or manifest.
    Blob(Digest),
    /// The repository holds the blob.
    Layer(RepoName, Digest),
    /// The repository holds the manifest.
    Revision(RepoName, Digest),
    /// The manifest's media type.
    MediaType(RepoName, Digest),
    /// What the tag points to.
    TagCurrent(RepoName, Tag),
    /// What the tag points or pointed to.
    TagIndex(RepoName, Tag, Digest),
    /// Anything of an upload session: its bytes, and what Distribution keeps beside them.
    Upload(RepoName, UploadId),
}

/// The bytes of a blob or manifest.
pub fn blob(digest: &Digest) -> Key {
    let (algorithm, hex) = parts(digest);
    Key::new(format!("{ROOT}/blobs/{algorithm}/{}/{hex}/data", &hex[..2]))
}

/// The link that makes a blob one of the repository's.
pub fn layer(repo: &RepoName, digest: &Digest) -> Key {
    let (algorithm, hex) = parts(digest);
    Key::new(format!(
        "{ROOT}/repositories/{repo}/_layers/{algorithm}/{hex}/link"
    ))
}

/// The link that makes a manifest one of the repository's.
pub fn revision(repo: &RepoName, digest: &Digest) -> Key {
    Key::new(format!("{}/link", revision_folder(repo, digest)))
}

/// The media type of a manifest whose bytes do not tell.
pub fn media_type(repo: &RepoName, digest: &Digest) -> Key {
    Key::new(format!("{}/mediatype", revision_folder(repo, digest)))
}

/// What a tag points to.
pub fn tag_current(repo: &RepoName, tag: &Tag) -> Key {
    Key::new(format!("{}current/link", tag_folder(repo, tag)))
}

/// What a tag points or pointed to.
pub fn tag_index(repo: &RepoName, tag: &Tag, digest: &Digest) -> Key {
    let (algorithm, hex) = parts(digest);
    Key::new(format!(
        "{}index/{algorithm}/{hex}/link",
        tag_folder(repo, tag)
    ))
}

/// Everything of a tag.
pub fn tag(repo: &RepoName, tag: &Tag) -> Prefix {
    Prefix::new(tag_folder(repo, tag))
}

/// The bytes of an upload so far.
pub fn staged(repo: &RepoName, id: &UploadId) -> Key {
    Key::new(format!("{ROOT}/repositories/{repo}/_uploads/{id}/data"))
}

/// What Distribution and we keep of the repository's upload sessions.
pub fn uploads(repo: &RepoName) -> Prefix {
    Prefix::new(format!("{ROOT}/repositories/{repo}/_uploads/"))
}

/// The bytes of a blob that arrives in one request.
pub fn scratch(id: &UploadId) -> Key {
    Key::new(format!("{SCRATCH}/{id}"))
}

/// All blobs.
pub fn blobs() -> Prefix {
    Prefix::new(format!("{ROOT}/blobs/"))
}

/// All repositories.
pub fn repositories() -> Prefix {
    Prefix::new(format!("{ROOT}/repositories/"))
}

/// Whether this folder, as a path from the root, is kept when nothing is in it: the top of the tree, which has at most
/// some hundreds of folders.
pub(crate) fn stays(folder: &str) -> bool {
    let depth = folder.split('/').filter(|part| !part.is_empty()).count();
    // `docker/registry/v2/repositories`, and below `blobs` the algorithm and two digits.
    let kept = if folder.starts_with(BLOBS) { 6 } else { 4 };
    folder == SCRATCH || depth <= kept
}

/// Reads a key. `None`: it is none of the layout's.
///
/// Read from the right, because a repository may have any depth; no part of a repository's name
/// begins with `_`, so the first such part ends it.
pub fn parse(key: &str) -> Option<Place> {
    let path = key.strip_prefix(ROOT)?.strip_prefix('/')?;
    if let Some(path) = path.strip_prefix("blobs/") {
        let [algorithm, two, hex, "data"] = split(path)? else {
            return None;
        };
        return (hex.get(..2) == Some(two))
            .then(|| digest(algorithm, hex))?
            .map(Place::Blob);
    }
    let path = path.strip_prefix("repositories/")?;
    let (name, rest) = path.split_once("/_")?;
    let repo = RepoName::parse(name).ok()?;
    let (kind, rest) = rest.split_once('/')?;
    match kind {
        "layers" => match split(rest)? {
            [algorithm, hex, "link"] => Some(Place::Layer(repo, digest(algorithm, hex)?)),
            _ => None,
        },
        "manifests" => manifest(repo, rest),
        "uploads" => {
            let (id, _) = rest.split_once('/')?;
            Some(Place::Upload(repo, UploadId::parse(id).ok()?))
        }
        _ => None,
    }
}

fn manifest(repo: RepoName, rest: &str) -> Option<Place> {
    if let Some([algorithm, hex, file]) = rest.strip_prefix("revisions/").and_then(split) {
        let digest = digest(algorithm, hex)?;
        return match file {
            "link" => Some(Place::Revision(repo, digest)),
            "mediatype" => Some(Place::MediaType(repo, digest)),
            _ => None,
        };
    }
    let (tag, rest) = rest.strip_prefix("tags/")?.split_once('/')?;
    let tag = Tag::parse(tag).ok()?;
    if rest == "current/link" {
        return Some(Place::TagCurrent(repo, tag));
    }
    match split(rest.strip_prefix("index/")?)? {
        [algorithm, hex, "link"] => Some(Place::TagIndex(repo, tag, digest(algorithm, hex)?)),
        _ => None,
    }
}

/// Exactly `N` parts.
fn split<const N: usize>(path: &str) -> Option<[&str; N]> {
    let mut parts = path.split('/');
    let mut found = [""; N];
    for place in &mut found {
        *place = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

fn digest(algorithm: &str, hex: &str) -> Option<Digest> {
    Digest::parse(&format!("{algorithm}:{hex}")).ok()
}

fn parts(digest: &Digest) -> (&'static str, String) {
    (Algorithm::as_str(digest.algorithm()), digest.hex())
}

fn revision_folder(repo: &RepoName, digest: &Digest) -> String {
    let (algorithm, hex) = parts(digest);
    format!("{ROOT}/repositories/{repo}/_manifests/revisions/{algorithm}/{hex}")
}

fn tag_folder(repo: &RepoName, tag: &Tag) -> String {
    format!("{ROOT}/repositories/{repo}/_manifests/tags/{tag}/")
}
