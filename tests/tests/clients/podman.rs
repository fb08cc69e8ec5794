//! podman: build, push, pull elsewhere, run.

use tests::podman::Storage;
use tests::{Endpoint, Image, Program, image};

use crate::Scene;
use crate::skopeo::push as skopeo_push;

/// The flags that podman and buildah want for this endpoint.
pub(crate) fn reach(program: Program, at: &Endpoint) -> Program {
    let program = match at.ca.as_ref().and_then(|ca| ca.parent()) {
        Some(dir) => program.arg(format!("--cert-dir={}", dir.display())),
        None => program.arg("--tls-verify=false"),
    };
    match at.user_password() {
        Some(pair) => program.arg(format!("--creds={pair}")),
        None => program,
    }
}

/// Builds from a Dockerfile on one machine, pushes, pulls on another and runs there.
fn build_push_pull_run(scene: &Scene) {
    let context = scene.lab.dir("context");
    image::busybox_rootfs(&context.join("root"));
    scene.lab.write(
        "context/Dockerfile",
        "FROM scratch\nCOPY root /\nRUN [\"/bin/sh\", \"-c\", \"echo built $((6 * 7)) > /greeting\"]\nCMD [\"/bin/cat\", \"/greeting\"]\n",
    );
    let name = scene.at.image("team/built:v1");
    let here = Storage::new(&scene.lab, "here");
    here.podman()
        .args([
            "build",
            "--runtime=runc",
            "--isolation=chroot",
            "--tag",
            &name,
        ])
        .arg(&context)
        .ok();
    reach(here.podman().arg("push"), &scene.at).arg(&name).ok();

    let there = Storage::new(&scene.lab, "there");
    there.run(&name).fails();
    reach(there.podman().arg("pull"), &scene.at).arg(&name).ok();
    assert_eq!(there.run(&name).ok(), "built 42\n");

    let id = |storage: &Storage<'_>| {
        storage
            .podman()
            .args(["inspect", "--format={{.Id}}", &name])
            .ok()
    };
    assert_eq!(
        id(&here),
        id(&there),
        "the image has the same config on both machines"
    );
}

#[test]
fn podman_builds_pushes_pulls_and_runs() {
    build_push_pull_run(&Scene::open("podman"));
}

#[test]
fn podman_with_a_login_over_tls_builds_pushes_pulls_and_runs() {
    build_push_pull_run(&Scene::guarded("podman-tls"));
}

#[test]
fn podman_runs_what_another_client_pushed_by_digest() {
    let scene = Scene::open("podman-digest");
    let image = Image::debian(&scene.lab, "app");
    skopeo_push(&scene, &image, "team/app:v1").ok();
    let name = scene.at.image(&format!("team/app@{}", image.digest()));
    let storage = Storage::new(&scene.lab, "node");
    reach(storage.podman().arg("pull"), &scene.at)
        .arg(&name)
        .ok();
    assert_eq!(storage.run(&name).ok(), image.text);
}

#[test]
fn podman_login_is_refused_with_a_wrong_password_and_remembered_with_the_right_one() {
    let scene = Scene::guarded("podman-login");
    let storage = Storage::new(&scene.lab, "node");
    let login = |password: &str| {
        reach(storage.podman().arg("login"), &scene.at.anonymous())
            .args(["--username=pusher", "--password-stdin", &scene.at.host])
            .stdin(password)
    };
    let said = login("not the password").fails();
    assert!(said.contains("invalid username/password"), "{said}");
    login(&tests::access::password_of("pusher")).ok();

    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(&scene, &image, "team/app:v1").ok();
    let name = scene.at.image("team/app:v1");
    // Without --creds: the remembered login must do.
    reach(storage.podman().arg("pull"), &scene.at.anonymous())
        .arg(&name)
        .ok();
    assert_eq!(storage.run(&name).ok(), image.text);
}

#[test]
fn podman_pushes_a_manifest_list_it_assembled() {
    let scene = Scene::open("podman-manifest");
    let image = Image::busybox(&scene.lab, "app");
    skopeo_push(&scene, &image, "team/app:amd64").ok();
    let storage = Storage::new(&scene.lab, "node");
    let list = scene.at.image("team/app:list");
    storage.podman().args(["manifest", "create", &list]).ok();
    reach(storage.podman().args(["manifest", "add"]), &scene.at)
        .arg(&list)
        .arg(format!("docker://{}", scene.at.image("team/app:amd64")))
        .ok();
    reach(
        storage.podman().args(["manifest", "push", "--all"]),
        &scene.at,
    )
    .arg(&list)
    .arg(format!("docker://{list}"))
    .ok();
    let elsewhere = Storage::new(&scene.lab, "other");
    reach(elsewhere.podman().arg("pull"), &scene.at)
        .arg(&list)
        .ok();
    assert_eq!(elsewhere.run(&list).ok(), image.text);
}
