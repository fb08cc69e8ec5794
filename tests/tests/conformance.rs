//! The conformance suite against Slipway in every form, and against other registries to show that it can fail.

use std::path::Path;

use tests::peer::Peer;
use tests::program::Ended;
use tests::{Endpoint, Lab, OrFail, Server, Settings, toolbox};

/// What a run reported.
#[derive(Debug)]
struct Outcome {
    ended: Ended,
    cases: usize,
    failures: usize,
    skipped: usize,
}

fn run(lab: &Lab, at: &Endpoint) -> Outcome {
    let report = lab.path("conformance.xml");
    let mut program = lab
        .program(&toolbox::built("conformance").display().to_string())
        .args(["--url", &at.url("/"), "--report", "junit", "--output"])
        .arg(&report);
    if let Some((user, password)) = &at.login {
        program = program
            .args(["--user", user])
            .env("CONFORMANCE_PASSWORD", password);
    }
    let ended = program.run();
    let count = |element: &str| read(&report).matches(&format!("<{element}")).count();
    let outcome = Outcome {
        cases: count("testcase"),
        failures: count("failure") + count("error"),
        skipped: count("skipped"),
        ended,
    };
    println!(
        "{}: {} cases, {} failures, {} skipped",
        at.host, outcome.cases, outcome.failures, outcome.skipped
    );
    outcome
}

fn read(report: &Path) -> String {
    std::fs::read_to_string(report).or_fail("read the report")
}

fn passes_all(outcome: &Outcome) {
    let Outcome {
        ended,
        cases,
        failures,
        skipped,
    } = outcome;
    assert!(ended.status.success(), "{}", ended.report);
    assert_eq!((*failures, *skipped), (0, 0), "{}", ended.report);
    assert!(*cases > 100, "{cases} cases are no suite");
}

#[test]
fn slipway_on_files_passes_all() {
    let lab = Lab::new("conform-fs");
    let mut server = Server::start(&lab, &Settings::default());
    passes_all(&run(&lab, server.endpoint()));
    server.stop();
    server.fsck_is_clean(&lab);
}

#[test]
fn slipway_in_memory_passes_all() {
    let lab = Lab::new("conform-mem");
    let settings = Settings {
        memory: true,
        ..Settings::default()
    };
    let server = Server::start(&lab, &settings);
    passes_all(&run(&lab, server.endpoint()));
}

fn fails_some(peer: Peer, name: &str) {
    let lab = Lab::new(name);
    let (_daemon, at) = peer.start(&lab, &lab.dir("peer"), None, None);
    let Outcome {
        ended,
        cases,
        failures,
        ..
    } = run(&lab, &at);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.report);
    assert!(failures > 0, "{}", ended.report);
    assert!(
        cases > 2 * failures,
        "it tells good from bad: {failures} of {cases} failed\n{}",
        ended.report
    );
}

#[test]
fn debians_docker_registry_fails_some_and_passes_most() {
    fails_some(Peer::DockerRegistry, "conform-docker");
}

#[test]
fn distribution_3_fails_some_and_passes_most() {
    fails_some(Peer::Distribution, "conform-dist");
}
