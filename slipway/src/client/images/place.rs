//! Where an image is to be had or to go, as people name it.

use std::fmt;
use std::path::PathBuf;

use oci::Tag;

use super::name::ImageName;

/// A place of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `registry.example.com/team/app:v1`; `docker://` may stand before it, as skopeo has it.
    Registry(ImageName),
    /// `oci:DIR[:TAG]`
    Layout { dir: PathBuf, tag: Option<Tag> },
    /// `oci-archive:FILE[:TAG]`
    Archive { file: PathBuf, tag: Option<Tag> },
}

impl Place {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        if let Some(path) = text.strip_prefix("oci:") {
            let (dir, tag) = path_and_tag(text, path)?;
            return Ok(Self::Layout { dir, tag });
        }
        if let Some(path) = text.strip_prefix("oci-archive:") {
            let (file, tag) = path_and_tag(text, path)?;
            return Ok(Self::Archive { file, tag });
        }
        for other in [
            "docker-archive:",
            "docker-daemon:",
            "containers-storage:",
            "dir:",
        ] {
            anyhow::ensure!(
                !text.starts_with(other),
                "{text}: {other} is not known here; there are oci:DIR, oci-archive:FILE and \
                 registries"
            );
        }
        let name = text.strip_prefix("docker://").unwrap_or(text);
        Ok(Self::Registry(ImageName::parse(name, None)?))
    }
}

/// A colon behind the last slash begins the tag.
fn path_and_tag(text: &str, path: &str) -> anyhow::Result<(PathBuf, Option<Tag>)> {
    let colon = path.rfind(':').filter(|&at| !path[at..].contains('/'));
    let (path, tag) = match colon {
        None => (path, None),
        Some(at) => {
            let tag = Tag::parse(&path[at + 1..])
                .map_err(|error| anyhow::anyhow!("{text}: {}: {error}", &path[at + 1..]))?;
            (&path[..at], Some(tag))
        }
    };
    anyhow::ensure!(
        !path.is_empty(),
        "{text}: name a path behind the first colon"
    );
    Ok((PathBuf::from(path), tag))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path, tag) = match self {
            Self::Registry(name) => return name.fmt(f),
            Self::Layout { dir, tag } => ("oci", dir, tag),
            Self::Archive { file, tag } => ("oci-archive", file, tag),
        };
        write!(f, "{kind}:{}", path.display())?;
        match tag {
            None => Ok(()),
            Some(tag) => write!(f, ":{tag}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn places_are_told_apart_and_printed_as_they_are_read() {
        for text in [
            "oci:layout",
            "oci:/a/b:v1",
            "oci-archive:/a.b/c.tar:v1",
            "r.example:5000/team/app:v1",
        ] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        let name = Place::parse("docker://r.example/a:v1").unwrap();
        assert_eq!(name.to_string(), "r.example/a:v1");
        for (text, part) in [
            ("oci:", "path"),
            ("oci:/a:?", "oci:/a:?"),
            ("docker-archive:x.tar", "oci-archive"),
            ("alpine", "docker.io"),
        ] {
            let said = Place::parse(text).unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
