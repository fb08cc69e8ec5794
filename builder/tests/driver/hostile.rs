//! Sources, images and scripts that mean harm, and limits.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use builder::driver::Phase;
use builder::plan::{Limits, Request, Source};
use builder::s2i::{Scope, SourceScripts, Variable};
use oci::{Algorithm, Digest};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::image::{Tar, execution, listing};
use super::lab::{Asked, Lab, Ran, asked_of, file};

const RUN: (&str, &str) = ("run", "true");
const TOKEN: &str = "tok+en/with=odd&chars 4711";

/// A job whose source is this archive, whoever made it.
async fn with_source(lab: &Lab, assemble: &str, archive: &[u8]) -> Asked {
    let image = lab.assembling(assemble).await;
    let source = Source {
        digest: Digest::of(Algorithm::Sha256, archive),
        scripts: SourceScripts::default(),
        environment: None,
        location: String::new(),
        context_dir: String::new(),
        commit: None,
    };
    asked_of(&image, source, file(archive))
}

#[tokio::test]
async fn a_source_stays_in_its_folder() {
    let lab = Lab::new().await;
    let canary = lab.folder.path().join("canary");
    std::fs::create_dir(&canary).unwrap();
    for target in [
        "/etc",
        "../../etc",
        "../../../../../../../../etc",
        canary.to_str().unwrap(),
    ] {
        let archive = Tar::new()
            .link("out", target)
            .raw("out/passwd", b"evil")
            .bytes();
        let mut ran = lab
            .run(with_source(&lab, "cat /etc/passwd", &archive).await)
            .await;
        match &ran.result {
            // Links lead to where they do with the source's folder as root.
            Ok(_) => {
                let found = listing(ran.built());
                assert!(!found.contains_key("etc/passwd"), "{target}: {found:?}");
                let evil = |(path, (_, text)): (&String, &(String, String))| {
                    text == "evil" && !path.starts_with("tmp/src/")
                };
                assert!(!found.iter().any(evil), "{target}: {found:?}");
            }
            Err(failure) => assert_eq!(failure.reason.as_str(), "FetchSourceFailed", "{failure}"),
        }
    }
    assert_eq!(std::fs::read_dir(&canary).unwrap().count(), 0);
    for name in ["../evil", "a/../../evil", "/../evil"] {
        let archive = Tar::new().raw(name, b"evil").bytes();
        let ran = lab.run(with_source(&lab, "true", &archive).await).await;
        assert_eq!(ran.failure().reason.as_str(), "FetchSourceFailed", "{name}");
    }
}

#[tokio::test]
async fn a_source_is_the_one_that_was_planned() {
    let lab = Lab::new().await;
    let planned = Tar::new().file("a", 0o644, 0, "a").bytes();
    let mut asked = with_source(&lab, "true", &planned).await;
    asked.source = file(&Tar::new().file("a", 0o644, 0, "b").bytes());
    let ran = lab.run(asked).await;
    assert_eq!(ran.failure().reason.as_str(), "FetchSourceFailed");
    assert_eq!(ran.phases(), [], "nothing was begun");
}

#[tokio::test]
async fn a_set_user_id_bit_of_a_source_is_left_out() {
    let lab = Lab::new().await;
    let archive = Tar::new().file("program", 0o6755, 0, "x").bytes();
    let mut ran = lab.run(with_source(&lab, "true", &archive).await).await;
    assert_eq!(listing(ran.built())["tmp/src/program"].0, "-755 1001:0");
}

#[tokio::test]
async fn a_base_that_cannot_be_one_is_refused() {
    let lab = Lab::new().await;
    let source = lab.source(&[("x", "x")]);
    let image = lab.assembling("true").await;
    let mut gone = image.clone();
    gone.digest = Digest::of(Algorithm::Sha256, b"gone");
    let mut asked = Lab::asked(&gone, &source);
    asked.base(&gone);
    let ran = lab.run(asked).await;
    assert_eq!(ran.failure().reason.as_str(), "PullBuilderImageFailed");
    assert!(
        ran.failure()
            .message
            .starts_with("there is no image shop/builder@sha256:")
    );

    // The result starts as its user, whoever assembles.
    for assembles in ["", "1001"] {
        let mut config = execution();
        config["User"] = json!("nobody-knows");
        config["Labels"]["io.openshift.s2i.assemble-user"] = json!(assembles);
        let scripts = [("assemble", "echo assembling"), RUN];
        let image = lab.image("shop/builder:2", &scripts, &[], config).await;
        let ran = lab.run(Lab::asked(&image, &source)).await;
        assert!(!ran.text().contains("assembling"), "{assembles}");
        let failure = ran.failure();
        assert_eq!(failure.reason.as_str(), "PullBuilderImageFailed");
        for word in ["user \"nobody-knows\"", "/etc/passwd", "its USER"] {
            assert!(failure.message.contains(word), "{failure:?}");
        }
    }

    let image = lab.builder("shop/builder:3", &[RUN], &[]).await;
    let ran = lab.run(Lab::asked(&image, &source)).await;
    let failure = ran.failure();
    assert_eq!(failure.reason.as_str(), "InstallScriptsFailed");
    for word in ["/usr/libexec/s2i/assemble", "io.openshift.s2i.scripts-url"] {
        assert!(failure.message.contains(word), "{failure:?}");
    }
}

