//! The headers of an upload request: `Content-Range` in distribution-spec's own form, and
//! `Content-Length`.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, HeaderValue};
use storage::ChunkRange;

/// `Content-Range: <start>-<end>`, both inclusive, as distribution-spec §Pushing a blob in chunks
/// writes it; the `bytes start-end/total` of RFC 9110 is understood too, since clients send it.
///
/// `Err` holds what was wrong with it.
pub(super) fn content_range(headers: &HeaderMap) -> Result<Option<ChunkRange>, String> {
    let Some(value) = headers.get(CONTENT_RANGE) else {
        return Ok(None);
    };
    parse(value).map(Some).ok_or_else(|| {
        format!("Content-Range {value:?} is not <start>-<end> with start not after end")
    })
}

/// The body's length, if it was announced. hyper has refused malformed and repeated ones.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn parse(value: &HeaderValue) -> Option<ChunkRange> {
    let text = value.to_str().ok()?.trim();
    let text = match text.strip_prefix("bytes ") {
        Some(rest) => rest.split_once('/').map_or(rest, |(range, _total)| range),
        None => text,
    };
    let (start, end) = text.split_once('-')?;
    ChunkRange::new(number(start)?, number(end)?)
}

/// Digits only: `str::parse` would take a leading plus.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use http::HeaderValue;
    use proptest::prelude::*;
    use storage::ChunkRange;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let range = |start, end| ChunkRange::new(start, end);
        for (text, wanted) in [
            ("0-9", range(0, 9)),
            ("10-10", range(10, 10)),
            ("bytes 0-9/100", range(0, 9)),
            ("bytes 0-9/*", range(0, 9)),
            ("9-0", None),
            ("-1-2", None),
            ("+1-2", None),
            ("1-", None),
            ("", None),
            ("1-99999999999999999999", None),
        ] {
            assert_eq!(parse(&HeaderValue::from_static(text)), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = parse(&value);
            }
        }
    }
}
