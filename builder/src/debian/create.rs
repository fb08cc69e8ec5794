//! Making an image, into an OCI layout.

use std::path::Path;

use oci::Digest;

use super::base::Base;
use super::bootstrap::{Bootstrap, Mirrors, Wanted};
use super::config::{self, Platform};
use super::error::CreateError;
use super::language::{Language, Release};
use super::layout::Layout;
use super::own;

/// What to make.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// For which language.
    pub language: Language,
    /// Of which version, and from which suite.
    pub release: Release,
    /// Where packages come from.
    pub mirrors: Mirrors,
    /// More Debian packages than the language needs.
    pub packages: Vec<String>,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970: no file is younger, and it is the image's own time.
    pub epoch: u64,
    /// How many threads compress.
    pub threads: usize,
}

impl Recipe {
    /// All packages that are asked for.
    pub(super) fn all_packages(&self) -> Vec<String> {
        let definition = self.language.definition();
        let mut packages = ["ca-certificates", "tini", &self.release.package]
            .map(str::to_owned)
            .to_vec();
        packages.extend(definition.packages);
        packages.extend(self.packages.iter().cloned());
        packages
    }
}

/// An image that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The language's version with all its parts, such as `3.13.5`.
    pub version: String,
    /// How many bytes the layers have, compressed.
    pub size: u64,
}

/// Makes the image as the only one of an OCI layout (image-spec `image-layout.md`) in `dir`, a folder that is empty or new,
/// tagged with the language's version.
///
/// It blocks for a minute or so. `say` gets a line for each step.
pub fn create(
    recipe: &Recipe,
    dir: &Path,
    say: impl Fn(&str) + Clone + Send + 'static,
) -> Result<Created, CreateError> {
    let platform = Platform::here()?;
    let mtime = i64::try_from(recipe.epoch).unwrap_or(i64::MAX);
    let release = &recipe.release;
    let wanted = Wanted {
        release,
        packages: recipe.all_packages(),
        architecture: platform.debian,
        mirrors: &recipe.mirrors,
        epoch: recipe.epoch,
    };

    let layout = Layout::create(dir)?;
    let work = tempfile::tempdir().map_err(|error| CreateError::io("a work folder", error))?;
    let mut bootstrap = Bootstrap::start(&wanted, work.path(), say.clone())?;
    let mut base = None;
    let packed = layout.layer(recipe.threads, |packing| {
        let (found, packing, entries) = Base::copy(bootstrap.archive(), packing, mtime)?;
        base = Some(found);
        Ok((packing, entries))
    });
    // Where the tool failed, an archive that ends too early is what follows from it.
    bootstrap.finish()?;
    let lower = packed?;
    let base = base.unwrap_or_default();
    let version = version(&base, release)?;
    say("adding the scripts");
    let upper = layout.layer(1, |packing| {
        own::write(recipe.language, &base.passwd, packing, mtime)
    })?;

    let layers = [&lower, &upper];
    let config = config::of(recipe, &platform, &version, &layers);
    let digest = layout.image(&config, &layers, &release.version)?;
    Ok(Created {
        digest,
        version,
        size: lower.size + upper.size,
    })
}

/// What was installed, if it is what was wanted.
fn version(base: &Base, release: &Release) -> Result<String, CreateError> {
    let found = base.version(&release.package);
    let found = found.unwrap_or_else(|| "not installed".to_owned());
    let rest = found.strip_prefix(&release.version);
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
        return Ok(found);
    }
    Err(CreateError::OtherVersion {
        package: release.package.clone(),
        found,
        suite: release.suite.clone(),
        wanted: release.version.clone(),
    })
}
