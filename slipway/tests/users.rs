//! Users and logins, as a person or a script keeps them.

mod support;

use std::path::Path;

use support::{Server, error_line, run, slipway, stdout};

fn user(file: &Path, args: &[&str], password: &str) -> std::process::Output {
    let mut command = slipway();
    command.arg("user").args(args).arg("--htpasswd").arg(file);
    if matches!(args[0], "add" | "passwd") {
        command.arg("--password-stdin");
    }
    run(&mut command, password)
}

#[test]
fn users_are_added_changed_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("htpasswd");
    assert!(user(&file, &["add", "ada"], "first\n").status.success());
    assert!(user(&file, &["add", "bob"], "second").status.success());
    let line = error_line(&user(&file, &["add", "ada"], "x"));
    assert!(line.contains("slipway user passwd"), "{line}");
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(user(&file, &["passwd", "ada"], "third").status.success());
    let after = std::fs::read_to_string(&file).unwrap();
    assert_ne!(before, after);
    assert!(!after.contains("third"), "only hashes are kept");
    let listed = stdout(&user(&file, &["list", "--output", "json"], ""));
    assert_eq!(listed.trim(), r#"[{"name":"ada"},{"name":"bob"}]"#);
    assert!(user(&file, &["remove", "bob"], "").status.success());
    assert_eq!(stdout(&user(&file, &["list"], "")), "ada\n");
    for (args, password) in [
        (["remove", "bob"], ""),
        (["passwd", "bob"], "x"),
        (["add", "eve"], ""),
        (["add", "e:ve"], "x"),
    ] {
        error_line(&user(&file, &args, password));
    }
    let alike = format!("slp_{}", "x".repeat(40));
    let line = error_line(&user(&file, &["add", "eve"], &alike));
    assert!(line.contains("looks like an API token"), "{line}");
    assert!(!line.contains(&alike), "a password is never repeated");
    let long = "x".repeat(73);
    let line = error_line(&user(&file, &["add", "eve"], &long));
    assert!(line.contains("72"), "{line}");
    assert!(!line.contains(&long), "a password is never repeated");
}

#[test]
fn what_is_wrong_with_a_file_of_users_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let line = error_line(&user(&absent, &["list"], ""));
    assert!(line.contains("there is no such file"), "{line}");
    let nowhere = absent.join("users");
    let line = error_line(&user(&nowhere, &["add", "ada"], "x"));
    assert_eq!(line.matches("os error 2").count(), 1, "{line}");
    assert!(!line.contains("absent/.tmp"), "{line}");
}

fn login(server: &str, auth: &Path, user: &str, password: &str) -> std::process::Output {
    let mut command = slipway();
    command
        .args([
            "login",
            server,
            "--username",
            user,
            "--password-stdin",
            "--authfile",
        ])
        .arg(auth);
    run(&mut command, password)
}

#[test]
fn a_login_is_checked_kept_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let htpasswd = folder.path().join("htpasswd");
    assert!(user(&htpasswd, &["add", "ada"], "secret").status.success());
    let yaml = format!("auth: {{htpasswd: {{file: {}}}}}\n", htpasswd.display());
    let server = Server::start(&yaml);
    let auth = folder.path().join("auth.json");
    let others = r#"{"auths":{"other.example":{"auth":"eDp5"}},"credHelpers":{"a":"b"}}"#;
    std::fs::write(&auth, others).unwrap();

    let line = error_line(&login(&server.host, &auth, "ada", "wrong"));
    let expected = "does not take this user name and password: these credentials are not valid";
    assert!(line.contains(expected), "{line}");
    assert_eq!(
        std::fs::read_to_string(&auth).unwrap(),
        others,
        "nothing is kept"
    );

    for (args, expected) in [
        (&["--password-stdin"][..], "give it with --username"),
        (&["-u", "ada"], "add --password-stdin"),
        (&["--token-stdin"], "there is no token: pipe one in"),
    ] {
        let mut command = slipway();
        command
            .args(["login", &server.host, "--authfile"])
            .arg(&auth);
        let line = error_line(&run(command.args(args), ""));
        assert!(line.contains(expected), "{line}");
    }

    let output = login(&server.host, &auth, "ada", "secret\n");
    assert!(output.status.success(), "{output:?}");
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&auth).unwrap()).unwrap();
    assert_eq!(kept["auths"][&server.host]["auth"], "YWRhOnNlY3JldA==");
    assert_eq!(
        kept["auths"]["other.example"]["auth"], "eDp5",
        "others stay"
    );
    assert_eq!(kept["credHelpers"]["a"], "b");
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&auth).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let answer = server.get("/v2/", "authorization: Basic YWRhOnNlY3JldA==\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let logout = || {
        let mut command = slipway();
        command
            .args(["logout", &server.host, "--authfile"])
            .arg(&auth);
        run(&mut command, "")
    };
    assert!(logout().status.success());
    let line = error_line(&logout());
    assert!(line.contains("not logged in"), "{line}");
}

#[test]
fn a_login_that_nobody_asks_for_is_refused() {
    let server = Server::start("");
    let folder = tempfile::tempdir().unwrap();
    let auth = folder.path().join("auth.json");
    let line = error_line(&login(&server.host, &auth, "ada", "secret"));
    assert!(line.contains("no login"), "{line}");
    let line = error_line(&login("127.0.0.1:1", &auth, "ada", "secret"));
    assert!(!line.contains("secret"), "{line}");
    let line = error_line(&login("http://x/y", &auth, "ada", "secret"));
    assert!(line.contains("host:port"), "{line}");
    assert!(!auth.exists());
}

/// Types lines at a terminal that `script` makes.
fn type_at(command: &str, folder: &Path, typed: &str) -> std::process::Output {
    let program = env!("CARGO_BIN_EXE_slipway");
    let mut script = std::process::Command::new("script");
    script
        .args(["--quiet", "--return", "--command"])
        .arg(format!("{program} {command}"))
        .arg("/dev/null")
        .current_dir(folder);
    run(&mut script, typed)
}

#[test]
fn a_new_password_is_typed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let add = "user add ada --htpasswd users";
    let said = type_at(add, at, "first\nfisrt\n");
    assert!(!said.status.success(), "{said:?}");
    assert!(stdout(&said).contains("differ"), "{said:?}");
    assert!(!at.join("users").exists());
    let said = type_at(add, at, "first\nfirst\n");
    assert!(said.status.success(), "{said:?}");
    let before = std::fs::read_to_string(at.join("users")).unwrap();
    assert!(before.starts_with("ada:$2"), "{before}");
    let said = type_at("user passwd ada --htpasswd users", at, "a\nb\n");
    assert!(!said.status.success(), "{said:?}");
    assert_eq!(std::fs::read_to_string(at.join("users")).unwrap(), before);
}
