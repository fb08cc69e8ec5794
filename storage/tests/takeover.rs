//! A directory that CNCF Distribution wrote is taken over as it is: Debian's `docker-registry`,
//! the real program, filled by `skopeo` and by hand.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod house;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use house::{House, dump_file, image, repo, sha256, tag};
use oci::{Algorithm, Digest, Manifest, MediaType, Reference};
use serde_json::json;
use storage::fsck::Options;
use storage::layout;

/// Debian's `docker-registry` over a folder.
struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    fn start(house: &House) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = house.objects().with_file_name("registry.yml");
        let root = house.objects();
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\n\
             storage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n",
            root.display()
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { child, port };
        let is_up = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        for _ in 0..200 {
            if is_up() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(is_up(), "docker-registry does not listen");
        registry
    }

    /// One request; the status and the header fields of the answer.
    fn ask(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\
             Accept: {}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
            self.port,
            MediaType::OCI_MANIFEST,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer[9..12].parse().unwrap();
        (status, answer)
    }

    /// Begins an upload; returns where to go on, as path and query.
    fn begin(&self, name: &str) -> String {
        let path = format!("/v2/{name}/blobs/uploads/");
        let (status, answer) = self.ask("POST", &path, "application/octet-stream", b"");
        assert_eq!(status, 202, "{answer}");
        let location = answer
            .lines()
            .find_map(|line| line.strip_prefix("Location: "))
            .unwrap();
        location[location.find("/v2/").unwrap()..].to_owned()
    }

    fn push_blob(&self, name: &str, content: &[u8], of: Algorithm) {
        let digest = Digest::of(of, content);
        let path = format!("{}&digest={digest}", self.begin(name));
        let (status, answer) = self.ask("PUT", &path, "application/octet-stream", content);
        assert_eq!(status, 201, "{answer}");
    }

    fn push_manifest(&self, name: &str, reference: &str, manifest: &Manifest) {
        let path = format!("/v2/{name}/manifests/{reference}");
        let media_type = manifest.media_type().as_str();
        let (status, answer) = self.ask("PUT", &path, media_type, manifest.bytes());
        assert_eq!(status, 201, "{answer}");
    }

    fn push_image(&self, name: &str, reference: &str, text: &str, of: Algorithm) {
        for content in [format!("config {text}"), format!("layer {text}")] {
            self.push_blob(name, content.as_bytes(), of);
        }
        self.push_manifest(name, reference, &image(text, of));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the programs are there; says so where they are not.
fn can_run(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let found = Command::new(program).arg("--version").output();
        !found.is_ok_and(|output| output.status.success())
    });
    if let Some(missing) = missing {
        eprintln!("skipped: {missing} is not installed (apt-get install docker-registry skopeo)");
    }
    missing.is_none()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

fn deep() -> Options {
    Options {
        deep: true,
        complete: true,
        again_after: None,
    }
}

