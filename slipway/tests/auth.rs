//! `slipway auth`: commands that speak to a server's API, as whoever is logged in.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use support::{Server, error_line, run, slipway, stdout};

const PASSWORD: &str = "not in clear";
const RULES: &str = r#"{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: team}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}}"#;

struct Scene {
    server: Server,
}

impl Scene {
    /// A server with the user ada, who may pull in `team`.
    fn new(yaml: &str) -> Self {
        let server = Server::for_users(&["ada"], PASSWORD, Some(RULES), yaml);
        Self { server }
    }

    fn path(&self) -> &Path {
        self.server.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = slipway();
        command
            .env("DOCKER_CONFIG", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env_remove("XDG_RUNTIME_DIR")
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args), PASSWORD)
    }

    fn login(&self) {
        let args = ["login", &self.server.host, "-u", "ada", "--password-stdin"];
        let said = self.run(&args);
        assert!(said.status.success(), "{said:?}");
    }
}

#[test]
fn commands_find_the_server_and_the_login_of_the_last_login() {
    let scene = Scene::new("");
    let before = scene.run(&["auth", "whoami"]);
    assert!(error_line(&before).contains("slipway login"), "{before:?}");
    scene.login();
    let said = stdout(&scene.run(&["auth", "whoami"]));
    assert!(said.contains("user        ada\n"), "{said}");
    assert!(said.contains("known by    htpasswd\n"), "{said}");
    let json = stdout(&scene.run(&["auth", "whoami", "--output", "json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["name"], "ada");
    let url = format!("http://{}/", scene.server.host);
    let named = scene.run(&["auth", "whoami", "--server", &url]);
    assert!(named.status.success(), "{named:?}");
    // A login that was written by somebody else, under a URL.
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("ada:{PASSWORD}"));
    let config = format!(
        r#"{{"auths": {{"http://{}": {{"auth": "{auth}"}}}}}}"#,
        scene.server.host
    );
    std::fs::write(scene.path().join("config.json"), config).unwrap();
    assert!(scene.run(&["auth", "whoami"]).status.success());
}

#[test]
fn can_i_says_yes_or_no_and_exits_so() {
    let scene = Scene::new("");
    scene.login();
    for (verb, repository, may) in [
        ("pull", "team/app", true),
        ("get", "team/app", true),
        ("push", "team/app", false),
        ("delete", "team/app", false),
        ("pull", "other/app", false),
    ] {
        let said = scene.run(&["auth", "can-i", verb, repository]);
        assert_eq!(stdout(&said), if may { "yes\n" } else { "no\n" });
        assert_eq!(
            said.status.code(),
            Some(i32::from(!may)),
            "{verb} {repository}"
        );
    }
    let json = stdout(&scene.run(&["auth", "can-i", "pull", "team/app", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["allowed"], &json["repository"]),
        (&true.into(), &"team/app".into())
    );
    let wrong = error_line(&scene.run(&["auth", "can-i", "pull", "Team/App"]));
    assert!(wrong.contains("repository: "), "{wrong}");
    assert!(wrong.contains("(request "), "{wrong}");
    let verb = scene.run(&["auth", "can-i", "fly", "team/app"]);
    assert_eq!(verb.status.code(), Some(2), "{verb:?}");
}

#[test]
fn who_is_not_logged_in_is_told_how() {
    let scene = Scene::new("");
    let host = &scene.server.host;
    let stranger = error_line(&scene.run(&["auth", "whoami", "--server", host]));
    assert!(
        stranger.contains(&format!("not logged in: slipway login {host}")),
        "{stranger}"
    );
    scene.login();
    let users = scene.path().join("users");
    let removed = slipway()
        .args(["user", "remove", "ada", "--htpasswd"])
        .arg(&users)
        .output()
        .unwrap();
    assert!(removed.status.success(), "{removed:?}");
    scene.server.line("read again");
    let gone = error_line(&scene.run(&["auth", "whoami"]));
    assert!(
        gone.contains("the login as ada is no longer good"),
        "{gone}"
    );
    assert!(scene.run(&["logout", host]).status.success());
    let out = error_line(&scene.run(&["auth", "whoami"]));
    assert!(out.contains("which server?"), "{out}");
}

/// What rules name is the server's: an explanation that goes by another resource says no where the server says yes.
#[test]
fn explain_goes_by_the_resource_of_the_server() {
    const ROLE: &str = r"{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: pull, namespace: team}, rules: [{apiGroups: [example.com], resources: [pics], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: team}, subjects: [{kind: User, name: alice}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pull}}";
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("rules")).unwrap();
    std::fs::write(at.join("rules/rules.yaml"), ROLE).unwrap();
    std::fs::write(at.join("users"), "").unwrap();
    let config = "dataDir: ./data\nauth: {htpasswd: {file: users}, rbac: {dir: rules, group: example.com, resource: pics}}\n";
    std::fs::write(at.join("slipway.yaml"), config).unwrap();
    let explain = |more: &[&str]| {
        let mut command = slipway();
        command
            .current_dir(at)
            .args(["auth", "explain", "--as", "alice"]);
        run(command.args(more), "")
    };
    let words = ["--group", "example.com", "--resource", "pics"];
    for (rules, code) in [
        (&["--config", "slipway.yaml"][..], 0),
        (&[&["--rbac", "rules"][..], &words].concat(), 0),
        (&["--rbac", "rules"], 1),
    ] {
        let said = explain(&[&["pull", "team/app"], rules].concat());
        assert_eq!(said.status.code(), Some(code), "{said:?}");
    }
    let said = explain(&["push", "team/app", "--config", "slipway.yaml"]);
    assert!(
        stdout(&said).contains("that gives get, not create"),
        "{said:?}"
    );
    let both = explain(&[
        "pull",
        "team/app",
        "--config",
        "slipway.yaml",
        "--group",
        "x",
    ]);
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}
