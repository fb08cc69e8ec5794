//! Tags, and the tags that older clients use in place of the referrers API.

use std::sync::Arc;

use crate::{Algorithm, Digest};

#[cfg(test)]
mod tests;

/// A tag (distribution-spec, "Pulling manifests"): `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
///
/// Never `.` or `..`, so safe as a file name. Cheap to clone; orders by bytes, as tag lists must.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Longest tag in bytes.
    pub const MAX_LEN: usize = 128;

    /// Reads a tag.
    pub fn parse(text: &str) -> Result<Self, InvalidTag> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match text.as_bytes() {
            [first, rest @ ..]
                if is_word(*first)
                    && rest.len() < Self::MAX_LEN
                    && rest.iter().all(|b| is_word(*b) || matches!(b, b'.' | b'-')) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidTag),
        }
    }

    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag under which clients without the referrers API keep the list of `subject`'s referrers
    /// (distribution-spec, "Referrers Tag Schema"): `sha256-<hex>`, the hex cut to 64 digits.
    pub fn referrers_of(subject: &Digest) -> Self {
        let mut hex = subject.hex();
        hex.truncate(64);
        Self(format!("{}-{hex}", subject.algorithm()).into())
    }

    /// The subject whose referrers this tag lists, if it is such a tag.
    ///
    /// `None` also for sha512: the schema cuts its hex in half, so the digest cannot be had back;
    /// compare with [`Tag::referrers_of`] of the subject at hand instead.
    pub fn as_referrers_fallback(&self) -> Option<Digest> {
        let hex = self.0.strip_prefix("sha256-")?;
        let mut text = [0; 7 + 64];
        if hex.len() != Algorithm::Sha256.hex_len() {
            return None;
        }
        text[..7].copy_from_slice(b"sha256:");
        text[7..].copy_from_slice(hex.as_bytes());
        Digest::parse(std::str::from_utf8(&text).ok()?).ok()
    }
}

/// A text is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid tag: 1 to 128 letters, digits, '_', '.' and '-', beginning with a letter, digit or '_'"
)]
pub struct InvalidTag;

crate::text::text_form!(Tag, InvalidTag);
crate::text::str_form!(Tag);
