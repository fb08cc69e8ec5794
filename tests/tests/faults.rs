//! Disks that fill up, indexes that tear, files that shrink: what is lost is said, what is left is served.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tests::api::{MANIFEST, digest_of};
use tests::layout::blob_file;
use tests::{Api, Image, Lab, OrFail, Server, Settings};

/// A small file system in memory, unmounted when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(lab: &Lab, megabytes: u32) -> Self {
        let at = lab.dir("small");
        let options = std::ffi::CString::new(format!("size={megabytes}m")).or_fail("mount options");
        mount(
            "tmpfs",
            &at,
            "tmpfs",
            MountFlags::empty(),
            Some(options.as_c_str()),
        )
        .or_fail("mount a tmpfs (the tests of faults need root)");
        Self(at)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.0, UnmountFlags::DETACH) {
            eprintln!("unmount {}: {error}", self.0.display());
        }
    }
}

/// Images are taken only with all their blobs, so that fsck asks whether every image still has them.
fn complete() -> Settings {
    Settings {
        more: "manifests: {sparse: false}\n".to_owned(),
        ..Settings::default()
    }
}

fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fastrand::fill(&mut bytes);
    bytes
}

#[test]
fn a_full_disk_refuses_pushes_serves_pulls_and_recovers() {
    let lab = Lab::new("full");
    let small = Tmpfs::mount(&lab, 48);
    let filler = small.0.join("filler");
    std::fs::write(&filler, noise(12 << 20)).or_fail("write the filler");
    let settings = Settings {
        data: Some(small.0.join("data")),
        ..complete()
    };
    let mut server = Server::start(&lab, &settings);
    let api = Api::new(server.endpoint());
    let layer = noise(1 << 20);
    let manifest = api.push_image("team/app", "v1", std::slice::from_ref(&layer));

    let mut taken = Vec::new();
    let refusal = loop {
        let blob = noise(2 << 20);
        let reply = api
            .push_blob("team/fill", &blob)
            .or_fail("an answer, not a broken connection");
        if reply.status != 201 {
            break reply;
        }
        taken.push(digest_of(&blob));
        assert!(taken.len() < 30, "48 MB never fill up");
    };
    let refusal = refusal.expect(507);
    let body: serde_json::Value = serde_json::from_slice(&refusal.body).or_fail("an error body");
    assert!(body["errors"][0]["code"].is_string(), "{body}");

    // To the last byte, so that not even the index can grow.
    let crumbs = small.0.join("crumbs");
    let _ = std::fs::write(&crumbs, noise(48 << 20));
    let small_push = api
        .push_manifest("team/app", "v2", &manifest)
        .or_fail("an answer");
    assert!(
        matches!(small_push.status.as_u16(), 201 | 507),
        "{}: {}",
        small_push.status,
        small_push.text()
    );
    let back = api
        .manifest("team/app", "v1")
        .or_fail("pull on a full disk")
        .expect(200);
    assert!(back.body == manifest, "the manifest differs");
    let blob = api
        .get(&format!("/v2/team/app/blobs/{}", digest_of(&layer)))
        .or_fail("pull")
        .expect(200);
    assert!(blob.body == layer, "the layer differs");

    for file in [crumbs, filler] {
        std::fs::remove_file(file).or_fail("free space");
    }
    let after = noise(1 << 20);
    let _ = api
        .push_blob("team/fill", &after)
        .or_fail("push after space is back")
        .expect(201);
    let _ = api
        .push_manifest("team/app", "v2", &manifest)
        .or_fail("tag after space is back")
        .expect(201);
    for digest in taken.iter().chain([&digest_of(&after)]) {
        let kept = api
            .get(&format!("/v2/team/fill/blobs/{digest}"))
            .or_fail("pull")
            .expect(200);
        assert_eq!(&digest_of(&kept.body), digest);
    }
    server.stop();
    server.fsck_is_clean(&lab);
}

