//! Patterns as Go's `path/filepath.Match` has them.

#[cfg(test)]
mod tests;

/// A pattern: `*` any bytes but `/`, `?` one character but `/`, `[a-z]` and `[^a-z]` one character, `\c` the character
/// itself. Source: Go 1.22 `path/filepath/match.go`, on Unix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
    /// How whatever matches ends: what is behind the last `*`, up to what is no plain byte.
    end: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Star,
    One,
    Class {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
    Byte(u8),
}

/// How much may still be compared: who writes patterns and names decides what they cost.
#[derive(Debug)]
pub(crate) struct Steps(u64);

impl Steps {
    pub(crate) fn new(most: u64) -> Self {
        Self(most)
    }

    pub(crate) fn take(&mut self, steps: usize) -> Result<(), NoSteps> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(NoSteps)?;
        Ok(())
    }
}

/// All steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSteps;

/// `[` without its class, `\` at the end, an empty or reversed range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPattern;

impl Glob {
    /// Reads a pattern. A malformed one is an error even where Go would have found a difference before it noticed.
    pub(crate) fn parse(mut pattern: &[u8]) -> Result<Self, BadPattern> {
        let mut tokens = Vec::new();
        while let Some((first, rest)) = pattern.split_first() {
            let (token, rest) = match first {
                b'*' => (Token::Star, rest),
                b'?' => (Token::One, rest),
                b'[' => class(rest)?,
                b'\\' => {
                    let (byte, rest) = rest.split_first().ok_or(BadPattern)?;
                    (Token::Byte(*byte), rest)
                }
                byte => (Token::Byte(*byte), rest),
            };
            tokens.push(token);
            pattern = rest;
        }
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        let mut end: Vec<u8> = tokens.iter().rev().map_while(byte).collect();
        end.reverse();
        Ok(Self { tokens, end })
    }

    /// Whether `name` matches as a whole. Backtracks to the last `*` only: linear but for the product of both lengths.
    pub(crate) fn matches(&self, name: &[u8], steps: &mut Steps) -> Result<bool, NoSteps> {
        steps.take(1)?;
        if !name.ends_with(&self.end) {
            return Ok(false);
        }
        let (mut rest, mut left) = (&self.tokens[..], name);
        let mut star: Option<(&[Token], &[u8])> = None;
        loop {
            steps.take(1)?;
            if let [Token::Star, after @ ..] = rest {
                star = Some((after, left));
                rest = after;
                continue;
            }
            if rest.is_empty() && left.is_empty() {
                return Ok(true);
            }
            if let Some((token, after)) = rest.split_first()
                && let Some(length) = token.begins(left, steps)?
            {
                (rest, left) = (after, &left[length..]);
                continue;
            }
            match star {
                Some((after, [first, more @ ..])) if *first != b'/' => {
                    star = Some((after, more));
                    (rest, left) = (after, more);
                }
                _ => return Ok(false),
            }
        }
    }
}

impl Token {
    /// How many bytes of `name` it stands for, if the name begins with it. Not for a star.
    fn begins(&self, name: &[u8], steps: &mut Steps) -> Result<Option<usize>, NoSteps> {
        Ok(match self {
            Self::Star => None,
            Self::Byte(byte) => (name.first() == Some(byte)).then_some(1),
            Self::One => decode(name)
                .map(|(_, length)| length)
                .filter(|_| name.first() != Some(&b'/')),
            Self::Class { negated, ranges } => {
                steps.take(ranges.len())?;
                let is_in = |wanted: u32| {
                    let mut ranges = ranges.iter();
                    ranges.any(|(low, high)| (*low..=*high).contains(&wanted))
                };
                decode(name)
                    .filter(|(character, _)| is_in(*character) != *negated)
                    .map(|(_, length)| length)
            }
        })
    }
}

/// Whether the pattern can match anything but itself.
pub(crate) fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"*?[\\".contains(byte))
}

/// Reads a class behind its `[`, and what follows its `]`.
fn class(mut pattern: &[u8]) -> Result<(Token, &[u8]), BadPattern> {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        pattern = &pattern[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if let [b']', rest @ ..] = pattern
            && !ranges.is_empty()
        {
            return Ok((Token::Class { negated, ranges }, rest));
        }
        let (low, rest) = class_character(pattern)?;
        let (high, rest) = match rest {
            [b'-', rest @ ..] => class_character(rest)?,
            rest => (low, rest),
        };
        ranges.push((low, high));
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
