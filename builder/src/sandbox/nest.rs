//! A server that an ordinary user starts, as root of a user namespace of the user's.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::error::SandboxError;
use super::host::check_granted;
use super::tool;
use crate::programs;

#[cfg(test)]
mod tests;

/// What runs a program with the ids that `/etc/subuid` and `/etc/subgid` give to our user, as their root: the user outside.
/// It becomes the program, so the process stays the same. What is mounted outside later is seen inside, not the reverse.
const ENTER: [&str; 6] = [
    "--user",
    "--map-auto",
    "--map-root-user",
    "--mount",
    "--propagation",
    "slave",
];

/// The words to put before a command so that it runs as root of a user namespace of our user's, once it has been seen that
/// this works. What is outside of the namespace, such as the machine's network, is then reached with a user's rights as before.
pub fn nested() -> Result<Vec<OsString>, SandboxError> {
    let status = std::fs::read_to_string("/proc/self/status");
    let status = status.map_err(SandboxError::io("read /proc/self/status"))?;
    if has_capabilities(&status) {
        let text = "the server was given capabilities, such as that to listen below port 1024, which it would lose in a user \
                    namespace of its own: give it none (sysctl net.ipv4.ip_unprivileged_port_start lets users listen)";
        return Err(SandboxError::Unsupported(text.to_owned()));
    }
    check_granted(rustix::process::geteuid().as_raw())?;
    let mut words = vec![find("unshare")?.into_os_string()];
    words.extend(ENTER.map(OsString::from));
    words.push("--".into());
    let tried = Command::new(&words[0])
        .args(&words[1..])
        .args(["id", "-u"])
        .env_clear()
        .env("PATH", programs::PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .output();
    let tried = tried.map_err(SandboxError::io("start unshare"))?;
    if tried.status.success() && tried.stdout == b"0\n" {
        return Ok(words);
    }
    let said = tool::last_lines(&String::from_utf8_lossy(&tried.stderr), tried.status);
    Err(SandboxError::Unsupported(format!(
        "the user can have no user namespace with ids of its own ({said}): it takes uidmap, util-linux 2.38, the \
         kernel's leave (user.max_user_namespaces, kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0), and no \
         NoNewPrivileges where systemd starts the server"
    )))
}

fn find(program: &str) -> Result<PathBuf, SandboxError> {
    let missing = || SandboxError::Unsupported(format!("{program} is not there"));
    programs::find(program).ok_or_else(missing)
}

/// Whether a process may do anything that its user by itself may not (`proc(5)`).
fn has_capabilities(status: &str) -> bool {
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    effective.is_some_and(|set| set.trim().bytes().any(|digit| digit != b'0'))
}
