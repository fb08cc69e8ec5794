//! The layout on disk is Distribution's: a user comes, and leaves, without copying a byte.

use std::path::{Path, PathBuf};

use tests::peer::Peer;
use tests::{Api, Endpoint, Image, Lab, Layout, OrFail, Server, Settings};

/// What a directory is filled with before the other program takes it over.
const NAMES: [&str; 3] = ["team/app:v1", "team/app:v2", "deep/er/than/that:v1"];

fn copy_all(lab: &Lab, from: &str, to: &str) {
    lab.program("skopeo")
        .args([
            "copy",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ])
        .args([from, to])
        .ok();
}

fn fill(lab: &Lab, at: &Endpoint) -> Vec<(&'static str, Image)> {
    let make = |(number, name): (usize, &'static str)| {
        let image = match number {
            0 => Image::multi_platform(lab, "zero"),
            number => Image::busybox(lab, &format!("number-{number}")),
        };
        copy_all(
            lab,
            &format!("oci:{}", image.at()),
            &format!("docker://{}", at.image(name)),
        );
        (name, image)
    };
    NAMES.into_iter().enumerate().map(make).collect()
}

fn holds_all(lab: &Lab, at: &Endpoint, images: &[(&str, Image)]) {
    for (number, (name, image)) in images.iter().enumerate() {
        let back = Layout::at(lab.path(format!("back-{number}-{}", at.host.replace(':', "-"))));
        let to = format!("oci:{}:v1", back.root().display());
        copy_all(lab, &format!("docker://{}", at.image(name)), &to);
        assert_eq!(back.content("v1"), image.layout.content("v1"), "{name}");
    }
    let tags = Api::new(at)
        .get("/v2/team/app/tags/list")
        .or_fail("list tags")
        .expect(200);
    assert!(tags.text().contains("[\"v1\",\"v2\"]"), "{}", tags.text());
}

fn slipway_over(lab: &Lab, data: &Path) -> (Server, PathBuf) {
    let settings = Settings {
        data: Some(data.to_path_buf()),
        ..Settings::default()
    };
    (Server::start(lab, &settings), data.join("objects"))
}

#[test]
fn a_directory_that_slipway_wrote_is_served_by_debians_docker_registry() {
    let lab = Lab::new("leave");
    let (mut server, objects) = slipway_over(&lab, &lab.dir("data"));
    let images = fill(&lab, server.endpoint());
    server.stop();
    for peer in [Peer::DockerRegistry, Peer::Distribution] {
        let (_daemon, at) = peer.start(&lab, &objects, None, None);
        holds_all(&lab, &at, &images);
    }
}

#[test]
fn a_directory_that_debians_docker_registry_wrote_is_served_after_a_reindex() {
    let lab = Lab::new("come");
    let objects = lab.dir("data/objects");
    let (mut daemon, at) = Peer::DockerRegistry.start(&lab, &objects, None, None);
    let images = fill(&lab, &at);
    daemon.stop();

    let settings = Settings {
        data: Some(lab.path("data")),
        ..Settings::default()
    };
    let mut server = Server::prepare(&lab, &settings);
    server.command(&lab, &["storage", "reindex"]).ok();
    server.start_again();
    holds_all(&lab, server.endpoint(), &images);
    server.fsck_is_clean(&lab);

    // And it goes on being written to.
    let more = Image::busybox(&lab, "more");
    let name = server.endpoint().image("team/app:v3");
    copy_all(
        &lab,
        &format!("oci:{}", more.at()),
        &format!("docker://{name}"),
    );
    server.stop();
    let (_daemon, at) = Peer::DockerRegistry.start(&lab, &objects, None, None);
    let tags = Api::new(&at)
        .get("/v2/team/app/tags/list")
        .or_fail("list tags")
        .expect(200);
    assert!(tags.text().contains("v3"), "{}", tags.text());
}

#[test]
fn what_slipway_deleted_is_gone_for_docker_registry_too() {
    let lab = Lab::new("deleted");
    let (mut server, objects) = slipway_over(&lab, &lab.dir("data"));
    let images = fill(&lab, server.endpoint());
    let api = Api::new(server.endpoint());
    let digest = images[1].1.digest();
    let delete = api
        .delete(&format!("/v2/team/app/manifests/{digest}"))
        .or_fail("delete");
    let _ = delete.expect(202);
    server.stop();
    let (_daemon, at) = Peer::DockerRegistry.start(&lab, &objects, None, None);
    let api = Api::new(&at);
    for reference in ["v2", &digest] {
        let _ = api
            .manifest("team/app", reference)
            .or_fail("ask for it")
            .expect(404);
    }
    let _ = api
        .manifest("team/app", "v1")
        .or_fail("ask for its neighbour")
        .expect(200);
}
