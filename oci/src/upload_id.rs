//! Names of upload sessions.

use std::fmt;

use uuid::{Uuid, Variant};

#[cfg(test)]
mod tests;

/// An upload session's name: a version 4 UUID (RFC 9562) in its one canonical text form, lower-case with hyphens.
///
/// 122 random bits, so that nobody guesses another's session; the form is what Distribution writes in `_uploads`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(Uuid);

impl UploadId {
    /// A name from 16 bytes of a cryptographic random source; version and variant bits are set over them.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(random).into_uuid())
    }

    /// Reads the canonical form only, so one session has one name in paths, logs and the index.
    pub fn parse(text: &str) -> Result<Self, InvalidUploadId> {
        let is_canonical = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
        match Uuid::try_parse(text) {
            Ok(id)
                if is_canonical
                    && id.get_version_num() == 4
                    && id.get_variant() == Variant::RFC4122 =>
            {
                Ok(Self(id))
            }
            _ => Err(InvalidUploadId),
        }
    }
}

/// A text is no upload session's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such upload: an upload is named by the URL of the last Location header, unchanged")]
pub struct InvalidUploadId;

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

crate::text::text_form!(UploadId, InvalidUploadId);
