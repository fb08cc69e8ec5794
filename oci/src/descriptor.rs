//! Descriptors: how one piece of content names another.

use std::collections::BTreeMap;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Digest, MediaType};

#[cfg(test)]
mod tests;

/// A descriptor (image-spec `descriptor.md`): the type, digest and size of some content, and what is said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The content's address.
    pub digest: Digest,
    /// The content's length in bytes; at most `i64::MAX`, as clients read it into a signed number.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// What kind of artifact it is, where the content is a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Words about it.
    #[serde(
        default,
        deserialize_with = "annotations",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Where else it is to be had.
    #[serde(
        default,
        deserialize_with = "urls",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// The content itself, base64 (RFC 4648); not checked here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What machine an image is for (image-spec `image-index.md`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Value>,
}

impl Descriptor {
    /// A descriptor that says no more than it must.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            artifact_type: None,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
            data: None,
            platform: None,
        }
    }

    /// Whether a registry may take a manifest that names this without having the content: the type says that it may
    /// not be distributed, or it is to be had from elsewhere.
    pub fn may_be_absent(&self) -> bool {
        self.media_type.is_non_distributable() || !self.urls.is_empty()
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    if i64::try_from(size).is_ok() {
        Ok(size)
    } else {
        Err(Error::custom("a size over 2^63-1"))
    }
}

/// `null` is what Go writes for a list without items.
fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A map of strings in which no key comes twice; `null` is an empty one.
pub(crate) fn annotations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    struct Unique;

    impl<'de> Visitor<'de> for Unique {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<String, String>()? {
                if map.insert(key, value).is_some() {
                    return Err(Error::custom("an annotation is given twice"));
                }
            }
            Ok(map)
        }
    }

    deserializer.deserialize_any(Unique)
}