/// A server with two images, stopped, and what it served.
fn stopped_with_content(lab: &Lab) -> (Server, Vec<(&'static str, Vec<u8>)>) {
    let mut server = Server::start(lab, &complete());
    let api = Api::new(server.endpoint());
    let content =
        ["one", "two"].map(|tag| (tag, api.push_image("team/app", tag, &[noise(100_000)])));
    server.stop();
    (server, content.to_vec())
}

fn serves(server: &Server, content: &[(&str, Vec<u8>)]) {
    let api = Api::new(server.endpoint());
    for (tag, manifest) in content {
        let back = api.manifest("team/app", tag).or_fail("pull").expect(200);
        assert!(&back.body == manifest, "{tag} differs");
        let parsed: serde_json::Value =
            serde_json::from_slice(manifest).or_fail("parse a manifest");
        let layer = parsed["layers"][0]["digest"]
            .as_str()
            .or_fail("a layer's digest");
        let blob = api
            .get(&format!("/v2/team/app/blobs/{layer}"))
            .or_fail("pull")
            .expect(200);
        assert_eq!(digest_of(&blob.body), layer);
    }
}

/// The server must refuse to start and say how to mend it; `storage reindex` must mend it.
fn torn_index_is_refused_and_rebuilt(name: &str, tear: impl Fn(&Path)) {
    let lab = Lab::new(name);
    let (mut server, content) = stopped_with_content(&lab);
    for journal in ["index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(server.data().join(journal));
    }
    tear(&server.data().join("index.db"));

    server.launch_again();
    let status = server.daemon().wait();
    assert!(
        !status.success(),
        "a server with a torn index must not start"
    );
    let log = server.log();
    assert!(
        log.contains("index.db") && log.contains("reindex"),
        "the refusal says what and how to mend it:\n{log}"
    );

    server.command(&lab, &["storage", "reindex"]).ok();
    server.start_again();
    serves(&server, &content);
    server.fsck_is_clean(&lab);
}

#[test]
fn an_index_cut_short_is_refused_with_advice_and_rebuilt() {
    torn_index_is_refused_and_rebuilt("index-cut", |index| {
        let file = OpenOptions::new()
            .write(true)
            .open(index)
            .or_fail("open the index");
        let length = file.metadata().or_fail("its length").len();
        file.set_len(length / 2).or_fail("cut the index");
    });
}

#[test]
fn an_index_overwritten_is_refused_with_advice_and_rebuilt() {
    torn_index_is_refused_and_rebuilt("index-noise", |index| {
        let file = OpenOptions::new()
            .write(true)
            .open(index)
            .or_fail("open the index");
        file.write_all_at(&noise(8192), 0)
            .or_fail("overwrite the index");
    });
}

#[test]
fn a_lost_index_is_rebuilt_from_the_objects() {
    let lab = Lab::new("index-lost");
    let (mut server, content) = stopped_with_content(&lab);
    for file in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(server.data().join(file));
    }
    server.command(&lab, &["storage", "reindex"]).ok();
    server.start_again();
    serves(&server, &content);
    server.fsck_is_clean(&lab);
}

/// GET of a blob whose file was damaged: an error status, or a body that breaks off. Never a whole 200.
fn never_answers_whole(api: &Api, digest: &str, size: usize) {
    // A body that breaks off is an error of `get`, which is one of the two right answers.
    if let Ok(reply) = api.get(&format!("/v2/team/app/blobs/{digest}")) {
        let whole = reply.status.is_success() && reply.body.len() == size;
        assert!(
            !whole,
            "a damaged blob was answered with {} and {size} bytes",
            reply.status
        );
        assert!(
            !reply.status.is_success() || reply.body.is_empty(),
            "{}",
            reply.status
        );
    }
}

