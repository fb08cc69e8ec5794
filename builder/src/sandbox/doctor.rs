//! What this machine lacks for running builds, and how to get it.

use std::path::Path;

use rustix::mount::{FsOpenFlags, fsopen};

use super::cgroup::Hierarchies;
use super::host::{Settings, is_initial};
use super::ids::SandboxIds;
use super::nest::nested;
use super::{egress, namespaces, tool, view};
use crate::programs;

mod place;
#[cfg(test)]
mod tests;

pub use place::{examine_folder, examine_room};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was found, and how to mend it.
    pub detail: String,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Good,
    /// As it should be, but its version had holes that distributions mend without another number.
    Old,
    /// Runs work, but not all that they can be asked for, or not as safely.
    Limited,
    /// No run works.
    Missing,
}

/// Programs of the host, and the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "util-linux"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
];

/// Looks at everything that runs need. Nothing is changed, and no server need be stopped.
pub async fn examine(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![kernel(), runtime(settings).await, programs(), folder()];
    checks.push(overlay());
    if rustix::process::geteuid().is_root() {
        checks.push(user_namespaces(&settings.ids).await);
        checks.push(ids(&settings.ids));
    } else {
        checks.push(user());
    }
    checks.push(limits());
    checks.push(network().await);
    checks
}

/// Whether limits of memory, processors and processes can be enforced here; a run that asks for them is refused otherwise.
pub fn enforces_limits() -> bool {
    limits().standing == Standing::Good
}

fn check(name: &'static str, standing: Standing, detail: impl Into<String>) -> Check {
    Check {
        name,
        standing,
        detail: detail.into(),
    }
}

/// `openat2`, by which paths are followed inside a root, is of Linux 5.6; an ordinary user's overlay, of 5.11.
fn kernel() -> Check {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let standing = match version(release) {
        Some((major, minor, _)) if (major, minor) >= (5, 11) => Standing::Good,
        _ => Standing::Missing,
    };
    check(
        "kernel",
        standing,
        format!("Linux {release}; 5.11 or newer is needed"),
    )
}

async fn runtime(settings: &Settings) -> Check {
    let name = "runtime";
    let runtime = &settings.runtime;
    let mut command = tool::command(runtime);
    command.arg("--version");
    let called = runtime.display().to_string();
    let text = match tool::run(command, &called, b"").await {
        Ok(text) => text,
        Err(error) => {
            let detail = format!(
                "{} cannot be run ({error}); install it (apt-get install {}), or name another in builder.runtime",
                runtime.display(),
                runtime.file_name().unwrap_or(runtime.as_os_str()).display()
            );
            return check(name, Standing::Missing, detail);
        }
    };
    let found = text.lines().next().unwrap_or("").trim();
    if !text.contains("libseccomp") {
        let detail = format!("{found} was built without seccomp; install your distribution's runc");
        return check(name, Standing::Missing, detail);
    }
    let number = found.rsplit(' ').next().and_then(version);
    if number.is_some_and(is_mended) {
        return check(name, Standing::Good, found);
    }
    let detail = format!(
        "{found}: versions before 1.3.6 and 1.4.3 have CVE-2026-41579, and those before 1.2.8 and 1.3.3 CVE-2025-31133, -52565 and \
         -52881, unless your distribution has mended them; here the runtime has no privilege on the host, which those need, but \
         newer is better"
    );
    check(name, Standing::Old, detail)
}

/// Whether a runc has all mendings: those of November 2025, and that of CVE-2026-41579, which is in 1.3.6 and 1.4.3.
fn is_mended((major, minor, patch): (u32, u32, u32)) -> bool {
    match (major, minor) {
        (0, _) | (1, 0..=2) => false,
        (1, 3) => patch >= 6,
        (1, 4) => patch >= 3,
        _ => true,
    }
}

/// The numbers at the start of `1.1.5+ds1` or `6.1.0-40-amd64`.
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let major = numbers.next()?.ok()?;
    let minor = numbers.next()?.ok()?;
    let patch = numbers.next().and_then(Result::ok).unwrap_or(0);
    Some((major, minor, patch))
}

