//! Builder images of our own, made by the program under test: once, and kept in the lab's cache under a name that says what
//! they were made from.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::podman::Storage;
use crate::{
    Api, Lab, OrFail, Settings, api::digest_of, fail, registry_under_test, server, toolbox,
};
use serde_json::Value;

/// Installing Debian takes a minute, and several on a busy machine.
const LIMIT: Duration = Duration::from_secs(1200);

/// An archive of the language's default image, from the cache or made now.
pub fn archive(lab: &Lab, language: &str) -> PathBuf {
    archive_with(lab, language, &[])
}

/// The same, of an image with more Debian packages.
fn archive_with(lab: &Lab, language: &str, packages: &[&str]) -> PathBuf {
    let name = [&[language], packages].concat().join("-");
    let kept = toolbox::cache().join(format!(
        "builder-image-{name}-{}.tar",
        &hash(language)[..16]
    ));
    std::fs::create_dir_all(toolbox::cache()).or_fail("make the cache");
    // Several tests want it at once, and one makes it.
    let lock = File::create(kept.with_extension("lock")).or_fail("make a lock");
    lock.lock().or_fail("wait for the image");
    if kept.is_file() {
        return kept;
    }
    // Under its name when it is whole.
    let fresh = kept.with_extension("part");
    drop(std::fs::remove_file(&fresh));
    let made = create(lab, language, packages, &fresh);
    if language == "python" && packages.is_empty() {
        as_ordinary_user(lab, language, &made);
    }
    std::fs::rename(&fresh, &kept).or_fail("keep the image");
    kept
}

/// The image in storage, as `localhost/builder`.
pub fn loaded(lab: &Lab, storage: &Storage<'_>, language: &str) -> &'static str {
    loaded_with(lab, storage, language, &[])
}

/// The same, of an image with more Debian packages.
pub fn loaded_with(
    lab: &Lab,
    storage: &Storage<'_>,
    language: &str,
    packages: &[&str],
) -> &'static str {
    let archive = archive_with(lab, language, packages);
    storage
        .config(lab.program("skopeo"))
        .args(["copy", "--quiet"])
        .arg(format!("oci-archive:{}", archive.display()))
        .arg("containers-storage:localhost/builder:latest")
        .ok();
    "localhost/builder"
}

fn create(lab: &Lab, language: &str, packages: &[&str], file: &Path) -> Value {
    let made = lab
        .program(&server::binary().display().to_string())
        .args(["builder-image", "create", language])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--json", "--output"])
        .arg(format!("oci-archive:{}", file.display()))
        .limit(LIMIT)
        .ok();
    serde_json::from_str(&made).or_fail("JSON")
}

/// Whoever makes it, and whenever: the same image, pushed to the registry that was named.
fn as_ordinary_user(lab: &Lab, language: &str, by_root: &Value) {
    const USER: &str = "slipway-lab";
    let home = lab.dir("ordinary");
    let anyone = std::fs::Permissions::from_mode(0o777);
    for folder in [lab.root(), &home] {
        std::fs::set_permissions(folder, anyone.clone()).or_fail("open a folder");
    }
    // The test's own server may be running in this lab.
    let settings = Settings {
        data: Some(home.join("data")),
        ..Settings::default()
    };
    let (_server, at) = registry_under_test(lab, &settings);
    let program = home.join("slipway");
    std::fs::copy(server::binary(), &program).or_fail("copy the program");
    let made = lab
        .program("setpriv")
        .args(["--reuid", USER, "--regid", USER, "--init-groups"])
        .arg(&program)
        .args(["builder-image", "create", language, "--json", "--output"])
        .arg(at.image("slipway/made:1"))
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .dir(&home)
        .limit(LIMIT)
        .ok();
    let made: Value = serde_json::from_str(&made).or_fail("JSON");
    let digest = made["digest"].as_str().or_fail("a digest");
    let pushed = Api::new(&at).get(&format!("/v2/slipway/made/manifests/{digest}"));
    let pushed = pushed.or_fail("ask for the image");
    assert!(pushed.status.is_success(), "pushed: {}", pushed.status);
    if made["digest"] != by_root["digest"] {
        fail(format!(
            "root made {}, and {USER} {}",
            by_root["digest"], made["digest"]
        ));
    }
}

/// Of all that goes into an image but Debian.
fn hash(language: &str) -> String {
    let root = toolbox::checkout().join("builder");
    let mut files = Vec::new();
    for folder in ["images", &format!("images/{language}"), "src/debian"] {
        let listed = std::fs::read_dir(root.join(folder)).or_fail(folder);
        files.extend(listed.map(|entry| entry.or_fail(folder).path()));
    }
    files.retain(|file| file.is_file());
    files.sort();
    let content: Vec<u8> = files
        .iter()
        .flat_map(|file| std::fs::read(file).or_fail(file.display()))
        .collect();
    digest_of(&content).replace("sha256:", "")
}
