//! The `s2i` program and buildah as the oracle: the same builder image and source must come to the same file tree and
//! configuration.
//!
//! Held against each other are all files of the result (kind, mode, owner, content) and how its containers start. Not times, which
//! buildah does not clamp; not `CMD`'s form, which the program's Dockerfiles have in a shell's (see `builder::s2i`).

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use builder::images::Images;
use builder::s2i::IgnoreMode;
use builder::source::{SourceLimits, upload};
use oci::RepoName;
use serde_json::{Value, json};

use super::image::publish;
use super::lab::Lab;

const ASSEMBLE: &str = "cp -r /tmp/src/. /opt/app/ && mkdir -p build/deep && echo $MODE > build/deep/mode && chmod 750 build \
     && ln -s deep/mode build/link && rm -f etc-link && ln /opt/app/app.txt build/hard && touch /tmp/left && rm /tmp/of-image";

/// Where buildah mounted something while it ran the script.
const LEFT_BY_BUILDAH: &[&str] = &[
    "dev",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "proc",
    "run",
    "sys",
];

#[tokio::test]
async fn the_same_comes_out_as_of_s2i_and_buildah() {
    tests::toolbox::needs(&["s2i", "buildah", "skopeo"]);
    let lab = Lab::new().await;
    let layer = super::image::Tar::new()
        .file("tmp/of-image", 0o644, 1001, "goes")
        .file("opt/app/run-me", 0o755, 1001, "#!/bin/sh\n")
        .bytes();
    let scripts = [("assemble", ASSEMBLE), ("run", "cat app.txt")];
    let image = lab.builder("shop/builder:1", &scripts, &[layer]).await;
    let source = source(&lab);
    let snapshot = upload::directory(
        &source,
        IgnoreMode::Classic,
        SourceLimits::default(),
        lab.folder.path(),
    );
    let mut ran = lab.run(Lab::asked(&image, &snapshot.unwrap())).await;
    let images: Arc<dyn Images> = Arc::new(lab.images.clone());
    let base = RepoName::parse("shop/builder").unwrap();
    publish(&images, ran.built(), &base, "shop/cart:v1").await;

    let store = Store(lab.folder.path().join("containers"));
    let layout = |name: &str| lab.images.folder(&RepoName::parse(name).unwrap());
    store.take(&layout("shop/builder"), "1", "localhost/builder:1");
    store.take(&layout("shop/cart"), "v1", "localhost/ours:1");
    let dockerfile = lab.folder.path().join("out/Dockerfile");
    std::fs::create_dir(dockerfile.parent().unwrap()).unwrap();
    let mut s2i = Command::new(tests::toolbox::find("s2i"));
    s2i.arg("build").arg(&source);
    s2i.args([
        "localhost/builder:1",
        "shop/cart:v1",
        "--image-scripts-url",
        "image:///usr/libexec/s2i",
        "--as-dockerfile",
    ]);
    ok(s2i.arg(&dockerfile));
    let mut build = store.buildah();
    build.args([
        "build",
        "--isolation",
        "chroot",
        "--pull-never",
        "--layers=false",
    ]);
    build.args(["--format", "oci", "--tag", "localhost/theirs:1"]);
    ok(build
        .arg("--file")
        .arg(&dockerfile)
        .arg(dockerfile.parent().unwrap()));

    let (ours, mut theirs) = (
        store.tree("localhost/ours:1"),
        store.tree("localhost/theirs:1"),
    );
    for left in LEFT_BY_BUILDAH {
        assert!(
            theirs.remove(*left).is_some() && !ours.contains_key(*left),
            "{left}"
        );
    }
    let differ = |path: &&String| ours.get(*path) != theirs.get(*path);
    let all: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let wrong: Vec<_> = all
        .into_iter()
        .filter(differ)
        .map(|path| (path, ours.get(path), theirs.get(path)))
        .collect();
    assert!(wrong.is_empty(), "path, ours, theirs: {wrong:#?}");
    assert!(
        ours.contains_key("opt/app/build/deep/mode") && ours.len() > 250,
        "{}",
        ours.len()
    );

    same_config(&store);
}