fn programs() -> Check {
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| programs::find(program).is_none())
        .collect();
    if missing.is_empty() {
        return check("programs", Standing::Good, "all are there");
    }
    let words = missing
        .iter()
        .map(|(program, package)| format!("{program} (package {package})"));
    let words = words.collect::<Vec<_>>().join(", ");
    // Without nft only runs that connect to nothing are possible.
    let standing = match missing.as_slice() {
        [("nft", _)] => Standing::Limited,
        _ => Standing::Missing,
    };
    check("programs", standing, format!("install {words}"))
}

fn folder() -> Check {
    if Path::new(view::VIEW).is_dir() {
        return check("folder", Standing::Good, format!("{} is there", view::VIEW));
    }
    let detail = format!(
        "make the folder {}; runs mount over it, where only they see it",
        view::VIEW
    );
    check("folder", Standing::Missing, detail)
}

/// Files of an image belong to many users, whom only root can give them to: root of a user namespace is enough, which an ordinary
/// user's server becomes by [`nested`] before it looks.
fn user() -> Check {
    let detail = match nested() {
        Ok(_) => "the server did not become root of a user namespace of its own: its configuration must be a file, for it \
                  is read again there"
            .to_owned(),
        Err(error) => error.to_string(),
    };
    check("user", Standing::Missing, detail)
}

async fn user_namespaces(ids: &SandboxIds) -> Check {
    let name = "user namespaces";
    match namespaces::user_namespace(ids).await {
        Ok(_) => check(name, Standing::Good, "can be made"),
        Err(error) => check(name, Standing::Missing, error.to_string()),
    }
}

fn overlay() -> Check {
    let name = "overlayfs";
    // Whoever asks for it first has the kernel load its module.
    let _ = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC);
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if known.lines().any(|line| line.ends_with("\toverlay")) {
        return check(name, Standing::Good, "the kernel has it");
    }
    let detail = "needed for layered roots; load it with `modprobe overlay`";
    check(name, Standing::Limited, detail)
}

/// Root's ids are its own choice: nobody else should have been given them.
fn ids(ids: &SandboxIds) -> Check {
    let name = "user ids";
    let range = ids.lines().trim().replace('\n', ", ");
    let given = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    // Those of a user namespace are other numbers than the file's.
    let is_ours = is_initial().unwrap_or(false);
    let shared = given.lines().find(|line| is_ours && is_shared(line, ids));
    match shared {
        Some(line) => {
            let detail = format!(
                "{range}: /etc/subuid gives some of them to others ({line}); choose another range"
            );
            check(name, Standing::Limited, detail)
        }
        None => check(name, Standing::Good, range),
    }
}

/// Whether a line `name:first:count` of `subuid(5)` has ids of ours.
fn is_shared(line: &str, ids: &SandboxIds) -> bool {
    let mut fields = line.split(':').skip(1).map(str::parse::<u32>);
    let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.next()) else {
        return false;
    };
    let last = first.saturating_add(count.saturating_sub(1));
    ids.map()
        .ranges()
        .iter()
        .any(|ours| first <= ours.outside + (ours.length - 1) && ours.outside <= last)
}

fn limits() -> Check {
    let name = "limits";
    if !is_initial().unwrap_or(false) {
        let detail = "memory, processor and process limits need root: runs that ask for them are refused; of files that only \
                      users inside may read, the disk limit sees nothing";
        return check(name, Standing::Limited, detail);
    }
    let missing = match Hierarchies::find() {
        Ok(found) => found.missing(),
        Err(error) => {
            return check(
                name,
                Standing::Limited,
                format!("cgroups cannot be read: {error}"),
            );
        }
    };
    if missing.is_empty() {
        return check(
            name,
            Standing::Good,
            "memory, processor and process limits can be enforced",
        );
    }
    let detail = format!(
        "cgroup controllers {} are not there; mount cgroup2 on /sys/fs/cgroup, or start the kernel with cgroup_enable=memory",
        missing.join(", ")
    );
    check(name, Standing::Limited, detail)
}

/// The rules of a run, in a network namespace that is gone at once.
async fn network() -> Check {
    let name = "network";
    let mut command = tool::command("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--", "nft", "-f", "-"]);
    match tool::run(command, "nft", egress::rules().as_bytes()).await {
        Ok(_) => check(name, Standing::Good, "egress can be allowed and refused"),
        Err(error) => {
            let detail = format!(
                "{error}; runs can only connect to nothing. Install nftables, and load the kernel's modules nf_tables, nft_nat, \
                 nft_redir and nft_ct"
            );
            check(name, Standing::Limited, detail)
        }
    }
}