async fn with_secret(lab: &Lab, assemble: &str, change: impl FnOnce(&mut Request)) -> Asked {
    let image = lab.assembling(assemble).await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.secret("npm", "token", format!("{TOKEN}\n").as_bytes());
    change(&mut asked.request);
    asked
}

#[tokio::test]
async fn t73_a_secret_in_the_result_fails_the_build() {
    let lab = Lab::new().await;
    let shown = base64::engine::general_purpose::STANDARD.encode(format!("user:{TOKEN}"));
    for (assemble, at) in [
        ("cat /run/secrets/npm/token > .npmrc", "/opt/app/.npmrc"),
        (
            "cp /run/secrets/npm/token . && cp token other && rm token",
            "/opt/app/other",
        ),
        (
            &format!("echo '{{\"auth\": \"{shown}\"}}' > config.json"),
            "/opt/app/config.json",
        ),
        (
            "(cat /bin/busybox /run/secrets/npm/token) | base64 > all",
            "/opt/app/all",
        ),
        ("od -An -tx1 /run/secrets/npm/token > hex", "/opt/app/hex"),
        (
            "echo 'https://x:tok%2Ben%2Fwith%3Dodd%26chars%204711@host/' > url",
            "/opt/app/url",
        ),
        (
            "ln -s \"$(cat /run/secrets/npm/token)\" link",
            "/opt/app/link",
        ),
        // Across the borders of whatever pieces it is read in.
        (
            "head -c 262130 /dev/zero > big; cat /run/secrets/npm/token >> big; head -c 99999 /dev/zero >> big",
            "/opt/app/big",
        ),
        (
            "mkdir -p /tmp/src && cp /run/secrets/npm/token /tmp/src/left",
            "/tmp/src/left",
        ),
    ] {
        let ran = lab.run(with_secret(&lab, assemble, |_| ()).await).await;
        let failure = ran.failure();
        assert_eq!(
            failure.reason.as_str(),
            "SecretInResult",
            "{assemble}: {failure}"
        );
        let wanted = format!("file token of the secret npm is in {at} of the result");
        assert!(failure.message.starts_with(&wanted), "{failure}");
        assert!(!failure.message.contains("tok+en"), "{failure}");
        assert!(!ran.text().contains("tok+en"), "{}", ran.text());
        assert_eq!(ran.phases().last(), Some(&Phase::Scan));
    }
    let env = |request: &mut Request| {
        let variable = format!("TOKEN={TOKEN}");
        request.env = vec![Variable::parse(&variable, Scope::Both).unwrap()];
    };
    let ran = lab.run(with_secret(&lab, "true", env).await).await;
    assert!(
        ran.failure().message.contains("the result's configuration"),
        "{:?}",
        ran.failure()
    );
}

#[tokio::test]
async fn an_id_is_a_secret_unless_the_source_or_the_base_image_has_it() {
    let lab = Lab::new().await;
    let uuid = "3f2a9c47-1d5e-4b8a-9e60-7c1d2b3a4f5e";
    let leaks = "tail -n 1 /run/secrets/npm/.npmrc | cut -d= -f2 > out";
    let bare = lab.assembling(leaks).await;
    let of_base = [("assemble", leaks), RUN, ("id", uuid)];
    let of_base = lab.builder("shop/builder:id", &of_base, &[]).await;
    for (image, source, refused) in [
        (&bare, "x", true),
        (&bare, uuid, false),
        (&of_base, "x", false),
    ] {
        let mut asked = Lab::asked(image, &lab.source(&[("x", source)]));
        let npmrc = format!("registry=https://npm.example.com/\n_authToken={uuid}\n");
        asked.secret("npm", ".npmrc", npmrc.as_bytes());
        let mut ran = lab.run(asked).await;
        if refused {
            let failure = ran.failure();
            assert_eq!(failure.reason.as_str(), "SecretInResult", "{failure}");
        } else {
            let found = listing(ran.built());
            assert!(found.contains_key("opt/app/out"), "{found:?}");
            let said = ran.text();
            assert!(said.contains("taken for no secrets"), "{said}");
        }
    }
}

