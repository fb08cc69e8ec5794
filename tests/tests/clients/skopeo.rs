//! skopeo: copy in and out, inspect, list, delete.

use serde_json::Value;
use tests::{Endpoint, Image, Layout, OrFail, Program};

use crate::Scene;

/// `skopeo VERB` with the flags of this endpoint; `side` is `--dest-`, `--src-` or `--`.
pub(crate) fn skopeo(scene: &Scene, at: &Endpoint, verb: &str, side: &str) -> Program {
    let mut program = scene.lab.program("skopeo").arg(verb);
    program = match at.ca.as_ref().and_then(|ca| ca.parent()) {
        Some(dir) => program.arg(format!("{side}cert-dir={}", dir.display())),
        None => program.arg(format!("{side}tls-verify=false")),
    };
    match at.user_password() {
        Some(pair) => program.arg(format!("{side}creds={pair}")),
        None => program,
    }
}

/// Copies a layout's image to the registry, every platform and every byte as it is.
pub(crate) fn push(scene: &Scene, image: &Image, name: &str) -> Program {
    skopeo(scene, &scene.at, "copy", "--dest-")
        .args(["--all", "--preserve-digests"])
        .arg(format!("oci:{}", image.at()))
        .arg(format!("docker://{}", scene.at.image(name)))
}

/// Copies an image out of the registry into a fresh layout, under the tag `v1`.
pub(crate) fn pull(scene: &Scene, at: &Endpoint, name: &str, to: &str) -> Layout {
    let layout = Layout::at(scene.lab.path(to));
    skopeo(scene, at, "copy", "--src-")
        .args(["--all", "--preserve-digests"])
        .arg(format!("docker://{}", at.image(name)))
        .arg(format!("oci:{}:v1", layout.root().display()))
        .ok();
    layout
}

fn round_trip(scene: &Scene, image: &Image) {
    push(scene, image, "team/app:v1").ok();
    let back = pull(scene, &scene.at, "team/app:v1", "back");
    assert_eq!(back.content("v1"), image.layout.content(&image.tag));
}

#[test]
fn skopeo_gets_back_the_very_bytes_it_pushed() {
    let scene = Scene::open("skopeo");
    round_trip(&scene, &Image::busybox(&scene.lab, "app"));
}

#[test]
fn skopeo_gets_back_every_platform_of_an_index() {
    let scene = Scene::open("skopeo-multi");
    let image = Image::multi_platform(&scene.lab, "app");
    assert!(
        image.layout.content("v1").len() >= 6,
        "an index, two manifests, two configs, layers"
    );
    round_trip(&scene, &image);
}

#[test]
fn skopeo_gets_back_a_debian_image() {
    let scene = Scene::open("skopeo-debian");
    let image = Image::debian(&scene.lab, "app");
    let largest = image
        .layout
        .content("v1")
        .into_values()
        .max()
        .or_fail("a blob");
    assert!(
        largest > 20_000_000,
        "a layer worth the name, not {largest} bytes"
    );
    round_trip(&scene, &image);
}

#[test]
fn skopeo_with_a_login_over_tls_gets_back_the_very_bytes_it_pushed() {
    let scene = Scene::guarded("skopeo-tls");
    round_trip(&scene, &Image::busybox(&scene.lab, "app"));
}

#[test]
fn skopeo_dir_transport_holds_the_manifest_as_pushed() {
    let scene = Scene::open("skopeo-dir");
    let image = Image::busybox(&scene.lab, "app");
    push(&scene, &image, "deep/er/team/app:v1").ok();
    let to = scene.lab.path("dir");
    skopeo(&scene, &scene.at, "copy", "--src-")
        .arg(format!(
            "docker://{}",
            scene.at.image("deep/er/team/app:v1")
        ))
        .arg(format!("dir:{}", to.display()))
        .ok();
    let manifest = std::fs::read(to.join("manifest.json")).or_fail("read the pulled manifest");
    assert_eq!(manifest, image.layout.blob(&image.digest()));
}

