//! buildah: an image from nothing, without a Dockerfile.

use tests::image;
use tests::podman::Storage;

use crate::Scene;
use crate::podman::reach;

#[test]
fn buildah_commits_from_scratch_pushes_and_another_machine_pulls_the_same_files() {
    let scene = Scene::open("buildah");
    let root = scene.lab.dir("files");
    image::busybox_rootfs(&root);
    let greeting = format!("made by buildah, {:016x}\n", fastrand::u64(..));
    scene.lab.write("files/greeting", &greeting);

    let here = Storage::new(&scene.lab, "here");
    let container = here
        .buildah()
        .args(["from", "scratch"])
        .ok()
        .trim()
        .to_owned();
    here.buildah()
        .args(["copy", &container])
        .arg(&root)
        .arg("/")
        .ok();
    here.buildah()
        .args(["config", "--cmd", "/bin/cat /greeting", &container])
        .ok();
    let name = scene.at.image("team/buildah:v1");
    here.buildah().args(["commit", &container, &name]).ok();
    reach(here.buildah().arg("push"), &scene.at).arg(&name).ok();

    let there = Storage::new(&scene.lab, "there");
    reach(there.buildah().arg("pull"), &scene.at)
        .arg(&name)
        .ok();
    assert_eq!(there.run(&name).ok(), greeting);
}