/// In a file system in memory, in a log that does not say them, in folders that go: nowhere.
#[tokio::test]
async fn t73_a_secret_that_is_only_used_is_nowhere() {
    let lab = Lab::new().await;
    let assemble = "cat /run/secrets/npm/token; base64 /run/secrets/npm/token; cp /run/secrets/npm/token /dev/shm/x; \
         cp /run/secrets/npm/token /tmp/y; rm /tmp/y; echo fine > out";
    let mut ran = lab.run(with_secret(&lab, assemble, |_| ()).await).await;
    let found = listing(ran.built());
    assert!(found.contains_key("opt/app/out"), "{found:?}");
    assert_eq!(
        ran.text().lines().next(),
        Some("[secret]"),
        "{}",
        ran.text()
    );
    assert!(
        ran.text().lines().nth(1).unwrap().starts_with("[secret]"),
        "{}",
        ran.text()
    );
    let found = std::process::Command::new("grep")
        .args(["-rlF", TOKEN])
        .arg(lab.folder.path())
        .output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
}

#[tokio::test]
async fn a_secret_must_be_there() {
    let lab = Lab::new().await;
    let mut asked = with_secret(&lab, "true", |_| ()).await;
    asked.secrets.clear();
    let ran = lab.run(asked).await;
    assert!(
        ran.failure().message.contains("there is no secret npm"),
        "{:?}",
        ran.failure()
    );

    let mut asked = with_secret(&lab, "true", |_| ()).await;
    asked.content("npm", "../token", b"whatever it is");
    let ran = lab.run(asked).await;
    assert!(
        ran.failure().message.contains("no file's name"),
        "{:?}",
        ran.failure()
    );
}

#[tokio::test]
async fn limits_end_a_build_with_their_name() {
    let lab = Lab::new().await;
    for (assemble, limits, reason, message) in [
        (
            "exit 42",
            Limits::default(),
            "AssembleFailed",
            "assemble ended with exit code 42; the log has its output",
        ),
        (
            "sh -c 'kill -9 $$'",
            Limits::default(),
            "AssembleFailed",
            "assemble ended with signal 9; the log has its output",
        ),
        (
            "x=0123456789abcdef; while :; do x=$x$x; done",
            Limits {
                memory_bytes: Some(64 << 20),
                ..Limits::default()
            },
            "OutOfMemory",
            "assemble used more memory than its limit of 64 MiB: raise limits.memoryBytes (--memory), or use less",
        ),
        (
            "for i in $(seq 200); do sleep 30 & done; wait",
            Limits {
                pids: Some(50),
                ..Limits::default()
            },
            "TooManyProcesses",
            "assemble started more processes and threads than its limit of 50: raise limits.pids (--pids), or start fewer",
        ),
        (
            "i=0; while true; do head -c 1000000 /dev/urandom > f$i; i=$((i+1)); done",
            Limits {
                disk_bytes: Some(16 << 20),
                ..Limits::default()
            },
            "DiskLimitExceeded",
            "assemble wrote more to disk than its limit of 16 MiB: raise limits.diskBytes (--disk), or write less",
        ),
        (
            "sleep 1000",
            Limits {
                seconds: Some(1),
                ..Limits::default()
            },
            "TimedOut",
            "the build did not end in 1 s: raise limits.seconds (--timeout), or do less",
        ),
    ] {
        let image = lab.assembling(assemble).await;
        let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
        asked.request.limits = limits;
        let ran = lab.run(asked).await;
        let failure = ran.failure();
        assert_eq!(
            (failure.reason.as_str(), &*failure.message),
            (reason, message)
        );
    }
}

/// What hides a fault from its build does not hide it from the log.
#[tokio::test]
async fn limits_that_a_build_lived_with_are_told_of() {
    let lab = Lab::new().await;
    let greedy = "sh -c 'x=0123456789abcdef; while :; do x=$x$x; done' || true";
    let crowded = "for i in $(seq 200); do sleep 2 & done || true; wait; exit 0";
    for (assemble, notes) in [
        (
            greedy,
            ["killed for memory (1, limit of 64 MiB)", "--memory"],
        ),
        (crowded, ["threads were refused (", "limit of 50)"]),
    ] {
        let image = lab.assembling(&format!("({assemble}) || true")).await;
        let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
        asked.request.limits.memory_bytes = Some(64 << 20);
        asked.request.limits.pids = Some(50);
        let ran = lab.run(asked).await;
        let said = ran.text();
        assert!(ran.result.is_ok(), "{:?}: {said}", ran.result);
        for note in notes {
            assert!(said.contains(note), "{said}");
        }
    }
}

