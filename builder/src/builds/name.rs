//! Names: of records, of namespaces, of images.

use oci::RepoName;

use super::Invalid;
use crate::images::ImageName;

/// Reads an image's name. `field` is where the text stands.
pub(super) fn image(text: &str, hosts: &[String], field: &str) -> Result<ImageName, Invalid> {
    ImageName::parse(text, hosts).map_err(|error| Invalid::new(field, error))
}

/// Longest name of a record: a label of DNS (RFC 1123).
const MAX_NAME: usize = 63;

/// Checks a record's name: lower-case letters, digits and `-`, beginning and ending with a letter or digit, at most `max`.
pub(super) fn check(text: &str, max: usize) -> Result<(), Invalid> {
    let max = max.min(MAX_NAME);
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=max).contains(&text.len())
        && text.bytes().all(of_name)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        return Ok(());
    }
    let message = format!(
        "{text:?} is no name: lower-case letters, digits and '-', a letter or digit at either end, at most {max}"
    );
    Err(Invalid::new("metadata.name", message))
}

/// Checks the name of a catalogue's entry: as a record's, but with dots within, for versions.
pub(super) fn check_entry(text: &str) -> Result<(), Invalid> {
    if is_entry_name(text) {
        return Ok(());
    }
    let message = format!(
        "{text:?} is no name: lower-case letters, digits, '-' and '.', a letter or digit at either end, at most {MAX_NAME}"
    );
    Err(Invalid::new("metadata.name", message))
}

/// Whether a catalogue's entry can be called so.
pub fn is_entry_name(text: &str) -> bool {
    text.split('.').all(|part| check(part, MAX_NAME).is_ok()) && text.len() <= MAX_NAME
}

/// Checks a namespace: one part of a repository's name.
pub(super) fn check_namespace(text: &str) -> Result<(), Invalid> {
    let fits = !text.contains('/') && RepoName::parse(text).is_ok();
    if fits {
        return Ok(());
    }
    let message = format!("{text:?} is no namespace: it is the first part of a repository's name");
    Err(Invalid::new("metadata.namespace", message))
}
