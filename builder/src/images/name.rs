//! What an image is called where builds are written down.

use std::fmt;

use oci::{Digest, InvalidDigest, InvalidName, InvalidTag, Reference, RepoName, Tag};

#[cfg(test)]
mod tests;

/// The name of an image in this registry: `repository[:tag][@digest]`. With a digest, the tag is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    repo: RepoName,
    tag: Option<Tag>,
    digest: Option<Digest>,
    /// By which of them it is asked for.
    reference: Reference,
}

impl ImageName {
    /// Reads a name. A first part that is one of `hosts`, the names under which the server is known
    /// (`registry.example.com`, `localhost:5000`), is taken off, in whatever case it is written.
    pub fn parse(text: &str, hosts: &[String]) -> Result<Self, InvalidImageName> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let name = match name.split_once('/') {
            Some((first, rest)) if hosts.iter().any(|host| host.eq_ignore_ascii_case(first)) => {
                rest
            }
            // No repository's first part has a port.
            Some((first, _)) if first.contains(':') => {
                return Err(InvalidImageName::Elsewhere(first.to_owned()));
            }
            _ => name,
        };
        let (repo, tag) = match name.split_once(':') {
            Some((repo, tag)) => (repo, Some(Tag::parse(tag)?)),
            None => (name, None),
        };
        let reference = match (digest, &tag) {
            (Some(digest), _) => digest.into(),
            (None, Some(tag)) => tag.clone().into(),
            (None, None) => Tag::parse(LATEST)?.into(),
        };
        Ok(Self {
            repo: RepoName::parse(repo)?,
            tag,
            digest,
            reference,
        })
    }

    /// The same image for good, whatever becomes of its tag.
    pub fn pinned(repo: RepoName, digest: Digest) -> Self {
        Self {
            repo,
            tag: None,
            digest: Some(digest),
            reference: digest.into(),
        }
    }

    /// Where it is.
    pub fn repo(&self) -> &RepoName {
        &self.repo
    }

    /// Its tag, if it is written.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Its digest, if it is written.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What a registry is asked for: the digest; without one the tag; without either `latest`, as every client does.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.repo.as_str())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{}", tag.as_str())?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Why a text names no image here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImageName {
    /// It begins with another registry's host.
    #[error("{0} is another registry: copy the image into this one, and name it here")]
    Elsewhere(String),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] InvalidName),
    /// The tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// The digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

const LATEST: &str = "latest";
