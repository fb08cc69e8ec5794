//! Extended headers (`pax`, "pax Extended Header"): records of `length key=value\n`.

use std::collections::BTreeMap;

use super::{Mtime, Xattrs};

/// Extended attributes are records under this name and their own (star's convention, which all readers follow).
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// What an extended header says of the entry behind it.
#[derive(Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Mtime>,
    pub(super) xattrs: Xattrs,
}

impl Extended {
    /// Reads the records of one header. An empty value is as if the record was not there (POSIX, `pax`), also where it is
    /// an extended attribute's.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut extended = Self::default();
        for (key, value) in records(bytes)? {
            if !value.is_empty() {
                extended.take(key, value)?;
            }
        }
        Ok(extended)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let number = || decimal(value).ok_or("a number in its extended header is none");
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => {
                self.mtime = Some(time(value).ok_or("the time in its extended header is none")?);
            }
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err("it is a sparse file in GNU's format, which is not taken");
            }
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                }
                // Names of users, times of access, comments and other programs' own records change nothing here.
            }
        }
        Ok(())
    }
}

/// Whether a global header, whose records are meant for all that follows, says nothing that matters: `git archive`
/// notes the commit in one.
pub(super) fn is_comment(bytes: &[u8]) -> bool {
    records(bytes).is_ok_and(|records| records.keys().all(|key| *key == b"comment"))
}

/// Writes one record. Its length counts the digits of the length itself.
pub(super) fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + b" =\n".len();
    let mut length = rest + 1;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

fn records(mut bytes: &[u8]) -> Result<BTreeMap<&[u8], &[u8]>, &'static str> {
    const BAD: &str = "a record of its extended header is malformed";
    let mut records = BTreeMap::new();
    while !bytes.is_empty() {
        let space = bytes.iter().take(8).position(|byte| *byte == b' ');
        let space = space.ok_or(BAD)?;
        let length = decimal(&bytes[..space]).and_then(|length| usize::try_from(length).ok());
        let (one, rest) = length
            .and_then(|length| bytes.split_at_checked(length))
            .ok_or(BAD)?;
        let one = one.get(space + 1..).ok_or(BAD)?;
        let one = one.strip_suffix(b"\n").ok_or(BAD)?;
        let equals = one.iter().position(|byte| *byte == b'=').ok_or(BAD)?;
        let (key, value) = (&one[..equals], &one[equals + 1..]);
        let is_name = !key.is_empty() && !key.contains(&0);
        let is_text = key.starts_with(XATTR) || !value.contains(&0);
        if !is_name || !is_text {
            return Err(BAD);
        }
        // Of two, some readers take the first and some the last.
        if records.insert(key, value).is_some() {
            return Err("its extended header has a record twice");
        }
        bytes = rest;
    }
    Ok(records)
}

/// Digits only: no sign, no space.
fn decimal(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    text.parse().ok()
}

/// Seconds with an optional sign and fraction, of which nine digits count.
fn time(text: &[u8]) -> Option<Mtime> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = text.split_at(point.unwrap_or(text.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nine = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = nine.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanoseconds) {
        (false, nanoseconds) => Mtime {
            seconds,
            nanoseconds,
        },
        (true, 0) => Mtime {
            seconds: -seconds,
            nanoseconds,
        },
        (true, nanoseconds) => Mtime {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}
