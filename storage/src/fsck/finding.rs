//! What can be wrong, under which name, and how to mend it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Serialize, Serializer};

/// Findings of each severity that are kept; the rest is only counted.
pub const MAX_FINDINGS: usize = 10_000;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What kind of thing it is; a stable name.
    pub id: Kind,
    /// Whether it matters.
    pub severity: Severity,
    /// The key of the object, or what of the index.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// How to mend it.
    pub mend: &'static str,
}

/// Whether a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Something that was stored is gone, wrong, or would be lost by [`crate::reindex`].
    Error,
    /// Left over: it takes space and harms nothing.
    Note,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $severity:ident, $mend:literal;)*) => {
        /// Kinds of findings. Their names are a contract: scripts hold on to them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable name.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            const fn mend(self) -> &'static str {
                match self {
                    $(Self::$name => $mend,)*
                }
            }
        }
    };
}

kinds! {
    /// The index counts on bytes that are not there.
    BlobMissing = "blob.missing", Error,
        "restore the file from a backup, or push an image that holds it again";
    /// The bytes are more or fewer than the index says.
    BlobSize = "blob.size", Error,
        "restore the file from a backup, or delete it and push an image that holds it again";
    /// The bytes are not those of the digest.
    BlobHash = "blob.hash", Error,
        "restore the file from a backup, or delete it and push an image that holds it again";
    /// Bytes that nothing in the index counts on.
    BlobUnreferenced = "blob.unreferenced", Note,
        "nothing needs it; a push of the same content will use it";
    /// The index knows what no link object says.
    LinkMissing = "link.missing", Error,
        "what is served does not depend on it, but a reindex would lose it: push the image again";
    /// A link object that the index knows nothing of.
    LinkStray = "link.stray", Error,
        "if the index was restored from an older copy: stop the server and run `slipway storage reindex`; \
         if it was deleted on purpose: delete the file";
    /// A link object says something else than the index.
    LinkContent = "link.content", Error,
        "the index counts; push the image again to have the link written anew";
    /// A link object is not written yet.
    LinkPending = "link.pending", Note,
        "the server writes it at once, or when it starts";
    /// A link object of something that is no longer there.
    LinkLeftover = "link.leftover", Note,
        "nothing needs it; it can be deleted";
    /// A manifest that cannot be served.
    ManifestRefused = "manifest.refused", Error,
        "pull it from where it is still served, convert it with `skopeo copy --format oci`, and push it again";
    /// The index says of a manifest what its bytes do not.
    ManifestFacts = "manifest.facts", Error,
        "stop the server and run `slipway storage reindex`";
    /// The index has other names in a manifest than its bytes.
    ManifestEdges = "manifest.edges", Error,
        "stop the server and run `slipway storage reindex`";
    /// The repository does not hold a blob that a manifest needs.
    ManifestIncomplete = "manifest.incomplete", Error,
        "push the image again";
    /// A tag points to what the repository does not hold.
    TagDangling = "tag.dangling", Error,
        "push the tag again, or delete it";
    /// Bytes of an upload that is over.
    UploadOrphan = "upload.orphan", Note,
        "nothing needs it; it can be deleted while the server is stopped";
    /// A file that is none of ours.
    FileUnknown = "file.unknown", Note,
        "nothing reads it; move it elsewhere if it is yours";
    /// The database itself.
    IndexDamaged = "index.damaged", Error,
        "stop the server and run `slipway storage reindex`";
}

impl Finding {
    pub(crate) fn new(id: Kind, place: impl fmt::Display, what: impl Into<String>) -> Self {
        Self {
            id,
            severity: id.severity(),
            place: place.to_string(),
            what: what.into(),
            mend: id.mend(),
        }
    }

    /// The same where it harms nothing.
    pub(crate) fn noted(mut self) -> Self {
        self.severity = Severity::Note;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id, place, what, ..
        } = self;
        write!(f, "{id} {place}: {what}")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// Findings, counted; the first [`MAX_FINDINGS`] of each severity in full.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// How many are errors.
    pub errors: u64,
    /// How many are notes.
    pub notes: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// The findings.
    #[serde(rename = "findings")]
    pub list: Vec<Finding>,
    /// One thing may be found from both sides.
    #[serde(skip)]
    seen: HashSet<(Kind, String)>,
}

impl Findings {
    /// Nothing is wrong: there may be notes.
    pub fn is_clean(&self) -> bool {
        self.errors == 0
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        let is_kept = self.count(finding.severity) < MAX_FINDINGS as u64;
        if is_kept && !self.seen.insert((finding.id, finding.place.clone())) {
            return;
        }
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Note => self.notes += 1,
        }
        *self.kinds.entry(finding.id).or_default() += 1;
        if is_kept {
            self.list.push(finding);
        }
    }

    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    fn count(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Error => self.errors,
            Severity::Note => self.notes,
        }
    }
}
