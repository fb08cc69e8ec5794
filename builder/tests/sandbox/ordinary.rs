//! Runs of a server that an ordinary user starts, as root of a user namespace of the user's.

use std::fs;

use builder::sandbox::{
    AddressRules, Egress, Host, Mount, Reason, Root, SandboxError, SecretFile, Settings, Source,
    Standing, examine, nested,
};

use super::lab::{Lab, script, script_as};
use super::network::server;

/// Starts the next test as a user that has been given ids.
#[test]
fn an_ordinary_user_can_run_builds() {
    tests::toolbox::needs_sandbox();
    tests::machine::again_as_ordinary_user("ordinary::outside", &[]);
}

/// Not a test of its own: what the test above starts as another user.
#[test]
#[ignore = "started by an_ordinary_user_can_run_builds"]
fn outside() {
    use std::os::unix::process::CommandExt as _;
    let words = nested().unwrap();
    let error = std::process::Command::new(&words[0])
        .args(&words[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["ordinary::inside", "--exact", "--ignored", "--nocapture"])
        .exec();
    panic!("{error}");
}

/// Nor this: what that becomes.
#[tokio::test]
#[ignore = "started by an_ordinary_user_can_run_builds"]
async fn inside() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::nested(folder.path().join("state")).unwrap();
    for check in examine(&settings).await {
        assert_ne!(check.standing, Standing::Missing, "{check:?}");
    }
    let (host, _) = Host::open(settings).await.unwrap();
    let lab = Lab { host, folder };
    let root = lab.root("root");

    let mut process = script(
        "id; echo mine > /tmp/file; cat /run/secret; chmod 660 /run/injected; echo more >> /run/injected; \
                cat /run/injected; grep CapEff /proc/self/status; exit 3",
    );
    let secret = Source::Secret(SecretFile::new(b"hunter2\n".to_vec()));
    let injected = Source::Injected(SecretFile::new(b"colour\n".to_vec()));
    for (at, source) in [("/run/secret", secret), ("/run/injected", injected)] {
        process.mount(Mount::new(at, source).unwrap()).unwrap();
    }
    let said = lab.run(&root, &process).await.unwrap();
    let wanted = "uid=1001(app) gid=0(root) groups=50(staff)\nhunter2\ncolour\nmore\nCapEff:\t0000000000000000\n";
    assert_eq!(said.out(), wanted, "{:?}", said.lines);
    assert_eq!(
        (said.outcome.exit, said.outcome.reason),
        (Some(3), Reason::Failed)
    );
    assert!(said.outcome.left_behind.is_empty());

    let escapes = script_as(
        "root",
        "mount -t tmpfs x /tmp || unshare -U true || echo 1 > /proc/sys/kernel/panic || echo no",
    );
    assert_eq!(lab.run(&root, &escapes).await.unwrap().out(), "no\n");

    let port = server("registry").await.port();
    let mut process = script(&format!(
        "echo GET | nc 198.18.0.1 {port} || echo no; echo GET | nc 127.0.0.1 {port} || echo own"
    ));
    process.egress = Egress::Registries {
        hosts: vec![format!("registry.example:{port}").parse().unwrap()],
        addresses: AddressRules::default(),
    };
    let said = lab.run(&root, &process).await.unwrap();
    let refused = said.text(builder::sandbox::Stream::Sandbox);
    assert!(
        refused.contains(&format!("198.18.0.1:{port}")),
        "it came to us: {:?}",
        said.lines
    );
    assert!(said.out().ends_with("own\n"));

    let mut limited = script("true");
    limited.limits.memory = Some(1 << 30);
    let error = lab.run(&root, &limited).await.err().unwrap();
    assert!(matches!(error, SandboxError::Unsupported(_)), "{error}");

    overlay(&lab, &root).await;
}

async fn overlay(lab: &Lab, base: &std::path::Path) {
    let at = |name: &str| lab.folder.path().join(name);
    for name in ["upper", "work"] {
        fs::create_dir(at(name)).unwrap();
    }
    let root = Root::Overlay {
        lower: vec![base.to_owned()],
        upper: at("upper"),
        work: at("work"),
    };
    let said = lab
        .run_in(
            &root,
            &script_as("root", "rm /etc/group; echo new > /etc/new"),
        )
        .await
        .unwrap();
    assert!(said.outcome.succeeded(), "{:?}", said.lines);
    assert_eq!(fs::read_to_string(at("upper/etc/new")).unwrap(), "new\n");
    assert!(base.join("etc/group").exists());
    assert!(!at("upper/proc").exists());
}
