//! How programs write the same bytes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// As it is, in a URL, in JSON.
pub(super) fn plain(content: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([content.to_vec()]);
    for set in [NON_ALPHANUMERIC, UNRESERVED, COMPONENT] {
        let upper = percent_encode(content, set).to_string();
        forms.insert(lower_escapes(&upper).into_bytes());
        forms.insert(upper.into_bytes());
    }
    if let Ok(text) = std::str::from_utf8(content)
        && let Ok(json) = serde_json::to_string(text)
    {
        forms.insert(json.trim_matches('"').as_bytes().to_vec());
    }
    forms
}

/// In hex, and in base64 wherever it stands in what is encoded: its digits depend on how many bytes come before it, modulo
/// three. Those that depend on their neighbours' content as well are left out.
pub(super) fn digits(content: &[u8]) -> BTreeSet<Vec<u8>> {
    let lower = hex(content);
    let upper = lower.to_ascii_uppercase();
    let mut forms = BTreeSet::from([lower.into_bytes(), upper.into_bytes()]);
    for before in 0..3 {
        let padded = [&[0; 3][..before], content].concat();
        let (first, end) = ((8 * before).div_ceil(6), 8 * padded.len() / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let digits = engine.encode(&padded).into_bytes();
            forms.insert(digits[first..end].to_vec());
        }
    }
    forms
}

/// The lines of base64 and hex as programs fold them: `base64` (coreutils) and MIME after 76 digits, `openssl` and PEM after 64,
/// `xxd -p` after 60. A line's end after the content changes the last digits.
pub(super) fn folded(content: &[u8]) -> BTreeSet<Vec<u8>> {
    let with_end = [content, b"\n"].concat();
    let mut rows = BTreeSet::new();
    for content in [content, &with_end] {
        let base64 = STANDARD.encode(content);
        for (digits, width) in [(&base64, 76), (&base64, 64), (&hex(content), 60)] {
            rows.extend(digits.as_bytes().chunks(width).map(<[u8]>::to_vec));
        }
    }
    rows
}

/// Whether a byte is a digit of base64.
pub(super) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

fn hex(content: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * content.len());
    for byte in content {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn lower_escapes(text: &str) -> String {
    let mut lower = String::with_capacity(text.len());
    let mut digits = 0;
    for character in text.chars() {
        let is_digit = digits > 0;
        digits = if character == '%' {
            2
        } else {
            digits.max(1) - 1
        };
        lower.push(if is_digit {
            character.to_ascii_lowercase()
        } else {
            character
        });
    }
    lower
}

/// RFC 3986 section 2.3.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// What `encodeURIComponent` leaves (ECMA-262).
const COMPONENT: &AsciiSet = &UNRESERVED
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