#[tokio::test]
async fn what_docker_registry_wrote_is_served() {
    if !can_run(&["docker-registry"]) {
        return;
    }
    let house = House::new();
    let registry = Registry::start(&house);
    let one = image("one", Algorithm::Sha256);
    for name in [
        "app",
        "app-b",
        "app/nested",
        "deep/er/than/that",
        "link/data",
    ] {
        registry.push_image(name, "v1", "one", Algorithm::Sha256);
    }
    registry.push_image("app", "v2", "two", Algorithm::Sha256);
    registry.push_manifest("app", "moved", &one);
    registry.push_manifest("app", "moved", &image("two", Algorithm::Sha256));
    // An index without a media type of its own, and a manifest that is gone again.
    let listed = house::descriptor(MediaType::OCI_MANIFEST, one.digest(), one.bytes());
    let body =
        json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [listed]});
    let index = house::manifest(&body, &MediaType::OCI_INDEX, Algorithm::Sha256);
    registry.push_manifest("app", "all", &index);
    registry.push_image("app", "gone", "three", Algorithm::Sha256);
    let gone = image("three", Algorithm::Sha256).digest();
    let (status, answer) = registry.ask("DELETE", &format!("/v2/app/manifests/{gone}"), "", b"");
    assert_eq!(status, 202, "{answer}");
    registry.begin("app");
    drop(registry);

    let reindexed = house.reindex().await;
    assert!(
        reindexed.findings.is_clean(),
        "{:#?}",
        reindexed.findings.list
    );
    let recorded = reindexed.recorded;
    assert_eq!((recorded.repositories, recorded.manifests), (5, 5 + 2));
    assert_eq!(recorded.tags, 5 + 3);
    let report = house.fsck(deep()).await;
    assert!(report.is_clean(), "{:#?}", report.findings.list);

    let storage = house.open().await;
    let catalog = &storage.catalog;
    for (name, named, digest) in [
        ("deep/er/than/that", "v1", one.digest()),
        ("link/data", "v1", one.digest()),
        ("app", "moved", image("two", Algorithm::Sha256).digest()),
        ("app", "all", index.digest()),
    ] {
        let found = catalog
            .manifest(&repo(name), &Reference::Tag(tag(named)))
            .await;
        assert_eq!(found.unwrap().unwrap().digest, digest, "{name}:{named}");
    }
    let gone = catalog
        .manifest(&repo("app"), &Reference::Digest(gone))
        .await;
    assert!(gone.unwrap().is_none());
    // It goes on being written to, and read by the other again.
    house::push_image(
        &storage,
        &repo("app"),
        "four",
        Algorithm::Sha256,
        &[tag("v4")],
    )
    .await;
    storage.close().await.unwrap();
    drop(storage);
    let registry = Registry::start(&house);
    let (status, answer) = registry.ask("GET", "/v2/app/manifests/v4", "", b"");
    assert_eq!(status, 200, "{answer}");
    let blob = sha256(b"layer four");
    let (status, answer) = registry.ask("GET", &format!("/v2/app/blobs/{blob}"), "", b"");
    assert!(status == 200 && answer.ends_with("layer four"), "{answer}");
}

#[tokio::test]
async fn what_skopeo_pushed_to_docker_registry_is_served() {
    if !can_run(&["docker-registry", "skopeo"]) {
        return;
    }
    let house = House::new();
    let registry = Registry::start(&house);
    registry.push_image("source", "v1", "one", Algorithm::Sha256);
    let at = |name: &str| format!("docker://127.0.0.1:{}/{name}", registry.port);
    let copy = [
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--preserve-digests",
    ];
    let (from, to) = (at("source:v1"), at("a/b/c/copy:v1"));
    run("skopeo", &[copy.as_slice(), &[&from, &to]].concat());
    drop(registry);
    let reindexed = house.reindex().await;
    assert_eq!(
        reindexed.recorded.repositories, 2,
        "{:#?}",
        reindexed.findings.list
    );
    let report = house.fsck(deep()).await;
    assert!(
        report.findings.list.is_empty(),
        "{:#?}",
        report.findings.list
    );
    let contents = dump_file(&house.index_file()).await;
    assert_eq!(
        contents.values().next(),
        contents.values().nth(1),
        "a copy is a copy"
    );
}

/// What it keeps of a manifest that no server of today takes.
#[tokio::test]
async fn an_old_manifest_of_schema_1_stops_nothing() {
    if !can_run(&["docker-registry"]) {
        return;
    }
    let house = House::new();
    let registry = Registry::start(&house);
    registry.push_image("app", "v1", "one", Algorithm::Sha256);
    drop(registry);
    let schema1 = br#"{"schemaVersion":1,"name":"app","tag":"old","fsLayers":[],"history":[]}"#;
    let digest = sha256(schema1);
    let app = repo("app");
    house.write(&layout::blob(&digest), schema1);
    house.write(&layout::revision(&app, &digest), digest.to_string());
    house.write(&layout::tag_current(&app, &tag("old")), digest.to_string());
    house.write(
        &layout::tag_index(&app, &tag("old"), &digest),
        digest.to_string(),
    );
    let reindexed = house.reindex().await;
    let found: Vec<_> = reindexed
        .findings
        .kinds
        .keys()
        .map(|kind| kind.id())
        .collect();
    assert_eq!(found, ["manifest.refused", "tag.dangling"]);
    assert_eq!(reindexed.recorded.manifests, 1);
    assert!(house.fsck(deep()).await.is_clean());
    let kept = house.store().head(&layout::revision(&app, &digest)).await;
    assert!(kept.is_ok() && Path::new(&house.index_file()).exists());
}
