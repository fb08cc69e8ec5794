//! What is mounted into a root, and what stays of it: nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use builder::sandbox::{Mount, SandboxError, SecretFile, Source};

use super::lab::{Lab, script};

fn find(root: &Path) -> Vec<String> {
    let output = std::process::Command::new("find")
        .arg(root)
        .args(["-printf", "%P %l %s %m\n"])
        .output()
        .unwrap();
    let mut lines: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines.retain(|line| !line.starts_with("bin/"));
    lines.sort();
    lines
}

#[tokio::test]
async fn mounts_do_what_they_say() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let at = |name: &str| lab.folder.path().join(name);
    fs::create_dir(at("read")).unwrap();
    fs::create_dir(at("cache")).unwrap();
    fs::write(at("read/file"), "text\n").unwrap();
    let before = find(&root);
    let mut process = script(
        "cat /a/b/file /opt/one; echo no > /a/b/file; echo yes > /cache/file; echo yes > /scratch/file; \
         dd if=/dev/zero of=/scratch/big bs=1M count=3 2>/dev/null || echo full; stat -c %U /cache; \
         ls -ln /s/ecret; cat /s/ecret; echo x > /s/ecret",
    );
    let mount = |target: &str, source| Mount::new(target, source).unwrap();
    process
        .mount(mount("/a/b", Source::ReadOnly(at("read"))))
        .unwrap();
    process
        .mount(mount("/opt/one", Source::ReadOnly(at("read/file"))))
        .unwrap();
    process
        .mount(mount("/cache", Source::Cache(at("cache"))))
        .unwrap();
    process
        .mount(mount("/scratch", Source::Scratch { bytes: 1 << 20 }))
        .unwrap();
    let secret = SecretFile::new(b"hunter2\n".to_vec());
    process
        .mount(mount("/s/ecret", Source::Secret(secret)))
        .unwrap();
    let said = lab.run(&root, &process).await.unwrap();
    let out = said.out();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(
        lines[..4],
        ["text", "text", "full", "app"],
        "{:?}",
        said.lines
    );
    assert!(
        lines[4].starts_with("-r--------    1 1001     0 "),
        "{}",
        lines[4]
    );
    assert_eq!(lines[5], "hunter2");
    assert_eq!(said.outcome.exit, Some(1), "the secret is read only");
    assert_eq!(fs::read_to_string(at("read/file")).unwrap(), "text\n");
    assert_eq!(fs::read_to_string(at("cache/file")).unwrap(), "yes\n");
    assert_eq!(
        fs::metadata(at("cache/file")).unwrap().uid(),
        lab.host.ids().outside(1001).unwrap()
    );
    assert_eq!(said.outcome.left_behind, Vec::<std::path::PathBuf>::new());
    assert_eq!(find(&root), before, "nothing stays of the mount points");
    let traces = std::process::Command::new("grep")
        .args(["-r", "hunter2"])
        .arg(lab.folder.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(traces.stdout).unwrap(), "");
}

#[tokio::test]
async fn t72_a_link_in_the_root_leads_no_mount_astray() {
    let lab = Lab::new().await;
    let canary = lab.folder.path().join("canary");
    fs::create_dir(&canary).unwrap();
    fs::create_dir(lab.folder.path().join("cache")).unwrap();
    let cases: [(&str, &str, bool); 7] = [
        // What the image has at a place, where it leads, and whether a cache at /home/cache may be mounted then.
        ("home", "/opt", true),
        ("home", "../../../../../../opt", true),
        ("home", "/proc/self", false),
        ("home", "/dev", false),
        ("home", "/sys/fs/cgroup", false),
        ("home", "/etc/passwd", false),
        ("etc/hosts", "/proc/sys/kernel/core_pattern", false),
    ];
    for (number, (place, target, works)) in cases.into_iter().enumerate() {
        let root = lab.root(&format!("root{number}"));
        symlink(target, root.join(place)).unwrap();
        let mut process = script("touch /home/cache/mark && ls /home/cache");
        let cache = Source::Cache(lab.folder.path().join("cache"));
        process
            .mount(Mount::new("/home/cache", cache).unwrap())
            .unwrap();
        match lab.run(&root, &process).await {
            Ok(said) => assert!(
                works && said.out() == "mark\n",
                "{place} {target} {:?}",
                said.lines
            ),
            Err(SandboxError::Refused(message)) => assert!(!works, "{place} {target} {message}"),
            Err(error) => panic!("{place} {target} {error}"),
        }
    }
    // Absolute links to the host's folders are the root's own.
    let root = lab.root("last");
    symlink(&canary, root.join("home")).unwrap();
    let mut process = script("touch /home/cache/mark");
    let cache = Source::Cache(lab.folder.path().join("cache"));
    process
        .mount(Mount::new("/home/cache", cache).unwrap())
        .unwrap();
    assert!(lab.run(&root, &process).await.unwrap().outcome.succeeded());
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 0);
}

/// CVE-2025-31133, CVE-2025-52565, CVE-2025-52881: what the runtime masks or mounts on must not be a link of the image's.
#[tokio::test]
async fn t72_the_kernels_folders_are_not_links() {
    let lab = Lab::new().await;
    for (number, place) in ["proc", "sys", "dev"].into_iter().enumerate() {
        let root = lab.root(&format!("root{number}"));
        fs::create_dir(root.join("elsewhere")).unwrap();
        symlink("/elsewhere", root.join(place)).unwrap();
        let error = lab.run(&root, &script("true")).await.err().unwrap();
        assert!(matches!(error, SandboxError::Refused(_)), "{place} {error}");
    }
    // Devices of the image are hidden by the sandbox's own.
    let root = lab.root("devices");
    fs::create_dir(root.join("dev")).unwrap();
    for (name, target) in [
        ("null", "/proc/sys/kernel/core_pattern"),
        ("pts", "/proc"),
        ("console", "/etc/passwd"),
    ] {
        symlink(target, root.join("dev").join(name)).unwrap();
    }
    let process = script(
        "echo x > /dev/null; ls /dev; cat /dev/null; echo x > /proc/sys/kernel/core_pattern",
    );
    let said = lab.run(&root, &process).await.unwrap();
    assert!(!said.outcome.succeeded());
    assert!(said.out().contains("urandom\n"), "{:?}", said.lines);
}

#[tokio::test]
async fn what_runs_hide_is_not_mounted_from() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let hidden = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut process = script("true");
    let cache = Source::Cache(hidden.path().to_owned());
    process.mount(Mount::new("/cache", cache).unwrap()).unwrap();
    let error = lab.run(&root, &process).await.err().unwrap();
    assert!(
        matches!(&error, SandboxError::Unsupported(why) if why.contains("/dev/shm")),
        "{error}"
    );
    assert!(
        !root.join("proc").exists(),
        "a run that was refused leaves no mount point"
    );
}