#[test]
fn a_truncated_blob_is_never_served_as_whole_and_fsck_names_it() {
    let lab = Lab::new("truncated");
    let mut server = Server::start(&lab, &complete());
    let api = Api::new(server.endpoint());
    let layer = noise(3 << 20);
    let digest = digest_of(&layer);
    let manifest = api.push_image("team/app", "v1", std::slice::from_ref(&layer));
    let file = blob_file(&server.data().join("objects"), &digest);
    let cut = OpenOptions::new()
        .write(true)
        .open(&file)
        .or_fail("open the blob's file");
    cut.set_len(1 << 20).or_fail("cut the blob");

    never_answers_whole(&api, &digest, layer.len());
    server.kill();
    server.start_again();
    never_answers_whole(&api, &digest, layer.len());
    let _ = api
        .manifest("team/app", "v1")
        .or_fail("the manifest is whole")
        .expect(200);
    assert!(server.daemon().runs());

    server.stop();
    let found = server.command(&lab, &["storage", "fsck", "--json"]).fails();
    assert!(found.contains(&digest), "fsck names the blob: {found}");

    // Pushing the same content again mends it.
    server.start_again();
    let _ = api
        .push_blob("team/app", &layer)
        .or_fail("push again")
        .expect(201);
    let back = api
        .get(&format!("/v2/team/app/blobs/{digest}"))
        .or_fail("pull")
        .expect(200);
    assert!(back.body == layer, "the blob differs");
    assert!(
        api.manifest("team/app", "v1")
            .or_fail("pull")
            .expect(200)
            .body
            == manifest
    );
    server.stop();
    server.fsck_is_clean(&lab);
}

/// A client asks for each blob before it sends it: the answer must let it mend what is damaged, and must not let it
/// mount the damage elsewhere.
#[test]
fn a_client_that_pushes_again_mends_missing_and_truncated_blobs() {
    let lab = Lab::new("mended");
    let mut server = Server::start(&lab, &complete());
    let host = server.endpoint().host.clone();
    let image = Image::busybox(&lab, "app");
    let push = |name: &str| {
        lab.program("skopeo")
            .args(["copy", "--dest-tls-verify=false", "--preserve-digests"])
            .arg(format!("oci:{}", image.at()))
            .arg(format!("docker://{host}/{name}"))
            .ok()
    };
    push("team/app:v1");
    let objects = server.data().join("objects");
    let content = image.layout.content(&image.tag);
    let is_manifest = |digest: &&String| **digest == image.digest();
    let (blobs, manifests): (Vec<_>, Vec<_>) = content.keys().partition(|it| !is_manifest(it));
    assert_eq!((blobs.len() >= 2, manifests.len()), (true, 1));

    for (damaged, to) in [(blobs[0], "team/app:v1"), (blobs[1], "other/app:v1")] {
        server.stop();
        let file = blob_file(&objects, damaged);
        if damaged == blobs[0] {
            std::fs::remove_file(&file).or_fail("lose a blob");
        } else {
            let cut = OpenOptions::new().write(true).open(&file);
            cut.or_fail("open a blob").set_len(1).or_fail("cut a blob");
        }
        server.start_again();
        push(to);
        server.fsck_is_clean(&lab);
    }
}

/// zot#4442: a manifest's file keeps its size and changes its bytes. It is never served, also not by a server that has
/// it in memory no more, and the same push again mends it.
#[test]
fn zot_4442_a_manifest_damaged_at_equal_size_is_never_served_and_healed_by_a_push() {
    let lab = Lab::new("manifest-rot");
    let mut server = Server::start(&lab, &complete());
    let api = Api::new(server.endpoint());
    let manifest = api.push_image("team/app", "v1", &[noise(100_000)]);
    let digest = digest_of(&manifest);
    server.stop();
    let path = blob_file(&server.data().join("objects"), &digest);
    let place = manifest.len() / 2;
    let damage = || {
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.or_fail("open the manifest's file");
        file.write_all_at(&[!manifest[place]], place as u64)
            .or_fail("change a byte");
    };
    let is_not_served = |api: &Api| {
        for reference in ["v1", &digest] {
            let reply = api.manifest("team/app", reference).or_fail("an answer");
            assert!(!reply.status.is_success(), "{reference}: {}", reply.status);
        }
    };
    damage();
    let found = server
        .command(&lab, &["storage", "fsck", "--deep", "--json"])
        .fails();
    assert!(found.contains(&digest), "fsck names the manifest: {found}");
    // Once with the damage found by a reader before the push, once found by the push itself.
    for asked_before in [true, false] {
        server.start_again();
        if asked_before {
            is_not_served(&api);
        }
        let pushed = api.push_manifest("team/app", "v1", &manifest);
        let _ = pushed.or_fail("push again").expect(201);
        for reference in ["v1", &digest] {
            let back = api
                .manifest("team/app", reference)
                .or_fail("pull")
                .expect(200);
            assert!(back.body == manifest, "{reference} differs");
        }
        server.stop();
        let file = std::fs::read(&path).or_fail("read the manifest's file");
        assert!(file == manifest, "the file is still damaged");
        server.fsck_is_clean(&lab);
        damage();
    }
    server.start_again();
    is_not_served(&api);
}

