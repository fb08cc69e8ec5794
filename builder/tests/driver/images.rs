//! Images in a folder do what every registry must, and other tools read them.

use std::process::Command;
use std::sync::Arc;

use builder::images::Layouts;
use builder::images::suite::Registry;

use super::image::{Tar, execution, push};
use super::lab::actor;

fn open() -> (Registry, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let layouts = Layouts::new(folder.path().join("images"));
    ((Arc::new(layouts), actor()), folder)
}

builder::images_suite!(open());

#[tokio::test]
async fn other_tools_read_a_layout() {
    tests::toolbox::needs(&["skopeo"]);
    let folder = tempfile::tempdir().unwrap();
    let layouts = Layouts::new(folder.path());
    let layer = Tar::new().file("a", 0o644, 0, "a").bytes();
    push(&layouts, "shop/cart:v1", &[layer], execution()).await;
    let repo = oci::RepoName::parse("shop/cart").unwrap();
    let place = format!("oci:{}:v1", layouts.folder(&repo).display());
    let output = Command::new("skopeo")
        .args(["inspect", &place])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("io.openshift.s2i.scripts-url"), "{said}");
}
