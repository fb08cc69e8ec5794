//! What a build changed as one layer: packed, digested, thrown away.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use builder::layer::{Changes, Options, export};
use builder::{Compression, IdMap, Marks, Tree};
use tests::toolbox;
use tokio_util::sync::CancellationToken;

use super::Case;
use crate::bench::Bench;
use crate::measure::{Aim, Measure, Sample, Unit};
use crate::number;
use crate::peers::Subject;

pub(super) const CASE: Case = Case {
    name: "layer-export",
    about: "a Debian root as one layer: packed on all cores with both its digests, beside tar, gzip -6 and sha256sum in a row",
    run,
};

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let present = bench.present(&[Subject::Slipway, Subject::Gzip]);
    if !present.contains(&Subject::Slipway) {
        return Ok(Vec::new());
    }
    let archive = toolbox::cache().join("debian-minbase.tar");
    ensure!(
        archive.is_file(),
        "there is no {}: run scripts/lab-install",
        archive.display()
    );
    let tree = &bench.new_folder(Subject::Gzip);
    std::fs::create_dir_all(tree)?;
    // Owners and all, as a build leaves them; needs root.
    let mut tar = Command::new("tar");
    done(tar.arg("-xf").arg(&archive).arg("-C").arg(tree))?;

    let cores = bench.machine.shared().server_threads();
    let aim = [Aim::Times {
        factor: 3.0,
        of: Subject::Gzip,
        row: None,
    }];
    let row = |name: &str, threads: usize, aims: &[Aim]| {
        let threads_word = if threads == 1 { "thread" } else { "threads" };
        Measure::new(
            format!("{name}, {threads} {threads_word}"),
            Unit::Megabytes,
            aims,
        )
    };
    let mut rows = [
        (row("gzip", 1, &[]), Compression::Gzip, 1),
        (row("gzip", cores, &aim), Compression::Gzip, cores),
        (row("zstd", cores, &aim), Compression::Zstd, cores),
    ];
    // Bytes of files a second: the same for all. What an archive adds to them is not counted.
    let megabytes = number(files(tree)?) / 1e6;
    let sample = |act: &dyn Fn() -> Result<()>| {
        let begun = Instant::now();
        act().map(|()| Sample::bare(megabytes / begun.elapsed().as_secs_f64()))
    };
    // The first round warms the cache.
    for round in 0..=bench.rounds {
        let by_hand = present
            .contains(&Subject::Gzip)
            .then(|| sample(&|| packed_by_hand(tree)))
            .transpose()?;
        for (row, compression, threads) in &mut rows {
            let own = sample(&|| exported(tree, *compression, *threads));
            if round > 0 {
                row.add(Subject::Slipway, own);
                if let Some(by_hand) = &by_hand {
                    row.add(Subject::Gzip, Ok(by_hand.clone()));
                }
            }
        }
    }
    let rows: Vec<_> = rows.into_iter().map(|(row, ..)| row).collect();
    for row in &rows {
        bench.tell(row);
    }
    Ok(rows)
}

fn packed_by_hand(tree: &Path) -> Result<()> {
    let text = "set -o pipefail; tar --sort=name -C \"$0\" -cf - . | gzip -6 -n | sha256sum";
    let mut shell = Command::new("bash");
    done(shell.args(["-c", text]).arg(tree).stdout(Stdio::null()))
}

/// All files of a tree as one layer.
fn exported(tree: &Path, compression: Compression, threads: usize) -> Result<()> {
    let upper = Tree::open(tree)?;
    let options = Options {
        compression,
        epoch: UNIX_EPOCH + Duration::from_secs(1_600_000_000),
        ids: IdMap::identity(),
        limit: u64::MAX,
        threads,
    };
    let changes = Changes::new(&upper, vec![], Marks::Trusted);
    let never = CancellationToken::new();
    let layer = export(&changes, &options, &mut io::sink(), &never)?;
    ensure!(layer.size > 0, "an empty layer");
    Ok(())
}

/// Bytes of all files in a folder.
fn files(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += files(&entry.path())?;
        } else if kind.is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn done(command: &mut Command) -> Result<()> {
    let status = command.status();
    let status = status.with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