#[test]
fn a_blob_and_a_manifest_whose_files_vanished_are_errors_and_fsck_names_them() {
    let lab = Lab::new("vanished");
    let mut server = Server::start(&lab, &complete());
    let api = Api::new(server.endpoint());
    let layer = noise(100_000);
    let manifest = api.push_image("team/app", "v1", std::slice::from_ref(&layer));
    let lost = [digest_of(&layer), digest_of(&manifest)];
    server.stop();
    for digest in &lost {
        std::fs::remove_file(blob_file(&server.data().join("objects"), digest))
            .or_fail("lose a file");
    }
    server.start_again();
    let blob = api
        .get(&format!("/v2/team/app/blobs/{}", lost[0]))
        .or_fail("an answer");
    let tagged = api.manifest("team/app", "v1").or_fail("an answer");
    for reply in [blob, tagged] {
        assert!(!reply.status.is_success(), "{}", reply.status);
    }
    server.stop();
    let found = server.command(&lab, &["storage", "fsck", "--json"]).fails();
    for digest in lost {
        assert!(found.contains(&digest), "fsck names {digest}: {found}");
    }
}

#[test]
fn a_data_folder_that_may_not_be_written_is_refused_at_the_start() {
    let lab = Lab::new("unwritable");
    let settings = Settings {
        // A file stands where the folder should be: true also for root, whom no permission stops.
        data: Some(lab.write("occupied", "not a folder")),
        ..Settings::default()
    };
    let mut server = Server::launch(&lab, &settings);
    let status = server.daemon().wait();
    assert!(!status.success());
    assert!(
        server.log().contains("occupied"),
        "the refusal names the path:\n{}",
        server.log()
    );
}

#[test]
fn a_client_that_goes_away_mid_push_leaves_nothing_that_fsck_minds() {
    let lab = Lab::new("gone-client");
    let mut server = Server::start(&lab, &complete());
    let api = Api::new(server.endpoint());
    api.push_image("team/app", "v1", &[noise(1000)]);
    for _ in 0..8 {
        let location = api.open_upload("team/app").or_fail("open an upload");
        let location = location.unwrap_or_else(|refusal| tests::fail(refusal.text()));
        let mut stream = std::net::TcpStream::connect(&server.endpoint().host).or_fail("connect");
        let head = format!(
            "PATCH {} HTTP/1.1\r\nHost: x\r\nContent-Type: {MANIFEST}\r\nContent-Length: 1000000\r\n\r\n",
            location.path()
        );
        std::io::Write::write_all(&mut stream, head.as_bytes()).or_fail("begin a push");
        std::io::Write::write_all(&mut stream, &noise(200_000)).or_fail("send a part");
        drop(stream);
    }
    let _ = api.manifest("team/app", "v1").or_fail("pull").expect(200);
    server.stop();
    server.fsck_is_clean(&lab);
}

#[test]
fn a_byte_that_changed_on_disk_is_found_by_a_deep_fsck() {
    let lab = Lab::new("bit-rot");
    let mut server = Server::start(&lab, &complete());
    let api = Api::new(server.endpoint());
    let layer = noise(100_000);
    api.push_image("team/app", "v1", std::slice::from_ref(&layer));
    server.stop();
    let deep = || server.command(&lab, &["storage", "fsck", "--deep", "--json"]);
    deep().ok();
    let digest = digest_of(&layer);
    let file = OpenOptions::new()
        .write(true)
        .open(blob_file(&server.data().join("objects"), &digest))
        .or_fail("open the blob's file");
    file.write_all_at(&[!layer[50_000]], 50_000)
        .or_fail("change a byte");
    let found = deep().fails();
    assert!(found.contains(&digest), "fsck names the blob: {found}");
}
