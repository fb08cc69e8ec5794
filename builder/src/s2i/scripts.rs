//! Which script comes from where.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use oci::Digest;
use serde::{Deserialize, Serialize};

use super::{ContainerPath, InvalidPath, Reason, Refusal, Warning};

#[cfg(test)]
mod tests;

/// A script of the contract, by its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Script {
    /// Builds.
    Assemble,
    /// Starts what was built.
    Run,
    /// Writes a tar of what the next build may begin with to standard output.
    SaveArtifacts,
    /// Finishes a runtime image.
    AssembleRuntime,
    /// Says how the image is used.
    Usage,
}

impl Script {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Assemble,
        Self::Run,
        Self::SaveArtifacts,
        Self::AssembleRuntime,
        Self::Usage,
    ];

    /// The file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assemble => "assemble",
            Self::Run => "run",
            Self::SaveArtifacts => "save-artifacts",
            Self::AssembleRuntime => "assemble-runtime",
            Self::Usage => "usage",
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a folder of scripts is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptsUrl {
    /// `image:///folder`: inside the image that runs them.
    Image(ContainerPath),
    /// `https://…`: each script is fetched from `<url>/<script>` before planning. Records, logs and errors have it as it
    /// is, so there is no user, password or query in it.
    Web(String),
}

impl FromStr for ScriptsUrl {
    type Err = InvalidScriptsUrl;

    fn from_str(text: &str) -> Result<Self, InvalidScriptsUrl> {
        if let Some(path) = text.strip_prefix("image://") {
            return Ok(Self::Image(ContainerPath::parse(path)?));
        }
        // Readers of URLs take a backslash for a slash, or not.
        let is_odd = |c: char| c.is_control() || c == ' ' || c == '\\';
        if let Some(rest) = text.strip_prefix("https://")
            && !text.contains(is_odd)
        {
            let server = rest.split('/').next().unwrap_or_default();
            if server.is_empty() {
                return Err(InvalidScriptsUrl::Scheme);
            }
            if server.contains('@') || rest.contains(['?', '#']) {
                return Err(InvalidScriptsUrl::Credential);
            }
            return Ok(Self::Web(text.trim_end_matches('/').to_owned()));
        }
        if text.starts_with("file:") {
            return Err(InvalidScriptsUrl::File);
        }
        Err(InvalidScriptsUrl::Scheme)
    }
}

/// Why a text is no URL of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScriptsUrl {
    /// The path in the image is none.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// The builder's own files are none of the build's business.
    #[error(
        "scripts cannot be files of the machine that builds: put them into the source's .s2i/bin"
    )]
    File,
    /// There is a user, a password or a query in it.
    #[error(
        "a scripts URL holds no user, password or query, which all who see the build would read: put such scripts into \
         the source's .s2i/bin"
    )]
    Credential,
    /// Neither image nor web.
    #[error("a scripts URL is image:///folder or https://host/folder")]
    Scheme,
}

/// The scripts that a source brings, in `.s2i/bin` or the deprecated `.sti/bin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceScripts {
    current: BTreeMap<Script, String>,
    deprecated: BTreeMap<Script, String>,
}

impl SourceScripts {
    /// Where scripts may be, from the source's root.
    pub fn paths() -> impl Iterator<Item = String> {
        let within = |folder: &'static str| {
            let path = move |script: &Script| format!("{folder}/{script}");
            Script::ALL.iter().map(path)
        };
        within(".s2i/bin").chain(within(".sti/bin"))
    }

    /// Notes a file of the source, by its path from the source's root, and where it is, which is elsewhere if there are links on
    /// the way. What is no script is left alone.
    pub fn note(&mut self, path: &str, real: impl Into<String>) {
        let named = |name: &str| Script::ALL.into_iter().find(|script| script.name() == name);
        if let Some(script) = path.strip_prefix(".s2i/bin/").and_then(named) {
            self.current.insert(script, real.into());
        } else if let Some(script) = path.strip_prefix(".sti/bin/").and_then(named) {
            self.deprecated.insert(script, real.into());
        }
    }

    /// The path of a script in the source.
    fn path(&self, script: Script, warnings: &mut Vec<Warning>) -> Option<String> {
        if let Some(real) = self.current.get(&script) {
            return Some(real.clone());
        }
        let real = self.deprecated.get(&script)?;
        warnings.push(Warning::new(format!(
            "the source's .sti/bin/{script} is in a deprecated place: move it to .s2i/bin"
        )));
        Some(real.clone())
    }
}

/// Where one script of a build comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A file of the image. Whether it is there is seen when it runs.
    Image(ContainerPath),
    /// A file of the source, by its path from the source's root.
    Source(String),
    /// Fetched from the request's scripts URL; the digest of its bytes.
    Fetched(Digest),
}

/// The scripts of one image in one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts(BTreeMap<Script, Origin>);

impl Scripts {
    /// Looks each of `wanted` up on its own: the request's URL, then the source, then the image
    /// (the program's `scripts/install.go`).
    ///
    /// `requested` is the request's URL and `fetched` what was found there, if it is on the web. An `image://` URL in
    /// the request is taken on trust for every script. See [`Self::check_fetched`].
    pub fn find(
        wanted: &[Script],
        requested: Option<&ScriptsUrl>,
        fetched: &BTreeMap<Script, Digest>,
        source: &SourceScripts,
        image: Option<&ContainerPath>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Refusal> {
        let in_image = |dir: &ContainerPath, script: Script| {
            // A name of the contract makes no path invalid but a folder of the greatest length.
            let path = dir.join(script.name());
            path.map(Origin::Image).map_err(|error| {
                Refusal::new(
                    Reason::InstallScriptsFailed,
                    format!("the folder of scripts cannot hold {script}: {error}"),
                )
            })
        };
        let mut found = BTreeMap::new();
        for &script in wanted {
            let origin = if let Some(ScriptsUrl::Image(dir)) = requested {
                in_image(dir, script)?
            } else if let Some(digest) = fetched.get(&script) {
                Origin::Fetched(*digest)
            } else if let Some(path) = source.path(script, warnings) {
                Origin::Source(path)
            } else if let Some(dir) = image {
                in_image(dir, script)?
            } else {
                continue;
            };
            found.insert(script, origin);
        }
        Ok(Self(found))
    }

    /// A web URL that gave none of a whole build's scripts is an error; one that lacks some is not, even if they are all those of
    /// one of its images.
    pub fn check_fetched(
        wanted: &[Script],
        requested: Option<&ScriptsUrl>,
        fetched: &BTreeMap<Script, Digest>,
    ) -> Result<(), Refusal> {
        let Some(ScriptsUrl::Web(url)) = requested else {
            return Ok(());
        };
        if wanted.iter().any(|script| fetched.contains_key(script)) {
            return Ok(());
        }
        let names: Vec<&str> = wanted.iter().map(|script| script.name()).collect();
        Err(Refusal::new(
            Reason::FetchScriptsFailed,
            format!("{url} has none of the scripts {}", names.join(", ")),
        ))
    }

    /// Where a script comes from, if it is anywhere.
    pub fn get(&self, script: Script) -> Option<&Origin> {
        self.0.get(&script)
    }

    /// Where a script comes from that a build cannot do without.
    pub fn require(&self, script: Script) -> Result<&Origin, Refusal> {
        self.get(script).ok_or_else(|| {
            Refusal::new(
                Reason::InstallScriptsFailed,
                format!(
                    "there is no script {script}: the source has no .s2i/bin/{script}, and the image has no label {}",
                    super::contract::SCRIPTS_URL
                ),
            )
        })
    }
}
