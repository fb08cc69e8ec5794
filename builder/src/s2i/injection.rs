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
}

impl Injection {
    /// Reads `source:destination`, split at the last `:`. Without a destination it is the working directory; a
    /// relative one is below that. `keep`: it stays in the image.
    pub fn parse(text: &str, keep: bool) -> Result<Self, Refusal> {
        let (source, destination) = text.rsplit_once(':').unwrap_or((text, ""));
        let unquoted = |part: &str| part.trim_matches(['"', '\'']).to_owned();
        let (source, destination) = (unquoted(source), unquoted(destination));
        if source.is_empty() || has_forbidden(&source) || has_forbidden(&destination) {
            return Err(Refusal::new(
                Reason::GenericS2IBuildFailed,
                format!(
                    "{text:?} is no injection: write source:destination, without any of {FORBIDDEN}"
                ),
            ));
        }
        let destination = Some(destination).filter(|d| !d.is_empty() && d != ".");
        Ok(Self {
            source,
            destination,
            keep,
        })
    }

    /// What is injected, by its name.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it stays in the image. If not, it is in no layer.
    pub fn keep(&self) -> bool {
        self.keep
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
