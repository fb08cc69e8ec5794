//! Who runs a script, and who may.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// A user as an image's configuration writes it: `uid`, `uid:gid`, `name`, `name:group`; empty means root.
///
/// Names stay names: only whoever has the image's `/etc/passwd` can say which number they are. Numbers fit a signed
/// 32-bit integer, because larger ones have been read as root by some engines (CVE-2024-40635).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct User(String);

impl User {
    /// Reads a user; spaces around it and around its parts are taken off, as the `s2i` program does.
    pub fn parse(text: &str) -> Result<Self, InvalidUser> {
        let text = text.trim();
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user.trim(), Some(group.trim())),
            None => (text, None),
        };
        if !text.is_empty() {
            check_part(user)?;
        }
        let Some(group) = group else {
            return Ok(Self(user.to_owned()));
        };
        check_part(group)?;
        Ok(Self(format!("{user}:{group}")))
    }

    /// The text; empty for root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number, if the user is written as one.
    pub fn uid(&self) -> Option<u32> {
        number(self.0.split(':').next()?)
    }
}

/// A number in digits alone: `+1` is one to Rust, too, and a name to others.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

/// A name or a number as `useradd` and the engines take them.
fn check_part(part: &str) -> Result<(), InvalidUser> {
    if part.is_empty() || part.len() > 256 {
        return Err(InvalidUser::Malformed);
    }
    if part.bytes().all(|byte| byte.is_ascii_digit()) {
        return match part.parse::<i32>() {
            Ok(_) => Ok(()),
            Err(_) => Err(InvalidUser::TooLarge),
        };
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-$@+".contains(&byte);
    // `+1` is a name to some engines and a number to others.
    if part.starts_with(['-', '+']) || !part.bytes().all(allowed) {
        return Err(InvalidUser::Malformed);
    }
    Ok(())
}

/// Why a text is no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUser {
    /// The number is too large.
    #[error("a user's or group's number must be at most 2147483647")]
    TooLarge,
    /// Neither a name nor a number.
    #[error("a user is a name or a number, with :group after it or not")]
    Malformed,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for User {
    type Error = InvalidUser;

    fn try_from(text: String) -> Result<Self, InvalidUser> {
        Self::parse(&text)
    }
}

impl From<User> for String {
    fn from(user: User) -> Self {
        user.0
    }
}

/// Which user numbers may run `assemble`: `1-`, `1-10001`, `-100`, `1001`, several with commas between
/// (the `s2i` program's `--allowed-uids`). None at all allows everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedUids(Vec<Range>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: u32,
    to: u32,
}

impl AllowedUids {
    /// Whether `user` may. With ranges, the user must be written as a number: a name could be any.
    pub fn allow(&self, user: &User) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let within = |uid: u32| self.0.iter().any(|r| (r.from..=r.to).contains(&uid));
        user.uid().is_some_and(within)
    }
}

impl FromStr for AllowedUids {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let parts = text.split(',').map(str::trim);
        let ranges = parts.filter(|part| !part.is_empty()).map(range);
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

fn range(text: &str) -> Result<Range, InvalidRange> {
    let invalid = || InvalidRange(text.to_owned());
    let number = |part: &str| number(part).ok_or_else(invalid);
    let (from, to) = match text.split_once('-') {
        None => {
            let only = number(text)?;
            (only, only)
        }
        Some(("", "")) => return Err(invalid()),
        Some(("", to)) => (0, number(to)?),
        Some((from, "")) => (number(from)?, u32::MAX),
        Some((from, to)) => (number(from)?, number(to)?),
    };
    if to < from {
        return Err(invalid());
    }
    Ok(Range { from, to })
}

/// A text that is no range of user numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no range of user numbers: write 1001, 1-10001, 1- or -10001")]
pub struct InvalidRange(String);
