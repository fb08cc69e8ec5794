//! The name of an image in an OCI layout.

use std::fmt;

use anyhow::Context as _;
use oci::{Descriptor, Tag};

/// The annotation of an entry in a layout's index that holds its name (image-spec `annotations.md`).
pub(super) const TAG: &str = "org.opencontainers.image.ref.name";

/// What [`TAG`] holds: of what skopeo, crane and this program
/// write a tag, of what podman and buildah write the whole name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefName(String);

impl RefName {
    /// More than any name of an image.
    const MAX: usize = 512;

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@/+".contains(&byte);
        let is_name = text.len() <= Self::MAX
            && text.bytes().all(is_of_it)
            && text
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric());
        is_name.then(|| Self(text.to_owned())).with_context(|| {
            format!("{text:?} names no image in a layout: write a tag, as v1, or a whole name")
        })
    }

    /// It as a tag, if it is one.
    pub(super) fn tag(&self) -> Option<Tag> {
        Tag::parse(&self.0).ok()
    }

    /// What the images are called of which one can be named.
    pub(super) fn all(entries: &[Descriptor]) -> String {
        let names = entries
            .iter()
            .filter_map(|entry| entry.annotations.get(TAG));
        let names: Vec<_> = names.map(String::as_str).collect();
        if names.is_empty() {
            "none has a name".to_owned()
        } else {
            names.join(", ")
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Tag> for RefName {
    fn from(tag: &Tag) -> Self {
        Self(tag.to_string())
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
