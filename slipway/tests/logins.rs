//! `slipway login` and `logout`: how the registry is reached, and where the login is kept.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

#[path = "support/certificate.rs"]
mod certificate;
mod support;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use support::{Server, error_line, run, slipway};

/// A credential helper as docker's are: one file a server, named by its digits and letters.
const HELPER: &str = r#"#!/bin/sh
set -eu
cd "$KEPT"
file() { tr -cd 'a-z0-9'; }
case "$1" in
store)
	cat > login
	mv login "$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' login | file)"
	;;
get)
	name="$(file)"
	[ -e "$name" ] || { echo "credentials not found in native keychain"; exit 1; }
	cat "$name"
	;;
erase) rm "$(file)" ;;
*) echo "unknown action $1"; exit 1 ;;
esac
"#;

const PASSWORD: &str = "not in clear";

#[test]
fn an_empty_variable_is_none_and_what_variables_say_is_in_no_usage() {
    let folder = tempfile::tempdir().unwrap();
    let run = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = slipway();
        command.env("DOCKER_CONFIG", folder.path()).args(args);
        command.envs(variables.iter().copied());
        let output = run(&mut command, "");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let empty = [("REGISTRY_AUTH_FILE", ""), ("SLIPWAY_SERVER", "")];
    let said = run(&empty, &["build", "runs", "-n", "team"]);
    assert!(said.contains("slipway login"), "there is no server: {said}");
    let all = [
        ("REGISTRY_AUTH_FILE", "file"),
        ("SLIPWAY_SERVER", "127.0.0.1:9"),
    ];
    for wrong in [&["build", "runs", "--bogus"][..], &["build", "show"]] {
        let said = run(&all, wrong);
        assert!(said.contains("Usage: slipway build"), "{said}");
        assert!(!said.contains("--server"), "{said}");
        assert!(!said.contains("--authfile"), "{said}");
    }
}

struct Scene {
    server: Server,
}

impl Scene {
    /// A server with the user ada, and with `yaml` besides.
    fn new(yaml: &str) -> Self {
        let server = Server::for_users(&["ada"], PASSWORD, None, yaml);
        Self { server }
    }

    fn folder(&self) -> &Path {
        self.server.folder.path()
    }

    /// The command with docker's folder and the helpers' below the scene's.
    fn slipway(&self, args: &[&str]) -> Command {
        let mut command = slipway();
        let path = std::env::var("PATH").unwrap();
        let folder = self.folder();
        command
            .env("DOCKER_CONFIG", folder)
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_RUNTIME_DIR", folder)
            .env("KEPT", folder.join("kept"))
            .env("PATH", format!("{}:{path}", folder.join("bin").display()))
            .args(args);
        command
    }

    fn login(&self, server: &str, more: &[&str]) -> Output {
        let mut command = self.slipway(&["login", server, "-u", "ada", "--password-stdin"]);
        run(command.args(more), PASSWORD)
    }

    fn logout(&self, server: &str) -> Output {
        run(&mut self.slipway(&["logout", server]), "")
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder().join("config.json")
    }

    fn kept(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.config()).unwrap()).unwrap()
    }
}

