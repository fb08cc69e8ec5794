//! What clients of different rights get from a guarded registry. Rights by RBAC are Slipway's own: these
//! scenarios are not for peers.

use tests::layout::files;
use tests::{Image, Lab, Layout, Server, Settings};

use crate::Scene;
use crate::crane::crane;
use crate::skopeo::{pull, push, skopeo};

fn guarded_slipway(name: &str) -> Scene {
    let lab = Lab::new(name);
    let settings = Settings::guarded(&lab);
    let server = Server::start(&lab, &settings);
    let at = server.endpoint().as_user("pusher");
    Scene {
        _registry: Box::new(server),
        at,
        lab,
    }
}

#[test]
fn a_puller_pulls_and_may_neither_push_move_nor_delete() {
    let mut scene = guarded_slipway("puller");
    let image = Image::busybox(&scene.lab, "app");
    push(&scene, &image, "team/app:v1").ok();

    scene.at = scene.at.as_user("puller");
    let back = pull(&scene, &scene.at, "team/app:v1", "back");
    assert_eq!(back.content("v1"), image.layout.content("v1"));

    let other = Image::busybox(&scene.lab, "other");
    for tag in ["new", "v1"] {
        let said = push(&scene, &other, &format!("team/app:{tag}")).fails();
        assert!(
            said.contains("denied") || said.contains("unauthorized"),
            "{said}"
        );
    }
    skopeo(&scene, &scene.at, "delete", "--")
        .arg(format!("docker://{}", scene.at.image("team/app:v1")))
        .fails();
    let still = pull(&scene, &scene.at, "team/app:v1", "still");
    assert_eq!(still.content("v1"), image.layout.content("v1"));
}

#[test]
fn a_stranger_cannot_tell_a_forbidden_repository_from_an_absent_one() {
    let scene = guarded_slipway("stranger");
    let image = Image::busybox(&scene.lab, "app");
    push(&scene, &image, "team/app:v1").ok();
    for who in [scene.at.as_user("stranger"), scene.at.anonymous()] {
        let [forbidden, absent] = ["team/app:v1", "team/none:v1"].map(|name| {
            let said = crane(&scene, &who)
                .args(["manifest", &scene.at.image(name)])
                .fails();
            // Each answer has a request id of its own.
            let said = said.split("map[requestId").next().unwrap_or_default();
            said.replace("team/none", "team/app")
        });
        assert_eq!(forbidden, absent);
    }
}

#[test]
fn anonymous_pulls_where_policy_lets_it_and_nowhere_else() {
    let scene = guarded_slipway("anonymous");
    let image = Image::busybox(&scene.lab, "app");
    for name in ["public/app:v1", "team/app:v1"] {
        push(&scene, &image, name).ok();
    }
    let nobody = scene.at.anonymous();
    let back = pull(&scene, &nobody, "public/app:v1", "back");
    assert_eq!(back.content("v1"), image.layout.content("v1"));
    let to = Layout::at(scene.lab.path("never"));
    skopeo(&scene, &nobody, "copy", "--src-")
        .arg(format!("docker://{}", nobody.image("team/app:v1")))
        .arg(format!("oci:{}:v1", to.root().display()))
        .fails();
    let got: Vec<_> = files(to.root())
        .into_iter()
        .filter(|file| file.starts_with("blobs"))
        .collect();
    assert!(got.is_empty(), "nothing was handed out, but {got:?}");
}

#[test]
fn the_catalog_shows_each_caller_what_it_may_pull() {
    let scene = guarded_slipway("catalog");
    let image = Image::busybox(&scene.lab, "app");
    for name in ["public/app:v1", "team/app:v1"] {
        push(&scene, &image, name).ok();
    }
    let catalog = |user: &str| {
        let said = crane(&scene, &scene.at.as_user(user))
            .args(["catalog", &scene.at.host])
            .ok();
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(catalog("pusher"), ["public/app", "team/app"]);
    assert_eq!(catalog("puller"), ["team/app"]);
    assert_eq!(catalog("stranger"), [""; 0]);
}

#[test]
fn a_wrong_password_is_refused() {
    let mut scene = guarded_slipway("password");
    let image = Image::busybox(&scene.lab, "app");
    push(&scene, &image, "public/app:v1").ok();
    scene.at.login = Some(("pusher".to_owned(), "wrong".to_owned()));
    let said = push(&scene, &image, "team/app:v1").fails();
    assert!(
        said.contains("unauthorized") || said.contains("invalid username/password"),
        "{said}"
    );
}
