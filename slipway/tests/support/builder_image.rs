//! A builder image of busybox, as a folder in the OCI layout.

use std::fs;
use std::path::Path;
use std::process::Command;

use oci::{Algorithm, Digest};
use serde_json::{Value, json};

/// Statically linked, so that it runs in a root of nothing else.
const BUSYBOX: &str = "/bin/busybox";

/// Copies the source to `/opt/app`, after what the source's file `before` says, if it has one.
const ASSEMBLE: &str = "#!/bin/sh
set -e
echo assembling \"$GREETING\"
[ ! -e /tmp/src/before ] || . /tmp/src/before
cp -R /tmp/src/. /opt/app/
";
const RUN: &str = "#!/bin/sh
exec cat /opt/app/hello
";
const USAGE: &str = "#!/bin/sh
echo Give me a file hello.
";
const PASSWD: &str = "root:x:0:0:root:/:/bin/sh\napp:x:1001:0:app:/opt/app:/bin/sh\n";

/// Fails the running test on a machine that cannot build, and says what it lacks.
pub fn needs_builder() {
    let doctor = super::run(super::slipway().args(["build", "doctor"]), "");
    assert!(doctor.status.success(), "{}", super::stdout(&doctor));
    let ldd = Command::new("ldd").arg(BUSYBOX).output();
    assert!(
        Path::new(BUSYBOX).exists() && ldd.is_ok_and(|ldd| !ldd.status.success()),
        "{BUSYBOX} is not there or not static: scripts/lab-install installs it"
    );
}

/// Writes the image.
pub fn write(layout: &Path) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut entry = |path: &str, kind: tar::EntryType, mode: u32, owner: u64, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content).unwrap();
    };
    for (path, mode, owner) in [
        ("bin/", 0o755, 0),
        ("etc/", 0o755, 0),
        ("opt/", 0o755, 0),
        ("opt/app/", 0o775, 1001),
        ("s2i/", 0o755, 0),
        ("tmp/", 0o1777, 0),
    ] {
        entry(path, tar::EntryType::Directory, mode, owner, b"");
    }
    let busybox = fs::read(BUSYBOX).unwrap();
    for (path, content) in [
        ("bin/busybox", &busybox[..]),
        ("s2i/assemble", ASSEMBLE.as_bytes()),
        ("s2i/run", RUN.as_bytes()),
        ("s2i/usage", USAGE.as_bytes()),
        ("etc/passwd", PASSWD.as_bytes()),
    ] {
        entry(path, tar::EntryType::Regular, 0o755, 0, content);
    }
    for name in [
        "sh", "cat", "cp", "echo", "false", "mkdir", "sleep", "tar", "true",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox")
            .unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let layer = blob(layout, "application/vnd.oci.image.layer.v1.tar", &tar);
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let config = json!({
        "os": "linux",
        "architecture": architecture,
        "config": {
            "User": "1001",
            "Env": ["PATH=/bin"],
            "Labels": {
                "io.openshift.s2i.scripts-url": "image:///s2i",
                "io.k8s.display-name": "Busybox",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = config.to_string();
    let config = blob(
        layout,
        "application/vnd.oci.image.config.v1+json",
        config.as_bytes(),
    );
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let manifest = blob(layout, kind, manifest.to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
}

fn blob(layout: &Path, kind: &str, content: &[u8]) -> Value {
    let folder = layout.join("blobs/sha256");
    fs::create_dir_all(&folder).unwrap();
    let digest = Digest::of(Algorithm::Sha256, content);
    fs::write(folder.join(digest.hex()), content).unwrap();
    json!({"mediaType": kind, "digest": digest.to_string(), "size": content.len()})
}
