//! What of a secret's file is looked for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

mod keys;
mod urls;

/// Bytes of a file that are looked for in one piece.
const PIECE: usize = 1 << 10;

/// Of a longer file only its beginning is looked for.
pub(super) const MOST: usize = 64 << 10;

/// What is shorter is not looked for: it would be found everywhere.
pub(super) const MIN: usize = 8;

/// A word of a file is a secret by itself, wherever it is found, from this length on.
const TOKEN: usize = 20;

/// Bytes that are looked for.
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    /// Where there is no room for all parts, those of low rank come first.
    pub(super) rank: u8,
    pub(super) weight: Weight,
}

/// Where bytes must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Nobody may have them in an image.
    Refused,
    /// The same, unless the source or the base image has them too: ids and sums look as tokens do.
    Doubtful,
    /// They are hidden in a log, which is spared more: what is hidden there by mistake harms nobody.
    Masked,
}

impl Part {
    fn of(rank: u8, weight: Weight, bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            rank,
            weight,
        }
    }

    fn refused(rank: u8, bytes: &[u8]) -> Self {
        Self::of(rank, Weight::Refused, bytes)
    }

    fn masked(bytes: &[u8]) -> Self {
        Self::of(2, Weight::Masked, bytes)
    }
}

/// The parts of a file without blanks around it: the whole, in pieces if it is long; the keys in PEM blocks, however their lines
/// are broken, and as the bytes that they stand for; each line; each word that looks like no word of a language; what stands
/// behind a key such as `password`, and what that stands for in base64; the passwords in URLs.
pub(super) fn parts(content: &[u8]) -> Vec<Part> {
    let content = &content[..content.len().min(MOST)];
    let pieces = content.chunks(PIECE).enumerate();
    let mut parts: Vec<Part> = pieces
        .map(|(number, piece)| Part::refused(if number == 0 { 0 } else { 3 }, piece))
        .collect();
    let mut block: Option<Block> = None;
    for line in content.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.trim_ascii();
        if let Some(begun) = Block::begun_by(line) {
            block = Some(begun);
        } else if line.starts_with(b"-----") {
            parts.extend(block.take().into_iter().flat_map(Block::parts));
        } else {
            if let Some(block) = &mut block {
                block.digits.extend_from_slice(line);
            }
            if is_telling(line) {
                parts.push(Part::masked(&line[..line.len().min(PIECE)]));
            }
            // Of a certificate everybody may have each line.
            if block.as_ref().is_none_or(|block| block.is_private) {
                parts.extend(words(line));
                let doubtful = |value: &[u8]| Part::of(1, Weight::Doubtful, head(value));
                parts.extend(keys::values(line).map(doubtful));
                let meant = keys::values(line).filter_map(urls::encoded);
                let meant = meant.chain(urls::passwords(line));
                parts.extend(meant.map(|value| doubtful(&value)));
            }
        }
    }
    parts.retain(|part| part.bytes.len() >= MIN);
    parts
}

/// A block of PEM (RFC 7468).
struct Block {
    is_private: bool,
    digits: Vec<u8>,
}

impl Block {
    fn begun_by(line: &[u8]) -> Option<Self> {
        let label = line.strip_prefix(b"-----BEGIN ")?;
        Some(Self {
            is_private: label.windows(11).any(|words| words == b"PRIVATE KEY"),
            digits: Vec::new(),
        })
    }

    fn parts(self) -> Vec<Part> {
        if !self.is_private {
            return Vec::new();
        }
        let mut parts = vec![Part::refused(1, head(&self.digits))];
        if let Ok(der) = STANDARD.decode(&self.digits) {
            parts.push(Part::refused(1, head(&der)));
        }
        parts
    }
}

fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(PIECE)]
}

/// What stands between blanks, quotes and signs: the value of `key=value`, of a member of JSON, of an element of XML, a token
/// in a URL.
fn words(line: &[u8]) -> impl Iterator<Item = Part> {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`,;:<>=@".contains(byte);
    let words = line.split(ends).map(head);
    words.filter_map(|word| {
        if is_token(word) {
            Some(Part::refused(1, word))
        } else if is_id(word) {
            Some(Part::of(1, Weight::Doubtful, word))
        } else {
            is_odd(word).then(|| Part::masked(word))
        }
    })
}

/// Whether a line is more than a rule or an indentation.
fn is_telling(text: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in text {
        seen[usize::from(*byte)] = true;
    }
    text.len() >= MIN && seen.iter().filter(|seen| **seen).count() >= 5
}

/// Whether a word is hidden in a log: it has letters and digits.
fn is_odd(word: &[u8]) -> bool {
    is_telling(word)
        && word.iter().any(u8::is_ascii_alphabetic)
        && word.iter().any(u8::is_ascii_digit)
}

/// Whether a word is such as machines make for each other: long, of the digits of base64 or base64url (or several with dots, as
/// in a JSON Web Token), small, large and figures. Names of hosts, files and versions are none.
fn is_token(word: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| word.iter().any(kind);
    let of = |more: &[u8]| {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || more.contains(byte);
        word.iter().all(fits)
    };
    word.len() >= TOKEN
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit)
        && (of(b"-_.") || (of(b"+/") && !word.starts_with(b"/")))
}

/// Whether a word is a UUID, or digits in hex, base32 or base36: of figures and letters of one case. Many a registry's tokens are,
/// and many a sum.
fn is_id(word: &[u8]) -> bool {
    let figures = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let of = |letters: fn(&u8) -> bool| {
        let fits = |byte: &u8| byte.is_ascii_digit() || letters(byte);
        word.iter().all(fits)
    };
    word.len() >= TOKEN
        && is_telling(word)
        && figures >= 4
        && word.iter().any(u8::is_ascii_alphabetic)
        && (of(u8::is_ascii_lowercase)
            || of(u8::is_ascii_uppercase)
            || of(|byte| b"abcdef-".contains(byte))
            || of(|byte| b"ABCDEF-".contains(byte)))
}
