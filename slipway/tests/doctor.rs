//! Whether a machine can run builds.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const SLIPWAY: &str = env!("CARGO_BIN_EXE_slipway");
/// A user that was given no ids.
const NOBODY: &str = "65534";

/// A program without the variables of whoever runs the tests: a strict check would tell of them.
fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SLIPWAY_")) {
        command.env_remove(name);
    }
    command
}

fn report(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}\n{complained}"))
}

fn standing<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {report}"))
}

/// A folder that anybody may enter, with a copy of the program: build folders are often closed.
fn public() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let program = folder.path().join("slipway");
    // By another process: what this one has open for writing, others that it starts meanwhile have too, and nobody can run it.
    let copied = clean("cp").arg(SLIPWAY).arg(&program).status();
    assert!(copied.unwrap().success());
    (folder, program)
}

fn doctor_as(user: &str, program: &Path, folder: &Path) -> Output {
    assert!(
        rustix::process::geteuid().is_root(),
        "only root can become another user"
    );
    clean("setpriv")
        .args(["--reuid", user, "--regid", user, "--clear-groups", "--"])
        .arg(program)
        .args(["build", "doctor", "--json"])
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Whether file systems can be mounted here, which is said where it is not so.
fn can_mount() -> bool {
    let try_it = ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    let can = clean("unshare").args(try_it).output();
    let can = can.unwrap().status.success();
    if !can {
        println!("skipped: nothing can be mounted here");
    }
    can
}

/// A user that `/etc/subuid` gives ids.
fn given() -> String {
    let given = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    let mut names = given.lines().filter_map(|line| line.split(':').next());
    let id = names.find_map(|name| {
        let output = clean("id").args(["-u", name]).output().ok()?;
        let id = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (!id.is_empty() && id != "0").then_some(id)
    });
    id.unwrap_or_else(|| panic!("no user has ids in /etc/subuid; scripts/lab-install makes one"))
}

#[test]
fn what_is_missing_is_said_and_is_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let run = |runtime: &str, arguments: &[&str]| {
        clean(SLIPWAY)
            .args(["build", "doctor"])
            .args(arguments)
            .env("SLIPWAY_BUILDER__RUNTIME", runtime)
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let output = run("/nowhere/runc", &["--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found = report(&output);
    assert_eq!(found["canRun"], false);
    assert_eq!(standing(&found, "runtime")["standing"], "missing");
    let detail = standing(&found, "runtime")["detail"].as_str().unwrap();
    assert!(
        detail.contains("/nowhere/runc") && detail.contains("apt-get install runc"),
        "{detail}"
    );
    let text = String::from_utf8(run("/nowhere/runc", &[]).stdout).unwrap();
    assert!(text.contains("missing  runtime"), "{text}");
    assert!(text.contains("no builds can be run here"), "{text}");
    // It agrees with itself: this machine may or may not.
    let output = run("runc", &["--json"]);
    let can_run = report(&output)["canRun"].as_bool().unwrap();
    assert_eq!(output.status.success(), can_run);
    let left: Vec<_> = folder.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "it changes nothing: {left:?}");
}

/// Where layers and roots of runs go must bear overlayfs, and the key that says where is named.
#[test]
fn the_folder_of_builds_is_tried() {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let doctor = |first: &str, dir: &str| {
        let output = clean("unshare")
            .args(["--mount", "sh", "-ec"])
            .arg(format!("{first}\nexec {SLIPWAY} build doctor --json"))
            .env("SLIPWAY_BUILDER__DIR", dir)
            .current_dir(folder.path())
            .output();
        report(&output.unwrap())
    };
    let in_memory = "mkdir m; mount -t tmpfs m m";
    let layered = "mkdir o; mount -t tmpfs o o; mkdir o/a o/b o/w o/m; \
                   mount -t overlay o -o lowerdir=o/a,upperdir=o/b,workdir=o/w o/m";
    for (first, dir, expected, word) in [
        ("", "/proc/x", "missing", "nothing can be made in /proc"),
        (in_memory, "m/builds", "limited", "in memory"),
        (layered, "o/m/builds", "missing", "overlayfs cannot stack"),
    ] {
        let found = doctor(first, dir);
        let check = standing(&found, "builder.dir");
        assert_eq!(check["standing"], expected, "{dir}: {check}");
        let detail = check["detail"].as_str().unwrap();
        assert!(
            detail.contains(word) && detail.contains("builder.dir"),
            "{detail}"
        );
        if expected == "missing" {
            assert_eq!(found["canRun"], false, "{found}");
        }
    }
    assert!(!Path::new("/proc/x").exists());
    // Who only checks the configuration hears of it, too.
    let checked = |enabled: &str| {
        let output = clean("unshare")
            .args(["--mount", "sh", "-ec"])
            .arg(format!("rm -r o; {layered}\nexec {SLIPWAY} config check"))
            .env("SLIPWAY_BUILDER__DIR", "o/m/builds")
            .env("SLIPWAY_BUILDER__ENABLED", enabled)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.contains("builder.dir"), enabled != "false", "{said}");
        output.status.success()
    };
    assert!(checked("false") && checked("auto"));
    assert!(!checked("true"), "it would not start");
}

/// What a machine cannot do is said to whoever checks a configuration, and is no fault of it; what a key says is.
#[test]
fn a_strict_check_is_of_the_configuration() {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let slipway = |first: &str, dir: &str, arguments: &str| {
        clean("unshare")
            .args(["--mount", "sh", "-ec"])
            .arg(format!("{first}\nexec {SLIPWAY} {arguments}"))
            .env("SLIPWAY_BUILDER__DIR", dir)
            .env("SLIPWAY_BUILDER__MIN_FREE_BYTES", "0")
            .env("SLIPWAY_BUILDER__ENABLED", "true")
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let no_git = "for file in /usr/local/bin/git /usr/bin/git; do \
                  [ ! -e $file ] || mount --bind /dev/null $file; done";
    let in_memory = "mkdir -p m; mount -t tmpfs m m";
    for (first, dir, limited, word, counts) in [
        (no_git, "builds", "git", "no builds from git", false),
        (in_memory, "m/builds", "builder.dir", "in memory", true),
    ] {
        let found = report(&slipway(first, dir, "build doctor --json"));
        assert_eq!(standing(&found, limited)["standing"], "limited", "{found}");
        let check = |strict: &str| {
            let checked = slipway(first, dir, &format!("config check {strict}"));
            let said = String::from_utf8(checked.stderr).unwrap();
            // Numbers of versions condemn nothing, so that they are for doctor alone.
            assert!(!said.contains("CVE"), "{said}");
            (checked.status.success(), said)
        };
        let ((is_good, _), (is_strictly, said)) = (check(""), check("--strict"));
        assert_eq!(found["canRun"], is_good, "{found} {said}");
        // A folder of tests may be in memory itself.
        let is_limited = standing(&found, "builder.dir")["standing"] != "good";
        assert_eq!(is_strictly, is_good && !is_limited, "{found} {said}");
        assert!(is_limited || !counts, "{found}");
        assert!(!is_good || said.contains(word), "{said}");
    }
}

/// On a disk that is smaller than what is kept free no run ever begins, and on one with less left none does now.
#[test]
fn the_disk_of_builds_has_room() {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let slipway = |keep: &str, enabled: &str, arguments: &str| {
        let small = "mkdir -p s; mount -t tmpfs -o size=64m s s; head -c 16M /dev/zero > s/filler";
        clean("unshare")
            .args(["--mount", "sh", "-ec"])
            .arg(format!("{small}\nexec {SLIPWAY} {arguments}"))
            .env("SLIPWAY_BUILDER__DIR", "s/builds")
            .env("SLIPWAY_BUILDER__MIN_FREE_BYTES", keep)
            .env("SLIPWAY_BUILDER__ENABLED", enabled)
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    for (mebibytes, expected, words) in [
        (65, "missing", "has 64 MiB in all, and 65 MiB"),
        (60, "limited", "has 48 MiB left, and 60 MiB"),
        (40, "good", "has 48 MiB left, and 40 MiB"),
    ] {
        let keep = (mebibytes << 20).to_string();
        let found = report(&slipway(&keep, "true", "build doctor --json"));
        let check = standing(&found, "builder.minFreeBytes");
        assert_eq!(check["standing"], expected, "{check}");
        assert!(check["detail"].as_str().unwrap().contains(words), "{check}");
        let is_missing = expected == "missing";
        assert!(!is_missing || found["canRun"] == false, "{found}");
        for enabled in ["true", "auto", "false"] {
            let checked = slipway(&keep, enabled, "config check");
            let said = String::from_utf8(checked.stderr).unwrap();
            let is_good = enabled != "true" || found["canRun"] == true;
            assert_eq!(checked.status.success(), is_good, "{enabled}: {said}");
            let is_said = match enabled {
                "true" => is_missing || (is_good && expected == "limited"),
                "auto" => is_missing,
                _ => false,
            };
            assert_eq!(said.contains(words), is_said, "{enabled}: {said}");
        }
    }
}

/// Without git, builds from elsewhere still run; but it is said.
#[test]
fn git_and_ssh_are_looked_for() {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let doctor = |hidden: &[&str]| {
        let hide = "for program; do for file in /usr/local/bin/$program /usr/bin/$program; do \
                    [ ! -e $file ] || mount --bind /dev/null $file; done; done";
        let output = clean("unshare")
            .args(["--mount", "sh", "-c"])
            .arg(format!("{hide}; exec {SLIPWAY} build doctor --json"))
            .arg("sh")
            .args(hidden)
            .current_dir(folder.path())
            .output();
        report(&output.unwrap())
    };
    let (whole, without) = (doctor(&[]), doctor(&["git", "ssh"]));
    assert_eq!(whole["canRun"], without["canRun"], "{without}");
    for (program, package) in [("git", "git"), ("ssh", "openssh-client")] {
        // A git whose number is older than its last holes may be mended all the same: that is said, and no more.
        let there = standing(&whole, program);
        let is_warned = there["detail"].as_str().unwrap().contains("CVE-2025-48384");
        assert_eq!(there["standing"] == "good", !is_warned, "{whole}");
        let found = standing(&without, program);
        assert_eq!(found["standing"], "limited", "{without}");
        assert!(found["detail"].as_str().unwrap().contains(package));
    }
}

#[test]
fn a_user_without_ids_is_told_how_to_get_some() {
    let (folder, program) = public();
    let output = doctor_as(NOBODY, &program, folder.path());
    assert_eq!(output.status.code(), Some(1));
    let found = report(&output);
    let user = standing(&found, "user");
    assert_eq!(user["standing"], "missing");
    assert!(
        user["detail"].as_str().unwrap().contains("usermod"),
        "{user}"
    );
}

#[test]
fn an_ordinary_users_server_is_root_where_it_matters() {
    let user = given();
    let (folder, program) = public();
    let found = report(&doctor_as(&user, &program, folder.path()));
    assert_eq!(standing(&found, "user ids")["standing"], "good", "{found}");
    assert_eq!(standing(&found, "user namespaces")["standing"], "good");
    assert_eq!(standing(&found, "limits")["standing"], "limited");
    // With a capability it would lose there, or where it cannot get there, it says why.
    for (more, why) in [
        (
            &[
                "--inh-caps",
                "+net_bind_service",
                "--ambient-caps",
                "+net_bind_service",
            ][..],
            "capabilities",
        ),
        (&["--no-new-privs"], "NoNewPrivileges"),
    ] {
        let output = clean("setpriv")
            .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
            .args(more)
            .arg(&program)
            .args(["build", "doctor", "--json"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let found = report(&output);
        let user = standing(&found, "user");
        assert_eq!(user["standing"], "missing");
        assert!(user["detail"].as_str().unwrap().contains(why), "{user}");
    }
}

/// What it says of a server is what the server would find: root of the user's namespace.
#[test]
fn an_ordinary_users_configuration_is_checked_where_its_server_works() {
    let user = given();
    let (folder, program) = public();
    let file = folder.path().join("slipway.yaml");
    let run = |enabled: &str, arguments: &[&str]| {
        std::fs::write(&file, format!("builder: {{enabled: {enabled}}}\n")).unwrap();
        clean("setpriv")
            .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"])
            .arg(&program)
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let found = report(&run("true", &["build", "doctor", "--json"]));
    for enabled in ["true", "auto", "false"] {
        let checked = run(enabled, &["config", "check"]);
        let said = String::from_utf8(checked.stderr).unwrap();
        let is_good = enabled != "true" || found["canRun"] == true;
        assert_eq!(checked.status.success(), is_good, "{found} {said}");
        assert!(!said.contains("must be a file"), "{enabled}: {said}");
        // Only there can a namespace's root be limited by what it is not.
        let is_said = enabled == "true" && is_good;
        assert_eq!(said.contains("limits need root"), is_said, "{said}");
    }
    // What is wrong is said once, and with the numbers of users that people know.
    std::fs::create_dir(folder.path().join("closed")).unwrap();
    for (enabled, word) in [
        ("1", "auto or true or false".to_owned()),
        ("true, dir: closed", format!("user {user} may not write")),
    ] {
        let wrong = run(enabled, &["config", "check"]);
        let said = String::from_utf8(wrong.stderr).unwrap();
        assert!(!wrong.status.success() && said.contains(&word), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// The program begins twice there, and would find nothing in a pipe the second time: all that it says would be forgotten.
#[test]
fn a_configuration_that_can_be_read_once_holds() {
    let user = given();
    let (folder, program) = public();
    let pipe = folder.path().join("pipe");
    let made = clean("mkfifo").args(["-m", "666"]).arg(&pipe).status();
    assert!(made.unwrap().success());
    let to = pipe.clone();
    std::thread::spawn(move || std::fs::write(to, "builder: {runtime: /nowhere/runc}\n"));
    let output = clean("timeout")
        .args([
            "60",
            "setpriv",
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
        ])
        .arg(&program)
        .args(["build", "doctor", "--json", "--config"])
        .arg(&pipe)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let found = report(&output);
    let runtime = standing(&found, "runtime")["detail"].as_str().unwrap();
    assert!(runtime.contains("/nowhere/runc"), "{runtime}");
    let user = standing(&found, "user")["detail"].as_str().unwrap();
    assert!(user.contains("must be a file"), "{user}");
}
