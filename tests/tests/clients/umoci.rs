//! umoci makes and changes images in a layout; it has no transport of its own, skopeo is it.

use tests::{Image, OrFail};

use crate::Scene;
use crate::skopeo::{pull, push};

#[test]
fn umoci_unpacks_a_pulled_image_and_a_layer_it_adds_comes_back() {
    let scene = Scene::open("umoci");
    let image = Image::busybox(&scene.lab, "app");
    push(&scene, &image, "team/app:v1").ok();

    let mut pulled = image.clone();
    pulled.layout = pull(&scene, &scene.at, "team/app:v1", "pulled");
    let bundle = scene.lab.path("bundle");
    scene
        .lab
        .program("umoci")
        .args(["unpack", "--image", &pulled.at()])
        .arg(&bundle)
        .ok();
    let greeting =
        std::fs::read_to_string(bundle.join("rootfs/greeting")).or_fail("read the greeting");
    assert_eq!(greeting, image.text);

    std::fs::write(bundle.join("rootfs/added"), "by umoci").or_fail("change the root");
    scene
        .lab
        .program("umoci")
        .args(["repack", "--image", &pulled.at()])
        .arg(&bundle)
        .ok();
    push(&scene, &pulled, "team/app:v2").ok();

    let mut again = image.clone();
    again.layout = pull(&scene, &scene.at, "team/app:v2", "again");
    let bundle = scene.lab.path("bundle-again");
    scene
        .lab
        .program("umoci")
        .args(["unpack", "--image", &again.at()])
        .arg(&bundle)
        .ok();
    let added = std::fs::read_to_string(bundle.join("rootfs/added")).or_fail("read the added file");
    assert_eq!(added, "by umoci");
}
