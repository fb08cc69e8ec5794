//! Listing the tags of a repository that has very many.

use anyhow::Result;

use super::Case;
use super::stage::{Listing, started_on_layout, tags_list};
use crate::bench::{Bench, REPO};
use crate::material::{Blob, Manifest};
use crate::measure::{Aim, Measure};

pub(super) const CASE: Case = Case {
    name: "tags",
    about: "tag list of a repository with 100,000 tags: one page of 100 from the middle, and the whole",
    run,
};

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let count: usize = bench.size(100_000, 10_000);
    let config = Blob::config();
    let manifest = Manifest::image(&config, &[]);
    let servers = started_on_layout(bench, |layout| {
        layout.blob(REPO, &config)?;
        layout.manifest(REPO, &manifest)?;
        (0..count).try_for_each(|number| layout.tag(REPO, &tag(number), &manifest))
    })?;
    let page = format!("{}?n=100&last={}", tags_list(), tag(count / 2));
    let one_page = |name: &str, connections, aims| Listing {
        name: name.to_owned(),
        path: &page,
        field: "tags",
        entries: 100,
        whole: false,
        connections,
        aims,
    };
    let whole = Listing {
        name: format!("whole list of {count}"),
        path: &tags_list(),
        entries: count,
        whole: true,
        ..one_page("", 1, &[Aim::Below(100.0)])
    };
    Ok(vec![
        one_page("page of 100 tags", 1, &[Aim::Below(1.0)]).measure(bench, &servers),
        one_page("page of 100 tags, 16 connections", 16, &[]).measure(bench, &servers),
        whole.measure(bench, &servers),
    ])
}

fn tag(number: usize) -> String {
    format!("v{number:07}")
}
