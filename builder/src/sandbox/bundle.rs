//! A process as the runtime is told it.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::oci_runtime::{
    Configuration, Linux, Namespace, OciCapabilities, OciMount, OciProcess, OciRoot, OciUser,
    Rlimit, Seccomp,
};
use super::process::{Capabilities, Process};
use super::user::User;
use super::{trust, view};

/// What has been found out about a process in its root.
pub(super) struct Found {
    pub(super) user: User,
    /// Without links.
    pub(super) folder: PathBuf,
    pub(super) mounts: Vec<Bound>,
    /// Whether there are roots of trust for Java among them.
    pub(super) has_java_store: bool,
    /// Version 1 control groups to show, by controller; with version 2 the runtime shows the one there is.
    pub(super) cgroups: Vec<(String, PathBuf)>,
}

/// A mount whose source is reachable for the runtime.
pub(super) struct Bound {
    /// Without links.
    pub(super) target: PathBuf,
    pub(super) from: From,
}

pub(super) enum From {
    Path { path: PathBuf, writable: bool },
    Memory { bytes: u64 },
}

impl From {
    pub(super) fn read_only(path: PathBuf) -> Self {
        Self::Path {
            path,
            writable: false,
        }
    }
}

/// For `/dev/shm`; it counts as the run's memory.
const SHM: &str = "size=67108864";

/// What of the kernel's files tells about the host or talks to it.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/sys/fs/cgroup",
];

/// Owners, modes, other users and `chroot`: see [`Capabilities::Packages`].
const PACKAGES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Makes the runtime's configuration.
pub(super) fn configuration(process: &Process, found: &Found) -> Configuration {
    let may = match process.capabilities {
        Capabilities::Packages if found.user.uid == 0 => PACKAGES.to_vec(),
        Capabilities::Packages | Capabilities::None => Vec::new(),
    };
    Configuration {
        oci_version: "1.0.2",
        process: OciProcess {
            terminal: false,
            user: OciUser {
                uid: found.user.uid,
                gid: found.user.gid,
                umask: 0o022,
                additional_gids: found.user.groups.clone(),
            },
            args: process.arguments.clone(),
            env: environment(process, found),
            cwd: found.folder.clone(),
            capabilities: OciCapabilities {
                bounding: may.clone(),
                effective: may.clone(),
                permitted: may,
                ..OciCapabilities::default()
            },
            no_new_privileges: true,
            // So that the kernel takes them before anything of ours.
            oom_score_adj: 500,
            rlimits: rlimits(process),
        },
        root: OciRoot {
            path: view::ROOT,
            readonly: false,
        },
        hostname: "build",
        mounts: mounts(found),
        linux: Linux {
            namespaces: ["pid", "ipc", "uts", "mount"]
                .map(|kind| Namespace { kind })
                .into(),
            seccomp: Seccomp::profile(),
            masked_paths: MASKED,
            readonly_paths: READ_ONLY,
        },
    }
}

fn environment(process: &Process, found: &Found) -> Vec<String> {
    let mut variables = process.environment.clone();
    if process.certificates.is_some() {
        trust::tell(&mut variables, found.has_java_store);
    }
    let pair = |(name, value): (String, String)| format!("{name}={value}");
    variables.into_iter().map(pair).collect()
}

/// Only lowered: raising one is refused where the server may not, and would fail the run.
fn rlimits(process: &Process) -> Vec<Rlimit> {
    let mut limits = vec![Rlimit {
        kind: "RLIMIT_CORE",
        soft: 0,
        hard: 0,
    }];
    if let Some(bytes) = process.limits.disk {
        let ours = getrlimit(Resource::Fsize).maximum.unwrap_or(u64::MAX);
        let bytes = bytes.min(ours);
        limits.push(Rlimit {
            kind: "RLIMIT_FSIZE",
            soft: bytes,
            hard: bytes,
        });
    }
    limits
}

fn mounts(found: &Found) -> Vec<OciMount> {
    let own = |destination: &str, kind: &'static str, options: &[&str]| OciMount {
        destination: destination.into(),
        kind,
        source: kind.into(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
    };
    let quiet = ["nosuid", "noexec", "nodev"];
    let with = |options: &[&'static str]| [quiet.as_slice(), options].concat();
    let mut mounts = vec![
        own("/proc", "proc", &with(&["hidepid=2"])),
        own(
            "/dev",
            "tmpfs",
            &["nosuid", "noexec", "mode=755", "size=65536"],
        ),
        own(
            "/dev/pts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
            ],
        ),
        own("/dev/shm", "tmpfs", &with(&["mode=1777", SHM])),
        own("/sys", "sysfs", &with(&["ro"])),
    ];
    if found.cgroups.is_empty() {
        mounts.push(own("/sys/fs/cgroup", "cgroup", &with(&["ro"])));
    } else {
        // The runtime would show whole trees of version 1, with the names of everyone else's groups.
        mounts.push(own(
            "/sys/fs/cgroup",
            "tmpfs",
            &with(&["mode=755", "size=4096"]),
        ));
        for (controller, folder) in &found.cgroups {
            mounts.push(bind(
                Path::new("/sys/fs/cgroup").join(controller),
                folder,
                false,
            ));
        }
    }
    for mount in &found.mounts {
        mounts.push(match &mount.from {
            From::Path { path, writable } => bind(mount.target.clone(), path, *writable),
            From::Memory { bytes } => OciMount {
                destination: mount.target.clone(),
                kind: "tmpfs",
                source: "tmpfs".into(),
                options: vec![
                    "nosuid".into(),
                    "nodev".into(),
                    "mode=1777".into(),
                    format!("size={bytes}"),
                ],
            },
        });
    }
    mounts
}

fn bind(destination: PathBuf, source: &Path, writable: bool) -> OciMount {
    let access = if writable { "rw" } else { "ro" };
    let options = ["rbind", "nosuid", "nodev", access];
    OciMount {
        destination,
        kind: "bind",
        source: source.to_owned(),
        options: options.map(str::to_owned).into(),
    }
}
