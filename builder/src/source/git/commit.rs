//! What a commit says of itself, as it is stored (git-cat-file(1) shows it so; git-commit(1), "COMMIT INFORMATION" and "DISCUSSION").

use encoding_rs::{Encoding, UTF_8};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::revision::ObjectId;
use crate::plan::Commit;

#[cfg(test)]
mod tests;

/// The tree that a commit is of.
pub(super) fn tree(text: &[u8]) -> Option<ObjectId> {
    let id = header(text, b"tree ")?;
    ObjectId::parse(std::str::from_utf8(id).ok()?)
}

/// What people want to know of a commit, in the words of `git log`. They become labels: not long, on one line.
pub(super) fn read(id: &ObjectId, text: &[u8]) -> Commit {
    let encoding = header(text, b"encoding ").and_then(Encoding::for_label);
    let plain = |text: &[u8]| -> String {
        let text = encoding
            .unwrap_or(UTF_8)
            .decode_without_bom_handling(text)
            .0;
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        plain.take(500).collect()
    };
    let author = header(text, b"author ").unwrap_or_default();
    let (name, rest) = split(author, b'<');
    let (email, _) = split(rest, b'>');
    let when = author.rsplit(|byte| *byte == b'>').next();
    Commit {
        id: id.as_str().to_owned(),
        reference: String::new(),
        author_name: plain(name.trim_ascii()),
        author_email: plain(email.trim_ascii()),
        date: date(&String::from_utf8_lossy(when.unwrap_or_default())),
        message: plain(&subject(text)),
    }
}

/// The rest of the first line of the header that begins so. Lines that go on with another begin with a space.
fn header<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    let mut header = lines.take_while(|line| !line.is_empty());
    header.find_map(|line| line.strip_prefix(key))
}

/// The lines of a message before the first empty one, as one.
fn subject(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|byte| *byte == b'\n');
    let message = lines.skip_while(|line| !line.is_empty());
    let message = message.map(<[u8]>::trim_ascii_end);
    let begun = message.skip_while(|line| line.is_empty());
    let title: Vec<&[u8]> = begun.take_while(|line| !line.is_empty()).collect();
    title.join(&b' ')
}

fn split(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let found = text.iter().position(|byte| *byte == at);
    let end = found.unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

/// Seconds since 1970 and the time zone (`+0130`), as git shows them: `Thu Jan 1 00:00:00 1970 +0000`. What is no time is that one.
fn date(text: &str) -> String {
    let mut words = text.split_ascii_whitespace();
    let seconds = words.next().and_then(|word| word.parse().ok());
    let offset = words.next().and_then(offset);
    let at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let zone = TimeZone::fixed(offset.filter(|_| at.is_some()).unwrap_or(Offset::UTC));
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone);
    at.strftime("%a %b %-d %H:%M:%S %Y %z").to_string()
}

fn offset(text: &str) -> Option<Offset> {
    let number: i32 = text.parse().ok()?;
    let minutes = number / 100 * 60 + number % 100;
    Offset::from_seconds(minutes.checked_mul(60)?).ok()
}
