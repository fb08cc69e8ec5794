//! Manifest GET: what every pull begins with, and all that a poller does.

use anyhow::Result;

use super::Case;
use crate::bench::{Bench, REPO, Wanted};
use crate::load::{Get, Load, Session};
use crate::material::{Blob, Manifest};
use crate::measure::{Aim, Measure, Unit};
use crate::peers::{Auth, Subject};
use crate::process::Server;

pub(super) const CASE: Case = Case {
    name: "manifest",
    about: "manifest GET by tag and by digest, anonymous and authorized",
    run,
};

const CONNECTIONS: [usize; 3] = [1, 64, 1000];
/// Requests a second of all clients together: latency at a load that a server can carry, which a closed loop never shows.
const PACE: f64 = 10_000.0;
/// A tag pull's aim at 64 connections is measured against this row.
const ANONYMOUS: &str = "by tag, anonymous, 64 connections";

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let (manifest, blobs) = image();
    let stage = |server: &Server| {
        for blob in &blobs {
            server.place_blob(REPO, blob)?;
        }
        server.place_manifest(REPO, "latest", &manifest)?;
        for reference in ["latest", &manifest.digest] {
            let path = format!("/v2/{REPO}/manifests/{reference}");
            Session::new(&server.target)?.verify(&path, &manifest.digest)?;
        }
        Ok(())
    };
    let mut measures = Vec::new();
    for (auth, who) in [
        (Auth::None, "anonymous"),
        (Auth::Basic, "Basic"),
        (Auth::Token, "Bearer token"),
    ] {
        let among = &Subject::ALL;
        let servers = bench.start_all(
            Wanted {
                among,
                auth,
                tls: false,
            },
            stage,
        );
        let references: &[(&str, &str)] = match auth {
            Auth::None => &[("tag", "latest"), ("digest", &manifest.digest)],
            _ => &[("tag", "latest")],
        };
        for (by, reference) in references {
            for connections in CONNECTIONS {
                let load = Load::closed(connections, bench.window());
                let path = format!("/v2/{REPO}/manifests/{reference}");
                let name = match connections {
                    1 => format!("by {by}, {who}, 1 connection"),
                    _ => format!("by {by}, {who}, {connections} connections"),
                };
                let length = manifest.bytes.len() as u64;
                let aims = aims(auth, by, connections);
                measures.push(bench.measure(
                    name,
                    Unit::Requests,
                    &aims,
                    &servers,
                    load,
                    |server| Ok(Get::new(&server.target, &path, length)),
                ));
            }
        }
        let load = Load {
            connections: 1000,
            extent: bench.window(),
            pace: Some(PACE),
        };
        let path = format!("/v2/{REPO}/manifests/latest");
        let name = format!("by tag, {who}, 1000 clients sending 10,000 a second in all");
        let aims = [Aim::Below(5.0)];
        measures.push(
            bench.measure(name, Unit::Percentile99, &aims, &servers, load, |server| {
                Ok(Get::new(&server.target, &path, manifest.bytes.len() as u64))
            }),
        );
    }
    Ok(measures)
}

fn aims(auth: Auth, by: &str, connections: usize) -> Vec<Aim> {
    let of = Subject::Distribution;
    match (auth, by, connections) {
        (Auth::None, "tag", 64) => vec![Aim::Times {
            factor: 8.0,
            of,
            row: None,
        }],
        (Auth::Basic | Auth::Token, "tag", 64) => vec![Aim::Times {
            factor: 6.0,
            of,
            row: Some(ANONYMOUS),
        }],
        _ => Vec::new(),
    }
}

/// An image with eleven layers: a manifest of about 2 KiB.
fn image() -> (Manifest, Vec<Blob>) {
    let pattern = Blob::small(512);
    let mut blobs: Vec<_> = (0..11).map(|number| pattern.vary(0, number)).collect();
    let layers: Vec<_> = blobs.iter().collect();
    let config = Blob::config();
    let manifest = Manifest::image(&config, &layers);
    blobs.push(config);
    (manifest, blobs)
}