fn same_config(store: &Store) {
    let (ours, theirs) = (
        store.config("localhost/ours:1"),
        store.config("localhost/theirs:1"),
    );
    for member in [
        "User",
        "WorkingDir",
        "Entrypoint",
        "ExposedPorts",
        "Volumes",
    ] {
        assert_eq!(ours[member], theirs[member], "{member}");
    }
    let sorted = |config: &Value| {
        let entries = config["Env"].as_array().unwrap().iter();
        let mut entries: Vec<_> = entries
            .map(|entry| entry.as_str().unwrap().to_owned())
            .collect();
        entries.sort_unstable();
        entries
    };
    assert_eq!(sorted(&ours), sorted(&theirs));
    assert_eq!(ours["Cmd"], json!(["/usr/libexec/s2i/run"]));
    assert_eq!(
        theirs["Cmd"],
        json!(["/bin/sh", "-c", "/usr/libexec/s2i/run"])
    );
}

/// A folder of the user's.
fn source(lab: &Lab) -> PathBuf {
    let source = lab.folder.path().join("source");
    std::fs::create_dir_all(source.join("folder")).unwrap();
    std::fs::create_dir_all(source.join(".s2i")).unwrap();
    std::fs::write(source.join("app.txt"), "hello").unwrap();
    std::fs::write(source.join("folder/tool"), "#!/bin/sh\n").unwrap();
    std::fs::write(source.join(".s2i/environment"), "MODE=fast\nOTHER=x y\n").unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(source.join("folder/tool"), mode).unwrap();
    source
}

/// A store of container images of the test's own.
struct Store(PathBuf);

impl Store {
    fn buildah(&self) -> Command {
        let mut buildah = Command::new("buildah");
        let at = |name: &str| self.0.join(name);
        buildah
            .arg("--root")
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"));
        buildah.args(["--storage-driver", "vfs"]);
        buildah
    }

    fn take(&self, layout: &Path, tag: &str, name: &str) {
        let (root, run) = (self.0.join("root"), self.0.join("run"));
        let place = format!(
            "containers-storage:[vfs@{}+{}]{name}",
            root.display(),
            run.display()
        );
        let from = format!("oci:{}:{tag}", layout.display());
        ok(Command::new("skopeo").args(["copy", "--quiet", &from, &place]));
    }

    fn tree(&self, name: &str) -> BTreeMap<String, String> {
        let container = ok(self.buildah().args(["from", "--pull-never", name]));
        let root = ok(self.buildah().args(["mount", container.trim()]));
        let root = PathBuf::from(root.trim());
        let mut found = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = std::fs::symlink_metadata(&path).unwrap();
                let kind = metadata.file_type();
                let content = if kind.is_dir() {
                    folders.push(path.clone());
                    String::new()
                } else if kind.is_symlink() {
                    std::fs::read_link(&path).unwrap().display().to_string()
                } else if kind.is_fifo() {
                    "fifo".to_owned()
                } else {
                    let digest =
                        oci::Digest::of(oci::Algorithm::Sha256, &std::fs::read(&path).unwrap());
                    format!("{digest} {}", metadata.nlink())
                };
                let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.insert(name, format!("{mode:o} {uid}:{gid} {content}"));
            }
        }
        ok(self.buildah().args(["rm", container.trim()]));
        found
    }

    fn config(&self, name: &str) -> Value {
        let text = ok(self.buildah().args(["inspect", "--type", "image", name]));
        let value: Value = serde_json::from_str(&text).unwrap();
        value["OCIv1"]["config"].clone()
    }
}

/// What a program that must succeed writes.
fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}\n{complained}");
    said
}
