//! `slipway token`: API tokens made, used, listed and revoked with the program; and logins that are refresh tokens.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use serde_json::Value;
use support::{Server, error_line, run, slipway, stdout};

const PASSWORD: &str = "not in clear";
const RULES: &str = r"
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: team}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: r}, subjects: [{kind: User, name: root}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
";

struct Scene {
    server: Server,
}

impl Scene {
    fn new(yaml: &str) -> Self {
        let server = Server::for_users(&["ada", "root"], PASSWORD, Some(RULES), yaml);
        let scene = Self { server };
        scene.login("ada", "ada", PASSWORD);
        scene.login("root", "root", PASSWORD);
        scene
    }

    fn home(&self, whose: &str) -> std::path::PathBuf {
        self.server.folder.path().join("home").join(whose)
    }

    /// The program as one of several people on this machine.
    fn command(&self, whose: &str, args: &[&str]) -> Command {
        let home = self.home(whose);
        let mut command = slipway();
        command
            .env("DOCKER_CONFIG", &home)
            .env("XDG_CONFIG_HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .args(args);
        command
    }

    fn run(&self, whose: &str, args: &[&str]) -> Output {
        run(&mut self.command(whose, args), "")
    }

    fn said(&self, whose: &str, args: &[&str]) -> String {
        let output = self.run(whose, args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        stdout(&output)
    }

    fn json(&self, whose: &str, args: &[&str]) -> Value {
        serde_json::from_str(&self.said(whose, args)).unwrap()
    }

    fn login(&self, whose: &str, user: &str, password: &str) {
        let args = ["login", &self.server.host, "-u", user, "--password-stdin"];
        let output = run(&mut self.command(whose, &args), password);
        assert!(output.status.success(), "{output:?}");
    }

    /// The status of a request with this credential.
    fn status(&self, head: &str, user: &str, password: &str) -> String {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let answer = self.server.http(format!(
            "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\nauthorization: Basic {pair}\r\n\r\n"
        ));
        answer.split(' ').nth(1).unwrap().to_owned()
    }
}

const UPLOAD: &str = "POST /v2/team/app/blobs/uploads/";
const TAGS: &str = "GET /v2/team/app/tags/list";

/// What a token is not for is told apart from what its user may not, and rules do not mend it.
#[test]
fn a_refusal_says_whether_the_user_or_the_token_may_not() {
    let scene = Scene::new("");
    let token = scene.said("root", &["token", "create", "--namespace", "team"]);
    let mine = scene.said("ada", &["token", "create"]);
    scene.login("robot", "ci", token.trim());
    let id = scene.said("root", &["token", "list", "--json"]);
    let id: Value = serde_json::from_str(&id).unwrap();
    let id = id["items"][0]["id"].as_str().unwrap();
    let said = error_line(&scene.run("robot", &["audit"]));
    let expected = format!("user \"root\" may not get audit of this registry by this token ({id})");
    assert!(said.contains(&expected), "{said}");
    assert!(!said.contains("auth explain"), "{said}");
    let said = error_line(&scene.run("ada", &["audit"]));
    assert!(!said.contains("by this token"), "{said}");
    assert!(said.contains("`slipway auth explain`"), "{said}");
    for (token, part) in [(token, "by this token"), (mine, "(repository other/app)\"")] {
        let host = &scene.server.host;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("x:{}", token.trim()));
        let said = scene.server.get(
            "/v2/other/app/tags/list",
            &format!("authorization: Basic {pair}\r\n"),
        );
        assert!(said.contains(part), "{host}: {said}");
    }
}

#[test]
fn a_token_is_made_used_listed_and_revoked() {
    let scene = Scene::new("");
    let args = [
        "token",
        "create",
        "--description",
        "CI",
        "--namespace",
        "team",
        "--verb",
        "pull",
    ];
    let made = scene.run("ada", &args);
    assert!(made.status.success(), "{made:?}");
    let token = stdout(&made).trim().to_owned();
    assert!(
        token.starts_with("slp_") && !token.contains('\n'),
        "{token}"
    );
    let told = String::from_utf8(made.stderr).unwrap();
    assert!(told.contains("of ada for get in team, until"), "{told}");
    assert!(!told.contains("note"), "{told}");
    assert!(
        !told.contains(&token),
        "the text stands on standard output alone"
    );
    assert_eq!(scene.status(TAGS, "robot", &token), "404");
    assert_eq!(scene.status(UPLOAD, "robot", &token), "403");
    assert_eq!(scene.status(UPLOAD, "ada", PASSWORD), "202");
    // As the password of a login, which the robot's commands go by.
    scene.login("robot", "ci", &token);
    assert_eq!(
        scene.said("robot", &["auth", "can-i", "pull", "team/app"]),
        "yes\n"
    );
    assert_eq!(
        scene
            .run("robot", &["auth", "can-i", "push", "team/app"])
            .status
            .code(),
        Some(1)
    );
    let who = scene.said("robot", &["auth", "whoami"]);
    assert!(
        who.contains("user        ada\n") && who.contains(": get in team\n"),
        "{who}"
    );
    let refused = error_line(&scene.run("robot", &["token", "create"]));
    assert!(
        refused.contains("a token makes no further token"),
        "{refused}"
    );
    let list = scene.said("ada", &["token", "list"]);
    assert!(list.lines().next().unwrap().starts_with("ID "), "{list}");
    assert!(
        list.contains("api   get  team   ") && list.contains("  CI\n"),
        "{list}"
    );
    assert!(!list.contains(&token));
    let listed = scene.json("ada", &["token", "list", "--json"]);
    let id = listed["items"][0]["id"].as_str().unwrap();
    assert!(token.contains(id));
    assert_eq!(
        scene.said("ada", &["token", "revoke", id]),
        format!("token {id} is revoked\n")
    );
    assert_eq!(scene.status(TAGS, "robot", &token), "401");
    let again = error_line(&scene.run("ada", &["token", "revoke", id]));
    assert!(again.contains("you have no token of this id"), "{again}");
    let gone = error_line(&scene.run("robot", &["auth", "whoami"]));
    assert!(gone.contains("no longer good"), "{gone}");
}

#[test]
fn an_administrator_looks_after_everybodys() {
    let scene = Scene::new("");
    let made = scene.json("ada", &["token", "create", "--expires", "1h", "--json"]);
    let (token, id) = (
        made["token"].as_str().unwrap(),
        made["id"].as_str().unwrap(),
    );
    let refused = error_line(&scene.run("ada", &["token", "list", "--all"]));
    assert!(
        refused.contains("may not list tokens of this registry"),
        "{refused}"
    );
    let all = scene.said("root", &["token", "list", "--all"]);
    assert!(all.contains(id) && all.contains("  ada  "), "{all}");
    scene.said("root", &["token", "revoke", id]);
    assert_eq!(scene.status(TAGS, "x", token), "401");
}

#[test]
fn bounds_come_from_the_configuration() {
    let scene = Scene::new("  apiTokens: {maxLifetime: 1h, perUser: 1}\n");
    let long = error_line(&scene.run("ada", &["token", "create", "--expires", "2h"]));
    assert!(
        long.contains("the lifetime: from 1s to 1h, as this server has it"),
        "{long}"
    );
    scene.said("ada", &["token", "create"]);
    let more = error_line(&scene.run("ada", &["token", "create"]));
    assert!(more.contains("you have 1 API tokens"), "{more}");
}

#[test]
fn tokens_outlive_a_restart_and_a_reindex() {
    let mut scene = Scene::new("");
    let token = scene.said(
        "ada",
        &["token", "create", "--verb", "push", "--verb", "pull"],
    );
    let token = token.trim().to_owned();
    // Content, since there must be something to index.
    let blob = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let empty = format!("POST /v2/team/app/blobs/uploads/?digest={blob}");
    assert_eq!(scene.status(&empty, "x", &token), "201");
    scene.server.restart(|config| {
        let reindex = slipway()
            .args(["storage", "reindex", "--config"])
            .arg(config)
            .output()
            .unwrap();
        assert!(reindex.status.success(), "{reindex:?}");
    });
    assert_eq!(scene.status(UPLOAD, "x", &token), "202");
}

/// Logs in as docker does that keeps a refresh token: the home `docker` holds it.
fn docker_login(scene: &Scene, user: &str) {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{PASSWORD}"));
    let path = "/auth/token?client_id=docker&offline_token=true";
    let answer = scene
        .server
        .get(path, &format!("authorization: Basic {pair}\r\n"));
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let refresh = body["refresh_token"].as_str().unwrap();
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:"));
    let config = format!(
        r#"{{"auths": {{"{}": {{"auth": "{auth}", "identitytoken": "{refresh}"}}}}}}"#,
        scene.server.host
    );
    let home = scene.home("docker");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(Path::new(&home).join("config.json"), config).unwrap();
}

/// What a refresh token was exchanged for ends sooner than a command that goes on; here, by a change of keys.
#[test]
fn who_follows_by_a_refresh_token_outlives_what_it_was_exchanged_for() {
    let keys = tempfile::tempdir().unwrap();
    let file = |name: &str| keys.path().join(name);
    let with = |name| {
        Scene::new(&format!(
            "  tokens: {{keyFile: {}}}\n",
            file(name).display()
        ))
    };
    let (scene, _other) = (with("first"), with("second"));
    docker_login(&scene, "root");
    let server = ["--server", &scene.server.host];
    let follow = [&["audit", "--follow", "--verb", "admin"][..], &server].concat();
    let mut child = scene
        .command("docker", &follow)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let make = || scene.said("ada", &["token", "create", "--verb", "pull"]);
    make();
    assert!(lines.next().unwrap().unwrap().contains("/api/v1/tokens"));
    std::fs::copy(file("second"), file("first")).unwrap();
    scene.server.line("read again");
    make();
    assert!(lines.next().unwrap().unwrap().contains("/api/v1/tokens"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_login_that_docker_keeps_as_a_refresh_token_is_used() {
    let scene = Scene::new("");
    docker_login(&scene, "ada");
    let server = ["--server", &scene.server.host];
    let run = |args: &[&str]| scene.run("docker", &[args, &server].concat());
    assert!(stdout(&run(&["auth", "whoami"])).contains("user        ada\n"));
    assert_eq!(
        stdout(&run(&["auth", "can-i", "push", "team/app"])),
        "yes\n"
    );
    assert_eq!(
        stdout(&run(&["auth", "can-i", "push", "other/app"])),
        "no\n"
    );
    let listed = scene.json("ada", &["token", "list", "--json"]);
    let login = &listed["items"][0];
    assert_eq!(
        (&login["kind"], &login["description"]),
        (&"login".into(), &"docker".into())
    );
    scene.said("ada", &["token", "revoke", login["id"].as_str().unwrap()]);
    let gone = error_line(&run(&["auth", "whoami"]));
    assert!(gone.contains("the login is no longer good"), "{gone}");
}

#[test]
fn no_log_holds_a_token() {
    let mut scene = Scene::new("");
    let token = scene.said("ada", &["token", "create"]).trim().to_owned();
    scene.status(TAGS, "x", &token);
    scene.server.get(
        "/api/v1/whoami",
        &format!("authorization: Bearer {token}\r\n"),
    );
    scene.server.terminate();
    let lines = scene.server.rest();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("operation=create-token")),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("operation=whoami") && line.contains("\"ada\""))
    );
    let (id, body) = (&token[4..20], &token[20..]);
    assert!(
        lines
            .iter()
            .any(|line| line.contains(&format!(" token={id}")))
    );
    assert!(!lines.iter().any(|line| line.contains(body)));
}

#[test]
fn a_token_that_opens_nothing_is_made_with_a_note() {
    let scene = Scene::new("");
    let create = [
        "token",
        "create",
        "--expires",
        "1y",
        "--verb",
        "push",
        "--namespace",
    ];
    for (place, expected) in [("other/x", true), ("other", true), ("team/app", false)] {
        let made = scene.run("ada", &[&create[..], &[place]].concat());
        assert!(made.status.success(), "{made:?}");
        let told = String::from_utf8(made.stderr).unwrap();
        let note = format!(" in {place} now");
        assert_eq!(
            told.contains("note: ") && told.contains(&note),
            expected,
            "{told}"
        );
    }
}
