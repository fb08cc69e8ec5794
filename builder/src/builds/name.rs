//! Images by name, and names of records.

use std::fmt;

use oci::{Digest, Reference, RepoName, Tag};

use super::Invalid;

/// An image of this registry, `repository[:tag][@digest]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageName {
    repo: RepoName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl ImageName {
    /// Reads a name. A first part that is one of `hosts`, names of this registry, is taken off; another registry's is
    /// refused. `field` is where the text stands.
    pub fn parse(text: &str, hosts: &[String], field: &str) -> Result<Self, Invalid> {
        let invalid = |why: &dyn fmt::Display| Invalid::new(field, why);
        let mut rest = text;
        if let Some((host, path)) = text.split_once('/') {
            if hosts.iter().any(|known| known == host) {
                rest = path;
            } else if host.contains([':', '.']) || host == "localhost" {
                return Err(invalid(&format!(
                    "{host} is not this registry: copy the image here first (slipway image copy), then name it \
                     without a host"
                )));
            }
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let digest = Digest::parse(digest).map_err(|error| invalid(&error))?;
                (rest, Some(digest))
            }
            None => (rest, None),
        };
        let (repo, tag) = match rest.split_once(':') {
            Some((repo, tag)) => (
                repo,
                Some(Tag::parse(tag).map_err(|error| invalid(&error))?),
            ),
            None => (rest, None),
        };
        let repo = RepoName::parse(repo).map_err(|error| invalid(&error))?;
        Ok(Self { repo, tag, digest })
    }

    /// The image of a digest in a repository.
    pub fn of_digest(repo: RepoName, digest: Digest) -> Self {
        Self {
            repo,
            tag: None,
            digest: Some(digest),
        }
    }

    /// The repository.
    pub fn repo(&self) -> &RepoName {
        &self.repo
    }

    /// The tag, if one is named.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one is named: it counts then, not the tag.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What to ask the registry for: the digest, else the tag, else `latest`.
    pub fn reference(&self) -> Reference {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Reference::Digest(*digest),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            (None, None) => {
                #[expect(clippy::expect_used, reason = "`latest` is a tag")]
                let latest = Tag::parse("latest").expect("a tag");
                Reference::Tag(latest)
            }
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repo)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
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

/// Checks a namespace: one part of a repository's name.
pub(super) fn check_namespace(text: &str) -> Result<(), Invalid> {
    let fits = !text.contains('/') && RepoName::parse(text).is_ok();
    if fits {
        return Ok(());
    }
    let message = format!("{text:?} is no namespace: it is the first part of a repository's name");
    Err(Invalid::new("metadata.namespace", message))
}
