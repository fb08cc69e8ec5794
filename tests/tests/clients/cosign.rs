//! cosign: signatures and attestations that live beside the image, with nothing sent elsewhere.

use tests::{Image, OrFail, Program};

use crate::Scene;
use crate::skopeo::push as skopeo_push;

const PASSWORD: &str = "the key's password";

fn cosign(scene: &Scene, words: &[&str]) -> Program {
    let program = scene
        .lab
        .program("cosign")
        .env("COSIGN_PASSWORD", PASSWORD)
        .args(words);
    let program = match &scene.at.ca {
        Some(ca) => program.arg("--registry-cacert").arg(ca),
        None => program.arg("--allow-http-registry"),
    };
    match &scene.at.login {
        Some((user, password)) => program
            .args(["--registry-username", user])
            .args(["--registry-password", password]),
        None => program,
    }
}

/// A key pair in the lab, and a signing configuration that names no service of the internet.
fn keys(scene: &Scene, prefix: &str) {
    let generate = ["generate-key-pair", "--output-key-prefix", prefix];
    scene
        .lab
        .program("cosign")
        .env("COSIGN_PASSWORD", PASSWORD)
        .args(generate)
        .ok();
    let config = ["signing-config", "create", "--out", "signing.json"];
    scene.lab.program("cosign").args(config).ok();
}

fn sign_verify_tree(scene: &Scene) {
    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(scene, &image, "team/app:v1").ok();
    let other = Image::busybox(&scene.lab, "other");
    skopeo_push(scene, &other, "team/app:unsigned").ok();
    keys(scene, "cosign");
    keys(scene, "another");
    let name = scene.at.image(&format!("team/app@{}", image.digest()));

    let offline = [
        "--key",
        "cosign.key",
        "--signing-config",
        "signing.json",
        "--yes",
    ];
    cosign(scene, &["sign"]).args(offline).arg(&name).ok();

    let verify = |key: &str, image: &str| {
        cosign(
            scene,
            &["verify", "--key", key, "--insecure-ignore-tlog=true"],
        )
        .arg(image)
    };
    let said = verify("cosign.pub", &scene.at.image("team/app:v1")).ok();
    assert!(said.contains(&image.digest()), "{said}");
    verify("another.pub", &scene.at.image("team/app:v1")).fails();
    verify("cosign.pub", &scene.at.image("team/app:unsigned")).fails();

    scene.lab.write("predicate.json", "{\"checked\": true}");
    cosign(
        scene,
        &[
            "attest",
            "--predicate",
            "predicate.json",
            "--type",
            "custom",
        ],
    )
    .args(offline)
    .arg(&name)
    .ok();
    let said = cosign(
        scene,
        &[
            "verify-attestation",
            "--key",
            "cosign.pub",
            "--insecure-ignore-tlog=true",
        ],
    )
    .args(["--type", "custom", &name])
    .ok();
    assert!(said.contains("payload"), "{said}");
    cosign(
        scene,
        &[
            "verify-attestation",
            "--key",
            "another.pub",
            "--insecure-ignore-tlog=true",
        ],
    )
    .args(["--type", "custom", &name])
    .fails();

    let tree = cosign(scene, &["tree"]).arg(&name).ok();
    let count = tree.matches("sha256:").count();
    // The image, its signature and its attestation.
    assert!(count >= 3, "{tree}");
}

#[test]
fn cosign_signs_verifies_and_shows_the_tree() {
    sign_verify_tree(&Scene::open("cosign"));
}

#[test]
fn cosign_with_a_login_over_tls_signs_verifies_and_shows_the_tree() {
    sign_verify_tree(&Scene::guarded("cosign-tls"));
}

#[test]
fn cosign_signatures_of_the_older_tag_scheme_are_kept_and_verified() {
    let scene = Scene::open("cosign-tags");
    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(&scene, &image, "team/app:v1").ok();
    keys(&scene, "cosign");
    let name = scene.at.image(&format!("team/app@{}", image.digest()));
    cosign(&scene, &["sign", "--key", "cosign.key", "--yes"])
        .args([
            "--new-bundle-format=false",
            "--use-signing-config=false",
            "--tlog-upload=false",
        ])
        .arg(&name)
        .ok();
    let tag = format!("{}.sig", image.digest().replace(':', "-"));
    let api = tests::Api::new(&scene.at);
    api.manifest("team/app", &tag)
        .or_fail("get the signature")
        .expect(200);
    cosign(
        &scene,
        &[
            "verify",
            "--key",
            "cosign.pub",
            "--insecure-ignore-tlog=true",
            "--new-bundle-format=false",
        ],
    )
    .arg(&name)
    .ok();
}
