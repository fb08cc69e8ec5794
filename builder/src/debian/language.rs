//! Languages and their versions.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;

#[cfg(test)]
mod tests;

/// A language that builder images are made for, by its folder in `builder/images`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Go modules.
    Go,
    /// Maven and Gradle.
    Java,
    /// npm, yarn and pnpm.
    Nodejs,
    /// pip, with the lock files of poetry and uv.
    Python,
}

/// `image.json` of a language.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Definition {
    /// What people call it.
    pub(super) display_name: String,
    /// What its images do.
    pub(super) description: String,
    /// `io.openshift.tags`, beside `builder` and the version.
    pub(super) tags: Vec<String>,
    /// The environment. `{version}` and `{architecture}` stand for the release's and Debian's word for the machine.
    pub(super) environment: BTreeMap<String, String>,
    /// Where what a build makes is, for builds that copy it into a runtime image.
    pub(super) artifacts: Vec<String>,
    /// Debian packages for every release.
    pub(super) packages: Vec<String>,
    /// What there is, the default first.
    pub(super) releases: Vec<Release>,
}

/// A version of a language, and where Debian has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// As people ask for it, such as `3.13`.
    pub version: String,
    /// Debian's code name.
    pub suite: String,
    /// Whether it is among the suite's backports.
    #[serde(default)]
    pub backports: bool,
    /// The Debian package whose version this is.
    pub package: String,
    /// The last month in which the language's makers maintain it, such as `2026-04`, where they have named it. Debian's own
    /// security updates go on with the suite's.
    #[serde(default)]
    pub maintained_until: Option<String>,
}

impl Release {
    /// The month that the makers' maintenance ended with, if it had `now`.
    pub fn ended(&self, now: SystemTime) -> Option<&str> {
        // Years and months, as text, come in the order of time.
        let today = humantime::format_rfc3339_seconds(now).to_string();
        let until = self.maintained_until.as_deref()?;
        today
            .get(..until.len())
            .filter(|month| *month > until)
            .map(|_| until)
    }
}

/// No release is what was asked for; which there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {language} {wanted}: there are {available}")]
pub struct Unavailable {
    language: &'static str,
    wanted: String,
    available: String,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Go, Self::Java, Self::Nodejs, Self::Python];

    /// The name: of its folder, its images' repository and the label `dev.slipway.language`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Java => "java",
            Self::Nodejs => "nodejs",
            Self::Python => "python",
        }
    }

    /// The language of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
    }

    /// What there is, the default first.
    pub fn releases(self) -> Vec<Release> {
        self.definition().releases
    }

    /// The release of this version, this suite, or both; without either, the default.
    pub fn release(
        self,
        version: Option<&str>,
        suite: Option<&str>,
    ) -> Result<Release, Unavailable> {
        let releases = self.releases();
        let is_wanted = |release: &&Release| {
            version.is_none_or(|version| version == release.version)
                && suite.is_none_or(|suite| suite == release.suite)
        };
        if let Some(found) = releases.iter().find(is_wanted) {
            return Ok(found.clone());
        }
        let mut wanted = version.unwrap_or("of any version").to_owned();
        if let Some(suite) = suite {
            wanted = format!("{wanted} in {suite}");
        }
        let available: Vec<_> = releases
            .iter()
            .map(|release| format!("{} ({})", release.version, release.suite))
            .collect();
        Err(Unavailable {
            language: self.name(),
            wanted,
            available: available.join(", "),
        })
    }

    #[expect(
        clippy::expect_used,
        reason = "the text is part of the program, and a test reads each"
    )]
    pub(super) fn definition(self) -> Definition {
        serde_json::from_str(self.json()).expect("image.json")
    }

    const fn json(self) -> &'static str {
        match self {
            Self::Go => include_str!("../../images/go/image.json"),
            Self::Java => include_str!("../../images/java/image.json"),
            Self::Nodejs => include_str!("../../images/nodejs/image.json"),
            Self::Python => include_str!("../../images/python/image.json"),
        }
    }
}
