//! `Range` of RFC 9110 §14.2, as far as a registry needs it: one range of bytes.

use std::ops::Range;

/// What a `Range` header asks of content that is `size` bytes long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// No range, several, or a unit other than bytes: the whole content, as RFC 9110 allows.
    Whole,
    /// These bytes: 206.
    Part(Range<u64>),
    /// Nothing that exists, or a range that ends before it starts: 416. RFC 9110 lets a server
    /// ignore the latter; the conformance suite of distribution-spec wants it refused.
    Unsatisfiable,
}

impl Wanted {
    /// Reads the header value.
    pub(super) fn parse(header: Option<&[u8]>, size: u64) -> Self {
        let Some(ranges) = header
            .and_then(|value| std::str::from_utf8(value).ok())
            .and_then(|value| value.trim().strip_prefix("bytes="))
        else {
            return Self::Whole;
        };
        let Some((first, last)) = ranges.trim().split_once('-') else {
            return Self::Unsatisfiable;
        };
        if ranges.contains(',') {
            return Self::Whole;
        }
        match (number(first), number(last)) {
            (Bound::None, Bound::At(0)) => Self::Unsatisfiable,
            (Bound::None, Bound::At(suffix)) => Self::part(size.saturating_sub(suffix)..size),
            (Bound::At(first), Bound::None) => Self::part(first..size),
            (Bound::At(first), Bound::At(last)) if first <= last => {
                Self::part(first..last.saturating_add(1).min(size))
            }
            _ => Self::Unsatisfiable,
        }
    }

    fn part(range: Range<u64>) -> Self {
        if range.start < range.end {
            Self::Part(range)
        } else {
            Self::Unsatisfiable
        }
    }
}

enum Bound {
    None,
    At(u64),
    Bad,
}

fn number(text: &str) -> Bound {
    let text = text.trim();
    if text.is_empty() {
        Bound::None
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a position far past any content's end.
        Bound::At(text.parse().unwrap_or(u64::MAX))
    } else {
        Bound::Bad
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted::{self, Part, Unsatisfiable, Whole};
    use proptest::prelude::*;

    #[test]
    fn reads_every_form_of_a_single_range() {
        for (header, size, wanted) in [
            ("bytes=0-0", 10, Part(0..1)),
            ("bytes=2-4", 10, Part(2..5)),
            ("bytes=2-", 10, Part(2..10)),
            ("bytes=-3", 10, Part(7..10)),
            ("bytes=-30", 10, Part(0..10)),
            ("bytes=0-99999999999999999999999", 10, Part(0..10)),
            ("bytes=9-9", 10, Part(9..10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-12", 10, Unsatisfiable),
            ("bytes=500-0", 1000, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=a-b", 10, Unsatisfiable),
            ("bytes=+1-2", 10, Unsatisfiable),
            ("bytes=-", 10, Unsatisfiable),
            ("bytes=5", 10, Unsatisfiable),
            ("bytes=0-1,3-4", 10, Whole),
            ("lines=0-1", 10, Whole),
            ("", 10, Whole),
        ] {
            let parsed = Wanted::parse(Some(header.as_bytes()), size);
            assert_eq!(parsed, wanted, "{header} of {size}");
        }
        assert_eq!(Wanted::parse(None, 10), Whole);
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_inside(header: Vec<u8>, size: u64) {
            if let Part(range) = Wanted::parse(Some(&header), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }

        #[test]
        fn digits_never_panic(first: u64, last: u64, size: u64) {
            let header = format!("bytes={first}-{last}");
            if let Part(range) = Wanted::parse(Some(header.as_bytes()), size) {
                prop_assert!(first <= last && range.start == first && range.end <= size);
            }
        }
    }
}
