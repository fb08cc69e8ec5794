//! What `/metrics` and `/readyz` of the running program say.

mod support;

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
