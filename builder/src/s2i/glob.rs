//! Patterns as Go's `path/filepath.Match` has them.

#[cfg(test)]
mod tests;

/// Whether `name` matches `pattern` as a whole: `*` any bytes but `/`, `?` one character but `/`, `[a-z]` and `[^a-z]`
/// one character, `\c` the character itself. Source: Go 1.22 `path/filepath/match.go`, on Unix.
///
/// A malformed pattern is an error even where Go would have found a difference before it noticed.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> Result<bool, BadPattern> {
    check(pattern)?;
    Ok(run(pattern, name))
}

/// Whether a pattern is well-formed.
pub(crate) fn check(mut pattern: &[u8]) -> Result<(), BadPattern> {
    while let Some((first, rest)) = pattern.split_first() {
        pattern = match first {
            b'\\' => rest.split_first().ok_or(BadPattern)?.1,
            b'[' => class(rest, 0)?.1,
            _ => rest,
        };
    }
    Ok(())
}

/// Whether the pattern can match anything but itself.
pub(crate) fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"*?[\\".contains(byte))
}

/// `[` without its class, `\` at the end, an empty or reversed range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPattern;

/// Backtracks to the last `*` only: linear but for the product of both lengths.
fn run(pattern: &[u8], name: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', after @ ..] = rest {
            star = Some((after, left));
            rest = after;
            continue;
        }
        if rest.is_empty() && left.is_empty() {
            return true;
        }
        if let Some(next) = step(rest, left) {
            (rest, left) = next;
            continue;
        }
        match star {
            Some((after, [first, more @ ..])) if *first != b'/' => {
                star = Some((after, more));
                (rest, left) = (after, more);
            }
            _ => return false,
        }
    }
}

/// One character of both, if they agree.
fn step<'a>(pattern: &'a [u8], name: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (character, length) = decode(name)?;
    match pattern.split_first()? {
        (b'?', rest) => (name.first() != Some(&b'/')).then(|| (rest, &name[length..])),
        (b'[', rest) => match class(rest, character) {
            Ok((true, rest)) => Some((rest, &name[length..])),
            _ => None,
        },
        (b'\\', rest) => {
            let (byte, rest) = rest.split_first()?;
            (name.first() == Some(byte)).then(|| (rest, &name[1..]))
        }
        (byte, rest) => (name.first() == Some(byte)).then(|| (rest, &name[1..])),
    }
}

/// Reads a class behind its `[`: whether it holds `wanted`, and what follows its `]`.
fn class(mut pattern: &[u8], wanted: u32) -> Result<(bool, &[u8]), BadPattern> {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        pattern = &pattern[1..];
    }
    let mut found = false;
    let mut ranges = 0;
    loop {
        if let [b']', rest @ ..] = pattern
            && ranges > 0
        {
            return Ok((found != negated, rest));
        }
        let (low, rest) = class_character(pattern)?;
        let (high, rest) = match rest {
            [b'-', rest @ ..] => class_character(rest)?,
            rest => (low, rest),
        };
        found |= (low..=high).contains(&wanted);
        ranges += 1;
        pattern = rest;
    }
}

/// One end of a range.
fn class_character(pattern: &[u8]) -> Result<(u32, &[u8]), BadPattern> {
    if let [] | [b'-' | b']', ..] = pattern {
        return Err(BadPattern);
    }
    let pattern = pattern.strip_prefix(b"\\").unwrap_or(pattern);
    let (character, length) = decode(pattern).ok_or(BadPattern)?;
    let rest = &pattern[length..];
    // Go: an invalid byte, or nothing after it, is no class.
    if character == INVALID && length == 1 || rest.is_empty() {
        return Err(BadPattern);
    }
    Ok((character, rest))
}

/// What Go reads from bytes that are no UTF-8: U+FFFD, one byte long.
const INVALID: u32 = 0xfffd;

/// The first character and its length in bytes; `None` at the end.
fn decode(bytes: &[u8]) -> Option<(u32, usize)> {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(character) => Some((character.into(), character.len_utf8())),
        None => (!head.is_empty()).then_some((INVALID, 1)),
    }
}
