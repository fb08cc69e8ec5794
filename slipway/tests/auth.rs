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
            .env("XDG_RUNTIME_DIR", self.path())
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
    let verb = scene.run(&["auth", "can-i", "fly", "team/app"]);
    assert_eq!(verb.status.code(), Some(2), "{verb:?}");
}

/// As kubectl has it: a namespace, or all of them, makes a resource of the word; without it, it is a repository.
#[test]
fn can_i_tells_rights_over_the_registry_from_repositories_of_their_names() {
    let scene = Scene::new("");
    let auditors = RULES
        .replace("name: a,", "name: auditors,")
        .replace("image-puller", "image-auditor");
    std::fs::write(scene.path().join("rules/audit.yaml"), auditors).unwrap();
    scene.server.line("read again");
    scene.login();
    for (words, answer) in [
        (&["get", "audit", "--namespace", "team"][..], "yes"),
        (&["get", "audit.registry.alauda.io", "-n", "team"], "yes"),
        (&["get", "audit", "-n", "other"], "no"),
        (&["get", "audit", "--all-namespaces"], "no"),
        (&["list", "tokens", "-A"], "no"),
    ] {
        let said = scene.run(&[&["auth", "can-i"], words].concat());
        assert_eq!(stdout(&said).trim(), answer, "{words:?}: {said:?}");
        assert!(said.stderr.is_empty(), "{said:?}");
    }
    let said = scene.run(&["auth", "can-i", "get", "audit"]);
    assert_eq!(stdout(&said), "no\n");
    assert!(
        error_line(&said).contains("audit is taken for a repository"),
        "{said:?}"
    );
    for (words, wrong) in [
        (
            &["get", "images", "-n", "team"][..],
            "there are audit, tokens",
        ),
        (&["get", "tokens", "-A"], "there are list tokens, delete"),
        (&["list", "tokens", "-n", "team"], "of the whole registry"),
        (&["list", "team/app"], "of repositories there are pull"),
        (
            &["get", "audit", "-n", "team/app"],
            "team/app is no namespace",
        ),
    ] {
        let said = error_line(&scene.run(&[&["auth", "can-i"], words].concat()));
        assert!(said.contains(wrong), "{words:?}: {said}");
    }
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

/// Advice for a folder is a file; one that is put there as it is said helps.
#[test]
fn explain_says_what_to_put_into_a_folder_of_rules() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("rules")).unwrap();
    std::fs::write(at.join("rules/rules.yaml"), RULES).unwrap();
    let explain = |words: &[&str]| {
        let mut command = slipway();
        command
            .current_dir(at)
            .args(["auth", "explain", "--rbac", "rules"]);
        run(command.args(words), "")
    };
    for (number, words) in [
        &["push", "team/app", "--as", "ada"][..],
        &[
            "delete",
            "other/app",
            "--as",
            "https://id.example.com#o'hara",
        ],
        &["pull", "team/app", "--as", "system:serviceaccount:ci:bot"],
        &["pull", "123/app", "--as", "system:anonymous"],
        &["get", "audit", "-n", "team", "--as", "ada"],
        &["get", "audit", "-A", "--as", "ada"],
        &["list", "tokens", "-A", "--as", "ada"],
    ]
    .iter()
    .enumerate()
    {
        let said = explain(words);
        assert_eq!(said.status.code(), Some(1), "{said:?}");
        let said = stdout(&said);
        assert!(!said.contains("kubectl"), "{said}");
        let (head, yaml) = said
            .split_once("to allow it: put this into a file in rules")
            .unwrap();
        assert!(head.contains(" may not "), "{said}");
        let (_, yaml) = yaml.split_once('\n').unwrap();
        std::fs::write(at.join(format!("rules/{number}.yaml")), yaml).unwrap();
        let said = explain(words);
        assert_eq!(said.status.code(), Some(0), "{said:?}");
    }
    // No more than was asked for, and in the place of nothing that is there.
    let revoking = ["delete", "tokens", "-A", "--as", "ada"];
    let said = stdout(&explain(&revoking));
    assert!(said.contains("verbs: [delete]"), "{said}");
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, \
        metadata: {name: registry-token-revoker}, rules: []}";
    std::fs::write(at.join("rules/taken.yaml"), role).unwrap();
    let said = stdout(&explain(&revoking));
    assert!(
        said.contains("metadata: {name: registry-token-revoker-2}"),
        "{said}"
    );
    // The name that was proposed is taken now.
    let said = stdout(&explain(&["delete", "team/app", "--as", "ada"]));
    assert!(said.contains("name: \"image-pruner-ada\""), "{said}");
    let taken = explain(&["retag", "team/app", "--as", "Ada"]);
    assert!(
        stdout(&taken).contains("name: \"image-pusher-ada-2\""),
        "{taken:?}"
    );
    let account = stdout(&explain(&["pull", "team/app", "--as", "ci:bot"]));
    assert!(
        account
            .contains("if ci:bot is a ServiceAccount, it is called system:serviceaccount:ci:bot"),
        "{account}"
    );
}

