//! oras: any file as an artifact, attached to an image, discovered from it.

use serde_json::Value;
use tests::{Image, OrFail, Program};

use crate::Scene;
use crate::skopeo::push as skopeo_push;

fn oras(scene: &Scene, words: &[&str]) -> Program {
    let mut program = scene.lab.program("oras").args(words);
    program = match &scene.at.ca {
        Some(ca) => program.arg("--ca-file").arg(ca),
        None => program.arg("--plain-http"),
    };
    match &scene.at.login {
        Some((user, password)) => program
            .args(["--username", user, "--password-stdin"])
            .stdin(password.as_str()),
        None => program,
    }
}

fn push_attach_discover_pull(scene: &Scene) {
    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(scene, &image, "team/app:v1").ok();
    let name = scene.at.image("team/app:v1");
    let report = format!("{{\"findings\": {}}}", fastrand::u32(..));
    let files = scene.lab.dir("files");
    scene.lab.write("files/report.json", &report);
    for kind in [
        "application/vnd.example.scan",
        "application/vnd.example.other",
    ] {
        oras(scene, &["attach", "--artifact-type", kind])
            .args([&name, "report.json:application/json"])
            .dir(&files)
            .ok();
    }

    let found = oras(
        scene,
        &[
            "discover",
            "--format=json",
            "--artifact-type=application/vnd.example.scan",
        ],
    )
    .arg(&name)
    .ok();
    let found: Value = serde_json::from_str(&found).or_fail("parse discover");
    let key = if found["referrers"].is_array() {
        "referrers"
    } else {
        "manifests"
    };
    let referrers = found[key].as_array().or_fail("referrers");
    assert_eq!(referrers.len(), 1, "{found}");
    let digest = referrers[0]["digest"].as_str().or_fail("a digest");

    let out = scene.lab.dir("pulled");
    oras(scene, &["pull"])
        .arg(scene.at.image(&format!("team/app@{digest}")))
        .dir(&out)
        .ok();
    assert_eq!(
        std::fs::read_to_string(out.join("report.json")).or_fail("read"),
        report
    );
}

#[test]
fn oras_attaches_to_an_image_discovers_by_type_and_pulls() {
    push_attach_discover_pull(&Scene::open("oras"));
}

#[test]
fn oras_with_a_login_over_tls_attaches_discovers_and_pulls() {
    push_attach_discover_pull(&Scene::guarded("oras-tls"));
}

#[test]
fn oras_pushes_tags_and_pulls_an_artifact_of_any_type() {
    let scene = Scene::open("oras-push");
    let files = scene.lab.dir("files");
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(3 << 20)
        .collect();
    scene.lab.write("files/model.bin", &bytes);
    scene.lab.write("files/card.md", "# a model\n");
    oras(
        &scene,
        &["push", "--artifact-type", "application/vnd.example.model"],
    )
    .arg(scene.at.image("team/model:v1"))
    .args([
        "model.bin:application/octet-stream",
        "card.md:text/markdown",
    ])
    .dir(&files)
    .ok();
    oras(&scene, &["tag"])
        .args([&scene.at.image("team/model:v1"), "stable", "v1.0"])
        .ok();
    let tags = oras(&scene, &["repo", "tags"])
        .arg(scene.at.image("team/model"))
        .ok();
    assert_eq!(tags.lines().collect::<Vec<_>>(), ["stable", "v1", "v1.0"]);

    let out = scene.lab.dir("pulled");
    oras(&scene, &["pull"])
        .arg(scene.at.image("team/model:stable"))
        .dir(&out)
        .ok();
    assert!(
        std::fs::read(out.join("model.bin")).or_fail("read") == bytes,
        "the model differs"
    );
    assert_eq!(
        std::fs::read_to_string(out.join("card.md")).or_fail("read"),
        "# a model\n"
    );

    let listed = oras(&scene, &["repo", "ls"]).arg(&scene.at.host).ok();
    assert!(listed.lines().any(|line| line == "team/model"), "{listed}");
}

#[test]
fn oras_copies_an_image_with_all_that_refers_to_it() {
    let scene = Scene::open("oras-copy");
    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(&scene, &image, "team/app:v1").ok();
    let files = scene.lab.dir("files");
    scene.lab.write("files/note", "attached");
    let attach = ["attach", "--artifact-type", "application/vnd.example.note"];
    oras(&scene, &attach)
        .args([&scene.at.image("team/app:v1"), "note:text/plain"])
        .dir(&files)
        .ok();

    let target = scene.at.image("copy/app:v1");
    let flag = if scene.at.ca.is_some() {
        "--no-tty"
    } else {
        "--from-plain-http"
    };
    scene
        .lab
        .program("oras")
        .args(["copy", "--recursive", flag, "--to-plain-http"])
        .args([&scene.at.image("team/app:v1"), &target])
        .ok();
    let found = oras(&scene, &["discover", "--format=json"])
        .arg(&target)
        .ok();
    assert!(found.contains("application/vnd.example.note"), "{found}");
}

#[test]
fn oras_deletes_a_blob_and_a_manifest() {
    let scene = Scene::open("oras-delete");
    let bytes = format!("a blob of its own {}", fastrand::u64(..));
    let digest = tests::api::digest_of(bytes.as_bytes());
    let blob = scene.at.image(&format!("team/blobs@{digest}"));
    scene.lab.write("blob", &bytes);
    oras(&scene, &["blob", "push"]).args([&blob, "blob"]).ok();
    let out = scene.lab.path("fetched");
    oras(&scene, &["blob", "fetch"])
        .arg("--output")
        .arg(&out)
        .arg(&blob)
        .ok();
    assert_eq!(std::fs::read_to_string(&out).or_fail("read"), bytes);
    oras(&scene, &["blob", "delete", "--force"]).arg(&blob).ok();
    oras(&scene, &["blob", "fetch", "--descriptor"])
        .arg(&blob)
        .fails();
}
