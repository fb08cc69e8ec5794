//! Small images into one repository: what a build farm does, and what stores with one lock per repository cannot.

use std::cell::Cell;

use anyhow::Result;

use super::Case;
use crate::bench::{Bench, REPO, Wanted};
use crate::load::{Extent, Load, PushImages};
use crate::material::Blob;
use crate::measure::{Aim, Measure, Unit};
use crate::peers::{Auth, Subject};

pub(super) const CASE: Case = Case {
    name: "images",
    about: "distinct small images pushed into one repository: two blobs and a tagged manifest each, durable",
    run,
};

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    let wanted = Wanted {
        among: &Subject::REGISTRIES,
        auth: Auth::None,
        tls: false,
    };
    let servers = bench.start_all(wanted, |_| Ok(()));
    let (config, layer) = (Blob::config(), Blob::small(1024));
    let salt = Cell::new(0);
    let aim = Aim::Times {
        factor: 2.0,
        of: Subject::DockerRegistry,
        row: None,
    };
    let measures = [(1, 100), (16, 600), (64, 1200)].map(|(connections, turns)| {
        let load = Load::closed(connections, Extent::Turns(bench.size(turns * 3, turns)));
        let name = format!("{connections} at a time");
        bench.measure(name, Unit::Images, &[aim], &servers, load, |_| {
            bench.settle();
            Ok(PushImages {
                repo: REPO.to_owned(),
                config: config.clone(),
                layer: layer.clone(),
                salt: salt.replace(salt.get() + 1),
            })
        })
    });
    Ok(measures.into())
}
