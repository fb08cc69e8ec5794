//! `slipway build`, `slipway secret` and `slipway builder-image`, against a server that builds.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Server, builder_image, error_line, run, slipway, stdout};

const PASSWORD: &str = "not in clear";
const CANARY: &str = "canary-9c1f7a52-of-a-secret";
const RULES: &str = r"
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: team}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b, namespace: team}, subjects: [{kind: User, name: bob}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
";

struct Scene {
    server: Server,
    folder: tempfile::TempDir,
}

impl Scene {
    /// A server that builds, with the builder image `team/box:1` and the source `src`.
    fn new() -> Self {
        Self::with("enabled: true")
    }

    /// The same, with this configuration of the builder.
    fn with(builder: &str) -> Self {
        builder_image::needs_builder();
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        for name in ["ada", "bob"] {
            let mut command = slipway();
            command.args(["user", "add", name, "--password-stdin", "--htpasswd"]);
            assert!(run(command.arg(&users), PASSWORD).status.success());
        }
        let rules = folder.path().join("rules");
        fs::create_dir(&rules).unwrap();
        fs::write(rules.join("rules.yaml"), RULES).unwrap();
        let server = Server::start(&format!(
            "auth:\n  htpasswd: {{file: {}}}\n  rbac: {{dir: {}}}\nbuilder: {{{builder}}}\n",
            users.display(),
            rules.display()
        ));
        let scene = Self { server, folder };
        for name in ["ada", "bob"] {
            let mut login = scene.command(name, &["login", "--username", name, "--password-stdin"]);
            let login = run(login.arg(&scene.server.host), PASSWORD);
            assert!(login.status.success(), "{login:?}");
        }
        let layout = scene.folder.path().join("layout");
        builder_image::write(&layout);
        let image = format!("{}/team/box:1", scene.server.host);
        let from = format!("oci:{}", layout.display());
        scene.done("ada", &["copy", &from, &image]);
        scene.source("src", &[("hello", "hi there\n")]);
        scene
    }

    /// A folder to build.
    fn source(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        for (path, content) in files {
            fs::write(folder.join(path), content).unwrap();
        }
        folder
    }

    fn command(&self, whose: &str, args: &[&str]) -> Command {
        let home = self.folder.path().join("home").join(whose);
        let mut command = slipway();
        command
            .env("DOCKER_CONFIG", &home)
            .env("XDG_CONFIG_HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .current_dir(self.folder.path())
            .args(args);
        command
    }

    fn run(&self, whose: &str, args: &[&str]) -> Output {
        run(&mut self.command(whose, args), "")
    }

    /// What it printed; it must succeed.
    fn done(&self, whose: &str, args: &[&str]) -> String {
        let output = self.run(whose, args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    }

    fn json(&self, whose: &str, args: &[&str]) -> Value {
        let args = [args, &["--json"]].concat();
        serde_json::from_str(&self.done(whose, &args)).unwrap()
    }

    /// Builds the folder as `ada`.
    fn build(&self, dir: &Path, tag: &str, more: &[&str]) -> Output {
        let output = format!("team/app:{tag}");
        let dir = dir.to_str().unwrap();
        let args = [
            "build",
            "run",
            "--dir",
            dir,
            "--builder",
            "team/box:1",
            "--output",
            &output,
        ];
        self.run("ada", &[&args, more].concat())
    }

    fn src(&self) -> PathBuf {
        self.folder.path().join("src")
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_folder_becomes_an_image_and_the_same_one_again() {
    let scene = Scene::new();
    let built = scene.build(
        &scene.src(),
        "v1",
        &["--env", "GREETING=hello", "--test", "cat /opt/app/hello"],
    );
    assert!(built.status.success(), "{}", stderr(&built));
    let image = stdout(&built);
    let host = &scene.server.host;
    assert!(
        image.starts_with(&format!("{host}/team/app@sha256:")),
        "{image}"
    );
    assert_eq!(
        image.lines().count(),
        1,
        "for programs, and nothing else: {image}"
    );
    let told = stderr(&built);
    for said in [
        "==> fetch",
        "==> assemble",
        "assembling hello",
        "==> test",
        "hi there",
        "succeeded in",
        "podman run --rm --tls-verify=false 127.0.0.1:",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert!(!told.contains('\u{1b}'), "no terminal, no colours: {told}");
    let manifest = scene.json("ada", &["inspect", &format!("{host}/team/app:v1")]);
    assert!(image.trim().ends_with(manifest["digest"].as_str().unwrap()));

    let runs = scene.json("ada", &["build", "runs", "-n", "team"]);
    let name = runs["items"][0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = scene.done("bob", &["build", "show", &name, "-n", "team"]);
    for said in [
        "state       succeeded",
        "why         asked by ada",
        "phase       assemble",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let rows = scene.done("ada", &["audit", "--repository", "team/app", "--json"]);
    let rows: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let published = rows.iter().find(|row| row["verb"] == "push").unwrap();
    assert_eq!(published["reference"], "v1");
    assert_eq!(published["digest"], manifest["digest"]);
    for row in &rows {
        assert_eq!(row["requestId"], format!("team/{name}"), "{row}");
        assert_eq!([&row["user"], &row["credential"]], ["ada", "run"], "{row}");
    }
    let log = scene.done("bob", &["build", "logs", &name, "-n", "team"]);
    assert!(log.contains("==> assemble\nassembling hello\n"), "{log}");
    let part = scene.done(
        "bob",
        &["build", "logs", &name, "-n", "team", "--phase", "assemble"],
    );
    assert_eq!(part, "==> assemble\nassembling hello\n");
    let same = scene.run("ada", &["build", "rebuild", &name, "-n", "team", "--same"]);
    assert!(same.status.success(), "{}", stderr(&same));
    assert_eq!(stdout(&same), image);
    assert!(stderr(&same).contains("it reproduces"), "{}", stderr(&same));
    // Names as they are printed, and the namespace apart.
    let box_here = format!("{host}/team/box:1");
    let dir = scene.src().display().to_string();
    let args = ["build", "run", "--dir", &dir, "--builder", &box_here];
    let apart = ["--output", "app:v2", "-n", "team"];
    let image_there = scene.done("ada", &[&args[..], &apart].concat());
    assert!(image_there.starts_with(&format!("{host}/team/app@")));
    // Who may not is told so before anything is made ready.
    let refused = error_line(&scene.run("bob", &[&args[..], &apart].concat()));
    assert!(refused.contains("user \"bob\" may not"), "{refused}");
    let again = scene.build(&scene.src(), "v1", &["--env", "GREETING=hello", "--json"]);
    let again: Value = serde_json::from_str(&stdout(&again)).unwrap();
    assert_eq!(again["state"]["is"], "succeeded");
    assert!(
        image
            .trim()
            .ends_with(again["result"]["image"].as_str().unwrap())
    );
}

/// A folder, a tar of it, however compressed, and what was kept of it in the registry are one source.
#[test]
fn an_archive_and_a_source_of_the_registry_are_built_as_the_folder_is() {
    let scene = Scene::new();
    let digest = |built: &Output| {
        assert!(built.status.success(), "{}", stderr(built));
        let image = stdout(built);
        image.trim().rsplit_once('@').unwrap().1.to_owned()
    };
    let expected = digest(&scene.build(&scene.src(), "v1", &[]));
    let kept = scene.json("ada", &["build", "runs", "-n", "team"]);
    let kept = kept["items"][0]["resolved"]["source"]
        .as_str()
        .unwrap()
        .to_owned();
    for (flag, name) in [
        ("--gzip", "src.tar.gz"),
        ("--zstd", "src.tar.zst"),
        ("--sort=name", "src.tar"),
    ] {
        let file = scene.folder.path().join(name);
        let mut tar = Command::new("tar");
        let made = tar
            .args([flag, "--create", "--file"])
            .arg(&file)
            .arg("--directory")
            .arg(scene.src())
            .arg(".");
        assert!(made.status().unwrap().success());
        assert_eq!(digest(&scene.build(&file, "v1", &[])), expected, "{name}");
    }
    let args = [
        "build",
        "run",
        "--dir",
        "-",
        "--builder",
        "team/box:1",
        "--output",
        "team/app:v1",
    ];
    let mut piped = scene.command("ada", &args);
    piped.stdin(fs::File::open(scene.folder.path().join("src.tar")).unwrap());
    assert_eq!(digest(&piped.output().unwrap()), expected);

    let of = [
        "--source",
        &kept,
        "--builder",
        "team/box:1",
        "--output",
        "team/app:v1",
    ];
    let built = scene.run("ada", &[&["build", "run"], &of[..]].concat());
    assert_eq!(digest(&built), expected);
    scene.done("ada", &[&["build", "create", "app"], &of[..]].concat());
    for more in [&[][..], &["--source", &kept], &["--dir", "src.tar"]] {
        let started = scene.run(
            "ada",
            &[&["build", "start", "app", "-n", "team"][..], more].concat(),
        );
        assert_eq!(digest(&started), expected, "{more:?}");
    }
    let both = scene.run(
        "ada",
        &[&["build", "run", "--dir", "src"], &of[..]].concat(),
    );
    assert_eq!(both.status.code(), Some(2), "{}", stderr(&both));
    let no_tar = error_line(&scene.build(&scene.src().join("hello"), "v5", &[]));
    assert!(
        no_tar.contains("hello: the archive cannot be read"),
        "{no_tar}"
    );
}

#[test]
fn what_fails_is_not_published_and_says_why() {
    let scene = Scene::new();
    let secret = scene.command(
        "ada",
        &[
            "secret",
            "set",
            "token",
            "-n",
            "team",
            "--from-stdin",
            "token",
        ],
    );
    let set = run(&mut { secret }, &format!("{CANARY}\n"));
    assert!(set.status.success(), "{}", stderr(&set));
    let failing = scene.source(
        "failing",
        &[
            ("hello", ""),
            (
                "before",
                "cat /run/secrets/token/token > /dev/null; exit 7\n",
            ),
        ],
    );
    let leaking = scene.source(
        "leaking",
        &[
            ("hello", ""),
            ("before", "cp /run/secrets/token/token /opt/app/kept\n"),
        ],
    );
    let windows = of_windows(&scene);
    for (dir, more, reason) in [
        (&windows, &["--tag", "crlf"][..], "line ends of Windows"),
        (&failing, &["--secret", "token"], "AssembleFailed"),
        (&leaking, &["--secret", "token"], "SecretInResult"),
        (&scene.src(), &["--test", "false"], "TestFailed"),
        (
            &scene.src(),
            &["--builder", "nosuch"],
            "PullBuilderImageFailed",
        ),
        (
            &scene.src(),
            &["--builder", "team.io/none:1"],
            "is a namespace of this registry here",
        ),
        (
            &scene.src(),
            &["--builder", "team/none:1"],
            "PullBuilderImageFailed",
        ),
    ] {
        let args = [
            "build",
            "run",
            "--dir",
            dir.to_str().unwrap(),
            "--output",
            "team/app:bad",
        ];
        let builder: &[&str] = if more[0] == "--builder" {
            &[]
        } else {
            &["--builder", "team/box:1"]
        };
        let failed = scene.run("ada", &[&args, builder, more].concat());
        assert_eq!(
            failed.status.code(),
            Some(1),
            "{reason}: {}",
            stderr(&failed)
        );
        said_once(&stderr(&failed), reason);
        assert_eq!(stdout(&failed), "", "there is no image");
    }
    let runs = ["build", "runs", "-n", "team", "--limit", "2"];
    let listed = scene.run("ada", &[&runs[..], &["--failed"]].concat());
    let rows: Vec<_> = stdout(&listed).lines().map(str::to_owned).collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].contains(" AGE "), "{rows:?}");
    assert!(rows[1].contains("PullBuilderImageFailed"), "{rows:?}");
    assert!(stderr(&listed).contains("there are more: --limit"));
    let name = rows[1].split(' ').next().unwrap();
    let shown = scene.done("ada", &["build", "show", name, "-n", "team"]);
    for time in ["asked       2", "began       2", "ended       2"] {
        assert!(shown.contains(time), "{shown}");
    }
    let tags = scene.run("ada", &["ls", "team/app", "--server", &scene.server.host]);
    assert!(!stdout(&tags).contains("bad"), "{tags:?}");
    let secrets = scene.json("ada", &["secret", "list", "-n", "team"]);
    assert_eq!(secrets["items"][0]["files"], serde_json::json!(["token"]));
    assert!(!secrets.to_string().contains(CANARY));
    let scene_folder = scene.server.folder.path().to_owned();
    assert!(
        !holds(&scene_folder, CANARY.as_bytes()),
        "nothing on disk has the secret's bytes"
    );
}

/// A source whose script was saved with the line ends of Windows.
fn of_windows(scene: &Scene) -> PathBuf {
    let windows = scene.source("windows", &[("hello", "")]);
    let assemble = windows.join(".s2i/bin/assemble");
    fs::create_dir_all(assemble.parent().unwrap()).unwrap();
    fs::write(&assemble, "#!/bin/sh\r\nexit 0\r\n").unwrap();
    fs::set_permissions(&assemble, PermissionsExt::from_mode(0o755)).unwrap();
    windows
}

/// Why it failed is said in the log, with these words; below it only that it did, and the reason.
fn said_once(said: &str, words: &str) {
    let mut notes = said.lines().filter_map(|line| line.strip_prefix("  * "));
    let why = notes.next_back().unwrap();
    assert!(why.contains(words), "{words}: {said}");
    let (reason, message) = why.split_once(": ").unwrap();
    let last = said.lines().last().unwrap();
    assert!(last.ends_with(&format!("failed: {reason}")), "{said}");
    assert_eq!(said.matches(message).count(), 1, "{said}");
}

#[test]
fn what_is_bounded_is_said_with_its_key() {
    // More than is free, and less than the disk has.
    let disk = rustix::fs::statvfs(std::env::temp_dir()).unwrap();
    let keep = (disk.f_bavail + (disk.f_blocks - disk.f_bfree) / 2) * disk.f_frsize;
    let scene = Scene::with(&format!(
        "enabled: true, namespaceBuilds: 1, minFreeBytes: {keep}"
    ));
    let create = |name: &str| {
        let git = ["--git", "https://git.example.com/team/app.git"];
        let of = ["--builder", "team/box:1", "--output", "team/app:v1"];
        scene.run("ada", &[&["build", "create", name], &git[..], &of].concat())
    };
    assert!(create("one").status.success());
    let said = error_line(&create("two"));
    assert!(said.contains("builder.namespaceBuilds"), "{said}");
    let failed = scene.build(&scene.src(), "v1", &[]);
    assert_eq!(failed.status.code(), Some(1));
    let said = stderr(&failed);
    let last = said.lines().last().unwrap();
    assert!(last.contains("DiskPressure"), "{said}");
    assert!(said.contains("builder.minFreeBytes"), "{said}");
}

#[test]
fn what_cannot_be_asked_for_is_said_on_one_line() {
    let scene = Scene::new();
    for args in [
        &[
            "build",
            "run",
            "--output",
            "team/app:v1",
            "--builder",
            "team/box:1",
        ][..],
        &[
            "build",
            "run",
            "--dir",
            "absent",
            "--output",
            "team/app:v1",
            "--builder",
            "team/box:1",
        ],
        &[
            "build",
            "run",
            "--dir",
            "src",
            "--output",
            "app",
            "--builder",
            "team/box:1",
        ],
        &[
            "build",
            "run",
            "--dir",
            "src",
            "--output",
            "team/app:v1",
            "--builder",
            "team/box:1",
            "--tag",
            "{commit}",
        ],
        &["build", "show", "absent", "-n", "team"],
        &["build", "logs", "absent", "-n", "team"],
        &["build", "runs", "absent", "-n", "team"],
        &["build", "delete", "absent", "-n", "team"],
        &["build", "cancel", "absent", "-n", "team"],
        &["secret", "set", "x", "-n", "team", "--from-file", "absent"],
    ] {
        error_line(&scene.run("ada", args));
    }
}

#[test]
fn the_servers_of_a_secret_for_git_are_listed() {
    let scene = Scene::new();
    let user = scene
        .source("forge", &[("username", "me")])
        .join("username");
    let set = ["secret", "set", "forge", "-n", "team", "--for", "git"];
    let hosts = ["--host", "git.example.com", "--host", "other:8443"];
    let files = [
        "--from-stdin",
        "password",
        "--from-file",
        user.to_str().unwrap(),
    ];
    let mut set = scene.command("ada", &[&set[..], &hosts, &files].concat());
    let set = run(&mut set, CANARY);
    assert!(set.status.success(), "{}", stderr(&set));
    let list = ["secret", "list", "-n", "team"];
    let listed = scene.done("ada", &list);
    assert!(listed.contains("git.example.com, other:8443"), "{listed}");
    let listed = scene.json("ada", &list);
    let hosts = serde_json::json!(["git.example.com", "other:8443"]);
    assert_eq!(listed["items"][0]["hosts"], hosts);
    assert!(!listed.to_string().contains(CANARY), "{listed}");
}

#[test]
fn who_may_see_secrets_is_told_which_a_build_lacks() {
    let scene = Scene::new();
    let create = [
        "build",
        "create",
        "lacking",
        "--git",
        "https://git.example.com/team/app.git",
        "--builder",
        "team/box:1",
        "--output",
        "team/app:v1",
        "--webhook=github=nosuch",
        "--secret=none",
        "--git-secret=forge",
    ];
    let note = |name: &str| format!("there is no secret {name} in team yet\n");
    let notes: String = ["forge", "none", "nosuch"]
        .map(|name| format!("note: {}", note(name)))
        .concat();
    assert_eq!(stderr(&scene.run("ada", &create)), notes);
    let set = ["secret", "set", "none", "-n", "team", "--from-stdin", "a"];
    let set = run(&mut scene.command("ada", &set), CANARY);
    assert!(set.status.success(), "{}", stderr(&set));
    let set = ["build", "set", "lacking", "-n", "team"];
    let set = scene.run("ada", &[&set[..], &["--unset=git-secret"]].concat());
    assert_eq!(stderr(&set), format!("note: {}", note("nosuch")));
    let show = ["build", "show", "lacking", "-n", "team"];
    let shown = scene.done("ada", &show);
    let line = format!("note        {}", note("nosuch"));
    assert!(shown.contains(&line), "{shown}");
    let shown = scene.json("ada", &show);
    assert_eq!(shown["missingSecrets"], serde_json::json!(["nosuch"]));
    // Who may look at builds only may not find out which secrets there are.
    let seen = scene.done("bob", &show);
    assert!(seen.contains("webhook") && !seen.contains("note"), "{seen}");
    assert_eq!(scene.json("bob", &show).get("missingSecrets"), None);
}

#[test]
fn who_may_not_push_a_builder_image_is_told_before_it_is_made() {
    let scene = Scene::new();
    let output = format!("{}/team/go:1", scene.server.host);
    let said = scene.run(
        "bob",
        &["builder-image", "create", "go", "--output", &output],
    );
    let said = error_line(&said);
    assert!(said.contains(&output) && said.contains("may not"), "{said}");
    // Without a login the server is that which is named.
    let mut command = scene.command("stranger", &["builder-image", "create", "go"]);
    let said = error_line(&run(command.env("SLIPWAY_SERVER", &scene.server.host), ""));
    let output = format!("{}/slipway/go:", scene.server.host);
    assert!(said.contains(&output), "{said}");
}

/// Whether a file below the folder has these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let kind = entry.file_type().unwrap();
        let path = entry.path();
        if kind.is_dir() {
            holds(&path, bytes)
        } else {
            let content = fs::read(&path).unwrap_or_default();
            kind.is_file() && content.windows(bytes.len()).any(|part| part == bytes)
        }
    })
}

#[test]
fn a_run_is_let_go_of_taken_up_across_a_restart_and_cancelled() {
    let mut scene = Scene::new();
    let slow = scene.source(
        "slow",
        &[
            ("hello", ""),
            (
                "before",
                "for i in 1 2 3 4 5 6 7 8 9; do echo tick $i; sleep 5; done\n",
            ),
        ],
    );
    let slow = slow.to_str().unwrap().to_owned();
    let args = [
        "build",
        "run",
        "r1",
        "--dir",
        &slow,
        "--builder",
        "team/box:1",
        "--output",
        "team/app:v1",
    ];
    let mut command = scene.command("ada", &args);
    let following = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    ticks(&scene);
    let pid = following.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let let_go = following.wait_with_output().unwrap();
    assert_eq!(let_go.status.code(), Some(130), "{}", stderr(&let_go));
    assert!(
        stderr(&let_go).contains("slipway build cancel r1 -n team"),
        "{}",
        stderr(&let_go)
    );
    let mut command = scene.command("bob", &["build", "logs", "r1", "-n", "team", "--follow"]);
    let mut following = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert_eq!(first, "==> resolve");
    // The port stays, so that whoever follows finds it again.
    let host = scene.server.host.clone();
    scene.server.restart(|config| {
        let text = fs::read_to_string(config).unwrap();
        fs::write(config, text.replace("127.0.0.1:0", &host)).unwrap();
    });
    ticks(&scene);
    interrupted_twice(&scene, &args);
    let refused = error_line(&scene.run("bob", &["build", "cancel", "r1", "-n", "team"]));
    assert!(refused.contains("may not create builds"), "{refused}");
    scene.done("ada", &["build", "cancel", "r1", "-n", "team"]);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(following.wait().unwrap().code(), Some(3), "{rest:#?}");
    let args = [
        "build",
        "logs",
        "r1",
        "-n",
        "team",
        "--follow",
        "--timestamps",
    ];
    let timed = stderr(&scene.run("bob", &args));
    let is_timed = |line: &str| line.starts_with("    20") && line.contains("Z tick 1");
    assert!(timed.lines().any(is_timed), "{timed}");
    assert!(
        rest.last().unwrap().contains("cancelled by ada"),
        "{rest:#?}"
    );
    let again = rest
        .iter()
        .filter(|line| line.contains("==> assemble"))
        .count();
    assert_eq!(
        again, 2,
        "once before the restart and once after it: {rest:#?}"
    );
    let run = scene.json("ada", &["build", "show", "r1", "-n", "team"]);
    assert_eq!(
        run["state"],
        serde_json::json!({"is": "cancelled", "by": "ada"})
    );
}

/// Whoever presses Ctrl-C twice means it.
fn interrupted_twice(scene: &Scene, args: &[&str]) {
    let args = [&["build", "run", "r2"], &args[3..]].concat();
    let mut command = scene.command("ada", &args);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut twice = command.spawn().unwrap();
    let told = BufReader::new(twice.stderr.take().unwrap()).lines();
    let pid = twice.id().to_string();
    // Again and again: no machine is so slow that two of them are far apart.
    let interrupt = move || {
        let mut kill = Command::new("kill");
        kill.args(["-INT", &pid]).stderr(Stdio::null());
        while kill.status().unwrap().success() {
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let mut interrupt = Some(interrupt);
    let mut ends = "";
    for line in told.map(Result::unwrap) {
        if let Some(interrupt) = interrupt.take_if(|_| line.contains("tick 1")) {
            std::thread::spawn(interrupt);
        }
        ends = if line.ends_with("is being cancelled") {
            "cancelled"
        } else {
            ends
        };
    }
    assert_eq!((twice.wait().unwrap().code(), ends), (Some(3), "cancelled"));
}

#[test]
fn a_run_that_waits_says_why_to_who_looks_and_who_follows() {
    let scene = Scene::with("enabled: true, workers: 1, namespaceWorkers: 1");
    let before = "for i in $(seq 1000); do echo tick $i; sleep 1; done\n";
    let slow = scene.source("slow", &[("hello", ""), ("before", before)]);
    let slow = slow.to_str().unwrap();
    let of = ["--builder", "team/box:1", "--output", "team/app:v1"];
    let args = |name| [&["build", "run", name, "--dir", slow], &of[..]].concat();
    scene.done("ada", &[&args("r1")[..], &["--detach"]].concat());
    ticks(&scene);
    let mut command = scene.command("ada", &args("r2"));
    let mut following = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stderr.take().unwrap()).lines();
    let why = "for a worker: the server has one, and it is busy";
    let told = lines.by_ref().map(Result::unwrap);
    let told = told.take_while(|line| *line != format!("r2 waits {why}"));
    let before: Vec<String> = told.collect();
    assert!(
        !before.iter().any(|line| line.starts_with("==>")),
        "{before:#?}"
    );
    let shown = scene.done("bob", &["build", "show", "r2", "-n", "team"]);
    assert!(shown.contains(&format!("queued, waits {why}\n")), "{shown}");
    let listed = scene.done("bob", &["build", "runs", "-n", "team"]);
    assert!(listed.contains("queued: WorkersBusy"), "{listed}");
    let git = ["--git", "https://git.example.com/team/app.git"];
    scene.done(
        "ada",
        &[&["build", "create", "kept"], &git[..], &of].concat(),
    );
    let delete = ["build", "delete", "--all", "-n", "team"];
    let refused = error_line(&scene.run("ada", &delete));
    assert!(refused.contains("nothing is removed"), "{refused}");
    assert!(
        refused.contains("r1") && refused.contains("r2"),
        "{refused}"
    );
    scene.done("bob", &["build", "show", "kept", "-n", "team"]);
    let cancel = ["build", "cancel", "kept", "-n", "team"];
    let ended = error_line(&scene.run("ada", &cancel));
    assert!(
        ended.contains("kept is a build, and none of its runs"),
        "{ended}"
    );
    scene.done("ada", &["build", "start", "kept", "-n", "team", "--detach"]);
    let named = error_line(&scene.run("ada", &cancel));
    assert!(
        named.ends_with(": slipway build cancel kept-1 -n team\n"),
        "{named}"
    );
    let refused = error_line(&scene.run("bob", &cancel));
    assert!(refused.contains("may not create builds"), "{refused}");
    for run in ["kept-1", "r2", "r1"] {
        scene.done("ada", &["build", "cancel", run, "-n", "team"]);
    }
    assert_eq!(following.wait().unwrap().code(), Some(3));
}

/// Waits until the run has said something.
fn ticks(scene: &Scene) {
    let is_at_work = || {
        let show = scene.run("ada", &["build", "show", "r1", "-n", "team", "--json"]);
        let run: Value = serde_json::from_slice(&show.stdout).unwrap_or_default();
        let log = scene.run("ada", &["build", "logs", "r1", "-n", "team"]);
        run["state"]["is"] == "running" && stdout(&log).contains("tick 1")
    };
    for _ in 0..300 {
        if is_at_work() {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(is_at_work(), "the run never began");
}

#[test]
fn builds_are_kept_as_files_say_and_built_by_who_may() {
    let scene = Scene::new();
    let git = "https://git.example.com/team/app.git#main";
    let args = [
        "build",
        "create",
        "app",
        "--git",
        git,
        "--builder",
        "box",
        "--output",
        "team/app:latest",
    ];
    let refused = error_line(&scene.run("bob", &args));
    assert!(
        refused.contains("may not create builds in namespace \"team\""),
        "{refused}"
    );
    scene.done("ada", &args);
    let entry = [
        "builder-image",
        "add",
        "box",
        "-n",
        "team",
        "--image",
        &format!("{}/team/box:1", scene.server.host),
        "--version",
        "1",
    ];
    scene.done("ada", &entry);
    let everybodys = error_line(&scene.run(
        "ada",
        &["builder-image", "add", "box", "--image", "team/box:1"],
    ));
    assert!(
        everybodys.contains("may not create builderimages"),
        "{everybodys}"
    );
    let images = scene.json("bob", &["builder-image", "list", "-n", "team"]);
    assert_eq!(
        images["items"][0]["displayName"], "Busybox",
        "of the image's label"
    );
    assert_eq!(images["items"][0]["image"], "team/box:1");

    let mut build = scene.json("bob", &["build", "show", "app", "-n", "team"]);
    assert_eq!(build["spec"]["source"]["revision"], "main");
    build["spec"]["clean"] = true.into();
    let file = scene.folder.path().join("app.json");
    fs::write(&file, build.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let applied = scene.done("ada", &["build", "apply", "--file", file]);
    assert_eq!(applied, "build app in namespace team is changed\n");
    let stale = error_line(&scene.run("ada", &["build", "apply", "--file", file]));
    assert!(stale.contains("was changed meanwhile"), "{stale}");
    build.as_object_mut().unwrap().remove("revision");
    fs::write(file, build.to_string()).unwrap();
    let applied = scene.done("ada", &["build", "apply", "--file", file]);
    assert_eq!(applied, "build app in namespace team is unchanged\n");
    let elsewhere =
        error_line(&scene.run("ada", &["build", "apply", "--file", file, "-n", "other"]));
    assert!(elsewhere.contains("-n says other"), "{elsewhere}");

    set_in_place(&scene, &build);
    is_taken_over(&scene, file);

    let listed = scene.done("bob", &["build", "list", "-n", "team"]);
    assert!(
        listed.lines().nth(1).unwrap().starts_with("app "),
        "{listed}"
    );
    let everywhere = scene.done("bob", &["build", "list", "--all-namespaces"]);
    let line = everywhere.lines().nth(1).unwrap();
    assert!(line.starts_with("team       app "), "{everywhere}");
}

/// Whoever saves `app`, which is ada's own, has its runs act for them, and is told so.
fn is_taken_over(scene: &Scene, file: &str) {
    let apply = ["build", "apply", "--file", file];
    scene.done("ada", &apply);
    let by = ["token", "create", "--verb", "build", "--namespace", "team"];
    let token = scene.done("ada", &by);
    let mut login = scene.command("ci", &["login", "--username", "ci", "--password-stdin"]);
    let login = run(login.arg(&scene.server.host), &token);
    assert!(login.status.success(), "{}", stderr(&login));
    let said = scene.done("ci", &apply);
    let build = scene.json("bob", &["build", "show", "app", "-n", "team"]);
    let id = build["ownerToken"].as_str().unwrap();
    let theirs = format!("ada by the API token {id}");
    assert_eq!(
        said,
        format!(
            "build app in namespace team is unchanged; its owner is {theirs} now, and was ada\n"
        )
    );
    let shown = scene.done("bob", &["build", "show", "app", "-n", "team"]);
    assert!(shown.contains(&theirs), "{shown}");
    let said = scene.done("ci", &apply);
    assert!(said.ends_with("is unchanged\n"), "{said}");
    let set = ["build", "set", "app", "-n", "team", "--incremental"];
    let said = scene.done("ada", &set);
    assert!(
        said.contains(&format!("is ada now, and was {theirs}\n")),
        "{said}"
    );
}

/// Some of the build `app` is said otherwise, and the rest stays as it is `known`.
fn set_in_place(scene: &Scene, known: &Value) {
    let set = [
        "build",
        "set",
        "app",
        "-n",
        "team",
        "--webhook=github=hook",
        "--schedule=30 3 * * *",
        "--policy=serial-latest-only",
        "--description=Shows things",
        "--unset=clean",
    ];
    let refused = error_line(&scene.run("bob", &set));
    assert!(refused.contains("may not update builds"), "{refused}");
    let webhook = format!("http://{}/hooks/team/app/github", scene.server.host);
    let said = scene.done("ada", &set);
    let expected = format!("build app in namespace team is changed\nwebhook {webhook}\n");
    assert_eq!(said, expected);
    let shown = scene.done("bob", &["build", "show", "app", "-n", "team"]);
    assert!(shown.contains(&webhook), "{shown}");
    assert!(
        shown.contains("schedule    30 3 * * *\nnext start  20"),
        "{shown}"
    );
    assert!(shown.contains("T03:30:00Z\n"), "{shown}");
    assert!(!shown.contains("image moved"), "{shown}");
    let build = scene.json("bob", &["build", "show", "app", "-n", "team"]);
    let mut spec = known["spec"].clone();
    spec["clean"] = false.into();
    spec["policy"] = "serial-latest-only".into();
    spec["output"]["description"] = "Shows things".into();
    spec["triggers"] = serde_json::json!({
        "webhooks": [{"kind": "github", "secret": "hook"}],
        "image": false,
        "schedule": "30 3 * * *",
    });
    assert_eq!(build["spec"], spec, "the rest is as it was");
    assert!(scene.done("ada", &set).contains("is unchanged"));
    let moves = ["build", "set", "app", "-n", "team", "--on-image-move"];
    scene.done("ada", &moves);
    let shown = scene.done("bob", &["build", "show", "app", "-n", "team"]);
    assert!(shown.contains("image moved starts a run"), "{shown}");
    let nothing = error_line(&scene.run("ada", &["build", "set", "app", "-n", "team"]));
    assert!(nothing.contains("what is to be set?"), "{nothing}");
}

/// The registry itself stands in for a mirror of the makers'.
#[test]
fn a_public_builder_image_is_brought_and_found_by_language_and_version() {
    let scene = Scene::new();
    let host = &scene.server.host;
    let box_image = format!("{host}/team/box:1");
    let upstream = format!("{host}/team/mirror/sclorg/python-312-c10s:latest");
    scene.done("ada", &["copy", &box_image, &upstream]);
    let mirror = format!("{host}/team/mirror");
    let add = [
        "builder-image",
        "add",
        "--public",
        "python-3.12",
        "-n",
        "team",
        "--mirror",
        &mirror,
    ];
    let entry = scene.json("ada", &add);
    assert_eq!(entry["metadata"]["name"], "python-3.12");
    assert_eq!(entry["image"], "team/python-3.12:latest");
    assert_eq!(
        (&entry["language"], &entry["version"]),
        (&"python".into(), &"3.12".into())
    );
    let run = |builder: &str| {
        let args = [
            "build",
            "run",
            "--dir",
            "src",
            "--output",
            "team/app:v1",
            "--json",
            "--builder",
        ];
        scene.run("ada", &[&args[..], &[builder]].concat())
    };
    for builder in ["python:3.12", "python:3", "python", "python-3.12"] {
        let built = run(builder);
        assert!(built.status.success(), "{builder}: {}", stderr(&built));
        let built: Value = serde_json::from_str(&stdout(&built)).unwrap();
        let image = built["resolved"]["builder"].as_str().unwrap();
        assert!(image.starts_with("team/python-3.12@"), "{builder}: {image}");
    }
    for builder in ["python:3.13", "ruby"] {
        let refused = run(builder);
        assert_eq!(refused.status.code(), Some(1));
        let told = stderr(&refused);
        assert!(
            told.contains("the catalogue has no entry"),
            "{builder}: {told}"
        );
    }
    let listed = scene.json("bob", &["builder-image", "list", "--public"]);
    let listed = listed["items"].as_array().unwrap().iter();
    let images: Vec<_> = listed.filter_map(|item| item["image"].as_str()).collect();
    assert!(
        images.contains(&"quay.io/sclorg/python-312-c10s:latest"),
        "{images:?}"
    );
    let unknown = scene.run("ada", &["builder-image", "add", "--public", "cobol"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
}

/// A program builds by a token, and does no more.
#[test]
fn a_token_builds_and_a_build_goes_with_its_runs() {
    let scene = Scene::new();
    let git = "https://git.example.com/team/app.git";
    let of = ["--builder", "team/box:1", "--output", "team/app:latest"];
    scene.done(
        "ada",
        &[&["build", "create", "app", "--git", git], &of[..]].concat(),
    );
    let verbs = [
        "--verb",
        "build",
        "--verb",
        "pull",
        "--verb",
        "push",
        "--namespace",
        "team",
    ];
    let token = scene.done("ada", &[&["token", "create"], &verbs[..]].concat());
    let mut login = scene.command("ci", &["login", "--username", "ci", "--password-stdin"]);
    assert!(run(login.arg(&scene.server.host), &token).status.success());
    let started = scene.run(
        "ci",
        &["build", "start", "app", "-n", "team", "--dir", "src"],
    );
    assert!(started.status.success(), "{}", stderr(&started));
    let run = scene.json("bob", &["build", "show", "app-1", "-n", "team"]);
    assert_eq!(
        (&run["actor"], &run["state"]["is"]),
        (&"ada".into(), &"succeeded".into())
    );
    for args in [
        &["build", "delete", "app", "-n", "team"][..],
        &["secret", "list", "-n", "team"],
        &["build", "list", "-n", "other"],
    ] {
        let refused = error_line(&scene.run("ci", args));
        assert!(refused.contains("may not"), "{args:?}: {refused}");
    }
    assert!(
        scene
            .run("ci", &["auth", "can-i", "build", "team"])
            .status
            .success()
    );
    assert_eq!(
        scene
            .run("ci", &["auth", "can-i", "build", "other"])
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        scene
            .run("bob", &["auth", "can-i", "build", "team"])
            .status
            .code(),
        Some(1)
    );
    scene.done("ada", &["build", "delete", "app", "-n", "team"]);
    let runs = scene.json("ada", &["build", "runs", "-n", "team"]);
    assert_eq!(
        runs["items"],
        serde_json::json!([]),
        "its runs are gone with it"
    );
}

#[test]
fn a_builder_image_is_asked_by_every_word_that_builds_have_for_it() {
    let scene = Scene::new();
    let add = ["builder-image", "add", "small", "-n", "team"];
    let of = ["--image=team/box:1", "--language=busy", "--version=1.36.1"];
    scene.done("ada", &[&add[..], &of].concat());
    let image = format!("{}/team/box:1", scene.server.host);
    for word in ["small", "busy", "busy:1.36", "team/box:1", &image] {
        let usage = ["builder-image", "usage", word, "-n", "team"];
        assert_eq!(scene.done("ada", &usage), "Give me a file hello.\n");
    }
    for word in ["nosuch", "busy:2"] {
        let usage = ["builder-image", "usage", word, "-n", "team"];
        let said = error_line(&scene.run("ada", &usage));
        let expected = format!("there is no builder image {word} ");
        assert!(said.contains(&expected), "{said}");
    }

    let create = |name: &str, word: &str| {
        let git = ["--git", "https://git.example.com/team/app.git"];
        let of = ["--builder", word, "--output", "team/app:v1"];
        scene.run("ada", &[&["build", "create", name], &git[..], &of].concat())
    };
    for (name, word) in [("one", "small"), ("two", "busy:1"), ("three", "team/no:1")] {
        assert_eq!(stderr(&create(name, word)), "", "{word}");
    }
    let note = "there is no builder image nosuch for team yet: slipway builder-image list -n team shows those that there are\n";
    assert_eq!(stderr(&create("four", "nosuch")), format!("note: {note}"));
    let show = ["build", "show", "four", "-n", "team"];
    let shown = scene.done("bob", &show);
    assert!(shown.contains(&format!("note        {note}")), "{shown}");
    assert_eq!(scene.json("bob", &show)["missingBuilder"], "nosuch");
}

#[test]
fn a_refusal_names_what_is_wrong() {
    let scene = Scene::new();
    let run = ["build", "run"];
    let of = ["--builder", "team/box:1", "--output"];
    let git = ["--git", "https://git.example.com/team/app.git"];
    for (args, said) in [
        (
            [&run[..], &["--dir", "src"], &of, &["team/X:1"]].concat(),
            "slipway: --output team/X:1: invalid repository name",
        ),
        (
            [&run[..], &["Bad_Name", "--dir", "src"], &of, &["team/x:1"]].concat(),
            "slipway: \"Bad_Name\" is no name of a run",
        ),
        // Of the client itself, and so before the source is sent.
        (
            [
                &run[..],
                &["--dir", "src"],
                &of,
                &["team/x:1", "--env", "NOT_SET_HERE"],
            ]
            .concat(),
            "slipway: --env NOT_SET_HERE: NOT_SET_HERE is not set here: write --env NOT_SET_HERE=VALUE, or set it",
        ),
        (
            [&run[..], &git, &of, &["other/x:1"]].concat(),
            "slipway: --output other/x:1: it must lie in the namespace of the build, which is team, as -n or SLIPWAY_NAMESPACE says",
        ),
    ] {
        let mut command = scene.command("ada", &args);
        let output = support::run(command.env("SLIPWAY_NAMESPACE", "team"), "");
        let error = error_line(&output);
        assert!(error.starts_with(said), "{error}");
    }
    let elsewhere = [&run[..], &git, &of, &["other.example.com/team/x:1"]].concat();
    let error = error_line(&scene.run("ada", &elsewhere));
    let said = ": spec.output.image: other.example.com is another registry";
    assert!(error.contains(said), "{error}");
    let create = [
        &["build", "create", "told"],
        &git[..],
        &of,
        &["team/told:1"],
    ]
    .concat();
    let env = ["--env", "PIP_INDEX_URL=http://ada:hidden@host/simple"];
    let told = scene.run("ada", &[&create[..], &env].concat());
    assert!(told.status.success(), "{}", stderr(&told));
    let told = stderr(&told);
    assert!(
        told.starts_with("warning: the variable PIP_INDEX_URL has a URL with a password"),
        "{told}"
    );
    assert!(
        told.contains("--secret") && !told.contains("hidden"),
        "{told}"
    );

    let theirs =
        "apiVersion: build.openshift.io/v1\nkind: BuildConfig\nmetadata: {name: a}\nspec: {}\n";
    let file = scene.folder.path().join("theirs.yaml");
    fs::write(&file, theirs).unwrap();
    let apply = ["build", "apply", "-n", "team", "--file", "theirs.yaml"];
    let error = error_line(&scene.run("ada", &apply));
    assert!(error.contains("slipway build convert"), "{error}");

    let set = ["secret", "set", "conf", "-n", "team", "--from-stdin", "a"];
    let set = support::run(&mut scene.command("ada", &set), CANARY);
    assert!(set.status.success(), "{}", stderr(&set));
    let failed = scene.build(&scene.src(), "v1", &["--inject-keep", "conf:conf"]);
    let said = stderr(&failed);
    let expected = "it was set --for build, and this takes one that was set --for image";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_server_that_runs_no_builds_says_so() {
    let server = Server::start("builder: {enabled: false}\n");
    for args in [
        &["build", "list", "-n", "team"][..],
        &["build", "list", "--all-namespaces"],
        &["build", "show", "app", "-n", "team"],
        &["builder-image", "list"],
        &["secret", "list", "-n", "team"],
    ] {
        let mut command = slipway();
        command.env("SLIPWAY_SERVER", &server.host).args(args);
        let said = error_line(&run(&mut command, ""));
        assert!(said.contains("runs no builds"), "{args:?}: {said}");
    }
}
