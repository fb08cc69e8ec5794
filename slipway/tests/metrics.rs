//! What `/metrics` and `/readyz` of the running program say.

mod support;

use std::collections::BTreeSet;

use support::Server;

/// The value of a sample without labels, if there is one.
fn value(text: &str, name: &str) -> Option<f64> {
    let samples = text.lines().filter_map(|line| line.split_once(' '));
    let mut own = samples.filter(|(sample, _)| *sample == name);
    own.next()?.1.parse().ok()
}

#[test]
fn the_process_its_connections_and_its_storage_are_shown() {
    let server = Server::start("");
    let text = server.get("/metrics", "");
    let value = |name| value(&text, name).unwrap();
    assert!(value("process_resident_memory_bytes") > 1_000_000.0);
    // A server that has just begun has used less than the clock can tell.
    assert!(value("process_cpu_seconds_total") >= 0.0);
    assert!(value("process_open_fds") > 3.0);
    assert!(value("process_open_fds") < value("process_max_fds"));
    assert!(value("slipway_connections") >= 1.0);
    assert!((value("slipway_storage_takes_writes") - 1.0).abs() < f64::EPSILON);
    assert!(text.contains("slipway_build_info{version="));
    assert!(server.get("/readyz", "").ends_with("ready\n"));
}

/// Names of metrics of builds in a text, without what samples have behind them.
fn of_builds(text: &str) -> BTreeSet<String> {
    let of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !of_name(c));
    let words =
        words.filter(|word| word.starts_with("slipway_build_") && *word != "slipway_build_info");
    words.map(ToOwned::to_owned).collect()
}

#[test]
fn the_metrics_of_builds_are_those_of_the_guide() {
    let doctor = support::run(support::slipway().args(["build", "doctor"]), "");
    if !doctor.status.success() {
        eprintln!(
            "SKIPPED: no build can be run here: {}",
            support::stdout(&doctor)
        );
        return;
    }
    let server = Server::start("builder: {enabled: true}\n");
    let text = server.get("/metrics", "");
    // A family without a sample has its help all the same; a counter's has the end that its samples have.
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = kinds.filter_map(|line| {
        let (name, kind) = line.split_once(' ')?;
        let end = if kind == "counter" { "_total" } else { "" };
        name.starts_with("slipway_build_")
            .then(|| format!("{name}{end}"))
    });
    let shown: BTreeSet<String> = names.filter(|name| name != "slipway_build_info").collect();
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/run.md"));
    assert_eq!(shown, of_builds(&guide.unwrap()));
    assert!(value(&text, "slipway_build_workers").unwrap() >= 1.0);
    assert!(value(&text, "slipway_build_runs_waiting").unwrap().abs() < f64::EPSILON);
}
