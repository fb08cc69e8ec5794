//! `slipway copy`, `pull`, `push` and their like, between Slipway, other registries, folders and engines.

use serde_json::{Value, json};
use tests::containerd::Containerd;
use tests::peer::Peer;
use tests::podman::Storage;
use tests::{Api, Image, Lab, OrFail, Program, Server, Settings, Wire, layout, server};

use crate::Scene;
use crate::skopeo::push;

/// Bytes of a layer that takes a while.
const LARGE: usize = 100 << 20;

fn slipway(lab: &Lab, words: &[&str]) -> Program {
    lab.program(&server::binary().display().to_string())
        .args(words)
}

/// What `copy --json` says it did.
fn copy(lab: &Lab, words: &[&str]) -> Value {
    let said = slipway(lab, &["copy", "--json"]).args(words).ok();
    serde_json::from_str(&said).or_fail("JSON")
}

fn crane(lab: &Lab, words: &[&str]) -> String {
    lab.program("crane").args(words).ok().trim().to_owned()
}

#[test]
fn an_index_and_what_is_said_about_it_goes_from_registry_to_registry_whole() {
    let scene = Scene::open("copy-index");
    let lab = &scene.lab;
    let image = Image::multi_platform(lab, "app");
    push(&scene, &image, "team/app:v1").arg("--all").ok();
    let from = scene.at.image("team/app:v1");
    lab.program("oras")
        .args([
            "attach",
            "--plain-http",
            "--artifact-type",
            "application/vnd.example.scan",
        ])
        .args([&from, "report.json:application/json"])
        .dir({
            lab.write("files/report.json", "{}");
            lab.path("files")
        })
        .ok();
    let digest = image.digest();

    let mut others = Vec::new();
    for (peer, name) in [
        (Peer::DockerRegistry, "debian"),
        (Peer::Distribution, "three"),
    ] {
        let (daemon, there) = peer.start(lab, &lab.dir(name), None, None);
        let to = there.image("mirror/app:v1");
        let done = copy(lab, &["--referrers", &from, &to]);
        assert_eq!(done["digest"], *digest);
        assert_eq!(
            done["manifests"], 4,
            "the index, two images, the report: {done}"
        );
        assert_eq!(crane(lab, &["digest", &to]), digest);
        for platform in ["linux/amd64", "linux/arm64"] {
            let here = crane(lab, &["digest", "--platform", platform, &from]);
            assert_eq!(crane(lab, &["digest", "--platform", platform, &to]), here);
        }
        crane(lab, &["validate", "--remote", &to]);
        // These registries know no referrers: they are listed under a tag, where clients look then.
        let listed = lab
            .program("oras")
            .args(["discover", "--plain-http", "--format=json", &to])
            .ok();
        assert!(listed.contains("vnd.example.scan"), "{listed}");

        let again = copy(lab, &["--referrers", &from, &to]);
        assert_eq!(
            (&again["sent"], &again["bytesSent"]),
            (&0.into(), &0.into()),
            "{again}"
        );
        // And back.
        let back = scene.at.image(&format!("back/{name}:v1"));
        copy(lab, &["--referrers", &to, &back]);
        assert_eq!(crane(lab, &["digest", &back]), digest);
        others.push(daemon);
    }

    let mounted = copy(lab, &[&from, &scene.at.image("other/app:v1")]);
    assert_eq!(
        (&mounted["sent"], &mounted["bytesSent"]),
        (&0.into(), &0.into()),
        "{mounted}"
    );
    assert_eq!(
        mounted["mounted"],
        mounted["mounted"].as_u64().or_fail("a count").max(3)
    );
}

