//! Builder images of our own, made by the program under test: once, and kept in the lab's cache under a name that says what
//! they were made from.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::machine::copy_program;
use crate::podman::Storage;
use crate::{
    Api, Lab, OrFail, Settings, api::digest_of, fail, registry_under_test, server, toolbox,
};
use serde_json::Value;

/// Installing Debian takes a minute, and several on a busy machine.
const LIMIT: Duration = Duration::from_secs(1200);

/// An archive of the language's default image, from the cache or made now.
pub fn archive(lab: &Lab, language: &str) -> PathBuf {
    Kept::new(language, &[]).archive(lab)
}

/// The language's default image in [`Storage::beside`], and its name there.
pub fn loaded(lab: &Lab, language: &str) -> String {
    loaded_with(lab, language, &[])
}

/// The same, of an image with more Debian packages.
pub fn loaded_with(lab: &Lab, language: &str, packages: &[&str]) -> String {
    Kept::new(language, packages).loaded(lab)
}

/// An image of the cache. Several tests want it at once, and one makes it.
struct Kept<'of> {
    language: &'of str,
    packages: &'of [&'of str],
    /// Says what it was made from.
    name: String,
}

impl<'of> Kept<'of> {
    fn new(language: &'of str, packages: &'of [&'of str]) -> Self {
        let parts = [&[language], packages].concat().join("-");
        let name = format!("builder-image-{parts}-{}", &hash(language)[..16]);
        std::fs::create_dir_all(toolbox::cache()).or_fail("make the cache");
        Self {
            language,
            packages,
            name,
        }
    }

    fn archive(&self, lab: &Lab) -> PathBuf {
        let _lock = lock(&self.name);
        let kept = self.file("tar");
        if kept.is_file() {
            return kept;
        }
        // Under its name when it is whole.
        let fresh = self.file("part");
        drop(std::fs::remove_file(&fresh));
        let made = create(lab, self.language, self.packages, &fresh);
        if self.language == "python" && self.packages.is_empty() {
            as_ordinary_user(lab, self.language, &made);
        }
        std::fs::rename(&fresh, &kept).or_fail("keep the image");
        kept
    }

    fn loaded(&self, lab: &Lab) -> String {
        let archive = self.archive(lab);
        let image = format!("localhost/{}", self.name);
        // One at a time: it is one storage for all images.
        let _lock = lock("images");
        // With the storage: who removes that removes this.
        let mark = Storage::beside().join(format!("{}.loaded", self.name));
        if !mark.is_file() {
            let storage = format!(
                "overlay@{}+{}:overlay.skip_mount_home=true",
                Storage::beside().display(),
                lab.dir("kept").display()
            );
            lab.program("skopeo")
                .args(["copy", "--quiet"])
                .arg(format!("oci-archive:{}", archive.display()))
                .arg(format!("containers-storage:[{storage}]{image}:latest"))
                .ok();
            File::create(mark).or_fail("mark the image as loaded");
        }
        image
    }

    fn file(&self, extension: &str) -> PathBuf {
        toolbox::cache().join(format!("{}.{extension}", self.name))
    }
}

/// Held until it is dropped.
fn lock(name: &str) -> File {
    let file = toolbox::cache().join(format!("{name}.lock"));
    let lock = File::create(file).or_fail("make a lock");
    lock.lock().or_fail("wait for an image of the cache");
    lock
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
    copy_program(&server::binary(), &program);
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