fn install_helper(scene: &Scene) {
    let bin = scene.folder().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::create_dir(scene.folder().join("kept")).unwrap();
    let program = bin.join("docker-credential-drawer");
    // Not by ourselves: what another test starts meanwhile would hold the file open for writing (`ETXTBSY`).
    let mut write = Command::new("sh");
    let written = run(write.args(["-c", "cat > \"$0\""]).arg(&program), HELPER);
    assert!(written.status.success(), "{written:?}");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn where_docker_has_a_credential_helper_the_password_goes_to_it() {
    let scene = Scene::new("");
    install_helper(&scene);
    let host = &scene.server.host;
    for config in [
        r#"{"credsStore": "drawer"}"#.to_owned(),
        format!(r#"{{"credsStore": "absent", "credHelpers": {{"{host}": "drawer"}}}}"#),
        // What an earlier login left in clear does not stay.
        format!(r#"{{"credsStore": "drawer", "auths": {{"{host}": {{"auth": "eDp5"}}}}}}"#),
    ] {
        std::fs::write(scene.config(), &config).unwrap();
        let said = scene.login(host, &[]);
        assert!(said.status.success(), "{config}: {said:?}");
        assert!(support::stdout(&said).contains("docker-credential-drawer"));
        assert_eq!(scene.kept()["auths"][host], serde_json::json!({}));
        let drawer = scene.folder().join("kept");
        let files: Vec<_> = std::fs::read_dir(&drawer).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let path = files[0].as_ref().unwrap().path();
        let login: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let wanted = serde_json::json!({"ServerURL": host, "Username": "ada", "Secret": PASSWORD});
        assert_eq!(login, wanted);

        let said = scene.logout(host);
        assert!(said.status.success(), "{said:?}");
        assert_eq!(std::fs::read_dir(&drawer).unwrap().count(), 0);
        assert!(scene.kept()["auths"][host].is_null());
        let line = error_line(&scene.logout(host));
        assert!(line.contains("not logged in"), "{line}");
    }
}

#[test]
fn a_credential_helper_that_cannot_be_used_is_named_and_nothing_is_kept_in_clear() {
    let scene = Scene::new("");
    for (name, said) in [("absent", "docker-credential-absent"), ("../x", "../x")] {
        let config = format!(r#"{{"credsStore": "{name}"}}"#);
        std::fs::write(scene.config(), &config).unwrap();
        let line = error_line(&scene.login(&scene.server.host, &[]));
        assert!(line.contains(said), "{line}");
        assert!(!line.contains(PASSWORD), "{line}");
        assert_eq!(std::fs::read_to_string(scene.config()).unwrap(), config);
    }
}

#[test]
fn a_file_of_logins_that_is_a_link_stays_one() {
    let scene = Scene::new("");
    let real = scene.folder().join("elsewhere/logins.json");
    symlink("elsewhere/logins.json", scene.config()).unwrap();
    // The link's end need not be there yet, nor its folder.
    for _ in 0..2 {
        assert!(scene.login(&scene.server.host, &[]).status.success());
        assert!(scene.config().is_symlink());
        assert!(real.is_file());
    }
    assert!(scene.kept()["auths"][&scene.server.host]["auth"].is_string());
}

#[test]
fn a_registry_is_reached_by_its_url_too() {
    let scene = Scene::new("");
    let host = &scene.server.host;
    let url = format!("http://{host}");
    let said = run(
        scene
            .slipway(&["login", "-u", "ada", "--password-stdin"])
            .env("SLIPWAY_SERVER", &url),
        PASSWORD,
    );
    assert!(said.status.success(), "{said:?}");
    assert!(scene.kept()["auths"][host]["auth"].is_string());
    assert!(scene.logout(&format!("{url}/")).status.success());
    error_line(&scene.login(&format!("https://{host}"), &[]));
    error_line(&scene.login(&format!("https://{host}"), &["--plain-http"]));
    assert!(scene.kept()["auths"][host].is_null());
}

#[test]
fn tls_on_this_machine_comes_before_plain_http() {
    let folder = tempfile::tempdir().unwrap();
    certificate::make(folder.path());
    let path = folder.path().display();
    let scene = Scene::new(&format!(
        "tls: {{certFile: {path}/cert.pem, keyFile: {path}/key.pem}}\n"
    ));
    let host = &scene.server.host;
    let line = error_line(&scene.login(host, &[]));
    assert!(line.contains("https://"), "the certificate's error: {line}");
    let authority = folder.path().join("cert.pem");
    let trust = ["--ca-file", authority.to_str().unwrap()];
    for server in [host.clone(), format!("https://{host}")] {
        let said = scene.login(&server, &trust);
        assert!(said.status.success(), "{server}: {said:?}");
        assert!(scene.logout(&server).status.success());
    }
    // A certificate that the system trusts needs no option.
    let said = run(
        scene
            .slipway(&["login", host, "-u", "ada", "--password-stdin"])
            .env("SSL_CERT_FILE", &authority),
        PASSWORD,
    );
    assert!(said.status.success(), "{said:?}");
}

#[test]
fn how_each_server_was_reached_is_remembered_until_the_logout() {
    let folder = tempfile::tempdir().unwrap();
    certificate::make(folder.path());
    let path = folder.path().display();
    let encrypted = Scene::new(&format!(
        "tls: {{certFile: {path}/cert.pem, keyFile: {path}/key.pem}}\n"
    ));
    let plain = Scene::new("");
    let authority = folder.path().join("cert.pem");
    let trust = ["--ca-file", authority.to_str().unwrap()];
    let host = &encrypted.server.host;
    assert!(plain.login(host, &trust).status.success());
    assert!(plain.login(&plain.server.host, &[]).status.success());
    let whoami = |more: &[&str]| run(plain.slipway(&["auth", "whoami"]).args(more), "");
    let said = whoami(&["--server", host]);
    assert!(said.status.success(), "{said:?}");
    let ls = ["ls", &format!("{host}/team/app")];
    let line = error_line(&run(&mut plain.slipway(&ls), ""));
    assert!(!line.contains("certificate"), "{line}");
    // Without a name it is the last one.
    assert!(support::stdout(&whoami(&[])).contains(&plain.server.host));
    // A URL says more than what is remembered.
    let url = format!("https://{}", plain.server.host);
    let line = error_line(&whoami(&["--server", &url]));
    assert!(line.contains("does not speak TLS"), "{line}");
    let logout = || run(&mut plain.slipway(&["logout"]), "");
    let said = support::stdout(&logout());
    assert!(said.contains(&plain.server.host), "{said}");
    error_line(&whoami(&[]));
    let line = error_line(&logout());
    assert!(line.contains("slipway logout SERVER"), "{line}");
    assert!(whoami(&["--server", host]).status.success());
    assert!(plain.logout(host).status.success());
    let line = error_line(&whoami(&["--server", host]));
    assert!(line.contains("--ca-file"), "{line}");
}

#[test]
fn what_keeps_a_login_from_the_registry_is_said_with_its_mend() {
    let folder = tempfile::tempdir().unwrap();
    certificate::make(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let tls = format!("certFile: '{certificate}', keyFile: '{key}'");
    let encrypted = Scene::new(&format!("tls: {{{tls}}}\n"));
    let mutual = Scene::new(&format!("tls: {{{tls}, clientCaFile: '{certificate}'}}\n"));
    let plain = Scene::new("");
    let bare = format!("https://{}", plain.server.host);
    let trust = ["--ca-file", &certificate];
    let elsewhere = tempfile::tempdir().unwrap();
    certificate::make(elsewhere.path());
    let other = elsewhere.path().join("cert.pem").display().to_string();
    let cases: [(&str, &[&str], &str); 7] = [
        (
            &encrypted.server.host,
            &["--ca-file", &key],
            "key.pem: no certificate in it",
        ),
        (
            &encrypted.server.host,
            &["--ca-file", &other],
            "cert.pem has signed it",
        ),
        (&encrypted.server.host, &[], "--ca-file"),
        (&encrypted.server.host, &["--plain-http"], "TLS"),
        (
            &mutual.server.host,
            &trust,
            "asks its clients for a certificate",
        ),
        (&bare, &[], "--plain-http"),
        // Where nobody listens, and no test is given a port.
        ("127.0.0.1:1", &[], "does the registry run"),
    ];
    for (server, more, mend) in cases {
        let line = error_line(&plain.login(server, more));
        assert!(line.contains(mend), "{server} {more:?}: {line}");
    }
}
