//! Images as people name them.

use std::fmt;

use anyhow::Context as _;
use oci::{Digest, Reference, RepoName, Tag};

use super::super::Server;

/// `host[:port]/repository[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName {
    server: Server,
    repository: RepoName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl ImageName {
    /// Reads a name that says its registry; where it does not, it is at `default`.
    ///
    /// As docker has it, a first part without a dot and a port is no registry unless it is `localhost`. Behind `http://` or
    /// `https://` every first part is one.
    pub(crate) fn parse(text: &str, default: Option<&Server>) -> anyhow::Result<Self> {
        let wrong = || {
            format!("{text}: name the image as registry.example.com/team/app:tag, or by @digest")
        };
        anyhow::ensure!(
            !text.starts_with(['/', '.', '~']),
            "{text}: is a path: a folder in the OCI layout is oci:{text}, an archive of one oci-archive:{text}; an image is named as \
             registry.example.com/team/app:tag"
        );
        let (scheme, name) = match Server::scheme_of(text) {
            "" => ("", text),
            scheme => (scheme, &text[scheme.len()..]),
        };
        let (rest, digest) = match name.split_once('@') {
            None => (name, None),
            Some((rest, digest)) => (rest, Some(Digest::parse(digest).with_context(wrong)?)),
        };
        let colon = rest.rfind(':').filter(|&at| !rest[at..].contains('/'));
        let (path, tag) = match colon {
            // The port of a registry that is named alone.
            Some(_) if !rest.contains('/') && (default.is_none() || !scheme.is_empty()) => {
                (rest, None)
            }
            Some(at) => (
                &rest[..at],
                Some(Tag::parse(&rest[at + 1..]).with_context(wrong)?),
            ),
            None => (rest, None),
        };
        let (server, repository) = match path.split_once('/') {
            Some((host, repository)) if !scheme.is_empty() => {
                let server = Server::parse(&format!("{scheme}{host}"))?;
                (server, repository.to_owned())
            }
            None if !scheme.is_empty() => return Err(anyhow::anyhow!(wrong())),
            Some((host, repository))
                if host.contains(['.', ':']) || host == "localhost" || host.starts_with('[') =>
            {
                of_host(host, repository)?
            }
            _ => match default {
                Some(server) => (server.clone(), path.to_owned()),
                None => anyhow::bail!(
                    "{text}: which registry? Name it: registry.example.com/{path}, or \
                     docker.io/library/{path}"
                ),
            },
        };
        Ok(Self {
            server,
            repository: RepoName::parse(&repository).with_context(wrong)?,
            tag,
            digest,
        })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn repository(&self) -> &RepoName {
        &self.repository
    }

    /// The tag, if one is named.
    pub(crate) fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one is named.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What is asked for: the digest before the tag, and `latest` where neither is named.
    pub(crate) fn reference(&self) -> anyhow::Result<Reference> {
        Ok(match (self.digest, &self.tag) {
            (Some(digest), _) => digest.into(),
            (None, Some(tag)) => tag.clone().into(),
            (None, None) => Tag::parse("latest")?.into(),
        })
    }
}

/// Docker Hub is named otherwise than it is reached, and its own images by one word.
fn of_host(host: &str, repository: &str) -> anyhow::Result<(Server, String)> {
    if host != "docker.io" {
        return Ok((Server::parse(host)?, repository.to_owned()));
    }
    let repository = if repository.contains('/') {
        repository.to_owned()
    } else {
        format!("library/{repository}")
    };
    Ok((Server::parse("registry-1.docker.io")?, repository))
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ImageName;

    #[test]
    fn a_url_names_its_registry_and_how_it_is_spoken_to() {
        let asked = crate::cli::Transport {
            plain_http: false,
            ca_file: None,
        };
        let here = super::Server::parse("here:5000").unwrap();
        for (text, base, path) in [
            (
                "http://registry/a/b:v1",
                "http://registry/v2/",
                "registry/a/b:v1",
            ),
            (
                "https://127.0.0.1:5000/a",
                "https://127.0.0.1:5000/v2/",
                "127.0.0.1:5000/a",
            ),
        ] {
            let name = ImageName::parse(text, Some(&here)).unwrap();
            let bases = name.server().bases(&asked).unwrap();
            assert_eq!(bases[0].as_str(), base);
            assert_eq!((bases.len(), name.to_string().as_str()), (1, path));
        }
        for text in [
            "http://here",
            "http://here:5000",
            "http://here/",
            "https:///a",
        ] {
            assert!(ImageName::parse(text, Some(&here)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_is_told_how_it_is_named() {
        for text in ["/nope/x", "./x", "~/x"] {
            let said = ImageName::parse(text, None).unwrap_err().to_string();
            assert!(said.contains(&format!("oci:{text}")), "{said}");
        }
    }

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, server, repository, reference) in [
            ("r.example/a/b:v1", "r.example", "a/b", "v1"),
            ("r.example:5000/a", "r.example:5000", "a", "latest"),
            ("localhost/a:v1", "localhost", "a", "v1"),
            ("[::1]:5000/a:v1", "[::1]:5000", "a", "v1"),
            (
                "docker.io/alpine:3",
                "registry-1.docker.io",
                "library/alpine",
                "3",
            ),
            (
                &format!("r.example/a:v1@{digest}"),
                "r.example",
                "a",
                &digest,
            ),
        ] {
            let name = ImageName::parse(text, None).unwrap();
            assert_eq!(name.server().name(), server, "{text}");
            assert_eq!(name.repository().as_str(), repository, "{text}");
            assert_eq!(name.reference().unwrap().to_string(), reference, "{text}");
        }
        let here = super::Server::parse("here:5000").unwrap();
        let name = ImageName::parse("team/app:v1", Some(&here)).unwrap();
        assert_eq!(name.to_string(), "here:5000/team/app:v1");
    }

    #[test]
    fn what_is_no_name_is_told_what_one_is() {
        for text in [
            "alpine",
            "team/app:v1",
            "r.example/",
            "r.example/A",
            "r.example/a:",
            "r.example/a@x",
        ] {
            let said = ImageName::parse(text, None).unwrap_err().to_string();
            assert!(said.contains("registry.example.com/"), "{text}: {said}");
        }
    }
}
