//! crane, of go-containerregistry.

use std::collections::BTreeSet;

use tests::api::digest_of;
use tests::{Endpoint, Image, Layout, OrFail, Program};

use crate::Scene;
use crate::skopeo::push as skopeo_push;

/// `crane` for this endpoint, logged in when it has a login.
pub(crate) fn crane(scene: &Scene, at: &Endpoint) -> Program {
    let config = scene.lab.dir("docker-config");
    let base = || {
        let program = scene.lab.program("crane").env("DOCKER_CONFIG", &config);
        match &at.ca {
            Some(ca) => program.env("SSL_CERT_FILE", ca),
            None => program,
        }
    };
    if let Some((user, password)) = &at.login {
        base()
            .args([
                "auth",
                "login",
                &at.host,
                "--username",
                user,
                "--password-stdin",
            ])
            .stdin(password.as_str())
            .ok();
    }
    base()
}

fn round_trip(scene: &Scene) {
    let image = Image::multi_platform(&scene.lab, "app");
    let name = scene.at.image("team/app:v1");
    crane(scene, &scene.at)
        .arg("push")
        .arg(image.layout.root())
        .args(["--index", &name])
        .ok();
    // crane pushes the layout's index.json itself as the index, byte for byte.
    let index = std::fs::read(image.layout.root().join("index.json")).or_fail("read index.json");
    let digest = digest_of(&index);
    let said = crane(scene, &scene.at).args(["digest", &name]).ok();
    assert_eq!(said.trim(), digest);

    let to = scene.lab.path("back");
    crane(scene, &scene.at)
        .args(["pull", "--format=oci", &name])
        .arg(&to)
        .ok();
    let mut pushed = image.layout.content("v1");
    pushed.insert(digest, index.len());
    assert_eq!(Layout::at(to).content("the only one"), pushed);
    let said = crane(scene, &scene.at)
        .args(["validate", "--remote", &name])
        .run();
    assert!(
        said.status.success() && said.report.contains("PASS"),
        "{}",
        said.report
    );
}

#[test]
fn crane_gets_back_the_very_bytes_it_pushed() {
    round_trip(&Scene::open("crane"));
}

#[test]
fn crane_with_a_login_over_tls_gets_back_the_very_bytes_it_pushed() {
    round_trip(&Scene::guarded("crane-tls"));
}

#[test]
fn crane_copies_between_repositories_without_sending_the_blobs_again() {
    let scene = Scene::open("crane-copy");
    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(&scene, &image, "team/app:v1").ok();
    let target = scene.at.image("other/place:v1");
    let said = crane(&scene, &scene.at)
        .args(["copy", &scene.at.image("team/app:v1"), &target])
        .run();
    assert!(said.status.success(), "{}", said.report);
    assert!(said.report.contains("mounted blob"), "{}", said.report);
    assert!(!said.report.contains("pushed blob"), "{}", said.report);
    assert_eq!(
        crane(&scene, &scene.at)
            .args(["digest", &target])
            .ok()
            .trim(),
        image.digest()
    );
}

#[test]
fn crane_lists_tags_and_repositories_in_lexical_order_across_pages() {
    let scene = Scene::open("crane-list");
    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(&scene, &image, "team/app:v1").ok();
    let tags: Vec<String> = (0..7).map(|n| format!("t{n}")).collect();
    for tag in &tags {
        crane(&scene, &scene.at)
            .args(["tag", &scene.at.image("team/app:v1"), tag])
            .ok();
    }
    crane(&scene, &scene.at)
        .args([
            "copy",
            &scene.at.image("team/app:v1"),
            &scene.at.image("a/b/c:v1"),
        ])
        .ok();

    let listed = crane(&scene, &scene.at)
        .args(["ls", &scene.at.image("team/app")])
        .ok();
    let expected: Vec<&str> = tags.iter().map(String::as_str).chain(["v1"]).collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);

    let catalog = crane(&scene, &scene.at)
        .args(["catalog", &scene.at.host])
        .ok();
    let catalog: BTreeSet<&str> = catalog.lines().collect();
    assert!(
        catalog.contains("a/b/c") && catalog.contains("team/app"),
        "{catalog:?}"
    );
}

#[test]
fn crane_deletes_by_digest_and_every_tag_of_it_is_gone() {
    let scene = Scene::open("crane-delete");
    let image = Image::busybox(&scene.lab, "app");
    for tag in ["v1", "v2"] {
        skopeo_push(&scene, &image, &format!("team/app:{tag}")).ok();
    }
    crane(&scene, &scene.at)
        .args([
            "delete",
            &scene.at.image(&format!("team/app@{}", image.digest())),
        ])
        .ok();
    for tag in ["v1", "v2"] {
        let said = crane(&scene, &scene.at)
            .args(["manifest", &scene.at.image(&format!("team/app:{tag}"))])
            .fails();
        assert!(
            said.contains("MANIFEST_UNKNOWN") || said.contains("404"),
            "{said}"
        );
    }
}

#[test]
fn crane_appends_a_layer_and_exports_the_files() {
    let scene = Scene::open("crane-append");
    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(&scene, &image, "team/app:v1").ok();
    let own = scene.lab.dir("more");
    scene.lab.write("more/added", "by crane\n");
    let tar = scene.lab.path("more.tar");
    scene
        .lab
        .program("tar")
        .arg("-cf")
        .arg(&tar)
        .arg("-C")
        .arg(&own)
        .arg(".")
        .ok();
    let appended = scene.at.image("team/app:v2");
    crane(&scene, &scene.at)
        .args([
            "append",
            "--base",
            &scene.at.image("team/app:v1"),
            "--new_tag",
            &appended,
            "--new_layer",
        ])
        .arg(&tar)
        .ok();
    let exported = scene.lab.path("exported.tar");
    crane(&scene, &scene.at)
        .args(["export", &appended])
        .arg(&exported)
        .ok();
    let out = scene.lab.dir("exported");
    scene
        .lab
        .program("tar")
        .arg("-xf")
        .arg(&exported)
        .arg("-C")
        .arg(&out)
        .ok();
    assert_eq!(
        std::fs::read_to_string(out.join("added")).or_fail("read"),
        "by crane\n"
    );
    assert_eq!(
        std::fs::read_to_string(out.join("greeting")).or_fail("read"),
        image.text
    );
}