/// Every client asks what is there before it sends anything.
#[test]
fn who_may_push_and_not_pull_is_told_that_this_is_not_enough() {
    let scene = Scene::new("");
    let rules = r"{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: drop, namespace: box}, rules: [{apiGroups: [registry.alauda.io], resources: [images], verbs: [create]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: box}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: drop}}";
    std::fs::write(scene.path().join("rules/box.yaml"), rules).unwrap();
    scene.server.line("read again");
    scene.login();
    let told = "clients look before they push";
    let said = scene.run(&["auth", "can-i", "push", "box/app"]);
    assert_eq!(
        (stdout(&said).as_str(), said.status.success()),
        ("yes\n", true)
    );
    assert!(
        String::from_utf8_lossy(&said.stderr).contains(told),
        "{said:?}"
    );
    let folder = scene.path().join("rules").display().to_string();
    let words = [
        "auth", "explain", "push", "box/app", "--as", "ada", "--rbac", &folder,
    ];
    let said = scene.run(&words);
    assert!(
        said.status.success() && stdout(&said).contains(told),
        "{said:?}"
    );
    for (verbs, is_told) in [(&["push"][..], true), (&["push", "pull"], false)] {
        let mut words = vec!["token", "create"];
        words.extend(verbs.iter().flat_map(|verb| ["--verb", verb]));
        let said = scene.run(&words);
        assert!(said.status.success(), "{said:?}");
        assert_eq!(
            String::from_utf8_lossy(&said.stderr).contains(told),
            is_told,
            "{said:?}"
        );
    }
}

/// Rules are not all: who comes in is the configuration's.
#[test]
fn explain_knows_who_comes_in_at_the_server_of_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("rules")).unwrap();
    let all = RULES.replace(
        "kind: User, name: ada",
        "kind: User, name: 'system:anonymous'}, {kind: Group, name: 'system:authenticated'",
    );
    std::fs::write(at.join("rules/rules.yaml"), all).unwrap();
    support::add_user(&at.join("users"), "ada", PASSWORD);
    let explain = |anonymous: bool, who: &str| {
        let config = format!(
            "auth: {{anonymous: {anonymous}, htpasswd: {{file: users}}, rbac: {{dir: rules}}}}\n"
        );
        std::fs::write(at.join("slipway.yaml"), config).unwrap();
        let mut command = slipway();
        command.current_dir(at).args([
            "auth",
            "explain",
            "pull",
            "team/app",
            "--config",
            "slipway.yaml",
            "--as",
            who,
        ]);
        let said = run(&mut command, "");
        (said.status.success(), stdout(&said))
    };
    let (may, said) = explain(true, "system:anonymous");
    assert!(may, "{said}");
    let (may, said) = explain(false, "system:anonymous");
    assert!(!may && said.contains("may not pull"), "{said}");
    assert!(
        said.contains("auth.anonymous is off") && !said.contains("to allow it"),
        "{said}"
    );
    let hint = "nobody can log in as ";
    let (may, said) = explain(false, "ada");
    assert!(may && !said.contains(hint), "{said}");
    let (may, said) = explain(false, "nobodyknows");
    assert!(may && said.contains(hint), "{said}");
}

#[test]
fn explain_without_a_kubeconfig_says_how_files_are_read() {
    let mut command = slipway();
    command.env("KUBECONFIG", "/nowhere/config");
    let said = run(command.args(["auth", "explain", "pull", "team/app"]), "");
    let said = error_line(&said);
    for part in [
        "/nowhere/config: there is no such kubeconfig",
        "--rbac DIR",
        "--config FILE",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

/// A server that has its rules in files, or none, is asked in vain for the words of a cluster's.
#[test]
fn explain_says_where_the_rules_of_a_server_are() {
    let scene = Scene::new("");
    scene.login();
    let words = ["auth", "explain", "pull", "team/app", "--server"];
    let files = error_line(&scene.run(&[&words[..], &[&scene.server.host]].concat()));
    assert!(files.contains("its rules are in files"), "{files}");
    let open = Server::start("");
    let nowhere = error_line(&scene.run(&[&words[..], &[&open.host]].concat()));
    assert!(nowhere.contains("it has no rules"), "{nowhere}");
}
