//! The layout on disk is Distribution's: a user comes, and leaves, without copying a byte.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::api::digest_of;
use tests::layout::blob_file;
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

    let mut server = Server::prepare(&lab, &over(&lab));
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

/// Repositories whose names are near each other's and near the layout's own words, a tag that moved, an index whose
/// media type its bytes do not tell, a manifest that was deleted, an upload that was given up.
#[test]
fn what_a_directory_of_docker_registry_has_been_through_is_taken_over_too() {
    const REPOSITORIES: [&str; 5] = [
        "app",
        "app-b",
        "app/nested",
        "deep/er/than/that",
        "link/data",
    ];
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let lab = Lab::new("past");
    let objects = lab.dir("data/objects");
    let (mut daemon, at) = Peer::DockerRegistry.start(&lab, &objects, None, None);
    let api = Api::new(&at);
    let mut expected = Vec::new();
    for repository in REPOSITORIES {
        let image = api.push_image(repository, "v1", &[b"layer of one".to_vec()]);
        expected.push((repository, "v1", image));
    }
    let two = api.push_image("app", "v2", &[b"layer of two".to_vec()]);
    for moved in [&expected[0].2, &two] {
        let _ = api
            .push_manifest("app", "moved", moved)
            .or_fail("move a tag")
            .expect(201);
    }
    let listed =
        json!({"mediaType": tests::api::MANIFEST, "digest": digest_of(&two), "size": two.len()});
    let index = json!({"schemaVersion": 2, "manifests": [listed]})
        .to_string()
        .into_bytes();
    let put = api.request(reqwest::Method::PUT, "/v2/app/manifests/all");
    let put = put.header("content-type", INDEX).body(index.clone());
    let _ = api.send(put).or_fail("push an index").expect(201);
    let gone = digest_of(&api.push_image("app", "gone", &[b"layer of three".to_vec()]));
    let delete = api.delete(&format!("/v2/app/manifests/{gone}"));
    let _ = delete.or_fail("delete a manifest").expect(202);
    let _upload = api.open_upload("app").or_fail("begin an upload");
    expected.extend([
        ("app", "v2", two.clone()),
        ("app", "moved", two),
        ("app", "all", index),
    ]);
    daemon.stop();

    let mut server = Server::prepare(&lab, &over(&lab));
    server.command(&lab, &["storage", "reindex"]).ok();
    server.start_again();
    let api = Api::new(server.endpoint());
    for (repository, tag, bytes) in &expected {
        let back = api.manifest(repository, tag).or_fail("pull").expect(200);
        assert!(&back.body == bytes, "{repository}:{tag} differs");
        let index = *tag == "all";
        assert_eq!(
            back.header("content-type") == INDEX,
            index,
            "{repository}:{tag}"
        );
    }
    for reference in ["gone", &gone] {
        let _ = api
            .manifest("app", reference)
            .or_fail("ask for it")
            .expect(404);
    }
    let list = api.get("/v2/_catalog").or_fail("list").expect(200);
    let list: Value = serde_json::from_slice(&list.body).or_fail("parse the catalog");
    assert_eq!(list["repositories"], json!(REPOSITORIES));
    server.fsck_is_clean(&lab);
}

/// What it keeps of images that no server of today takes is named, stops nothing and stays where it is.
#[test]
fn an_old_manifest_of_schema_1_stops_nothing() {
    let lab = Lab::new("schema-1");
    let objects = lab.dir("data/objects");
    let (mut daemon, at) = Peer::DockerRegistry.start(&lab, &objects, None, None);
    let image = Api::new(&at).push_image("app", "v1", &[b"a layer".to_vec()]);
    daemon.stop();
    let old = br#"{"schemaVersion":1,"name":"app","tag":"old","fsLayers":[],"history":[]}"#;
    let digest = digest_of(old);
    let manifests = objects.join("docker/registry/v2/repositories/app/_manifests");
    let hex = digest.replacen(':', "/", 1);
    let revision = manifests.join("revisions").join(&hex).join("link");
    let tag = manifests.join("tags/old");
    let links = [
        revision.clone(),
        tag.join("current/link"),
        tag.join("index").join(&hex).join("link"),
    ];
    let blob = (blob_file(&objects, &digest), old.as_slice());
    let links = links.map(|link| (link, digest.as_bytes().to_vec()));
    for (file, bytes) in links
        .iter()
        .map(|(file, bytes)| (file.clone(), bytes.as_slice()))
        .chain([blob])
    {
        let folder = file.parent().or_fail("a folder");
        std::fs::create_dir_all(folder).or_fail("make its folder");
        std::fs::write(file, bytes).or_fail("plant a file");
    }

    let mut server = Server::prepare(&lab, &over(&lab));
    let told = server
        .command(&lab, &["storage", "reindex", "--json"])
        .run();
    for kind in ["manifest.refused", "tag.dangling"] {
        assert!(told.stdout.contains(kind), "{kind}: {}", told.report);
    }
    server.start_again();
    let api = Api::new(server.endpoint());
    let back = api.manifest("app", "v1").or_fail("pull").expect(200);
    assert!(back.body == image, "its neighbour differs");
    let _ = api.manifest("app", "old").or_fail("ask for it").expect(404);
    assert!(revision.exists(), "nothing of it was deleted");
    server.fsck_is_clean(&lab);
}

fn over(lab: &Lab) -> Settings {
    Settings {
        data: Some(lab.path("data")),
        ..Settings::default()
    }
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
