//! Running one command of git: bounded in time, output, memory and disk, and gone with all its children when it is dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::blocking::blocking;
use super::confinement::UNCONFINED;
use super::session::{Session, not_started};
use crate::sandbox::single::{Failure, Single};
use crate::source::{Fault, FaultClass};

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) stdout: Vec<u8>,
    /// Standard error, shown without secrets.
    pub(crate) printed: String,
}

/// What a command may use up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance<'a> {
    pub(crate) until: Instant,
    /// Bytes of standard output.
    pub(crate) output: usize,
    /// A folder that must not grow by more bytes than these while it runs.
    pub(crate) growth: Option<(&'a Path, u64)>,
}

/// Bytes of standard error that are kept.
const PRINTED: usize = 64 * 1024;

/// Private memory of each process. `index-pack` takes the most, for objects below `core.bigFileThreshold`.
pub(super) const MEMORY: u64 = 2 << 30;

/// How often the folder's size is looked at.
const WATCH: Duration = Duration::from_millis(200);

/// Runs `git` with `arguments` in the session's repository and waits for its end.
pub(crate) async fn run(
    session: &Arc<Session>,
    arguments: &[&str],
    input: &[u8],
    allowance: Allowance<'_>,
) -> Result<Ended, Fault> {
    let starting = start(Arc::clone(session), arguments, allowance.growth);
    // The last is dropped first: the group before the child, as in there.
    let Started {
        mut child,
        group,
        listeners,
        disk,
    } = starting.await?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Fault::new(FaultClass::Machine, "git has no pipes"));
    };
    let way = Single::open(listeners, session.servers());
    let way = way.map_err(|error| not_started(&error))?;
    let feed = async move {
        // A command that does not read to the end says by its status why.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let all = async {
        let ((), stdout, printed, status) = tokio::join!(
            feed,
            bounded(stdout, allowance.output),
            bounded(stderr, PRINTED),
            child.wait()
        );
        (stdout, printed, status)
    };
    let until = tokio::time::Instant::from_std(allowance.until);
    let (stdout, printed, status) = tokio::select! {
        ended = all => ended,
        () = tokio::time::sleep_until(until) => return Err(timed_out()),
        () = outgrown(disk.as_ref()) => {
            return Err(outsized());
        }
    };
    group.ended();
    let status = status.map_err(|error| Fault::machine("waiting for git", &error))?;
    let (stdout, whole) = stdout;
    if let Some(disk) = disk
        && !status.success()
        && disk.size().await >= disk.most
    {
        // Stopped by the bound on its files before the folder was looked at.
        return Err(outsized());
    }
    let shown = session.shown(&printed.0);
    let printed = match way.failure() {
        Some(Failure::Machine(why)) if !status.success() => {
            let message = format!("git's connections could not be taken: {why}; {shown}");
            return Err(Fault::new(FaultClass::Machine, message));
        }
        Some(Failure::Server(why)) if !status.success() => {
            format!("failed to connect: {why}; {shown}")
        }
        _ => shown,
    };
    if status.code() == Some(UNCONFINED) {
        let message = format!("git cannot be run as a user without rights: {printed}");
        return Err(Fault::new(FaultClass::Machine, message));
    }
    if !whole {
        return Err(Fault::too_large("git says more than is read of it"));
    }
    Ok(Ended {
        success: status.success(),
        stdout,
        printed,
    })
}

/// A command that was started, and not waited for.
struct Started {
    /// Dropped before the child, which may be waited for then.
    group: Group,
    child: tokio::process::Child,
    listeners: Vec<TcpListener>,
    disk: Option<Disk>,
}

/// Starts one. Where nobody waits for that any more, it is killed as soon as it was started.
async fn start(
    session: Arc<Session>,
    arguments: &[&str],
    growth: Option<(&Path, u64)>,
) -> Result<Started, Fault> {
    let growth = growth.map(|(folder, by)| (folder.to_path_buf(), by));
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let runtime = tokio::runtime::Handle::current();
    let start = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let disk = growth.map(|(folder, by)| Disk {
            most: size_of(&folder).saturating_add(by),
            folder,
        });
        let file_bytes = disk.as_ref().map_or(u64::MAX, |disk| disk.most);
        let started = session.start(&arguments, file_bytes, |command| {
            let _entered = runtime.enter();
            let mut command: tokio::process::Command = command.into();
            let child = command.stdin(Stdio::piped()).spawn()?;
            let group = Group::of(child.id());
            Ok((group, child))
        });
        let ((group, child), listeners) = started.map_err(|error| not_started(&error))?;
        Ok(Started {
            group,
            child,
            listeners,
            disk,
        })
    };
    blocking(start).await
}

/// A folder, and how many bytes it may have.
struct Disk {
    folder: PathBuf,
    most: u64,
}

impl Disk {
    async fn size(&self) -> u64 {
        let folder = self.folder.clone();
        let size = tokio::task::spawn_blocking(move || size_of(&folder));
        size.await.unwrap_or(u64::MAX)
    }
}

fn outsized() -> Fault {
    Fault::too_large("the repository is larger than builds may fetch")
}

pub(crate) fn timed_out() -> Fault {
    Fault::new(
        FaultClass::SourceTimedOut,
        "getting the source took longer than it may",
    )
}

/// Reads to the end, keeps at most `most` bytes; whether that was all.
async fn bounded(mut from: impl AsyncRead + Unpin, most: usize) -> (Vec<u8>, bool) {
    let mut kept = Vec::new();
    let mut whole = true;
    let mut buffer = vec![0; 32 * 1024];
    // An error of a pipe is its end.
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = most - kept.len();
        whole &= read <= room;
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    (kept, whole)
}

/// Ends when the folder has grown too large; never if there is none to watch.
async fn outgrown(disk: Option<&Disk>) {
    let Some(disk) = disk else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(WATCH).await;
        if disk.size().await > disk.most {
            return;
        }
    }
}

/// The bytes of all files below a folder. Blocks. What goes meanwhile counts nothing.
pub(crate) fn size_of(folder: &Path) -> u64 {
    let mut sum = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => sum += metadata.len(),
                Err(_) => {}
            }
        }
    }
    sum
}

/// A process and all that it started. Dropped before its end was seen, it is killed.
#[derive(Debug)]
pub(crate) struct Group(Option<Pid>);

impl Group {
    pub(crate) fn of(id: Option<u32>) -> Self {
        Self(id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// Its leader was waited for: its number is no longer its own.
    pub(crate) fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = rustix::process::kill_process_group(leader, Signal::KILL);
        }
    }
}
