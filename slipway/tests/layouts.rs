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
    let (config_path, config) = blob(layout, "{}");
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
