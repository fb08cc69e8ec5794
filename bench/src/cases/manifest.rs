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
    for (auth, who) in [(Auth::None, "anonymous"), (Auth::Basic, "Basic"), (Auth::Token, "Bearer token")] {
        let among = &Subject::ALL;
        let servers = bench.start_all(Wanted { among, auth, tls: false }, stage);
        let references: &[(&str, &str)] = match auth {
            Auth::None => &[("tag", "latest"), ("digest", &manifest.digest)],
            _ => &[("tag", "latest")],
        };
        for (by, reference) in references {
            for connections in CONNECTIONS {
                let load = Load {
                    connections,
                    extent: bench.window(),
                };
                let path = format!("/v2/{REPO}/manifests/{reference}");
                let name = match connections {
                    1 => format!("by {by}, {who}, 1 connection"),
                    _ => format!("by {by}, {who}, {connections} connections"),
                };
                let length = manifest.bytes.len() as u64;
                let aims = aims(auth, by, connections);
                measures.push(bench.measure(name, Unit::Requests, &aims, &servers, load, |server| {
                    Ok(Get::new(&server.target, &path, length))
                }));
            }
        }
    }
    Ok(measures)
}

fn aims(auth: Auth, by: &str, connections: usize) -> Vec<Aim> {
    let of = Subject::Distribution;
    match (auth, by, connections) {
        (Auth::None, "tag", 64) => vec![Aim::Times { factor: 8.0, of, row: None }],
        (Auth::Basic | Auth::Token, "tag", 64) => vec![Aim::Times { factor: 6.0, of, row: Some(ANONYMOUS) }],
        (_, "tag", 1000) => vec![Aim::P99Below(5.0)],
        _ => Vec::new(),
    }
}

/// An image with eleven layers: a manifest of about 2 KiB.
fn image() -> (Manifest, Vec<Blob>) {
    let pattern = Blob::small(512);
    let blobs: Vec<_> = (0..12).map(|number| pattern.vary(0, number)).collect();
    let layers: Vec<_> = blobs[1..].iter().collect();
    (Manifest::image(&blobs[0], &layers), blobs)
}
