//! The same source and builder image to an image in a registry: Slipway's runs beside buildah running the Dockerfile that the
//! reference program of S2I writes.

mod buildah;
mod slipway;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::toolbox;

use self::buildah::Buildah;
use self::slipway::Slipway;
use self::source::Source;
use super::Case;
use crate::bench::Bench;
use crate::measure::{Aim, Measure, Sample, Unit};
use crate::peers::Subject;
use crate::process::shorten;

pub(super) const CASE: Case = Case {
    name: "builds",
    about: "a Python application from git to an image in the registry, beside buildah with the Dockerfile that s2i writes",
    run,
};

/// Applications of the same code: with nothing to download, and with what `requirements.txt` names.
const SAMPLES: [&str; 2] = ["no dependencies", "nine dependencies"];

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let present = bench.present(&[Subject::Slipway, Subject::Buildah]);
    if !present.contains(&Subject::Slipway) {
        return Ok(Vec::new());
    }
    for program in ["git", "busybox", "runc", "s2i"] {
        toolbox::installed(program)
            .with_context(|| format!("{program} is not installed: run scripts/lab-install"))?;
    }
    let builder = builder_image(bench)?;
    let mut measures = Vec::new();
    for sample in SAMPLES {
        let mut rows = Rows::new(sample);
        for _ in 0..bench.rounds {
            let folder = bench.new_folder(Subject::Slipway);
            let source = Source::serve(&folder.join("git"), sample != SAMPLES[0])?;
            let slipway = Slipway::start(bench, &folder, &builder, &source)?;
            let with = present.contains(&Subject::Buildah);
            let buildah = with.then(|| Buildah::new(bench, &slipway, &source));
            round(&mut rows, &source, &slipway, buildah.transpose()?.as_ref())?;
        }
        measures.extend(rows.into_measures());
    }
    for measure in &measures {
        bench.tell(measure);
    }
    Ok(measures)
}

/// From empty to a change of the code, each step by both before the next.
fn round(
    rows: &mut Rows,
    source: &Source,
    slipway: &Slipway,
    buildah: Option<&Buildah>,
) -> Result<()> {
    let run = slipway.run(false)?;
    ensure!(!run.reused, "a first build took another's result");
    rows.first.own(&run);
    if let Some(buildah) = buildah {
        rows.first.theirs(&buildah.build(&["--pull-always"])?);
    }

    let again = slipway.run(false)?;
    ensure!(again.reused, "nothing has changed, and it was built again");
    rows.unchanged.own(&again);
    if let Some(buildah) = buildah {
        rows.unchanged.theirs(&buildah.build(&["--pull-never"])?);
    }

    let fresh = slipway.run(true)?;
    ensure!(!fresh.reused, "what was to be built was not");
    ensure!(fresh.image == run.image, "the same came to another image");
    rows.fresh.own(&fresh);
    if let Some(buildah) = buildah {
        let build = buildah.build(&["--pull-never", "--no-cache", "--layers=false"])?;
        rows.fresh.theirs(&build);
    }

    source.change_code()?;
    let changed = slipway.run(false)?;
    ensure!(changed.image != run.image, "the change is not in the image");
    rows.changed.own(&changed);
    let beside = changed.elapsed.saturating_sub(changed.assemble);
    rows.beside.add(Subject::Slipway, Ok(sample(beside)));
    if let Some(buildah) = buildah {
        rows.changed.theirs(&buildah.build(&["--pull-never"])?);
    }
    Ok(())
}

/// How one build went.
struct Built {
    /// From the command's start to its end, the image being in the registry.
    elapsed: Duration,
    /// What of it the `assemble` script took, where that is known.
    assemble: Duration,
    /// Without pushing, where that can be told apart.
    unpushed: Option<Duration>,
    image: String,
    reused: bool,
}

/// The rows of one sample.
struct Rows {
    first: Step,
    unchanged: Step,
    fresh: Step,
    changed: Step,
    beside: Measure,
}

/// One step: an image in the registry, and an image.
struct Step {
    published: Measure,
    built: Measure,
}

impl Rows {
    fn new(sample: &str) -> Self {
        let times = Aim::Times {
            factor: 5.0,
            of: Subject::Buildah,
            row: None,
        };
        let step = |name: &str, aims: &[Aim]| Step::new(&format!("{sample}: {name}"), aims);
        Self {
            first: step("first build", &[]),
            unchanged: step("no change", &[Aim::Below(1000.0), times]),
            fresh: step("no change, run all the same", &[times]),
            changed: step("code changed", &[times]),
            beside: Measure::new(
                format!("{sample}: code changed, all but assemble"),
                Unit::Milliseconds,
                &[Aim::Below(1000.0)],
            ),
        }
    }

    fn into_measures(self) -> Vec<Measure> {
        let steps = [self.first, self.unchanged, self.fresh, self.changed];
        let rows = steps
            .into_iter()
            .flat_map(|step| [step.published, step.built]);
        rows.chain([self.beside]).collect()
    }
}

impl Step {
    fn new(name: &str, aims: &[Aim]) -> Self {
        Self {
            published: Measure::new(name, Unit::Milliseconds, aims),
            built: Measure::new(
                format!("{name}; buildah does not push"),
                Unit::Milliseconds,
                &[],
            ),
        }
    }

    fn own(&mut self, built: &Built) {
        for row in [&mut self.published, &mut self.built] {
            row.add(Subject::Slipway, Ok(sample(built.elapsed)));
        }
    }

    fn theirs(&mut self, built: &Built) {
        let without = built.unpushed.unwrap_or(built.elapsed);
        self.published
            .add(Subject::Buildah, Ok(sample(built.elapsed)));
        self.built.add(Subject::Buildah, Ok(sample(without)));
    }
}

fn sample(time: Duration) -> Sample {
    Sample::bare(time.as_secs_f64() * 1e3)
}

/// An archive of the Python builder image: the one that the tests keep in the lab's cache, or a new one.
fn builder_image(bench: &Bench) -> Result<PathBuf> {
    let kept = std::fs::read_dir(toolbox::cache()).into_iter().flatten();
    let kept = kept.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("builder-image-python-") && name.ends_with(".tar")
    });
    let modified = |path: &PathBuf| path.metadata().and_then(|of| of.modified()).ok();
    if let Some(newest) = kept.max_by_key(modified) {
        return Ok(newest);
    }
    let folder = bench.new_folder(Subject::Slipway);
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("python.tar");
    let mut create = Command::new(Subject::Slipway.program().context("slipway is not here")?);
    create.args(["builder-image", "create", "python", "--output"]);
    said(create.arg(format!("oci-archive:{}", file.display())))?;
    Ok(file)
}

/// Standard output of a program that succeeds.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output();
    let output = output.with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let end: String = text
        .lines()
        .rev()
        .take(12)
        .fold(String::new(), |end, line| format!("{line}\n{end}"));
    ensure!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        shorten(&end)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// The certificate authorities of this machine, for downloads.
fn authorities() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let file = named.unwrap_or_else(|| Path::new("/etc/ssl/certs/ca-certificates.crt").to_owned());
    file.is_file().then_some(file)
}
