//! regctl, of regclient.

use tests::{Image, OrFail, Program};

use crate::Scene;
use crate::skopeo::push as skopeo_push;

fn regctl(scene: &Scene) -> Program {
    let config = scene.lab.path("regctl.json");
    let base = || scene.lab.program("regctl").env("REGCTL_CONFIG", &config);
    if !config.exists() {
        let set = base().args(["registry", "set", "--skip-check", &scene.at.host]);
        match &scene.at.ca {
            Some(ca) => {
                let pem = std::fs::read_to_string(ca).or_fail("read the authority");
                set.arg("--cacert").arg(pem).ok();
            }
            None => {
                set.args(["--tls", "disabled"]).ok();
            }
        }
        if let Some((user, password)) = &scene.at.login {
            base()
                .args([
                    "registry",
                    "login",
                    &scene.at.host,
                    "--user",
                    user,
                    "--pass-stdin",
                ])
                .stdin(password.as_str())
                .ok();
        }
    }
    base()
}

fn copy_with_referrers(scene: &Scene) {
    let image = Image::multi_platform(&scene.lab, "app");
    let name = scene.at.image("team/app:v1");
    regctl(scene)
        .args(["image", "copy"])
        .arg(format!("ocidir://{}", image.at()))
        .arg(&name)
        .ok();
    assert_eq!(
        regctl(scene).args(["image", "digest", &name]).ok().trim(),
        image.digest()
    );

    let note = format!("noted {}", fastrand::u64(..));
    regctl(scene)
        .args([
            "artifact",
            "put",
            "--artifact-type",
            "application/vnd.example.note",
            "--subject",
            &name,
        ])
        .stdin(note.as_str())
        .ok();
    let listed = regctl(scene)
        .args([
            "artifact",
            "list",
            "--filter-artifact-type",
            "application/vnd.example.note",
            "--format",
        ])
        .args(["{{range .Descriptors}}{{.Digest}}\n{{end}}", &name])
        .ok();
    assert_eq!(listed.lines().count(), 1, "{listed}");

    let target = scene.at.image("team/copy:v1");
    regctl(scene)
        .args(["image", "copy", "--referrers", &name, &target])
        .ok();
    let fetched = regctl(scene)
        .args([
            "artifact",
            "get",
            "--filter-artifact-type",
            "application/vnd.example.note",
            "--subject",
            &target,
        ])
        .ok();
    assert_eq!(fetched.trim(), note);
}

#[test]
fn regctl_copies_an_index_with_its_referrers() {
    copy_with_referrers(&Scene::open("regctl"));
}

#[test]
fn regctl_with_a_login_over_tls_copies_an_index_with_its_referrers() {
    copy_with_referrers(&Scene::guarded("regctl-tls"));
}

#[test]
fn regctl_lists_and_deletes_one_tag_and_keeps_its_neighbour() {
    let scene = Scene::open("regctl-tags");
    let image = Image::busybox(&scene.lab, "app");
    for tag in ["keep", "drop"] {
        skopeo_push(&scene, &image, &format!("team/app:{tag}")).ok();
    }
    regctl(&scene)
        .args(["tag", "delete", &scene.at.image("team/app:drop")])
        .ok();
    let listed = regctl(&scene)
        .args(["tag", "ls", &scene.at.image("team/app")])
        .ok();
    assert_eq!(listed.trim(), "keep");
    let manifest = regctl(&scene)
        .args([
            "manifest",
            "get",
            "--format=raw-body",
            &scene.at.image("team/app:keep"),
        ])
        .ok();
    assert_eq!(manifest.into_bytes(), image.layout.blob(&image.digest()));
}

#[test]
fn regctl_pushes_a_large_blob_in_chunks() {
    let scene = Scene::open("regctl-chunks");
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(9 << 20)
        .collect();
    regctl(&scene)
        .args([
            "registry",
            "set",
            &scene.at.host,
            "--blob-chunk",
            "1048576",
            "--blob-max",
            "1048576",
        ])
        .ok();
    let digest = tests::api::digest_of(&bytes);
    regctl(&scene)
        .args(["blob", "put", &scene.at.image("team/chunks")])
        .stdin(bytes.clone())
        .ok();
    let api = tests::Api::new(&scene.at);
    let back = api
        .get(&format!("/v2/team/chunks/blobs/{digest}"))
        .or_fail("get the blob")
        .expect(200);
    assert!(back.body == bytes, "the blob differs");
}
