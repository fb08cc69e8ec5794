//! The same tests as root of a user namespace, which is where builds of an ordinary user run: overlayfs keeps its marks in
//! other attributes there, and the ids on the disk are others.

use std::fs;
use std::os::unix::fs::chown;
use std::process::{Child, Command, Stdio};

/// What only root of the machine can do: give files to anybody, and ask the oracles, which unpack as themselves.
const NOT_INSIDE: &[&str] = &[
    "oracle::",
    "pitfalls::a_store_of_shifted_ids_gives_the_same_layers",
    "pitfalls::ids_outside_of_a_namespace_are_called_what_they_are_inside",
    // This file itself.
    "userns::",
];

/// Where root of the namespace is, outside.
const OUTSIDE: u32 = 100_000;

#[test]
fn all_of_it_holds_inside_a_user_namespace() {
    tests::machine::needs_root();
    let namespace = Namespace::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let exe = folder.path().join("layers");
    tests::machine::copy_program(&std::env::current_exe().unwrap(), &exe);
    for path in [folder.path(), &exe] {
        chown(path, Some(OUTSIDE), Some(OUTSIDE)).unwrap();
    }
    let ran = namespace
        .command(exe.to_str().unwrap())
        .args(["--nocapture", "--test-threads=2"])
        .args(NOT_INSIDE.iter().flat_map(|name| ["--skip", name]))
        .env("TMPDIR", folder.path())
        .env("PROPTEST_CASES", "6")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    let why = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{told}\n{why}");
    assert!(told.contains("p16"), "the tests did run: {told}");
}

/// A user and a mount namespace, as long as this lives.
struct Namespace(Child);

impl Namespace {
    fn new() -> std::io::Result<Self> {
        // cat(1) ends when its input does, so also when this process is killed.
        let holder = Command::new("unshare")
            .args(["--user", "--mount", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let namespace = Self(holder);
        let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user"));
        let pid = namespace.0.id().to_string();
        let (own, mut tries) = (link("self")?, 0);
        while link(&pid)? == own {
            tries += 1;
            if tries > 12_000 {
                return Err(std::io::Error::other("unshare(1) made none"));
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // Not by newuidmap(1), which knows no more than /etc/subuid says.
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{pid}/{map}"), format!("0 {OUTSIDE} 65536\n"))?;
        }
        Ok(namespace)
    }

    /// A program that is root in there.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--user", "--mount", "--setuid=0", "--setgid=0"])
            .args(["--target", &self.0.id().to_string(), "--", program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
