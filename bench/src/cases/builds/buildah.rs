//! buildah with what the reference program of S2I writes: cached layers, no sandbox but a changed root, and the same registry.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tests::toolbox;

use super::slipway::Slipway;
use super::source::Source;
use super::{Built, authorities, said};
use crate::bench::Bench;
use crate::peers::Subject;

/// Where its builds find the certificate authorities.
const AUTHORITIES: &str = "/run/authorities.pem";

/// Storage of its own, and a cache for pip beside it.
pub(super) struct Buildah<'a> {
    folder: PathBuf,
    source: &'a Source,
    builder: String,
    output: String,
}

impl<'a> Buildah<'a> {
    /// Empty storage.
    pub(super) fn new(bench: &Bench, slipway: &Slipway, source: &'a Source) -> Result<Self> {
        let folder = bench.new_folder(Subject::Buildah);
        let cache = folder.join("cache");
        fs::create_dir_all(&cache)?;
        // The builder image's user.
        chown(&cache, Some(1001), Some(0))?;
        Ok(Self {
            folder,
            source,
            builder: slipway.builder(),
            output: slipway.other_output(),
        })
    }

    /// Builds the source as it is now and pushes the image. Writing the Dockerfile is not counted.
    pub(super) fn build(&self, arguments: &[&str]) -> Result<Built> {
        let context = self.dockerfile()?;
        let mut build = self.buildah();
        build.args(["build", "--quiet", "--layers", "--isolation=chroot"]);
        build
            .args(["--network=host", "--tls-verify=false"])
            .args(arguments);
        let cache = self.folder.join("cache");
        build.arg(format!("--volume={}:/opt/app-root/.cache", cache.display()));
        if let Some(file) = authorities() {
            build.arg(format!("--volume={}:{AUTHORITIES}:ro", file.display()));
            build.arg(format!("--build-arg=PIP_CERT={AUTHORITIES}"));
        }
        build.args(["--tag", &self.output]).arg(context);
        let begun = Instant::now();
        let image = said(&mut build)?;
        let unpushed = begun.elapsed();
        let mut push = self.buildah();
        push.args(["push", "--quiet", "--tls-verify=false", &self.output]);
        said(&mut push)?;
        Ok(Built {
            elapsed: begun.elapsed(),
            assemble: Duration::ZERO,
            unpushed: Some(unpushed),
            image: image.trim().to_owned(),
            reused: false,
        })
    }

    /// A folder with the Dockerfile, as it is written of the source.
    fn dockerfile(&self) -> Result<PathBuf> {
        let context = self.folder.join(self.source.head()?);
        // Written once for a commit: buildah's cache goes by the files' times, too.
        if context.exists() {
            return Ok(context);
        }
        fs::create_dir(&context)?;
        let file = context.join("Dockerfile");
        let program = toolbox::installed("s2i").context("s2i is not installed")?;
        let mut s2i = Command::new(program);
        s2i.arg("build").arg(self.source.work());
        s2i.args([&self.builder, "bench/other:latest", "--as-dockerfile"]);
        s2i.arg(&file).args([
            "--image-scripts-url=image:///usr/libexec/s2i",
            "--assemble-user=1001",
        ]);
        said(&mut s2i)?;
        let text = fs::read_to_string(&file)?;
        // An argument is a variable of the build once the stage says so.
        let lines = text.lines().flat_map(|line| {
            let argument = line.starts_with("FROM ").then_some("ARG PIP_CERT");
            [Some(line), argument].into_iter().flatten()
        });
        let text: Vec<_> = lines.collect();
        fs::write(&file, text.join("\n") + "\n")?;
        Ok(context)
    }

    fn buildah(&self) -> Command {
        let mut buildah = Command::new(Subject::Buildah.program().unwrap_or("buildah".into()));
        buildah.args(["--storage-driver=overlay", "--root"]);
        buildah.arg(self.folder.join("root"));
        buildah.arg("--runroot").arg(self.folder.join("run"));
        buildah
    }
}
