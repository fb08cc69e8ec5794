//! The manual's pages, as man(1) shows them.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use support::{run, slipway};

fn page(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let made = run(slipway().arg("man").arg("--dir").arg(folder.path()), "");
    assert!(made.status.success(), "{made:?}");
    std::fs::read_to_string(folder.path().join(name)).unwrap()
}

#[test]
fn examples_keep_their_lines_and_variables_are_named() {
    let login = page("slipway-login.1");
    let (_, examples) = login.split_once(".SH EXAMPLES\n.nf\n").unwrap();
    let (examples, _) = examples.split_once(".fi").unwrap();
    let lines: Vec<_> = examples.lines().collect();
    assert_eq!(lines.len(), 7, "{examples}");
    assert!(
        lines[1].ends_with("                asks for name and password"),
        "{examples}"
    );
    let (_, environment) = login.split_once(".SH ENVIRONMENT\n").unwrap();
    for name in ["SLIPWAY_SERVER", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"] {
        assert!(environment.contains(name), "{environment}");
    }
    assert!(!login.contains(".SH EXTRA"), "{login}");
}

#[test]
fn every_page_names_the_program_and_its_version() {
    let header = page("slipway-storage-fsck.1");
    let title = header.lines().find(|line| line.starts_with(".TH")).unwrap();
    assert!(title.contains("\"slipway "), "{title}");
    assert!(header.contains(r"\fBslipway storage fsck\fR"), "{header}");
}
