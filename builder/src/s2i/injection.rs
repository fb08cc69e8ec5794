//! Files that a build is given beside its source.

use super::{ContainerPath, Reason, Refusal};

#[cfg(test)]
mod tests;

/// A named file or folder (a secret, a config map) that `assemble` finds at a path, `-i source:destination` of the
/// `s2i` program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    source: String,
    destination: Option<String>,
    keep: bool,
    revision: Option<String>,
}

impl Injection {
    /// Reads `source:destination`, split at the last `:`. Without a destination it is the working directory; a
    /// relative one is below that. `keep`: it stays in the image.
    pub fn parse(text: &str, keep: bool) -> Result<Self, Refusal> {
        let (source, destination) = text.rsplit_once(':').unwrap_or((text, ""));
        let unquoted = |part: &str| part.trim_matches(['"', '\'']).to_owned();
        Self::new(&unquoted(source), &unquoted(destination), keep)
    }

    /// The same of both parts; an empty destination is the working directory.
    pub fn new(source: &str, destination: &str, keep: bool) -> Result<Self, Refusal> {
        if source.is_empty() || has_forbidden(source) || has_forbidden(destination) {
            return Err(Refusal::new(
                Reason::GenericS2IBuildFailed,
                format!(
                    "{source:?} at {destination:?} is no injection: write source:destination, without any of {FORBIDDEN}"
                ),
            ));
        }
        let destination = Some(destination).filter(|d| !matches!(*d, "" | "."));
        Ok(Self {
            source: source.to_owned(),
            destination: destination.map(str::to_owned),
            keep,
            revision: None,
        })
    }

    /// The same, of a content that this word stands for.
    #[must_use]
    pub fn with_revision(mut self, revision: String) -> Self {
        self.revision = Some(revision);
        self
    }

    /// What is injected, by its name.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it stays in the image. If not, it is in no layer.
    pub fn keep(&self) -> bool {
        self.keep
    }

    /// Changes whenever the content does, as far as whoever keeps it says so.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Where it goes, in an image with this working directory.
    pub fn destination(&self, working_dir: &ContainerPath) -> Result<ContainerPath, Refusal> {
        let Some(destination) = &self.destination else {
            return Ok(working_dir.clone());
        };
        working_dir.resolve(destination).map_err(|error| {
            Refusal::new(
                Reason::GenericS2IBuildFailed,
                format!(
                    "{} cannot be injected at {destination:?}: {error}",
                    self.source
                ),
            )
        })
    }
}

/// What the program calls malicious in a path (`api.IsInvalidFilename`).
const FORBIDDEN: &str = ";*?\"<>|%#$!+{}&[],'`";

pub(super) fn has_forbidden(path: &str) -> bool {
    path.contains(|c: char| FORBIDDEN.contains(c) || c.is_control())
}
