//! Runs a real program to its end and keeps what it said.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{OrFail, daemon, fail, toolbox};

/// How long any single client command may take before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(300);

/// A command being put together. It runs with an environment of its own.
#[derive(Debug)]
pub struct Program {
    name: String,
    shown: String,
    command: Command,
    stdin: Option<Vec<u8>>,
    output: PathBuf,
    limit: Duration,
}

/// A program that ended.
#[derive(Debug)]
pub struct Ended {
    /// The command line and all it printed, for failure messages.
    pub report: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Program {
    /// `name` is looked up in the lab's tools and `PATH`; `root` is the lab's folder.
    pub fn new(name: &str, root: &Path) -> Self {
        let mut command = Command::new(toolbox::find(name));
        let home = root.join("home");
        let tmp = root.join("tmp");
        let output = root.join("output");
        for dir in [&home, &tmp, &output] {
            std::fs::create_dir_all(dir).or_fail("make a program's folders");
        }
        command
            .env_clear()
            .env("PATH", toolbox::search_path())
            .env("HOME", &home)
            .env("TMPDIR", &tmp)
            .env("XDG_RUNTIME_DIR", &tmp)
            .env("LC_ALL", "C")
            .current_dir(root);
        Self {
            name: name.rsplit('/').next().unwrap_or(name).to_owned(),
            shown: name.to_owned(),
            command,
            stdin: None,
            output,
            limit: LIMIT,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let _ = write!(self.shown, " {}", arg.as_ref().display());
        self.command.arg(arg);
        self
    }

    /// Adds arguments; a line of words without spaces in them reads best as `args("copy --all".split(' '))`.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Runs in this folder.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Gives it this standard input; without, it reads end of file.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Lets it take longer than client commands may.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it; it must succeed. Gives standard output.
    #[track_caller]
    pub fn ok(self) -> String {
        let ended = self.run();
        if !ended.status.success() {
            fail(format!("should have succeeded\n{}", ended.report));
        }
        ended.stdout
    }

    /// Runs it; it must fail by itself (not by a signal). Gives all it printed.
    #[track_caller]
    pub fn fails(self) -> String {
        let ended = self.run();
        if ended.status.success() || ended.status.code().is_none() {
            fail(format!("should have failed\n{}", ended.report));
        }
        ended.stdout + &ended.stderr
    }

    /// Runs it to its end, whatever that is.
    #[track_caller]
    pub fn run(mut self) -> Ended {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Files rather than pipes: whatever a client leaves running cannot keep the test waiting on a pipe's end.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = self.output.join(format!("{number:03}-{}", self.name));
        let [out, err, inp] = ["out", "err", "in"].map(|end| base.with_extension(end));
        std::fs::write(&inp, self.stdin.take().unwrap_or_default()).or_fail("write standard input");
        self.command
            .stdin(File::open(&inp).or_fail("open standard input"))
            .stdout(Stdio::from(
                File::create(&out).or_fail("open standard output"),
            ))
            .stderr(Stdio::from(
                File::create(&err).or_fail("open standard error"),
            ))
            .process_group(0);
        let mut child = self
            .command
            .spawn()
            .or_fail(format!("start {}", self.shown));
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().or_fail("wait for a program") {
                break status;
            }
            if begun.elapsed() > self.limit {
                daemon::signal_group(child.id(), rustix::process::Signal::KILL);
                break child.wait().or_fail("wait for a killed program");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let [stdout, stderr] = [out, err].map(|file| {
            String::from_utf8_lossy(&std::fs::read(file).or_fail("read output")).into_owned()
        });
        Ended {
            report: format!("$ {}\n{stdout}{stderr}[{status}]", self.shown),
            stdout,
            stderr,
            status,
        }
    }
}
