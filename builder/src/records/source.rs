//! What is built: a repository, or what is in the registry.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// Where the source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum SourceSpec {
    /// A git repository.
    #[serde(rename_all = "camelCase")]
    Git {
        /// `https://…`, `ssh://…` or `user@host:path`.
        url: String,
        /// A branch, a tag or a commit; absent: the repository's default branch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// The folder of the repository to build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context_dir: Option<String>,
        /// The secret for the server: `username` and `password`, or `ssh-privatekey` (and `known_hosts`). Its file `hosts` names
        /// the servers that it may be shown to, one a line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
        /// Whether submodules come too.
        #[serde(default)]
        submodules: bool,
        /// Whether files of Git LFS come too.
        #[serde(default)]
        lfs: bool,
    },
    /// A source snapshot in this registry: what `slipway build run --dir` sends, and what every run keeps.
    #[serde(rename_all = "camelCase")]
    Image {
        /// `repository@digest` or `repository:tag` of an artifact with one layer, a tar.
        reference: String,
    },
}

impl SourceSpec {
    /// Whether the same commit of both is the same source: they differ in nothing but which commit is meant, and by which secret.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let alike = |source: &Self| {
            let mut source = source.clone();
            if let Self::Git {
                revision, secret, ..
            } = &mut source
            {
                (*revision, *secret) = (None, None);
            }
            source
        };
        alike(self) == alike(other)
    }
}

impl<'de> Deserialize<'de> for SourceSpec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(from)?;
        match written.kind {
            Kind::Git => written.git(),
            Kind::Image => written.image(),
        }
    }
}

/// A source as it is written, with the keys of all kinds: what serde makes for an enum with a tag reads all of it before it judges any, and
/// then its errors have no place.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    kind: Kind,
    url: Option<String>,
    revision: Option<String>,
    context_dir: Option<String>,
    secret: Option<String>,
    submodules: Option<bool>,
    lfs: Option<bool>,
    reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Git,
    Image,
}

/// The keys of each kind, for errors.
const OF_GIT: &[&str] = &[
    "kind",
    "url",
    "revision",
    "contextDir",
    "secret",
    "submodules",
    "lfs",
];
const OF_IMAGE: &[&str] = &["kind", "reference"];

impl Written {
    fn git<E: Error>(self) -> Result<SourceSpec, E> {
        if self.reference.is_some() {
            return Err(E::unknown_field("reference", OF_GIT));
        }
        Ok(SourceSpec::Git {
            url: self.url.ok_or_else(|| E::missing_field("url"))?,
            revision: self.revision,
            context_dir: self.context_dir,
            secret: self.secret,
            submodules: self.submodules.unwrap_or_default(),
            lfs: self.lfs.unwrap_or_default(),
        })
    }

    fn image<E: Error>(self) -> Result<SourceSpec, E> {
        let others = [
            ("url", self.url.is_some()),
            ("revision", self.revision.is_some()),
            ("contextDir", self.context_dir.is_some()),
            ("secret", self.secret.is_some()),
            ("submodules", self.submodules.is_some()),
            ("lfs", self.lfs.is_some()),
        ];
        if let Some((other, _)) = others.iter().find(|(_, is_there)| *is_there) {
            return Err(E::unknown_field(other, OF_IMAGE));
        }
        let reference = self.reference;
        let reference = reference.ok_or_else(|| E::missing_field("reference"))?;
        Ok(SourceSpec::Image { reference })
    }
}
