//! Folders in the OCI layout that somebody else may have made.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;

use oci::{Algorithm, Digest};
use serde_json::json;
use support::{error_line, run, slipway};

fn blob(layout: &Path, content: &str) -> (PathBuf, serde_json::Value) {
    let folder = layout.join("blobs/sha256");
    fs::create_dir_all(&folder).unwrap();
    let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
    let path = folder.join(digest.hex());
    fs::write(&path, content).unwrap();
    let mut descriptor = json!({"mediaType": "application/vnd.oci.image.config.v1+json"});
    descriptor["digest"] = json!(digest.to_string());
    descriptor["size"] = json!(content.len());
    (path, descriptor)
}

/// An image of one blob; gives the paths of its manifest and of that.
fn image(layout: &Path) -> [PathBuf; 2] {
    let (config_path, config) = blob(layout, r#"{"os":"linux","architecture":"riscv64"}"#);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": []});
    let (manifest_path, mut entry) = blob(layout, &manifest.to_string());
    entry["mediaType"] = json!(media_type);
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    [manifest_path, config_path]
}

fn copy(from: &Path, to: &Path) -> Output {
    let place = |path: &Path| format!("oci:{}", path.display());
    let mut command = slipway();
    command.args(["copy", &place(from), &format!("{}:v1", place(to))]);
    run(&mut command, "")
}

#[test]
fn nothing_is_read_or_written_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to, other] = ["from", "to", "other"].map(|name| folder.path().join(name));
    fs::create_dir(&from).unwrap();
    let paths = image(&from);
    assert!(copy(&from, &other).status.success());

    // The folder that is written to has a link where the bytes are gathered.
    let victim = folder.path().join("victim");
    fs::write(&victim, "").unwrap();
    assert!(copy(&from, &to).status.success());
    let written = to.join(paths[1].strip_prefix(&from).unwrap());
    fs::remove_file(&written).unwrap();
    let name = written.file_name().unwrap().display();
    symlink(&victim, written.with_file_name(format!(".{name}.partial"))).unwrap();
    let error = error_line(&copy(&from, &to));
    assert!(error.contains(".partial: a symbolic link"), "{error}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "");

    // A blob that stands elsewhere is not what the folder holds, though it were the same.
    for path in paths {
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        fs::remove_dir_all(&other).unwrap();
        let error = error_line(&copy(&from, &other));
        assert!(
            error.contains("a symbolic link, which is not followed"),
            "{error}"
        );
        fs::rename(&elsewhere, &path).unwrap();
        fs::create_dir_all(&other).unwrap();
    }
}

fn copied(args: &[&str]) -> Output {
    let mut command = slipway();
    command.arg("copy").args(args);
    run(&mut command, "")
}

#[test]
fn a_single_image_of_another_platform_is_not_taken_for_the_one_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    fs::create_dir(&from).unwrap();
    image(&from);
    let (from, to) = (
        format!("oci:{}", from.display()),
        format!("oci:{}", to.display()),
    );
    let error = error_line(&copied(&["--platform", "linux/arm64", &from, &to]));
    let expected = "this is a single image, for linux/riscv64, and not for linux/arm64\n";
    assert!(error.ends_with(expected), "{error}");
    let said = copied(&["--platform", "linux/riscv64", &from, &to]);
    assert!(said.status.success(), "{said:?}");
    let told = String::from_utf8(said.stdout).unwrap();
    let begin = format!("copied {from} to {to}: 1 manifest; 1 blob sent (");
    assert!(told.starts_with(&begin), "{told}");
    assert_eq!(
        told.lines().count(),
        2,
        "the digest has a line of its own: {told}"
    );
}

/// podman and buildah call an image by its whole name in a layout (`org.opencontainers.image.ref.name`), others by its tag.
#[test]
fn images_are_found_and_kept_by_what_other_tools_call_them() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    fs::create_dir(&from).unwrap();
    image(&from);
    let key = "org.opencontainers.image.ref.name";
    let index = from.join("index.json");
    let mut written: serde_json::Value =
        serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let mut other = written["manifests"][0].clone();
    written["manifests"][0]["annotations"] = json!({key: "localhost/team/app:v1"});
    other["annotations"] = json!({key: "v2"});
    written["manifests"].as_array_mut().unwrap().push(other);
    fs::write(&index, written.to_string()).unwrap();

    let place = |name: &str| format!("oci:{}{name}", from.display());
    let target = |name: &str| format!("oci:{}{name}", to.display());
    for (name, said) in [
        ("", "name one behind a colon: localhost/team/app:v1, v2"),
        (
            ":v1",
            "no image is called v1 there, but localhost/team/app:v1, v2",
        ),
    ] {
        let error = error_line(&copied(&[&place(name), &target("")]));
        assert!(error.contains(said), "{error}");
    }
    for (name, as_what) in [
        (":localhost/team/app:v1", ""),
        (":v2", ""),
        (":v2", ":registry.example:5000/team/app:v3"),
    ] {
        let said = copied(&[&place(name), &target(as_what)]);
        assert!(said.status.success(), "{said:?}");
    }
    let kept = fs::read(to.join("index.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    let entries = kept["manifests"].as_array().unwrap();
    let names: Vec<_> = entries
        .iter()
        .map(|entry| &entry["annotations"][key])
        .collect();
    assert_eq!(
        names,
        [
            "localhost/team/app:v1",
            "v2",
            "registry.example:5000/team/app:v3"
        ]
    );
}
