//! Listing what refers to an image: signatures, attestations.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use super::Case;
use super::stage::Listing;
use crate::bench::{Bench, REPO, Wanted};
use crate::load::{Extent, Load, PutManifests, Session, run as load};
use crate::material::{Blob, Manifest};
use crate::measure::Measure;
use crate::peers::{Auth, Subject};
use crate::process::Server;

pub(super) const CASE: Case = Case {
    name: "referrers",
    about: "10,000 referrers of one image; where the API is missing, the tag-schema index that clients read instead",
    run,
};

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let count: u64 = bench.size(10_000, 1_000);
    let config = Blob::config();
    let subject = Manifest::image(&config, &[]);
    // zot rewrites its index with every push, which makes a stage of this size a matter of hours.
    let among = [
        Subject::Slipway,
        Subject::Distribution,
        Subject::DockerRegistry,
    ];
    let wanted = Wanted {
        among: &among,
        auth: Auth::None,
        tls: false,
    };
    let servers = bench.start_all(wanted, |server| {
        stage(bench, server, &config, &subject, count)
    });
    let (ours, theirs): (Vec<_>, Vec<_>) = servers
        .into_iter()
        .partition(|server| server.subject == Subject::Slipway);

    let api = format!("/v2/{REPO}/referrers/{}", subject.digest);
    let fall_back = format!("/v2/{REPO}/manifests/{}", subject.digest.replace(':', "-"));
    let listing = |name: &str, path, connections| Listing {
        name: name.to_owned(),
        path,
        field: "manifests",
        entries: usize::try_from(count).unwrap_or(usize::MAX),
        whole: true,
        connections,
        aims: &[],
    };
    let name = format!("all {count} referrers");
    let measures =
        [(name.clone(), 1), (format!("{name}, 16 connections"), 16)].map(|(name, connections)| {
            let mut measure = listing(&name, &api, connections).measure(bench, &ours);
            let other = listing(&name, &fall_back, connections).measure(bench, &theirs);
            measure.samples.extend(other.samples);
            measure.notes.extend(other.notes);
            measure
        });
    let first = first_page(bench, &ours, &api);
    Ok(measures.into_iter().chain(first).collect())
}

/// The image and what refers to it; the referrers themselves only where the server lists them.
fn stage(
    bench: &Bench,
    server: &Server,
    config: &Blob,
    subject: &Manifest,
    count: u64,
) -> Result<()> {
    server.place_blob(REPO, config)?;
    server.place_manifest(REPO, "latest", subject)?;
    if server.subject != Subject::Slipway {
        let children: Vec<_> = (0..count)
            .map(|number| Manifest::referrer(config, subject, number))
            .collect();
        // These check that an index's children are there, so they must be pushed all the same.
        push(bench, server, config, subject, count)?;
        let index = Manifest::referrers_index(&children);
        return server.place_manifest(REPO, &subject.digest.replace(':', "-"), &index);
    }
    push(bench, server, config, subject, count)
}

fn push(
    bench: &Bench,
    server: &Server,
    config: &Blob,
    subject: &Manifest,
    count: u64,
) -> Result<()> {
    let (config, subject) = (config.clone(), subject.clone());
    let work = PutManifests {
        repo: REPO.to_owned(),
        make: move |turn| {
            let manifest = Manifest::referrer(&config, &subject, turn);
            (manifest.digest.clone(), Arc::new(manifest))
        },
    };
    let shape = Load::closed(16, Extent::Turns(count));
    let (outcome, _) = load(&bench.machine, server, &server.target, shape, work)?;
    let error = outcome.first_error.unwrap_or_default();
    ensure!(
        outcome.errors == 0,
        "{} referrers were refused, first: {error}",
        outcome.errors
    );
    Ok(())
}

/// What a client waits for before it can show anything.
fn first_page(bench: &Bench, servers: &[Server], path: &str) -> Option<Measure> {
    let server = servers.first()?;
    let counted = || -> Result<usize> {
        let (reply, body) = Session::new(&server.target)?.get(path)?;
        ensure!(reply.status == 200, "GET {path}: status {}", reply.status);
        let page: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(page["manifests"].as_array().context("no manifests")?.len())
    };
    let entries = counted()
        .inspect_err(|error| eprintln!("bench: referrers: {error:#}"))
        .ok()?;
    let name = format!("first page ({entries} of them)");
    let listing = Listing {
        name,
        path,
        field: "manifests",
        entries,
        whole: false,
        connections: 1,
        aims: &[],
    };
    Some(listing.measure(bench, servers))
}
