//! A host of its own for each test, and roots made of a static busybox.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::sandbox::{
    Host, Line, Mount, Outcome, Output, Process, Root, SandboxError, Settings, Source, Stream,
};
use tempfile::TempDir;
use tests::machine::copy_program;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What most tests limit output to.
const OUTPUT: u64 = 1 << 20;

pub(crate) struct Lab {
    pub(crate) host: Host,
    /// Holds the state and the roots.
    pub(crate) folder: TempDir,
}

/// How a run ended and what it said.
pub(crate) struct Said {
    pub(crate) outcome: Outcome,
    pub(crate) lines: Vec<Line>,
}

impl Said {
    /// Standard output.
    pub(crate) fn out(&self) -> String {
        self.text(Stream::Out)
    }

    pub(crate) fn text(&self, stream: Stream) -> String {
        let of_stream = self.lines.iter().filter(|line| line.stream == stream);
        of_stream.fold(String::new(), |text, line| text + &line.text + "\n")
    }
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        tests::toolbox::needs_sandbox();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::root(folder.path().join("state")).unwrap();
        change(&mut settings);
        let (host, recovered) = Host::open(settings).await.unwrap();
        assert_eq!(recovered.runs, 0);
        Self { host, folder }
    }

    /// A root with busybox and a user `app` (1001).
    pub(crate) fn root(&self, name: &str) -> PathBuf {
        let root = self.folder.path().join(name);
        make_root(&root);
        self.give(&root);
        root
    }

    /// A root with this machine's own programs, which [`programs`] mounts.
    pub(crate) fn debian(&self, name: &str) -> PathBuf {
        let root = self.folder.path().join(name);
        for folder in ["usr", "etc", "tmp", "work"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for link in ["bin", "lib", "lib64", "sbin"] {
            symlink(format!("usr/{link}"), root.join(link)).unwrap();
        }
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\napp:x:1001:0::/work:/bin/sh\n",
        )
        .unwrap();
        fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n").unwrap();
        self.give(&root);
        root
    }

    /// Gives a tree to the users inside, who have 1001's files as root's.
    pub(crate) fn give(&self, path: &Path) {
        let root = self.host.ids().outside(0).unwrap();
        let status = Command::new("chown")
            .args(["-hR", &format!("{root}:{root}")])
            .arg(path)
            .status();
        assert!(status.unwrap().success());
    }

    pub(crate) async fn run(&self, root: &Path, process: &Process) -> Result<Said, SandboxError> {
        self.run_with(root, process, OUTPUT, &CancellationToken::new())
            .await
    }

    pub(crate) async fn run_with(
        &self,
        root: &Path,
        process: &Process,
        bytes: u64,
        cancel: &CancellationToken,
    ) -> Result<Said, SandboxError> {
        let root = Root::Folder(root.to_owned());
        self.run_all(&root, process, bytes, cancel).await
    }

    pub(crate) async fn run_in(
        &self,
        root: &Root,
        process: &Process,
    ) -> Result<Said, SandboxError> {
        self.run_all(root, process, OUTPUT, &CancellationToken::new())
            .await
    }

    async fn run_all(
        &self,
        root: &Root,
        process: &Process,
        bytes: u64,
        cancel: &CancellationToken,
    ) -> Result<Said, SandboxError> {
        let (lines, mut receiver) = mpsc::channel(16);
        let output = Output {
            lines,
            bytes,
            raw: None,
        };
        let collect = async {
            let mut all = Vec::new();
            while let Some(line) = receiver.recv().await {
                all.push(line);
            }
            all
        };
        let (outcome, lines) = tokio::join!(self.host.run(root, process, output, cancel), collect);
        let outcome = outcome?;
        Ok(Said { outcome, lines })
    }
}

/// A root with busybox and a user `app` (1001), owned by whoever runs the test.
pub(crate) fn make_root(root: &Path) {
    for folder in ["bin", "etc", "tmp", "work"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let busybox = Command::new("sh")
        .args(["-c", "command -v busybox"])
        .output()
        .unwrap();
    let busybox = String::from_utf8(busybox.stdout).unwrap();
    copy_program(Path::new(busybox.trim()), &root.join("bin/busybox"));
    let list = Command::new(busybox.trim()).arg("--list").output().unwrap();
    for applet in String::from_utf8(list.stdout).unwrap().lines() {
        // busybox itself is a file already.
        let _ = symlink("busybox", root.join("bin").join(applet));
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\napp:x:1001:0::/work:/bin/sh\n",
    )
    .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nstaff:x:50:app\n").unwrap();
    for open in ["tmp", "work"] {
        fs::set_permissions(root.join(open), fs::Permissions::from_mode(0o1777)).unwrap();
    }
}

/// A shell script as `app`, with this machine's programs in `/usr`.
pub(crate) fn programs(text: &str) -> Process {
    let mut process = script_as("app", text);
    process
        .mount(Mount::new("/usr", Source::ReadOnly("/usr".into())).unwrap())
        .unwrap();
    process
}

/// A shell script as `app`.
pub(crate) fn script(text: &str) -> Process {
    script_as("app", text)
}

pub(crate) fn script_as(user: &str, text: &str) -> Process {
    let words = ["/bin/sh", "-c", text].map(str::to_owned);
    let environment = BTreeMap::from([(
        "PATH".to_owned(),
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
    )]);
    Process::new(words.into(), environment, user, "/work").unwrap()
}

/// A program in C, as the file `program` of a folder.
pub(crate) fn compile(text: &str) -> TempDir {
    tests::toolbox::needs(&["cc"]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("program.c"), text).unwrap();
    let status = Command::new("cc")
        .args(["-static", "-o", "program", "program.c"])
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success(), "cc has no static C library");
    folder
}
