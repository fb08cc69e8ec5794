//! From the process's start to its first answer, over a registry of a million manifests.

use anyhow::Result;

use super::Case;
use super::stage::started_on_layout;
use crate::bench::{Bench, REPO};
use crate::load::Session;
use crate::material::{Blob, Manifest};
use crate::measure::{Aim, Measure, Sample, Unit};
use crate::number;
use crate::peers::Auth;

pub(super) const CASE: Case = Case {
    name: "startup",
    about: "start to first answer with 1,000,000 manifests in 1,000 repositories, and memory when idle",
    run,
};

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let repositories: u64 = bench.size(1_000, 100);
    let each: u64 = bench.size(1_000, 100);
    let config = Blob::config();
    let servers = started_on_layout(bench, |layout| {
        layout.blob(REPO, &config)?;
        for number in 0..repositories {
            let repo = repo(number);
            layout.link_blob(&repo, &config)?;
            for manifest in 0..each {
                let manifest = Manifest::numbered(&config, number * each + manifest);
                layout.manifest(&repo, &manifest)?;
                if manifest_is_tagged(&manifest) {
                    layout.tag(&repo, "latest", &manifest)?;
                }
            }
        }
        Ok(())
    })?;
    let folders: Vec<_> = servers
        .into_iter()
        .map(|server| (server.subject, server.folder().to_owned()))
        .collect();

    let total = repositories * each;
    let mut ready = Measure::new(
        format!("ready with {total} manifests"),
        Unit::Milliseconds,
        &[Aim::Below(200.0)],
    );
    let mut first = Measure::new("first manifest GET after that", Unit::Milliseconds, &[]);
    let mut idle = Measure::new(
        "resident memory when idle",
        Unit::Mebibytes,
        &[Aim::Below(30.0)],
    );
    let last = Manifest::numbered(&config, total - 1);
    for _ in 0..bench.rounds {
        for (subject, folder) in &folders {
            let server = match bench.start_on(*subject, folder, Auth::None, false) {
                Ok(server) => server,
                Err(error) => {
                    ready.add(*subject, Err(error));
                    continue;
                }
            };
            ready.add(
                *subject,
                Ok(Sample::bare(server.ready_after.as_secs_f64() * 1e3)),
            );
            let begun = std::time::Instant::now();
            let path = format!("/v2/{}/manifests/{}", repo(repositories - 1), last.digest);
            let got = Session::new(&server.target)?.verify(&path, &last.digest);
            first.add(
                *subject,
                got.map(|()| Sample::bare(begun.elapsed().as_secs_f64() * 1e3)),
            );
            std::thread::sleep(std::time::Duration::from_millis(300));
            idle.add(
                *subject,
                server
                    .usage()
                    .map(|usage| Sample::bare(number(usage.resident) / 1_048_576.0)),
            );
        }
    }
    let measures = vec![ready, first, idle];
    for measure in &measures {
        bench.tell(measure);
    }
    Ok(measures)
}

/// About one in sixteen.
fn manifest_is_tagged(manifest: &Manifest) -> bool {
    manifest.digest.ends_with('0')
}

fn repo(number: u64) -> String {
    format!("bench/app{number:04}")
}
