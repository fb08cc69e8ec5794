//! The namespaces of one run, and the chain of programs that makes them.
//!
//! ```text
//! sh gate.sh                         waits while we put it into the cgroup; then becomes
//!   nsenter --user                   root of the user namespace that we have filled with ids; becomes
//!     unshare --mount --net --pid …  which stays, and whose child is
//!       sh init.sh                   PID 1: bounds what is watched, says "ready", waits for our word, starts runc, and ends when our pipe does
//!         runc run                   whose container has a PID and mount namespace of its own inside these
//! ```
//!
//! PID 1 reads the pipe whose other end only we hold. When it closes, for whatever reason, PID 1 kills runc and ends, and the
//! kernel kills what is in its namespace and drops mounts and interfaces.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::cgroup::Cgroup;
use super::error::SandboxError;
use super::ids::SandboxIds;
use super::{tool, watching};

const GATE: &str = include_str!("gate.sh");
const INIT: &str = include_str!("init.sh");

/// A machine that hangs is told from one that is slow after this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Namespaces that live as long as this does, and a command that waits in them.
pub(super) struct Namespaces {
    child: Child,
    pid: u32,
    /// PID 1's lifeline.
    pipe: Option<ChildStdin>,
}

/// What the waiting command will write to.
pub(super) struct Outputs {
    pub(super) stdout: ChildStdout,
    pub(super) stderr: BufReader<ChildStderr>,
}

impl Namespaces {
    /// Makes them, inside `cgroup`, with `command` waiting in them for [`Namespaces::start`].
    pub(super) async fn make(
        ids: &SandboxIds,
        cgroup: &Cgroup,
        command: &[OsString],
    ) -> Result<(Self, Outputs), SandboxError> {
        let holder = user_namespace(ids).await?;
        let holder_pid = pid_of(&holder)?;
        cgroup.admit(holder_pid)?;
        let mut gate = tool::command("sh");
        gate.args(["-c", GATE, "sh", "nsenter", "--target"]);
        gate.arg(holder_pid.to_string());
        gate.args(["--user", "--setuid", "0", "--setgid", "0", "--", "unshare"]);
        gate.args([
            "--mount",
            "--propagation",
            "private",
            "--net",
            "--ipc",
            "--uts",
        ]);
        gate.args([
            "--cgroup",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ]);
        gate.args(["sh", "-c", INIT, "sh"]).args(watching::bounds());
        gate.arg("--").args(command);
        gate.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = gate.spawn().map_err(SandboxError::io("start sh"))?;
        let pid = pid_of(&child)?;
        cgroup.admit(pid)?;
        let missing = || SandboxError::Unsupported("no pipe to sh".to_owned());
        let pipe = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = BufReader::new(child.stderr.take().ok_or_else(missing)?);
        let mut namespaces = Self { child, pid, pipe };
        let mut outputs = Outputs { stdout, stderr };
        namespaces.word().await?;
        ready(&mut outputs.stderr).await?;
        Ok((namespaces, outputs))
    }

    /// Lets the command run.
    pub(super) async fn start(&mut self) -> Result<(), SandboxError> {
        self.word().await
    }

    async fn word(&mut self) -> Result<(), SandboxError> {
        if let Some(pipe) = &mut self.pipe {
            let written = pipe.write_all(b"\n").await;
            written.map_err(SandboxError::io("write to the sandbox's first process"))?;
        }
        Ok(())
    }

    /// Waits for the command to end by itself; its exit status. Can be cancelled and called again.
    pub(super) async fn wait(&mut self) -> Result<Option<u8>, SandboxError> {
        let status = self.child.wait().await;
        let status = status.map_err(SandboxError::io("wait for the sandbox"))?;
        Ok(status.code().and_then(|code| u8::try_from(code).ok()))
    }

    /// Ends everything inside; nothing of it is left when this returns.
    pub(super) async fn stop(&mut self) -> Result<(), SandboxError> {
        self.pipe = None;
        if timeout(PATIENCE, self.wait()).await.is_err() {
            // `unshare --kill-child`: its child, PID 1, is killed with it, and all others with that.
            let _ = self.child.start_kill();
            self.wait().await?;
        }
        Ok(())
    }

    /// The process that the namespaces belong to, as the host numbers it.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// A program of the host that acts on the inside: in its mount and network namespace, with rights over both.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = tool::command("nsenter");
        command.args(["--target", &self.pid.to_string(), "--mount", "--net"]);
        command.arg("--").arg(program);
        command
    }

    /// A path as it is in the inside's mount namespace, for us.
    pub(super) fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        let inside = inside.strip_prefix("/").unwrap_or(inside);
        PathBuf::from(format!("/proc/{}/root", self.pid)).join(inside)
    }
}

/// A process that holds a user namespace with its ids in place; it ends when it is dropped.
pub(super) async fn user_namespace(ids: &SandboxIds) -> Result<Child, SandboxError> {
    let mut command = tool::command("unshare");
    command.args(["--user", "--", "cat"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(SandboxError::io("start unshare"))?;
    let pid = pid_of(&child)?;
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/user"));
    let ours = namespace("self").map_err(SandboxError::io("read /proc/self/ns/user"))?;
    let entered = async {
        while namespace(&pid.to_string()).is_ok_and(|theirs| theirs == ours) {
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                return false;
            }
            sleep(Duration::from_millis(1)).await;
        }
        true
    };
    if !timeout(PATIENCE, entered).await.unwrap_or(false) {
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = child.start_kill();
            let _ = stderr.read_to_string(&mut said).await;
        }
        return Err(SandboxError::Unsupported(format!(
            "no user namespace can be made ({}); allow them with `sysctl -w user.max_user_namespaces=65536`, and \
             kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0 where those exist",
            said.trim()
        )));
    }
    for file in ["uid_map", "gid_map"] {
        let file = format!("/proc/{pid}/{file}");
        let written = std::fs::write(&file, ids.lines());
        written.map_err(SandboxError::io(format!("write {file}")))?;
    }
    Ok(child)
}

/// Reads up to the line `ready`; what came instead of it is why there is none.
async fn ready(stderr: &mut BufReader<ChildStderr>) -> Result<(), SandboxError> {
    let mut said = String::new();
    let read = timeout(PATIENCE, stderr.read_line(&mut said)).await;
    match read {
        Ok(Ok(_)) if said == "ready\n" => Ok(()),
        Ok(Ok(_)) => Err(SandboxError::Unsupported(format!(
            "its namespaces cannot be made: {}",
            said.trim()
        ))),
        Ok(Err(error)) => Err(SandboxError::io("read from the sandbox")(error)),
        Err(_) => Err(SandboxError::Unsupported(
            "its namespaces were not made within a minute".to_owned(),
        )),
    }
}

fn pid_of(child: &Child) -> Result<u32, SandboxError> {
    child
        .id()
        .ok_or_else(|| SandboxError::Unsupported("a process ended at once".to_owned()))
}
