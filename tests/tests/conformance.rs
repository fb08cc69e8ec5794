//! The conformance suite against Slipway in every form, and against other registries to show that it can fail.

use tests::peer::Peer;
use tests::program::Ended;
use tests::{Access, Endpoint, Lab, OrFail, Server, Settings, toolbox};

/// What a run reported.
#[derive(Debug)]
struct Outcome {
    ended: Ended,
    /// Name and verdict of every clause.
    clauses: Vec<(String, String)>,
}

impl Outcome {
    fn names(&self, verdict: &str) -> Vec<&str> {
        let wanted = self.clauses.iter().filter(|(_, found)| found == verdict);
        wanted.map(|(name, _)| name.as_str()).collect()
    }

    fn failures(&self) -> usize {
        self.names("fail").len() + self.names("error").len()
    }
}

fn run(lab: &Lab, at: &Endpoint, repository: &str) -> Outcome {
    let report = lab.path("conformance.json");
    let mut program = lab
        .program(&toolbox::built("conformance").display().to_string())
        .args(["--url", &at.url("/"), "--repository", repository])
        .args(["--report", "json", "--output"])
        .arg(&report);
    if let Some(ca) = &at.ca {
        program = program.arg("--ca-file").arg(ca);
    }
    if let Some((user, password)) = &at.login {
        program = program
            .args(["--user", user])
            .env("CONFORMANCE_PASSWORD", password);
    }
    let ended = program.run();
    let text = std::fs::read_to_string(&report).or_fail("read the report");
    let json: serde_json::Value = serde_json::from_str(&text).or_fail("parse the report");
    let text_of = |value: &serde_json::Value| value.as_str().or_fail("a text").to_owned();
    let clauses = json["clauses"].as_array().or_fail("clauses").iter();
    let outcome = Outcome {
        clauses: clauses
            .map(|clause| (text_of(&clause["name"]), text_of(&clause["verdict"])))
            .collect(),
        ended,
    };
    println!(
        "{}: {} clauses, {} failures, {} skipped",
        at.host,
        outcome.clauses.len(),
        outcome.failures(),
        outcome.names("skip").len()
    );
    outcome
}

/// Nothing failed, and nothing was skipped but the groups that cannot be asked about in this run: all of each.
fn passes_all_but(outcome: &Outcome, groups: &[&str]) {
    let report = &outcome.ended.report;
    assert!(outcome.ended.status.success(), "{report}");
    assert_eq!(outcome.failures(), 0, "{report}");
    let passed = outcome.names("pass").len();
    assert!(passed > 100, "{passed} clauses are no suite");
    let in_groups = |name: &str| groups.iter().any(|group| name.starts_with(group));
    let all = outcome.clauses.iter().map(|(name, _)| name.as_str());
    let expected: Vec<_> = all.filter(|name| in_groups(name)).collect();
    assert_eq!(outcome.names("skip"), expected, "{report}");
    for group in groups {
        let there = expected.iter().any(|name| name.starts_with(group));
        assert!(there, "{group} is not even listed");
    }
}

/// Without a login nobody can ask who is let in.
const OPEN: &[&str] = &["authorization/"];

#[test]
fn slipway_on_files_passes_all() {
    let lab = Lab::new("conform-fs");
    let mut server = Server::start(&lab, &Settings::default());
    passes_all_but(&run(&lab, server.endpoint(), "conformance"), OPEN);
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
    passes_all_but(&run(&lab, server.endpoint(), "conformance"), OPEN);
}

/// The run that leaves out nothing.
#[test]
fn slipway_with_users_passes_all() {
    let lab = Lab::new("conform-users");
    let settings = Settings {
        access: Some(Access::write(&lab)),
        ..Settings::default()
    };
    let mut server = Server::start(&lab, &settings);
    let at = server.endpoint().as_user("pusher");
    let outcome = run(&lab, &at, "team/conformance");
    passes_all_but(&outcome, &[]);
    let passed = outcome.names("pass");
    for name in [
        "authorization/challenge",
        "authorization/token of another repository",
    ] {
        assert!(passed.contains(&name), "{name}: {}", outcome.ended.report);
    }
    server.stop();
    server.fsck_is_clean(&lab);
}

/// Requests are made by hand without TLS only.
#[test]
fn slipway_with_users_behind_tls_passes_all() {
    let lab = Lab::new("conform-tls");
    let server = Server::start(&lab, &Settings::guarded(&lab));
    let at = server.endpoint().as_user("pusher");
    let outcome = run(&lab, &at, "team/conformance");
    passes_all_but(&outcome, &["paths/", "limits/header", "smuggling/"]);
}

fn fails_some(peer: Peer, name: &str) {
    let lab = Lab::new(name);
    let (_daemon, at) = peer.start(&lab, &lab.dir("peer"), None, None);
    let outcome = run(&lab, &at, "conformance");
    let (cases, failures) = (outcome.clauses.len(), outcome.failures());
    let report = &outcome.ended.report;
    assert_eq!(outcome.ended.status.code(), Some(1), "{report}");
    assert!(failures > 0, "{report}");
    assert!(
        cases > 2 * failures,
        "it tells good from bad: {failures} of {cases} failed\n{report}"
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
