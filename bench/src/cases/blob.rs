//! Blob GET: the bulk of every pull.

use anyhow::Result;

use super::Case;
use crate::bench::{Bench, REPO, Wanted};
use crate::load::{Get, Load, Session};
use crate::material::Blob;
use crate::measure::{Aim, Measure, Unit};
use crate::peers::{Auth, Subject};

pub(super) const CASE: Case = Case {
    name: "blob",
    about: "blob GET of 1 MB and 1 GiB from the page cache, plain and over TLS",
    run,
};

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let sizes = [
        ("1 MB", Blob::mebibytes(1), [1, 64, 1000].as_slice()),
        (
            bench.size("1 GiB", "128 MiB"),
            Blob::mebibytes(bench.size(1024, 128)),
            [1, 16].as_slice(),
        ),
    ];
    let mut measures = Vec::new();
    for (tls, how) in [(false, "plain"), (true, "TLS")] {
        let wanted = Wanted {
            among: &Subject::ALL,
            auth: Auth::None,
            tls,
        };
        let servers = bench.start_all(wanted, |server| {
            for (_, blob, _) in &sizes {
                server.place_blob(REPO, blob)?;
                Session::new(&server.target)?.verify(&path(blob), blob.digest())?;
            }
            Ok(())
        });
        for (size, blob, connections) in &sizes {
            for &connections in *connections {
                let load = Load::closed(connections, bench.window());
                let name = match connections {
                    1 => format!("{size}, {how}, 1 connection"),
                    _ => format!("{size}, {how}, {connections} connections"),
                };
                let aims = aims(tls, connections);
                measures.push(bench.measure(
                    name,
                    Unit::Megabytes,
                    &aims,
                    &servers,
                    load,
                    |server| Ok(Get::new(&server.target, &path(blob), blob.size())),
                ));
            }
        }
    }
    Ok(measures)
}

fn path(blob: &Blob) -> String {
    format!("/v2/{REPO}/blobs/{}", blob.digest())
}

fn aims(tls: bool, connections: usize) -> Vec<Aim> {
    let times = |factor, of| Aim::Times {
        factor,
        of,
        row: None,
    };
    match (tls, connections) {
        (false, 64) => vec![
            times(0.8, Subject::Nginx),
            times(1.0, Subject::Zot),
            times(3.5, Subject::Distribution),
        ],
        (false, 16) => vec![times(0.8, Subject::Nginx), times(1.0, Subject::Zot)],
        (true, 64 | 16) => vec![times(1.2, Subject::Distribution)],
        _ => Vec::new(),
    }
}
