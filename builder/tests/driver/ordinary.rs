//! The driver of a server that an ordinary user has started, as root of a user namespace of the user's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use builder::driver::runc::{Runc, Settings};
use builder::images::Layouts;
use builder::plan::{Cache, Secret, Sharing};
use builder::s2i::ContainerPath;
use builder::sandbox;

use super::image::{Tar, listing};
use super::lab::{Lab, ready};

const INSIDE: &str = "DRIVER_TEST_ORDINARY";

/// Starts the next test as a user that has been given ids.
#[test]
fn an_ordinary_users_server_runs_builds() {
    if !ready() {
        return;
    }
    let given = fs::read_to_string("/etc/subuid").unwrap_or_default();
    let names = given.lines().filter_map(|line| line.split(':').next());
    let mut users = names.filter(|name| *name != "root");
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
    let output = Command::new("setpriv")
        .args(["--reuid", user, "--regid", user, "--clear-groups", "--"])
        .args([
            "unshare",
            "--user",
            "--map-auto",
            "--map-root-user",
            "--mount",
            "--",
        ])
        .arg(&program)
        .args(["ordinary::inside", "--exact", "--ignored", "--nocapture"])
        .env(INSIDE, folder.path())
        .env("TMPDIR", folder.path())
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("all of it"), "{said}\n{complained}");
}

/// Not a test of its own: what the test above starts as another user.
#[tokio::test]
#[ignore = "started by an_ordinary_users_server_runs_builds"]
async fn inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox::Settings::nested(folder.path().join("sandbox")).unwrap();
    let (driver, _) = Runc::open(Settings::new(folder.path().join("driver"), sandbox))
        .await
        .unwrap();
    let images = Layouts::new(folder.path().join("images"));
    let lab = Lab::of(driver, images, folder, "none".to_owned());

    let assemble = "id -u; cat /run/secrets/token/file > /dev/null; echo x >> .cache/x; cat /tmp/src/app.txt > result; \
         rm /tmp/of-image; wc -l < .cache/x";
    let layer = Tar::new()
        .file("tmp/of-image", 0o644, 1001, "goes")
        .folder("tmp/src", 0o755, 0)
        .folder("tmp/src/old", 0o755, 0)
        .file("tmp/src/old/file", 0o644, 0, "goes")
        .bytes();
    let image = lab
        .builder(
            "shop/builder:1",
            &[("assemble", assemble), ("run", "true")],
            &[layer],
        )
        .await;
    let mut digests = Vec::new();
    for number in 1..=2 {
        let mut asked = Lab::asked(&image, &lab.source(&[("app.txt", "hello")]));
        asked.request.clean = true;
        asked.request.caches = vec![Cache {
            id: "main".to_owned(),
            from: None,
            at: ContainerPath::parse("/opt/app/.cache").unwrap(),
            sharing: Sharing::Locked,
        }];
        asked.request.secrets = vec![Secret {
            name: "token".to_owned(),
            revision: None,
            at: ContainerPath::parse("/run/secrets/token").unwrap(),
        }];
        asked.secret("token", "file", b"very-secret-token");
        asked.test = Some(["cat", "/opt/app/result"].map(str::to_owned).to_vec());
        let mut ran = lab.run(asked).await;
        let found = listing(ran.built());
        assert_eq!(
            found["opt/app/result"],
            ("-644 1001:0".to_owned(), "hello".to_owned())
        );
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        let wanted = [
            "opt/",
            "opt/app/",
            "opt/app/result",
            "tmp/",
            "tmp/.wh.of-image",
            "tmp/.wh.src",
        ];
        assert_eq!(names, wanted);
        assert_eq!(ran.text(), format!("1001\n{number}\nhello"));
        digests.push(ran.built().layer.as_ref().unwrap().0.digest);
    }
    assert_eq!(digests[0], digests[1]);

    let mut asked = Lab::asked(&image, &lab.source(&[("app.txt", "hello")]));
    asked.request.limits.memory_bytes = Some(1 << 30);
    let ran = lab.run(asked).await;
    assert_eq!(
        ran.failure().reason.as_str(),
        "SandboxUnavailable",
        "{:?}",
        ran.failure()
    );
    println!("all of it");
}
