//! The process itself: who it is, what it sees, how it ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::Duration;

use builder::sandbox::{
    Capabilities, Output, Process, Raw, Reason, Root, SandboxError, Settings, Standing, Stream,
    examine,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::lab::{Lab, script, script_as};

#[tokio::test]
async fn says_hi_and_how_it_ended() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let said = lab
        .run(&root, &script("echo hi; echo ho >&2; id; exit 7"))
        .await
        .unwrap();
    assert_eq!(
        said.out(),
        "hi\nuid=1001(app) gid=0(root) groups=50(staff)\n"
    );
    assert_eq!(said.text(Stream::Err), "ho\n");
    assert_eq!(
        (said.outcome.exit, said.outcome.reason),
        (Some(7), Reason::Failed)
    );
    let said = lab
        .run(&root, &script("kill -TERM $$; sleep 9"))
        .await
        .unwrap();
    assert_eq!(
        (said.outcome.exit, said.outcome.reason),
        (Some(0), Reason::Succeeded),
        "PID 1 has no default signals"
    );
    let said = lab
        .run(&root, &script("sh -c 'kill -KILL $$'; exit $?"))
        .await
        .unwrap();
    assert_eq!(said.outcome.exit, Some(137));
    assert_eq!(said.outcome.left_behind, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn its_environment_is_exactly_what_was_asked_for() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let pairs = [
        ("A", "b c"),
        ("EMPTY", ""),
        ("HOME", "/work"),
        ("MULTI", "x$(id)`id`;\"'"),
        ("PATH", "/bin"),
    ];
    let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let words = ["/bin/env", "-0"].map(str::to_owned).to_vec();
    let process = Process::new(words, BTreeMap::from(environment), "app", "/").unwrap();
    let said = lab.run(&root, &process).await.unwrap();
    assert_eq!(
        said.out(),
        "A=b cEMPTY=HOME=/workMULTI=x$(id)`id`;\"'PATH=/bin\n"
    );
}

#[tokio::test]
async fn it_has_no_privilege_and_cannot_gain_one() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    for user in ["app", "root"] {
        let status = script_as(
            user,
            "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status",
        );
        let said = lab.run(&root, &status).await.unwrap();
        let none = "0000000000000000";
        let caps = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
            .map(|cap| format!("{cap}:\t{none}\n"))
            .concat();
        assert_eq!(
            said.out(),
            format!("{caps}NoNewPrivs:\t1\nSeccomp:\t2\n"),
            "{user}"
        );
    }
    let mut packages = script_as(
        "root",
        "touch /new && chown app /new && stat -c %U /new; mount -t tmpfs x /tmp",
    );
    packages.capabilities = Capabilities::Packages;
    let said = lab.run(&root, &packages).await.unwrap();
    assert_eq!(said.out(), "app\n");
    assert_eq!(said.outcome.exit, Some(1), "{:?}", said.lines);
}

#[tokio::test]
async fn who_and_what_is_asked_for_is_in_the_root_or_it_is_said() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let refused = |error: SandboxError| match error {
        SandboxError::Refused(message) => message,
        other => panic!("{other}"),
    };
    let nobody = lab
        .run(&root, &script_as("nobody", "true"))
        .await
        .err()
        .map(refused);
    assert!(
        nobody
            .unwrap()
            .contains("\"nobody\" is not in the image's /etc/passwd")
    );
    let far = lab
        .run(&root, &script_as("70000", "true"))
        .await
        .err()
        .map(refused);
    assert!(far.unwrap().contains("70000"));
    let words = |program: &str| vec![program.to_owned()];
    let process = Process::new(words("/bin/nothing"), BTreeMap::new(), "", "/").unwrap();
    let error = lab.run(&root, &process).await.err().unwrap();
    assert!(
        matches!(&error, SandboxError::NotStarted(text) if text.contains("/bin/nothing")),
        "{error}"
    );
    let process = Process::new(words("/bin/pwd"), BTreeMap::new(), "", "/new/folder").unwrap();
    assert_eq!(
        lab.run(&root, &process).await.unwrap().out(),
        "/new/folder\n"
    );
    let file = Process::new(words("/bin/true"), BTreeMap::new(), "", "/etc/passwd").unwrap();
    let folder = lab.run(&root, &file).await.err().map(refused);
    assert!(folder.unwrap().contains("/etc/passwd is not a folder"));
    let dangling = Process::new(words("/bin/true"), BTreeMap::new(), "", "/fd").unwrap();
    symlink("/proc/self/fd/7", root.join("fd")).unwrap();
    let folder = lab.run(&root, &dangling).await.err().map(refused);
    assert!(
        folder.unwrap().contains("link to the kernel's files"),
        "CVE-2024-21626"
    );
}

#[tokio::test]
async fn it_ends_when_it_is_cancelled_or_late() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let mut process = script("trap '' TERM INT HUP; sleep 1000 & while :; do sleep 1; done");
    process.limits.wall = Some(Duration::from_secs(1));
    let said = lab.run(&root, &process).await.unwrap();
    assert_eq!(
        (said.outcome.exit, said.outcome.reason),
        (None, Reason::TimedOut)
    );
    process.limits.wall = None;
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        later.cancel();
    });
    let said = lab.run_with(&root, &process, 1000, &cancel).await.unwrap();
    assert_eq!(said.outcome.reason, Reason::Cancelled);
}

#[tokio::test]
async fn an_overlay_is_written_above() {
    let lab = Lab::new().await;
    let base = lab.root("base");
    let at = |name: &str| lab.folder.path().join(name);
    for name in ["above", "upper", "work"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("above/file"), "above").unwrap();
    lab.give(&at("above"));
    lab.give(&at("upper"));
    let root = Root::Overlay {
        lower: vec![at("above"), base.clone()],
        upper: at("upper"),
        work: at("work"),
    };
    let (lines, mut receiver) = mpsc::channel(100);
    let output = Output {
        lines,
        bytes: 1000,
        raw: Some(Raw {
            file: File::create(at("raw")).unwrap(),
            bytes: 1000,
        }),
    };
    let process = script_as(
        "root",
        "cat /file; echo changed > /file; rm /etc/group; grep -q '^overlay / .*volatile' /proc/mounts && printf '\\0\\033['",
    );
    let outcome = lab
        .host
        .run(&root, &process, output, &CancellationToken::new())
        .await
        .unwrap();
    let mut said = Vec::new();
    while let Some(line) = receiver.recv().await {
        said.push(line);
    }
    assert!(outcome.succeeded(), "{outcome:?} {said:?}");
    assert_eq!(fs::read(at("raw")).unwrap(), b"above\0\x1b[");
    assert_eq!(fs::read_to_string(at("upper/file")).unwrap(), "changed\n");
    assert_eq!(fs::read_to_string(at("above/file")).unwrap(), "above");
    assert!(base.join("etc/group").exists());
    let mut names: Vec<_> = fs::read_dir(at("upper"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["etc", "file"], "no mount point stays");
    let names: Vec<_> = fs::read_dir(at("upper/etc"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["group"], "a whiteout");
}

#[tokio::test]
async fn this_machine_has_what_runs_need() {
    let lab = Lab::new().await;
    let settings = Settings::root(lab.folder.path()).unwrap();
    for check in examine(&settings).await {
        println!("{check:?}");
        assert_ne!(check.standing, Standing::Missing, "{check:?}");
    }
}
