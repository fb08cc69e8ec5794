//! Pulls that stopped reading: what each costs the server in memory that the kernel cannot take back.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::Case;
use crate::bench::{Bench, REPO, Wanted};
use crate::load::{Connection, Tally};
use crate::material::Blob;
use crate::measure::{Aim, Measure, Sample, Unit};
use crate::number;
use crate::peers::{Auth, Subject};
use crate::process::Server;

pub(super) const CASE: Case = Case {
    name: "stalled",
    about: "anonymous memory for each of 1,000 blob pulls whose client stopped reading",
    run,
};

/// How long buffers have to fill.
const FILLING: Duration = Duration::from_secs(2);

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let clients = bench.size(1_000, 250);
    let blob = Blob::mebibytes(64);
    let mut measures = Vec::new();
    for (tls, how) in [(false, "plain"), (true, "TLS")] {
        let wanted = Wanted {
            among: &Subject::ALL,
            auth: Auth::None,
            tls,
        };
        // Started anew for each round: memory that an earlier one left with the allocator would hide the cost.
        let mut measure = Measure::new(
            format!("{clients} stalled pulls, {how}, per client"),
            Unit::Kibibytes,
            &[Aim::Below(100.0)],
        );
        let mut total = Measure::new(
            format!("{clients} stalled pulls, {how}, server in all"),
            Unit::Mebibytes,
            &[Aim::Below(200.0)],
        );
        for _ in 0..bench.rounds.min(3) {
            for subject in bench.present(wanted.among) {
                let wanted = Wanted {
                    among: &[subject],
                    ..wanted
                };
                for server in bench.start_all(wanted, |server| server.place_blob(REPO, &blob)) {
                    let sampled = sample(&server, &blob, clients);
                    let (each, all) = match sampled {
                        Ok((each, all)) => (Ok(each), Ok(all)),
                        Err(error) => (Err(anyhow::anyhow!("{error:#}")), Err(error)),
                    };
                    measure.add(subject, each);
                    total.add(subject, all);
                }
            }
        }
        bench.tell(&measure);
        bench.tell(&total);
        measures.extend([measure, total]);
    }
    Ok(measures)
}

/// Anonymous memory gained for each client in KiB, and resident memory in all in MiB.
fn sample(server: &Server, blob: &Blob, clients: u64) -> Result<(Sample, Sample)> {
    static NEVER: OnceLock<crate::load::Window> = OnceLock::new();
    let tally = Rc::new(Tally::new(&NEVER));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let target = Arc::new(server.target.clone());
    let head = target.head("GET", &format!("/v2/{REPO}/blobs/{}", blob.digest()));
    let before = server.usage()?;
    let mut stalled = Vec::new();
    runtime.block_on(async {
        for _ in 0..clients {
            let mut connection = Connection::new(Arc::clone(&target), Rc::clone(&tally));
            let status = connection.begin(head.as_bytes()).await?;
            ensure!(status == 200, "status {status}");
            stalled.push(connection);
        }
        Ok(())
    })?;
    std::thread::sleep(FILLING);
    let after = server.usage()?;
    drop(stalled);
    let gained =
        number(after.anonymous.saturating_sub(before.anonymous)) / 1024.0 / number(clients);
    Ok((
        Sample::bare(gained),
        Sample::bare(number(after.resident) / 1_048_576.0),
    ))
}
