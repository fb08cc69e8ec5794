//! Content digests: `algorithm:hex`, the address of every blob and manifest.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

#[cfg(test)]
mod tests;

/// A content digest (image-spec `descriptor.md`, section Digests): a hash algorithm and its raw output.
///
/// `Copy`, 65 bytes, no heap. Its text is `sha256:` or `sha512:` and lower-case hex of the exact length, so it
/// is safe as a path element. Digests order as their texts do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Raw);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Raw {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

impl Digest {
    /// Longest text: `sha512:` and 128 hex digits.
    pub const MAX_TEXT: usize = 7 + 128;

    /// Reads `sha256:<64 lower-case hex>` or `sha512:<128 lower-case hex>`, and nothing else.
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        let (algorithm, hex) = text
            .split_once(':')
            .ok_or(InvalidDigest::Malformed("there is no ':'"))?;
        match algorithm {
            "sha256" => decode(hex).map(|raw| Self(Raw::Sha256(raw))),
            "sha512" => decode(hex).map(|raw| Self(Raw::Sha512(raw))),
            _ if is_digest_grammar(algorithm, hex) => Err(InvalidDigest::UnsupportedAlgorithm),
            _ => Err(InvalidDigest::Malformed("the algorithm is not one")),
        }
    }

    /// The digest of `content`, hashed at once. Streams are hashed with [`crate::Hasher`].
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => Raw::Sha256(sha2::Sha256::digest(content).into()),
            Algorithm::Sha512 => Raw::Sha512(sha2::Sha512::digest(content).into()),
        })
    }

    /// A digest from raw hash output, as the index stores it; `None` if the length is not the algorithm's.
    pub fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Option<Self> {
        Some(Self(match algorithm {
            Algorithm::Sha256 => Raw::Sha256(raw.try_into().ok()?),
            Algorithm::Sha512 => Raw::Sha512(raw.try_into().ok()?),
        }))
    }

    pub(crate) fn from_sha256(raw: [u8; 32]) -> Self {
        Self(Raw::Sha256(raw))
    }

    pub(crate) fn from_sha512(raw: [u8; 64]) -> Self {
        Self(Raw::Sha512(raw))
    }

    /// Which hash made it.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Raw::Sha256(_) => Algorithm::Sha256,
            Raw::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The raw hash output: 32 or 64 bytes.
    pub fn raw(&self) -> &[u8] {
        match &self.0 {
            Raw::Sha256(raw) => raw,
            Raw::Sha512(raw) => raw,
        }
    }

    /// The lower-case hex alone, without the algorithm.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(self.algorithm().hex_len());
        for byte in self.raw() {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text
    }
}

/// Shows `sha256:<hex>`.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One write of one stack buffer: digests are printed on every request.
        let mut buffer = [0; Self::MAX_TEXT];
        let (prefix, hex) = buffer.split_at_mut(7);
        prefix[..6].copy_from_slice(self.algorithm().as_str().as_bytes());
        prefix[6] = b':';
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.raw()) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        let text = &buffer[..7 + self.algorithm().hex_len()];
        f.pad(std::str::from_utf8(text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash algorithms that are served: the two that image-spec registers and every client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256: what every client uses unless told otherwise.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Both, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name in digests: `sha256` or `sha512`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hex digits a digest has: 64 or 128.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or(InvalidDigest::UnsupportedAlgorithm)
    }
}

/// Why a text is no digest that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// Well-formed, but of an algorithm that is not served here.
    #[error("unsupported digest algorithm: use sha256 or sha512")]
    UnsupportedAlgorithm,
    /// No digest at all; the text says what is wrong.
    #[error(
        "not a digest, {0}: a digest is sha256: and 64, or sha512: and 128, lower-case hex digits"
    )]
    Malformed(&'static str),
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn decode<const N: usize>(hex: &str) -> Result<[u8; N], InvalidDigest> {
    if hex.len() != 2 * N {
        return Err(InvalidDigest::Malformed("the length is wrong"));
    }
    let mut raw = [0; N];
    for (byte, pair) in raw.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(raw)
}

fn nibble(digit: u8) -> Result<u8, InvalidDigest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Err(InvalidDigest::Malformed("the hex is upper case")),
        _ => Err(InvalidDigest::Malformed("a character is no hex digit")),
    }
}

/// The grammar of image-spec for any digest: tells "unsupported" from "malformed".
fn is_digest_grammar(algorithm: &str, encoded: &str) -> bool {
    let is_component = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    algorithm.split(['+', '.', '_', '-']).all(is_component)
        && !encoded.is_empty()
        && encoded
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

crate::text::text_form!(Digest, InvalidDigest);
