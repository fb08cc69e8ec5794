//! What goes from the built image into a runtime image.

use serde::{Deserialize, Serialize};

use super::injection::has_forbidden;
use super::{ContainerPath, Reason, Refusal};

#[cfg(test)]
mod tests;

/// A file or folder of the built image, and the folder below the runtime image's working directory that it goes into
/// (the `s2i` program's `--runtime-artifact`, and the label `io.openshift.s2i.assemble-input-files`).
///
/// It keeps its own name: a destination is always a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    source: ContainerPath,
    /// Names joined by `/`; empty for the working directory itself.
    into: String,
}

impl Artifact {
    /// Reads `source[:destination]`, several with `;` between.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, Refusal> {
        text.split(';').map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let invalid = |why: &str| {
            Refusal::new(
                Reason::InvalidArtifactsMapping,
                format!("{text:?} is no runtime artifact: {why}"),
            )
        };
        let (source, into) = text.rsplit_once(':').unwrap_or((text, ""));
        let source = source.trim_matches(['"', '\'']);
        let into = into.trim_matches(['"', '\'']);
        if has_forbidden(source) || has_forbidden(into) {
            return Err(invalid("it has a character that paths here must not have"));
        }
        let source = ContainerPath::parse(source).map_err(|error| invalid(&error.to_string()))?;
        if source.name().is_empty() {
            return Err(invalid("the whole image cannot be one"));
        }
        // Only a look whether it stays below: the working directory is not known yet.
        let below = ContainerPath::parse("/").and_then(|root| root.join(into));
        let below = below.map_err(|error| invalid(&format!("destination: {error}")))?;
        let into = below.as_str().trim_start_matches('/').to_owned();
        Ok(Self { source, into })
    }

    /// The file or folder of the built image.
    pub fn source(&self) -> &ContainerPath {
        &self.source
    }

    /// The folder that it goes into.
    pub fn folder(&self, working_dir: &ContainerPath) -> Result<ContainerPath, Refusal> {
        working_dir.join(&self.into).map_err(|error| {
            Refusal::new(
                Reason::InvalidArtifactsMapping,
                format!(
                    "{} cannot be put below the working directory: {error}",
                    self.source
                ),
            )
        })
    }
}
