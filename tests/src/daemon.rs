//! A program that keeps running: started, waited for, signalled, ended.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::{OrFail, fail};

/// How long a daemon may take to get ready or to end. Generous: it is there against hanging for ever.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How much of a log a failing test prints.
const TAIL: usize = 12_000;

/// A running program. Dropped, it and its children are killed; in a failing test its log is printed.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with both outputs appended to `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let open = || -> File {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(log)
                .or_fail(format!("open {}", log.display()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .process_group(0)
            .spawn()
            .or_fail(format!("start {name}"));
        Self {
            name: name.to_owned(),
            child,
            log: log.to_path_buf(),
        }
    }

    /// Waits until `ready` says so; a daemon that ends or takes longer than [`PATIENCE`] fails the test.
    #[track_caller]
    pub fn wait_until(&mut self, ready: impl Fn() -> bool) {
        let begun = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait().or_fail("wait") {
                fail(format!("{} ended before it was ready: {status}", self.name));
            }
            if begun.elapsed() > PATIENCE {
                fail(format!("{} is not ready after {PATIENCE:?}", self.name));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(pid(self.child.id()), signal)
            .or_fail(format!("signal {}", self.name));
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().or_fail("wait").is_none()
    }

    /// Waits for its end, at most [`PATIENCE`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().or_fail("wait") {
                return status;
            }
            if begun.elapsed() > PATIENCE {
                fail(format!("{} does not end", self.name));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it politely and waits.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Ends it with SIGKILL and waits.
    pub fn kill(&mut self) {
        if self.runs() {
            self.signal(Signal::KILL);
            self.wait();
        }
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).or_fail("read a log")).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal_group(self.child.id(), Signal::KILL);
            drop(self.child.wait());
        }
        if std::thread::panicking() {
            let log = std::fs::read(&self.log).unwrap_or_default();
            let tail = &log[log.len().saturating_sub(TAIL)..];
            eprintln!(
                "--- the log of {} ends:\n{}",
                self.name,
                String::from_utf8_lossy(tail)
            );
        }
    }
}

/// Signals a process group that the harness started. It may be gone already.
pub fn signal_group(id: u32, signal: Signal) {
    let _ = rustix::process::kill_process_group(pid(id), signal);
}

fn pid(id: u32) -> Pid {
    i32::try_from(id)
        .ok()
        .and_then(Pid::from_raw)
        .or_fail("a process id")
}