#[test]
fn skopeo_pushes_docker_schema_2_and_gets_the_same_digest_back() {
    let scene = Scene::open("skopeo-v2s2");
    let image = Image::busybox(&scene.lab, "app");
    skopeo(&scene, &scene.at, "copy", "--dest-")
        .arg("--format=v2s2")
        .arg(format!("oci:{}", image.at()))
        .arg(format!("docker://{}", scene.at.image("team/app:docker")))
        .ok();
    let raw = skopeo(&scene, &scene.at, "inspect", "--")
        .arg("--raw")
        .arg(format!("docker://{}", scene.at.image("team/app:docker")))
        .ok();
    let manifest: Value = serde_json::from_str(&raw).or_fail("parse the manifest");
    assert_eq!(
        manifest["mediaType"],
        "application/vnd.docker.distribution.manifest.v2+json"
    );
    let digest = tests::api::digest_of(raw.as_bytes());
    skopeo(&scene, &scene.at, "inspect", "--")
        .arg("--raw")
        .arg(format!(
            "docker://{}",
            scene.at.image(&format!("team/app@{digest}"))
        ))
        .ok();
}

#[test]
fn skopeo_lists_tags_and_inspects() {
    let scene = Scene::open("skopeo-list");
    let image = Image::busybox(&scene.lab, "app");
    for tag in ["v1", "v2", "latest"] {
        push(&scene, &image, &format!("team/app:{tag}")).ok();
    }
    let listed = skopeo(&scene, &scene.at, "list-tags", "--")
        .arg(format!("docker://{}", scene.at.image("team/app")))
        .ok();
    let listed: Value = serde_json::from_str(&listed).or_fail("parse list-tags");
    assert_eq!(listed["Tags"], serde_json::json!(["latest", "v1", "v2"]));

    let seen = skopeo(&scene, &scene.at, "inspect", "--")
        .arg(format!("docker://{}", scene.at.image("team/app:v2")))
        .ok();
    let seen: Value = serde_json::from_str(&seen).or_fail("parse inspect");
    assert_eq!(seen["Digest"], image.digest());
    assert_eq!(seen["Architecture"], "amd64");
}

#[test]
fn skopeo_deletes_an_image_and_it_is_gone() {
    let scene = Scene::open("skopeo-delete");
    let image = Image::busybox(&scene.lab, "app");
    push(&scene, &image, "team/app:v1").ok();
    let other = Image::busybox(&scene.lab, "other");
    push(&scene, &other, "team/app:stays").ok();
    skopeo(&scene, &scene.at, "delete", "--")
        .arg(format!("docker://{}", scene.at.image("team/app:v1")))
        .ok();
    for gone in [
        "team/app:v1".to_owned(),
        format!("team/app@{}", image.digest()),
    ] {
        let said = skopeo(&scene, &scene.at, "inspect", "--")
            .arg(format!("docker://{}", scene.at.image(&gone)))
            .fails();
        assert!(said.contains("manifest unknown"), "{said}");
    }
    let back = pull(&scene, &scene.at, "team/app:stays", "stays");
    assert_eq!(back.content("v1"), other.layout.content("v1"));
}

#[test]
fn skopeo_syncs_a_whole_repository_into_a_folder() {
    let scene = Scene::open("skopeo-sync");
    let images = ["one", "two"].map(|tag| {
        let image = Image::busybox(&scene.lab, tag);
        push(&scene, &image, &format!("team/app:{tag}")).ok();
        (tag, image)
    });
    let to = scene.lab.dir("synced");
    skopeo(&scene, &scene.at, "sync", "--src-")
        .args(["--src", "docker", "--dest", "dir", "--all"])
        .arg(scene.at.image("team/app"))
        .arg(&to)
        .ok();
    for (tag, image) in images {
        let manifest =
            std::fs::read(to.join(format!("app:{tag}/manifest.json"))).or_fail("a synced manifest");
        assert_eq!(manifest, image.layout.blob(&image.digest()));
    }
}
