//! containerd: `ctr`, and the CRI pull that the kubelet makes.

use serde_json::Value;
use tests::containerd::Containerd;
use tests::{Image, OrFail, Program};

use crate::Scene;
use crate::skopeo::push as skopeo_push;

fn ctr(scene: &Scene, containerd: &Containerd, verb: &str) -> Program {
    let program = containerd.ctr(&scene.lab).args(["images", verb]);
    let program = match &scene.at.ca {
        Some(_) => program.arg("--hosts-dir").arg(containerd.certs()),
        None => program.arg("--plain-http"),
    };
    match scene.at.user_password() {
        Some(pair) => program.arg("--user").arg(pair),
        None => program,
    }
}

/// Imports, pushes, forgets, pulls, exports.
fn ctr_round_trip(scene: &Scene) {
    let containerd = Containerd::start(&scene.lab, &scene.at);
    let image = Image::busybox(&scene.lab, "app");
    let name = scene.at.image("team/app:v1");
    let tar = scene.lab.path("app.tar");
    scene
        .lab
        .program("tar")
        .arg("-cf")
        .arg(&tar)
        .arg("-C")
        .arg(image.layout.root())
        .arg(".")
        .ok();
    containerd
        .ctr(&scene.lab)
        .args(["images", "import", "--index-name", &name])
        .arg(&tar)
        .ok();
    ctr(scene, &containerd, "push").args([&name]).ok();
    containerd
        .ctr(&scene.lab)
        .args(["images", "rm", "--sync", &name])
        .ok();
    let listed = || containerd.ctr(&scene.lab).args(["images", "ls", "-q"]).ok();
    assert!(
        !listed().contains(&name),
        "the image is gone from containerd"
    );

    ctr(scene, &containerd, "pull").arg(&name).ok();
    assert!(listed().contains(&name));
    let usage = containerd
        .ctr(&scene.lab)
        .args(["content", "ls", "-q"])
        .ok();
    for digest in image.layout.content("v1").keys() {
        assert!(
            usage.contains(digest),
            "{digest} is not in containerd: {usage}"
        );
    }
}

#[test]
fn ctr_pushes_and_pulls() {
    ctr_round_trip(&Scene::open("ctr"));
}

#[test]
fn ctr_with_a_login_over_tls_pushes_and_pulls() {
    ctr_round_trip(&Scene::guarded("ctr-tls"));
}

/// What the kubelet does for a pod: ask for the status, pull, ask again.
fn cri_pull(scene: &Scene) {
    let containerd = Containerd::start(&scene.lab, &scene.at);
    let image = Image::multi_platform(&scene.lab, "app");
    skopeo_push(scene, &image, "team/app:v1").ok();
    let name = scene.at.image("team/app:v1");
    let cri = |action: &str, image: &str| {
        let program = containerd.cri(&scene.lab, action, image);
        match &scene.at.login {
            Some((user, password)) => program
                .env("CRI_USERNAME", user)
                .env("CRI_PASSWORD", password),
            None => program,
        }
    };
    assert_eq!(cri("status", &name).ok().trim(), "null");
    cri("pull", &name).ok();
    let status: Value =
        serde_json::from_str(&cri("status", &name).ok()).or_fail("parse the status");
    let expected = format!("{}@{}", scene.at.image("team/app"), image.digest());
    assert_eq!(
        status["repo_digests"],
        serde_json::json!([expected]),
        "{status}"
    );

    cri("remove", &name).ok();
    cri("pull", &expected).ok();
    let said = cri("pull", &scene.at.image("team/app:absent")).fails();
    // After a 404 containerd 1.6 asks the registry once more without the hosts.toml's authority.
    let why = if scene.at.ca.is_some() {
        "unknown authority"
    } else {
        "not found"
    };
    assert!(said.contains(why), "{said}");
}

#[test]
fn the_kubelets_cri_pull_by_tag_and_by_digest() {
    cri_pull(&Scene::open("cri"));
}

#[test]
fn the_kubelets_cri_pull_with_a_pull_secret_over_tls() {
    cri_pull(&Scene::guarded("cri-tls"));
}