#[test]
fn folders_and_archives_hold_what_registries_hold() {
    let scene = Scene::open("copy-layout");
    let lab = &scene.lab;
    let image = Image::multi_platform(lab, "app");
    let at = |place: &str| scene.at.image(place);
    let from_folder = format!("oci:{}", image.at());
    copy(lab, &[&from_folder, &at("team/app:v1")]);
    assert_eq!(crane(lab, &["digest", &at("team/app:v1")]), image.digest());

    let folder = lab.path("out");
    let oci = format!("oci:{}:v1", folder.display());
    copy(lab, &[&at("team/app:v1"), &oci]);
    lab.program("skopeo").args(["inspect", "--raw", &oci]).ok();
    let written = tests::Layout::at(&folder);
    assert_eq!(written.digest("v1"), image.digest());

    // By whole names, as podman and buildah call images in folders, both ways.
    let whole = format!(
        "oci:{}:localhost:5000/team/app:v1",
        lab.path("whole").display()
    );
    let theirs = format!(
        "oci:{}:localhost/their/app:v1",
        lab.path("theirs").display()
    );
    copy(lab, &[&at("team/app:v1"), &whole]);
    let words = ["--insecure-policy", "copy", "--all", &whole, &theirs];
    lab.program("skopeo").args(words).ok();
    copy(lab, &[&theirs, &at("their/app:v1")]);
    assert_eq!(crane(lab, &["digest", &at("their/app:v1")]), image.digest());

    let archive = format!("oci-archive:{}", lab.path("out.tar").display());
    copy(
        lab,
        &["--platform", "linux/arm64", &at("team/app:v1"), &archive],
    );
    let seen = lab.program("skopeo").args(["inspect", &archive]).ok();
    assert!(seen.contains("\"arm64\""), "{seen}");
    copy(lab, &[&archive, &at("team/app:arm")]);
    let arm = crane(
        lab,
        &["digest", "--platform", "linux/arm64", &at("team/app:v1")],
    );
    assert_eq!(crane(lab, &["digest", &at("team/app:arm")]), arm);

    let missing = [
        "copy",
        "--platform",
        "linux/riscv64",
        &at("team/app:v1"),
        &archive,
    ];
    let said = slipway(lab, &missing).fails();
    assert!(said.contains("linux/amd64, linux/arm64"), "{said}");
    let said = slipway(lab, &["copy", &at("team/none:v1"), &oci]).fails();
    assert!(said.contains("team/none:v1"), "{said}");
    let changed = format!("{}@sha256:{}", at("team/app"), "0".repeat(64));
    let said = slipway(lab, &["copy", &oci, &changed]).fails();
    assert!(said.contains(&image.digest()), "{said}");
    // A layer whose bytes are others arrives nowhere.
    let layer = layout::files(&folder.join("blobs"))
        .into_iter()
        .map(|file| folder.join("blobs").join(file))
        .max_by_key(|file| file.metadata().map_or(0, |found| found.len()))
        .or_fail("a layer");
    let mut bytes = std::fs::read(&layer).or_fail("read it");
    bytes[100] ^= 1;
    std::fs::write(&layer, bytes).or_fail("damage it");
    let said = slipway(lab, &["copy", &oci, &at("damaged/app:v1")]).fails();
    assert!(said.contains("digest"), "{said}");
    let other = format!("oci:{}", lab.path("other").display());
    let said = slipway(lab, &["copy", &oci, &other]).fails();
    assert!(said.contains("other content"), "{said}");
}

