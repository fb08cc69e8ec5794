//! Blob push, durable: the reply comes when the bytes are on the disk.

use anyhow::{Result, bail};

use super::Case;
use crate::bench::{Bench, REPO};
use crate::load::{Extent, Form, Load, PushBlobs, run as load};
use crate::material::Blob;
use crate::measure::{Aim, Measure, Sample, Unit};
use crate::peers::{Auth, Subject};

pub(super) const CASE: Case = Case {
    name: "push",
    about: "durable blob push of 1 MB, 100 MB and 1 GiB, one and 16 at a time",
    run,
};

/// One size at one concurrency.
struct Shape {
    size: &'static str,
    mebibytes: u64,
    connections: usize,
    turns: u64,
}

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let shape = |size, mebibytes, connections, turns| Shape {
        size,
        mebibytes,
        connections,
        turns,
    };
    let shapes = if bench.quick {
        vec![
            shape("1 MB", 1, 1, 100),
            shape("1 MB", 1, 16, 400),
            shape("100 MB", 100, 1, 4),
            shape("100 MB", 100, 16, 16),
        ]
    } else {
        vec![
            shape("1 MB", 1, 1, 300),
            shape("1 MB", 1, 16, 1600),
            shape("100 MB", 100, 1, 10),
            shape("100 MB", 100, 16, 48),
            shape("1 GiB", 1024, 1, 2),
            shape("1 GiB", 1024, 16, 16),
        ]
    };
    let mut measures = Vec::new();
    for shape in &shapes {
        let pattern = Blob::mebibytes(shape.mebibytes);
        for (form, how) in [(Form::Stream, "POST+PATCH+PUT"), (Form::Put, "POST+PUT")] {
            measures.push(one(bench, shape, &pattern, form, how));
        }
    }
    Ok(measures)
}

/// A new server on an empty disk for each run, so that nobody writes while another's pages are written back.
fn one(bench: &Bench, shape: &Shape, pattern: &Blob, form: Form, how: &str) -> Measure {
    let times = match shape.connections {
        1 => "1 at a time".to_owned(),
        connections => format!("{connections} at a time"),
    };
    let aims: &[Aim] = match shape.mebibytes {
        1 | 100 => &[Aim::Times {
            factor: 2.0,
            of: Subject::DockerRegistry,
            row: None,
        }],
        _ => &[],
    };
    let name = format!("{}, {how}, {times}", shape.size);
    let mut measure = Measure::new(name, Unit::Megabytes, aims);
    for round in 0..bench.rounds {
        for subject in bench.present(&Subject::REGISTRIES) {
            measure.add(
                subject,
                sample(bench, subject, shape, pattern, form, round as u64),
            );
        }
    }
    bench.tell(&measure);
    measure
}

fn sample(
    bench: &Bench,
    subject: Subject,
    shape: &Shape,
    pattern: &Blob,
    form: Form,
    round: u64,
) -> Result<Sample> {
    let folder = bench.new_folder(subject);
    std::fs::create_dir_all(&folder)?;
    let needed = pattern.size() * (shape.turns + 2);
    let disk = rustix::fs::statvfs(&folder)?;
    if disk.f_bavail * disk.f_frsize < needed * 5 / 4 {
        bail!(
            "left out: needs {} GB free on the disk, choose another with --dir",
            needed / 1_000_000_000
        );
    }
    let server = bench.start_on(subject, &folder, Auth::None, false)?;
    // Warms up code, connections and folders; the blob is none of those that count.
    server.place_blob(REPO, &Blob::mebibytes(1).vary(u64::MAX, round))?;
    bench.settle();
    let shape = Load::closed(shape.connections, Extent::Turns(shape.turns));
    let work = PushBlobs {
        repo: REPO.to_owned(),
        pattern: pattern.clone(),
        salt: round,
        form,
    };
    let (outcome, usage) = load(&bench.machine, &server, &server.target, shape, work)?;
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(Sample::of(Unit::Megabytes, &outcome, &usage))
}
