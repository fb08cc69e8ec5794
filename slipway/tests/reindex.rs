//! `slipway storage` where paths are wrong, and where the index is not there.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use support::{Server, error_line, run, slipway, stdout};

/// `sha256` of the bytes `{}`.
const HEX: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// Runs it in `folder`, with the configuration `yaml` if there is one.
fn within(folder: &Path, yaml: Option<&str>, command: &[&str]) -> Output {
    let mut slipway = slipway();
    slipway.current_dir(folder).args(command);
    if let Some(yaml) = yaml {
        std::fs::write(folder.join("slipway.yaml"), yaml).unwrap();
        slipway.args(["--config", "slipway.yaml"]);
    }
    run(&mut slipway, "")
}

fn reindex(folder: &Path, yaml: Option<&str>) -> Output {
    within(folder, yaml, &["storage", "reindex"])
}

/// A directory as Distribution leaves it, with one blob in one repository.
fn content(root: &Path) {
    let content = root.join("docker/registry/v2");
    let blob = content.join(format!("blobs/sha256/44/{HEX}"));
    let layer = content.join(format!("repositories/team/app/_layers/sha256/{HEX}"));
    std::fs::create_dir_all(&blob).unwrap();
    std::fs::create_dir_all(&layer).unwrap();
    std::fs::write(blob.join("data"), "{}").unwrap();
    std::fs::write(layer.join("link"), format!("sha256:{HEX}")).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "slipway.yaml")
        .collect();
    names.sort();
    names
}

#[test]
fn a_wrong_path_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    content(&at.join("old"));
    for (yaml, expected, advice) in [
        (
            Some("storage: {fs: {root: ./olt}}"),
            "./olt/docker/registry/v2",
            "storage.fs.root",
        ),
        (
            Some("storage: {fs: {root: ./old/docker}}"),
            "./old/docker/docker/registry/v2",
            &*at.join("old").canonicalize().unwrap().display().to_string(),
        ),
        (None, "./slipway-data/objects/docker/registry/v2", "dataDir"),
    ] {
        let line = error_line(&reindex(at, yaml));
        assert!(line.contains(expected), "{line}");
        assert!(line.contains(advice), "{line}");
        assert_eq!(names(at), ["old"]);
        assert_eq!(names(&at.join("old")), ["docker"]);
        assert_eq!(names(&at.join("old/docker")), ["registry"]);
    }
    let said = reindex(at, Some("storage: {fs: {root: ./old}}"));
    assert!(stdout(&said).starts_with("recorded 1 blobs"), "{said:?}");
}

#[test]
fn an_index_that_knows_nothing_of_the_content_is_neither_left_behind_nor_believed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    content(&at.join("old"));
    let yaml = "listen: ['127.0.0.1:0']\ndataDir: ./data\nstorage: {fs: {root: ./old}}\n";
    let advice = "slipway storage reindex";
    let line = last_line(&within(at, Some(yaml), &["serve"]));
    assert!(line.contains(advice), "{line}");
    assert!(!at.join("data/index.db").exists());
    for what in ["fsck", "stats"] {
        let line = error_line(&within(at, Some(yaml), &["storage", what]));
        assert!(line.contains("no index"), "{line}");
        assert!(line.contains(advice), "{line}");
    }

    // An empty one, from wherever it came.
    let server = Server::start("storage: {fs: {root: FOLDER/empty}}\n");
    server.terminate();
    let data = server.folder.path().join("data");
    while data.join("index.db-wal").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::copy(data.join("index.db"), at.join("data/index.db")).unwrap();
    for what in ["fsck", "stats"] {
        let line = error_line(&within(at, Some(yaml), &["storage", what]));
        assert!(line.contains("holds repositories"), "{line}");
        assert!(line.contains(advice), "{line}");
    }
    assert!(reindex(at, Some(yaml)).status.success());
    for what in ["fsck", "stats"] {
        let said = within(at, Some(yaml), &["storage", what]);
        assert!(said.status.success(), "{said:?}");
    }
}

/// A server says other things before it fails.
fn last_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "it succeeded: {text}");
    text.lines().last().unwrap().to_owned()
}

/// A user who is not root, and owns nothing.
const OTHER: u32 = 54_321;

fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "only root can make files for others, or be somebody else"
    );
}

#[test]
fn what_root_makes_belongs_to_the_owner_of_the_objects() {
    needs_root();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let old = at.join("old");
    content(&old);
    chown(&old, Some(OTHER), Some(OTHER)).unwrap();
    let yaml = "dataDir: ./data\nstorage: {fs: {root: ./old}}\nindex: {sqlite: {path: ./facts/below/index.db}}";
    assert!(reindex(at, Some(yaml)).status.success());
    for made in [
        "data",
        "data/lock",
        "facts",
        "facts/below",
        "facts/below/index.db",
        "facts/below/index.db.lock",
        "old/.slipway-lock",
        "old/.slipway-scratch",
    ] {
        let metadata = at.join(made).metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (OTHER, OTHER), "{made}");
    }
    // What was there is left as it was.
    assert_eq!(at.metadata().unwrap().uid(), 0);
    assert_eq!(old.join("docker").metadata().unwrap().uid(), 0);
}

#[test]
fn root_gives_away_no_file_that_has_another_name() {
    needs_root();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let old = at.join("old");
    content(&old);
    chown(&old, Some(OTHER), Some(OTHER)).unwrap();
    std::fs::write(at.join("secret"), "").unwrap();
    std::fs::hard_link(at.join("secret"), old.join(".slipway-lock")).unwrap();
    let yaml = "dataDir: ./data\nstorage: {fs: {root: ./old}}";
    assert!(reindex(at, Some(yaml)).status.success());
    assert_eq!(at.join("secret").metadata().unwrap().uid(), 0);
}

#[test]
fn an_index_of_somebody_else_is_named_with_its_owner() {
    needs_root();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    content(&at.join("old"));
    let yaml = "listen: ['127.0.0.1:0']\ndataDir: ./data\nstorage: {fs: {root: ./old}}";
    assert!(reindex(at, Some(yaml)).status.success());
    let everything = Command::new("chown")
        .args(["-R", "54321:54321"])
        .arg(at)
        .status();
    assert!(everything.unwrap().success());
    chown(at.join("data/index.db"), Some(0), Some(0)).unwrap();
    for what in [&["serve"][..], &["config", "check"]] {
        let mut command = slipway();
        command.current_dir(at).args(what);
        command
            .args(["--config", "slipway.yaml"])
            .uid(OTHER)
            .gid(OTHER);
        let line = last_line(&run(&mut command, ""));
        assert!(line.contains("index.db"), "{line}");
        assert!(line.contains("belongs to user 0"), "{line}");
        assert!(line.contains("54321"), "{line}");
    }
}