#[test]
fn what_breaks_off_goes_on_where_it_was() {
    let lab = Lab::new("copy-cut");
    let source = Server::start(
        &lab,
        &Settings {
            memory: true,
            ..Settings::default()
        },
    );
    let mut layer = vec![0; LARGE];
    fastrand::Rng::with_seed(7).fill(&mut layer);
    let manifest = Api::new(source.endpoint()).push_image("team/app", "v1", &[layer.clone()]);
    let digest = tests::api::digest_of(&manifest);
    let large = LARGE as u64;

    // Into each kind of registry, by a wire that breaks four times on the way, once in the first half of a layer.
    for peer in [None, Some(Peer::DockerRegistry), Some(Peer::Distribution)] {
        let (_running, there): (Box<dyn std::any::Any>, _) = match peer {
            None => {
                let settings = Settings {
                    data: Some(lab.dir("target")),
                    ..Settings::default()
                };
                let server = Server::start(&lab, &settings);
                let at = server.endpoint().clone();
                (Box::new(server), at)
            }
            Some(peer) => {
                let (daemon, at) = peer.start(&lab, &lab.dir(format!("{peer:?}")), None, None);
                (Box::new(daemon), at)
            }
        };
        let wire = Wire::start(&there.host, large / 4, 3);
        let to = format!("{}/mirror/app:v1", wire.address());
        copy(&lab, &[&source.endpoint().image("team/app:v1"), &to]);
        assert_eq!(wire.cuts_left(), 0, "the wire broke as often as it could");
        let blob = format!("/v2/mirror/app/blobs/{}", tests::api::digest_of(&layer));
        let arrived = Api::new(&there)
            .get(&blob)
            .or_fail("get the layer")
            .expect(200);
        assert_eq!(arrived.body.len(), LARGE);
        assert_eq!(
            tests::api::digest_of(&arrived.body),
            tests::api::digest_of(&layer)
        );
        assert_eq!(
            crane(&lab, &["digest", &there.image("mirror/app:v1")]),
            digest
        );
        if peer.is_none() {
            assert!(wire.carried() < large * 3 / 2, "{} bytes", wire.carried());
        }
    }

    // From a registry by such a wire; and by a copy that is killed, into a folder that keeps what it has.
    let wire = Wire::start(&source.endpoint().host, large / 4, 3);
    let from = format!("{}/team/app:v1", wire.address());
    let folder = format!("oci:{}", lab.path("cut").display());
    copy(&lab, &[&from, &folder]);
    assert_eq!(wire.cuts_left(), 0);
    assert!(wire.carried() < large * 3 / 2, "{} bytes", wire.carried());
    let never = Wire::start(&source.endpoint().host, large / 2, u32::MAX);
    let from = format!("{}/team/app:v1", never.address());
    let out = lab.path("killed");
    let folder = format!("oci:{}", out.display());
    let begun = std::time::Instant::now();
    let mut child = std::process::Command::new(server::binary())
        .args(["copy", &from, &folder])
        .env("HOME", lab.path("home"))
        .spawn()
        .or_fail("start a copy");
    while never.carried() < large / 4 {
        assert!(
            begun.elapsed() < tests::daemon::PATIENCE,
            "nothing is copied"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().or_fail("kill it");
    child.wait().or_fail("wait");
    let partial: u64 = layout::files(&out)
        .into_iter()
        .filter(|file| file.to_string_lossy().ends_with(".partial"))
        .map(|file| out.join(file).metadata().map_or(0, |found| found.len()))
        .sum();
    assert!(partial > 0, "it left what it had");
    let wire = Wire::start(&source.endpoint().host, u64::MAX, 0);
    copy(&lab, &[&format!("{}/team/app:v1", wire.address()), &folder]);
    assert!(
        wire.carried() < large - partial + (1 << 20),
        "only the rest was fetched"
    );
}

#[test]
fn podman_and_containerd_pull_and_push_by_the_login_of_slipway() {
    let scene = Scene::guarded("copy-engine");
    let lab = &scene.lab;
    let ca = scene.at.ca.clone().or_fail("an authority");
    let image = Image::busybox(lab, "app");
    push(&scene, &image, "team/app:v1").ok();
    let (user, password) = scene.at.login.clone().or_fail("a login");
    slipway(
        lab,
        &[
            "login",
            "--username",
            &user,
            "--password-stdin",
            &scene.at.host,
        ],
    )
    .arg("--ca-file")
    .arg(&ca)
    .stdin(password.as_str())
    .ok();
    let storage = Storage::new(lab, "machine");
    let on_storage = |program: Program| storage.config(program);
    let name = scene.at.image("team/app:v1");
    on_storage(slipway(lab, &["pull", "--engine", "podman", &name])).ok();
    assert_eq!(storage.run(&name).ok(), image.text);
    let other = scene.at.image("team/other:v2");
    storage.podman().args(["tag", &name, &other]).ok();
    on_storage(slipway(lab, &["push", "--engine", "podman", &other])).ok();
    let seen = slipway(lab, &["inspect", "team/other:v2"]).ok();
    assert!(seen.contains("linux/amd64"), "{seen}");

    let containerd = Containerd::start(lab, &scene.at);
    let by_containerd = |words: &[&str]| {
        slipway(lab, words)
            .args(["--engine", "containerd"])
            .env("CONTAINERD_ADDRESS", containerd.socket())
            .env("CONTAINERD_NAMESPACE", "k8s.io")
    };
    by_containerd(&["pull", &name]).ok();
    let tag = ["--namespace", "k8s.io", "images", "tag"];
    let fourth = scene.at.image("team/fourth:v1");
    containerd.ctr(lab).args(tag).args([&name, &fourth]).ok();
    by_containerd(&["push", &fourth]).ok();
    assert_eq!(slipway(lab, &["ls", "team/fourth"]).ok(), "v1\n");

    // Two names are a copy; and what is done at the server of the last login.
    let third = scene.at.image("team/third:v1");
    slipway(lab, &["push", &name, &third]).ok();
    slipway(lab, &["tag", "team/third:v1", "stable"]).ok();
    assert_eq!(slipway(lab, &["ls", "team/third"]).ok(), "stable\nv1\n");
    assert!(slipway(lab, &["ls"]).ok().contains("team/third"));
    slipway(lab, &["rm", "team/third:stable"]).ok();
    assert_eq!(slipway(lab, &["ls", "team/third"]).ok(), "v1\n");
    let said = slipway(lab, &["rm", "team/third:stable"]).fails();
    assert!(said.contains("team/third:stable"), "{said}");
    slipway(lab, &["rm", "team/third"]).fails();

    // A login that is a refresh token, as `docker login` keeps it.
    let asked = "/auth/token?offline_token=true&client_id=docker";
    let granted = Api::new(&scene.at).get(asked).or_fail("ask").expect(200);
    let granted: Value = serde_json::from_slice(&granted.body).or_fail("JSON");
    let logins = json!({"auths": {(scene.at.host.clone()): {
        "auth": "PHRva2VuPjo=",
        "identitytoken": granted["refresh_token"].as_str().or_fail("a refresh token"),
    }}});
    let logins = lab.write("refresh.json", logins.to_string());
    let by_refresh = |words: &[&str]| slipway(lab, words).arg("--authfile").arg(&logins);
    by_refresh(&["push", &name, &scene.at.image("team/fifth:v1")]).ok();
    on_storage(by_refresh(&["pull", "--engine", "podman", &name])).ok();

    slipway(lab, &["logout", &scene.at.host]).ok();
    let said = on_storage(
        slipway(lab, &["pull", "--engine", "podman", "--ca-file"])
            .arg(&ca)
            .arg(&name),
    )
    .fails();
    assert!(
        said.contains("unauthorized") || said.contains("denied"),
        "{said}"
    );
}
