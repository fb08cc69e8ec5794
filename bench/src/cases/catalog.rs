//! The catalog of very many repositories.

use anyhow::Result;

use super::Case;
use super::stage::{Listing, started_on_layout};
use crate::bench::Bench;
use crate::material::{Blob, Manifest};
use crate::measure::{Aim, Measure};

pub(super) const CASE: Case = Case {
    name: "catalog",
    about: "catalog of 10,000 repositories: one page of 100 from the middle, and the whole",
    run,
};

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let count: usize = bench.size(10_000, 2_000);
    let config = Blob::config();
    let manifest = Manifest::image(&config, &[]);
    let servers = started_on_layout(bench, |layout| {
        layout.blob(&repo(0), &config)?;
        (0..count).try_for_each(|number| {
            let repo = repo(number);
            layout.link_blob(&repo, &config)?;
            layout.manifest(&repo, &manifest)?;
            layout.tag(&repo, "latest", &manifest)
        })
    })?;
    let page = format!("/v2/_catalog?n=100&last={}", repo(count / 2));
    let one_page = Listing {
        name: "page of 100 repositories".to_owned(),
        path: &page,
        field: "repositories",
        entries: 100,
        whole: false,
        connections: 1,
        aims: &[Aim::Below(2.0)],
    };
    let whole = Listing {
        name: format!("whole catalog of {count}"),
        path: "/v2/_catalog?n=1000",
        entries: count,
        whole: true,
        aims: &[],
        ..one_page
    };
    Ok(vec![
        one_page.measure(bench, &servers),
        whole.measure(bench, &servers),
    ])
}

fn repo(number: usize) -> String {
    format!("team{:02}/app{number:05}", number % 100)
}
