//! What `/metrics` and `/readyz` of the running program say.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use support::Server;

/// The value of a sample without labels.
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    let (_, value) = line
        .unwrap_or_else(|| panic!("no {name} in\n{text}"))
        .split_once(' ')
        .unwrap();
    value.parse().unwrap()
}

#[test]
fn the_process_its_connections_and_its_storage_are_shown() {
    let server = Server::start("");
    let text = server.get("/metrics", "");
    assert!(value(&text, "process_resident_memory_bytes") > 1_000_000.0);
    // A server that has just begun has used less than the clock can tell.
    assert!(value(&text, "process_cpu_seconds_total") >= 0.0);
    assert!(value(&text, "process_open_fds") > 3.0);
    assert!(value(&text, "process_open_fds") < value(&text, "process_max_fds"));
    assert!(value(&text, "slipway_connections") >= 1.0);
    assert!((value(&text, "slipway_storage_takes_writes") - 1.0).abs() < f64::EPSILON);
    assert!(text.contains("slipway_build_info{version="));
    assert!(server.get("/readyz", "").ends_with("ready\n"));
}
