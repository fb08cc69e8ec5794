//! Runs of a server that an ordinary user starts, as root of a user namespace of the user's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use builder::sandbox::{
    AddressRules, Egress, Host, Mount, Reason, Root, SandboxError, SecretFile, Settings, Source,
    Standing, examine, nested,
};

use super::lab::{Lab, ready, script, script_as};
use super::network::server;

const INSIDE: &str = "SANDBOX_TEST_ORDINARY";

/// Starts the next test as a user that has been given ids.
#[test]
fn an_ordinary_user_can_run_builds() {
    if !ready() {
        return;
    }
    let given = fs::read_to_string("/etc/subuid").unwrap_or_default();
    let names = given.lines().filter_map(|line| line.split(':').next());
    let mut users = names.filter_map(|name| {
        let output = Command::new("id").args(["-u", name]).output().ok()?;
        let id: u32 = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
        (id > 0).then_some(id)
    });
    let Some(user) = users.next() else {
        println!("skipped: no user has ids in /etc/subuid; scripts/lab-install makes one");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("test");
    // Not by ourselves: what another test starts meanwhile would hold the file open for writing (`ETXTBSY`).
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let user = user.to_string();
    let output = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"])
        .arg(&program)
        .args(["ordinary::outside", "--exact", "--ignored", "--nocapture"])
        .env(INSIDE, folder.path())
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("all of it"), "{said}");
}

/// Not a test of its own: what the test above starts as another user.
#[test]
#[ignore = "started by an_ordinary_user_can_run_builds"]
fn outside() {
    use std::os::unix::process::CommandExt as _;
    if std::env::var_os(INSIDE).is_some() {
        let words = nested().unwrap();
        let error = Command::new(&words[0])
            .args(&words[1..])
            .arg(std::env::current_exe().unwrap())
            .args(["ordinary::inside", "--exact", "--ignored", "--nocapture"])
            .exec();
        panic!("{error}");
    }
}

/// Nor this: what that becomes.
#[tokio::test]
#[ignore = "started by an_ordinary_user_can_run_builds"]
async fn inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::nested(folder.path().join("state")).unwrap();
    for check in examine(&settings).await {
        assert_ne!(check.standing, Standing::Missing, "{check:?}");
    }
    let (host, _) = Host::open(settings).await.unwrap();
    let lab = Lab { host, folder };
    let root = lab.root("root");

    let mut process =
        script("id; echo mine > /tmp/file; cat /run/secret; grep CapEff /proc/self/status; exit 3");
    let secret = Source::Secret(SecretFile::new(b"hunter2\n".to_vec()));
    process
        .mount(Mount::new("/run/secret", secret).unwrap())
        .unwrap();
    let said = lab.run(&root, &process).await.unwrap();
    let wanted = "uid=1001(app) gid=0(root) groups=50(staff)\nhunter2\nCapEff:\t0000000000000000\n";
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
    println!("all of it");
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
