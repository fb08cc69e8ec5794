//! What somebody who is refused reads, and what the audit record says of it: once, and whose it was.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::path::PathBuf;
use std::process::Output;

use oci::{Algorithm, Digest};
use serde_json::{Value, json};
use support::{Server, error_line, run, slipway, stdout};

const PASSWORD: &str = "not in clear";
const RULES: &str = r"
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: team}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:image-puller}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: r}, subjects: [{kind: User, name: root}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
";

struct Scene {
    server: Server,
}

impl Scene {
    /// ada may pull in `team`, root may do everything; both are logged in, and there is an image in the folder.
    fn new() -> Self {
        let names = ["ada", "root"];
        let scene = Self {
            server: Server::for_users(&names, PASSWORD, Some(RULES), ""),
        };
        for name in names {
            let said = scene.login(name, &["-u", name, "--password-stdin"], PASSWORD);
            let expected = format!("logged in to {} as {name}; kept ", scene.server.host);
            assert!(stdout(&said).starts_with(&expected), "{said:?}");
        }
        scene.image();
        scene
    }

    fn run(&self, whose: &str, args: &[&str], input: &str) -> Output {
        let home = self.server.folder.path().join("home").join(whose);
        let mut command = slipway();
        command
            .env("DOCKER_CONFIG", &home)
            .env("XDG_CONFIG_HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .args(args);
        run(&mut command, input)
    }

    fn login(&self, whose: &str, args: &[&str], secret: &str) -> Output {
        let all = [&["login", &self.server.host][..], args].concat();
        self.run(whose, &all, secret)
    }

    fn layout(&self) -> PathBuf {
        self.server.folder.path().join("layout")
    }

    /// A folder that nothing is copied to.
    fn never(&self) -> PathBuf {
        self.server.folder.path().join("never")
    }

    /// An image of a dozen layers.
    fn image(&self) {
        let blobs = self.layout().join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let blob = |content: &str, media_type: &str| {
            let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
            std::fs::write(blobs.join(digest.hex()), content).unwrap();
            json!({"mediaType": media_type, "digest": digest.to_string(), "size": content.len()})
        };
        let layers: Vec<Value> = (0..12)
            .map(|number| {
                blob(
                    &format!("layer {number}"),
                    "application/vnd.oci.image.layer.v1.tar",
                )
            })
            .collect();
        let config = json!({"os": "linux", "architecture": "riscv64"}).to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(&config, "application/vnd.oci.image.config.v1+json"),
            "layers": layers,
        });
        let entry = blob(
            &manifest.to_string(),
            "application/vnd.oci.image.manifest.v1+json",
        );
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        std::fs::write(self.layout().join("index.json"), index.to_string()).unwrap();
        let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
        std::fs::write(self.layout().join("oci-layout"), marker).unwrap();
    }

    /// The rows of what was not done, oldest first. They are written in the background, in order: a refusal of a name of
    /// its own is the last.
    fn refused(&self, end: &str) -> Vec<Value> {
        let host = &self.server.host;
        let last = self.run("ada", &["ls", &format!("{host}/{end}/end")], "");
        assert!(!last.status.success());
        loop {
            let args = ["audit", "--outcome", "denied", "--output", "json"];
            let said = stdout(&self.run("root", &args, ""));
            let rows = said
                .lines()
                .rev()
                .map(|line| serde_json::from_str(line).unwrap());
            let mut rows: Vec<Value> = rows.collect();
            let is_last = |row: &Value| row["namespace"] == end;
            if let Some(at) = rows.iter().position(is_last) {
                assert_eq!(
                    at + 1,
                    rows.len(),
                    "one row for the last one, too: {rows:?}"
                );
                rows.truncate(at);
                return rows;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn what_is_refused_is_asked_for_once() {
    let scene = Scene::new();
    let host = &scene.server.host;
    let from = format!("oci:{}", scene.layout().display());
    let never = format!("oci:{}", scene.never().display());
    let image = |repository: &str| format!("{host}/{repository}:v1");
    let (in_team, in_other) = (image("team/app"), image("other/app"));
    let other = format!("{host}/other/app");
    let cases = [
        // May look whether the layers are there, and not send them.
        (vec!["copy", &from, &in_team], "upload"),
        // May not even look.
        (vec!["copy", &from, &in_other], "push"),
        (vec!["copy", &in_other, &never], "pull"),
        (vec!["ls", &other], "list"),
        (vec!["inspect", &in_other], "pull"),
    ];
    for (seen, (args, verb)) in cases.into_iter().enumerate() {
        let said = error_line(&scene.run("ada", &args, ""));
        let is_told = said.contains("user \"ada\" may not")
            || said.contains("no right to look at /v2/other/app/blobs/sha256:");
        assert!(is_told, "{args:?}: {said}");
        let rows = scene.refused(&format!("end-{seen}"));
        let new: Vec<&Value> = rows
            .iter()
            .filter(|row| {
                !row["namespace"]
                    .as_str()
                    .unwrap_or_default()
                    .starts_with("end-")
            })
            .skip(seen)
            .collect();
        assert_eq!(new.len(), 1, "{args:?}: {new:#?}");
        assert_eq!(new[0]["verb"], verb, "{args:?}: {new:#?}");
        let agent = new[0]["userAgent"].as_str().unwrap();
        let expected = format!("slipway/{} (linux; ", env!("CARGO_PKG_VERSION"));
        assert!(agent.starts_with(&expected), "{agent}");
    }
    assert!(!scene.never().exists());
}

#[test]
fn a_login_that_is_over_is_told_in_the_same_words_by_every_command() {
    let scene = Scene::new();
    let host = &scene.server.host;
    let create = ["token", "create", "--verb", "pull", "--output", "json"];
    let made: Value = serde_json::from_str(&stdout(&scene.run("ada", &create, ""))).unwrap();
    let (id, token) = (
        made["id"].as_str().unwrap(),
        made["token"].as_str().unwrap(),
    );
    let until = made["expiresAt"].as_str().unwrap();
    let by_token = ["--token-stdin"];

    let said = stdout(&scene.login("robot", &by_token, token));
    let expected = format!("logged in to {host} as ada until {until}; kept ");
    assert!(said.starts_with(&expected), "{said}");
    for spoilt in [&token[..50], &format!("{token}x")] {
        let said = error_line(&scene.login("robot", &by_token, spoilt));
        let expected = "does not take this token: this token is mistyped or cut short (request ";
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("audiences"), "{said}");
    }
    let revoke = scene.run("ada", &["token", "revoke", id], "");
    assert!(revoke.status.success(), "{revoke:?}");
    let said = error_line(&scene.login("robot", &by_token, token));
    let was = format!("token {id} of user \"ada\" was revoked at 20");
    assert!(
        said.contains(&format!("does not take this token: {was}")),
        "{said}"
    );

    let from = format!("oci:{}", scene.layout().display());
    let never = format!("oci:{}", scene.never().display());
    let image = format!("{host}/team/app:v1");
    for args in [
        vec!["auth", "whoami"],
        vec!["auth", "can-i", "pull", "team/app"],
        vec!["token", "list"],
        vec!["audit"],
        vec!["ls"],
        vec!["ls", &image[..image.len() - 3]],
        vec!["inspect", &image],
        vec!["copy", &image, &never],
        vec!["copy", &from, &image],
        vec!["rm", &image],
    ] {
        let said = error_line(&scene.run("robot", &args, ""));
        let begin = format!("slipway: {host}: the login is no longer good: {was}");
        assert!(said.starts_with(&begin), "{args:?}: {said}");
        assert!(!scene.never().exists());
        let end = format!("); log in again: slipway login {host}\n");
        assert!(said.ends_with(&end), "{args:?}: {said}");
    }
    let mut rows = scene.refused("end");
    // What was mistyped is nobody's.
    rows.retain(|row| row["credentialId"].is_string());
    // Each command, and the login.
    assert_eq!(rows.len(), 11, "{rows:#?}");
    for row in rows {
        assert_eq!(
            (&row["user"], &row["credentialId"]),
            (&json!("ada"), &json!(id))
        );
        assert_eq!(
            (&row["verb"], &row["status"]),
            (&json!("login"), &json!(401))
        );
        assert!(
            row["reason"].as_str().unwrap().contains("was revoked"),
            "{row}"
        );
    }
}
