//! Where an image is to be had or to go, as people name it.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;

use super::name::ImageName;
use super::ref_name::RefName;

/// A place of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `registry.example.com/team/app:v1`; `docker://` may stand before it, as skopeo has it.
    Registry(ImageName),
    /// `oci:DIR[:NAME]`
    Layout { dir: PathBuf, name: Option<RefName> },
    /// `oci-archive:FILE[:NAME]`
    Archive {
        file: PathBuf,
        name: Option<RefName>,
    },
}

impl Place {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        if let Some(path) = text.strip_prefix("oci:") {
            let (dir, name) = path_and_name(text, path)?;
            return Ok(Self::Layout { dir, name });
        }
        if let Some(path) = text.strip_prefix("oci-archive:") {
            let (file, name) = path_and_name(text, path)?;
            return Ok(Self::Archive { file, name });
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

/// The first colon ends the path (containers-transports(5)): names have colons of their own.
fn path_and_name(text: &str, path: &str) -> anyhow::Result<(PathBuf, Option<RefName>)> {
    let (path, name) = match path.split_once(':') {
        None => (path, None),
        Some((path, name)) => {
            let name = RefName::parse(name).with_context(|| text.to_owned())?;
            (path, Some(name))
        }
    };
    anyhow::ensure!(
        !path.is_empty(),
        "{text}: name a path behind the first colon"
    );
    Ok((PathBuf::from(path), name))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path, name) = match self {
            Self::Registry(name) => return name.fmt(f),
            Self::Layout { dir, name } => ("oci", dir, name),
            Self::Archive { file, name } => ("oci-archive", file, name),
        };
        write!(f, "{kind}:{}", path.display())?;
        match name {
            None => Ok(()),
            Some(name) => write!(f, ":{name}"),
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
            "oci:/a/b:localhost:5000/team/app:v1",
            "r.example:5000/team/app:v1",
        ] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        let name = Place::parse("docker://r.example/a:v1").unwrap();
        assert_eq!(name.to_string(), "r.example/a:v1");
        for (text, part) in [
            ("oci:", "path"),
            ("oci:/a:?", "oci:/a:?"),
            ("oci:/a:", "a whole name"),
            ("docker-archive:x.tar", "oci-archive"),
            ("alpine", "docker.io"),
        ] {
            let said = format!("{:#}", Place::parse(text).unwrap_err());
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