#[tokio::test]
async fn a_build_is_cancelled_wherever_it_is() {
    let lab = Lab::new().await;
    let image = lab.assembling("sleep 0.3").await;
    let source = lab.source(&[("x", "x")]);
    for milliseconds in (0..600).step_by(25) {
        let cancel = CancellationToken::new();
        let later = async {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            cancel.cancel();
        };
        let (ran, ()) = tokio::join!(lab.run_until(Lab::asked(&image, &source), &cancel), later);
        if let Err(failure) = &ran.result {
            assert_eq!(
                failure.reason.as_str(),
                "Cancelled",
                "after {milliseconds} ms: {failure}"
            );
        }
    }
}

/// A shell that cannot fork may wait for ever: what it lacks is the reason, not the time it took.
#[tokio::test]
async fn a_program_that_lacks_processes_and_does_not_end_is_told_so() {
    let lab = Lab::new().await;
    let image = lab
        .assembling("(while :; do sleep 600 & done) || true; exec sleep 600")
        .await;
    let source = lab.source(&[("x", "x")]);
    let asked = || {
        let mut asked = Lab::asked(&image, &source);
        asked.request.limits.pids = Some(40);
        asked
    };
    let ran = lab.run_out_of_time(15, asked, |_| false).await;
    lab.nothing_is_left();
    let failure = ran.failure();
    assert_eq!(failure.reason.as_str(), "TooManyProcesses", "{failure}");
    for word in ["limit of 40", "limits.pids", "did not end"] {
        assert!(failure.message.contains(word), "{failure}");
    }
}

/// A small file system in memory, for the driver alone.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn a_full_disk_of_the_server_is_not_put_down_to_the_build() {
    tests::toolbox::needs_sandbox();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_owned();
    mount(
        "tmpfs",
        &at,
        "tmpfs",
        MountFlags::empty(),
        Some(c"size=64m"),
    )
    .unwrap();
    let small = Small(at);
    let lab = Lab::with(|settings| settings.folder = small.0.join("driver")).await;
    let source = lab.source(&[("x", "x")]);
    let fills = "dd if=/dev/zero of=/opt/app/big bs=1M count=100";
    let run = async |assemble: &str| {
        let image = lab.assembling(assemble).await;
        lab.run(Lab::asked(&image, &source)).await
    };
    let mut full = vec![run(fills).await];
    // It is tidy about it; a busy machine may see only after a while that the disk is full.
    for seconds in [1, 10, 100] {
        let tidy = format!("{fills} || {{ sleep {seconds}; rm /opt/app/big; exit 1; }}");
        let tidy = run(&tidy).await;
        if tidy.failure().reason.as_str() != "AssembleFailed" || seconds == 100 {
            full.push(tidy);
            break;
        }
    }
    for ran in full {
        let failure = ran.failure();
        assert_eq!(failure.reason.as_str(), "DiskPressure", "{failure}");
        assert!(failure.message.contains("builder.dir"), "{failure}");
    }
    // The source has no room either.
    let image = lab.assembling("true").await;
    let large = "x".repeat(100 << 20);
    let ran = lab
        .run(Lab::asked(&image, &lab.source(&[("large", &large)])))
        .await;
    let failure = ran.failure();
    assert_eq!(failure.reason.as_str(), "DiskPressure", "{failure}");
    // With room, the same fault is the program's.
    let image = lab.assembling("exit 1").await;
    let ran = lab.run(Lab::asked(&image, &source)).await;
    assert_eq!(ran.failure().reason.as_str(), "AssembleFailed");
}

/// A file of holes takes no room and hours to be packed.
#[tokio::test]
async fn time_ends_what_is_no_program_too() {
    let lab = Lab::with(|settings| settings.unpacking.bytes = u64::MAX).await;
    let assemble = "dd if=/dev/null of=/opt/app/holes bs=1 seek=8000000000000";
    let image = lab.assembling(assemble).await;
    let source = lab.source(&[("x", "x")]);
    let is_packed = |ran: &Ran| ran.phases().last() == Some(&Phase::Export);
    let ran = lab.run_out_of_time(3, || Lab::asked(&image, &source), is_packed);
    let ran = ran.await;
    lab.nothing_is_left();
    assert_eq!(ran.failure().reason.as_str(), "TimedOut", "{}", ran.text());
    assert_eq!(ran.phases().last(), Some(&Phase::Export));
}
