//! Labels that say what an image was built from.

use std::collections::BTreeMap;

use super::{Reason, Refusal};

#[cfg(test)]
mod tests;

/// How many bytes all labels' names and values may have together (the program's `maximumLabelSize`).
pub const MAX_LABEL_BYTES: usize = 10_240;

/// What the labels of [`generated`] are made of. An empty text is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated<'a> {
    /// Prefix of the labels, with its dot; `io.openshift.s2i.` if `None`.
    pub namespace: Option<&'a str>,
    /// `io.k8s.display-name`; the tag if empty.
    pub display_name: &'a str,
    /// `io.k8s.description`.
    pub description: &'a str,
    /// The output's name.
    pub tag: &'a str,
    /// The builder image's name as the request gave it.
    pub builder: &'a str,
    /// The commit's author.
    pub author_name: &'a str,
    /// The author's address.
    pub author_email: &'a str,
    /// When it was authored, as git writes it: `Thu Jan 1 00:00:00 1970 +0000`.
    pub date: &'a str,
    /// The commit's id.
    pub commit: &'a str,
    /// The branch or tag.
    pub reference: &'a str,
    /// The message's first line; cut to 80 characters here.
    pub message: &'a str,
    /// The source's URL, without credentials.
    pub location: &'a str,
    /// The folder in the source.
    pub context_dir: &'a str,
}

/// The labels that every result gets (the program's `util/labels.go`).
pub fn generated(of: &Generated<'_>) -> BTreeMap<String, String> {
    let namespace = of.namespace.unwrap_or("io.openshift.s2i.");
    let author = match (of.author_name, of.author_email) {
        ("", _) => String::new(),
        (name, email) => format!("{name} <{email}>"),
    };
    let display_name = match of.display_name {
        "" => of.tag,
        name => name,
    };
    let message = cut(of.message);
    let of_build = [
        ("image", of.builder),
        ("commit.author", &author),
        ("commit.date", of.date),
        ("commit.id", of.commit),
        ("commit.ref", of.reference),
        ("commit.message", &message),
        ("source-location", of.location),
        ("source-context-dir", of.context_dir),
    ];
    let of_build = of_build.map(|(name, value)| (format!("{namespace}build.{name}"), value));
    let general = [
        ("io.k8s.display-name".to_owned(), display_name),
        ("io.k8s.description".to_owned(), of.description),
    ];
    let all = of_build.into_iter().chain(general);
    all.filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// Whether a text may stand for `io.openshift.s2i.` in front of the names of [`generated`] (the program's `--label-namespace`).
pub fn check_label_namespace(text: &str) -> Result<(), InvalidLabelNamespace> {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let is_prefix = text.len() > 1 && text.len() <= 200 && text.ends_with('.');
    if is_prefix && text.bytes().all(of_name) {
        return Ok(());
    }
    Err(InvalidLabelNamespace(text.to_owned()))
}

/// A text that is no beginning of labels' names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no beginning of labels' names: letters, digits, '_', '-', '/' and '.', which is the last, as in \"io.openshift.\""
)]
pub struct InvalidLabelNamespace(String);

/// At most 80 characters, the last two `..` if it was longer, as git's `%<(80,trunc)%s` has it.
fn cut(message: &str) -> String {
    let message = message.trim();
    if message.chars().count() <= 80 {
        return message.to_owned();
    }
    message.chars().take(78).chain("..".chars()).collect()
}

/// Merges labels, later ones over earlier ones, and refuses what is too much for an image.
pub(crate) fn merged(
    sets: &[&BTreeMap<String, String>],
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut all = BTreeMap::new();
    for set in sets {
        all.extend(set.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    let bytes: usize = all.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > MAX_LABEL_BYTES {
        return Err(Refusal::new(
            Reason::ContainerCommitFailed,
            format!(
                "the labels have {bytes} bytes together, {MAX_LABEL_BYTES} are allowed: shorten or drop some"
            ),
        ));
    }
    Ok(all)
}
