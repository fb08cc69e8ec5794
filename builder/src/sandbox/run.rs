//! One run, from nothing to nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FileType;
use tokio_util::sync::CancellationToken;

use super::bundle::{self, Bound, Found, From};
use super::cgroup::Cgroup;
use super::disk::Disk;
use super::egress::{Egress, Gateway, NAME_SERVER};
use super::error::SandboxError;
use super::host::Host;
use super::namespaces::{Namespaces, Outputs};
use super::outcome::{Outcome, Reason, Usage};
use super::output::{self, Line, Output, Stream};
use super::process::{Mount, Process, Source, is_kernels, overlap};
use super::record::Record;
use super::root::Root;
use super::rootfs::Rootfs;
use super::user::{self, User};
use super::view::{self, Log, View};
use super::{trust, view::LOG};

/// `/etc/passwd` and `/etc/group` of an image.
const ACCOUNTS: u64 = 1 << 20;

/// Why a run was ended before it ended itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Disk,
    Time,
    Cancel,
}

impl Host {
    /// Runs a process in a root and returns when nothing of it is left: no process, mount, interface, cgroup or file of ours.
    ///
    /// `cancel` ends it. Dropping the future ends it too, but what is left of it then is removed by the next
    /// [`Host::open`].
    pub async fn run(
        &self,
        root: &Root,
        process: &Process,
        output: Output,
        cancel: &CancellationToken,
    ) -> Result<Outcome, SandboxError> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let cgroup = Cgroup::plan(&self.hierarchies, &self.settings.cgroup, &name);
        let record = Record::make(&self.runs(), &name, &cgroup)?;
        let run = Run {
            host: self,
            name: &name,
            cgroup: &cgroup,
            root,
            process,
        };
        let outcome = run.go(output, cancel).await;
        // Also after an error: whatever was begun is ended.
        cgroup.remove().await?;
        record.remove()?;
        outcome
    }
}

struct Run<'a> {
    host: &'a Host,
    name: &'a str,
    cgroup: &'a Cgroup,
    root: &'a Root,
    process: &'a Process,
}

impl Run<'_> {
    async fn go(
        &self,
        output: Output,
        cancel: &CancellationToken,
    ) -> Result<Outcome, SandboxError> {
        let limits = self.process.limits;
        let disk = Disk::start(self.written()).await?;
        self.cgroup.make(&limits)?;
        let (privilege, ids) = (self.host.privilege, &self.host.settings.ids);
        let command = self.command();
        let (mut namespaces, outputs) =
            Namespaces::make(privilege, ids, self.cgroup, &command).await?;
        let mut view = View::make(&namespaces, privilege, ids, self.files()).await?;
        view.root(self.root).await?;
        let rootfs = Rootfs::open(&namespaces.path(view::ROOT))?;
        let mut made = Vec::new();
        let prepared = self.prepare(&rootfs, &mut view, &mut made).await;
        let outcome = match prepared {
            Ok(found) => {
                let configuration = bundle::configuration(self.process, &found);
                let text = serde_json::to_vec(&configuration)
                    .map_err(|error| SandboxError::Refused(error.to_string()))?;
                view.configuration(&text)?;
                let gateway = Gateway::open(&namespaces, self.host, &self.process.egress).await?;
                self.check(&namespaces)?;
                let log = Log::hold(&namespaces)?;
                let ended =
                    self.supervise(&mut namespaces, outputs, output, &disk, &gateway, cancel);
                ended.await.and_then(|outcome| match log.error() {
                    Some(error) if outcome.reason == Reason::Failed => {
                        Err(SandboxError::NotStarted(error))
                    }
                    _ => Ok(outcome),
                })
            }
            Err(error) => Err(error),
        };
        self.cgroup.kill();
        namespaces.stop().await?;
        // Nobody may be at work in the root when its mount points go and it is made a layer.
        self.cgroup.remove().await?;
        let left_behind = rootfs.unmake(made);
        outcome.map(|outcome| Outcome {
            left_behind,
            ..outcome
        })
    }

    /// The runtime, which finds what it needs in the run's mount namespace.
    fn command(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.host.settings.runtime.clone().into()];
        let fixed = ["--root", view::STATE, "--log", LOG, "--log-format", "json"];
        words.extend(fixed.map(OsString::from));
        // Its cgroup is made already, and it has no right to make one.
        let fixed = ["--rootless", "true", "run", "--bundle", view::BUNDLE];
        words.extend(fixed.map(OsString::from));
        words.push(self.name.into());
        words
    }

    /// The folders that count as the run's disk.
    fn written(&self) -> Vec<PathBuf> {
        let cache = |mount: &Mount| match &mount.source {
            Source::Cache(path) => Some(path.clone()),
            _ => None,
        };
        let caches = self.process.mounts.iter().filter_map(cache);
        std::iter::once(self.root.writable().to_owned())
            .chain(caches)
            .collect()
    }

    /// Room for what is put into memory.
    fn files(&self) -> u64 {
        let secret = |mount: &Mount| match &mount.source {
            Source::Secret(secret) => secret.content.len(),
            _ => 0,
        };
        let secrets: usize = self.process.mounts.iter().map(secret).sum();
        let certificates = self.process.certificates.as_ref().map_or(0, Vec::len);
        (secrets + certificates) as u64
    }

    /// Looks up in the root what the process names, and makes the mount points, which are added to `made`.
    async fn prepare(
        &self,
        rootfs: &Rootfs,
        view: &mut View<'_>,
        made: &mut Vec<PathBuf>,
    ) -> Result<Found, SandboxError> {
        let accounts = |path: &str| rootfs.read(Path::new(path), ACCOUNTS);
        let passwd = accounts("/etc/passwd")?.unwrap_or_default();
        let group = accounts("/etc/group")?.unwrap_or_default();
        let user = user::look_up(&self.process.user, &passwd, &group)?;
        self.check_user(&user)?;
        for fixed in ["/proc", "/dev", "/sys"] {
            self.place(rootfs, Path::new(fixed), true, made)?;
        }
        let mut mounts: Vec<Bound> = Vec::new();
        for mount in self.mounts(view, &user).await? {
            let folder = mount.folder;
            let target = self.place(rootfs, &mount.target, folder, made)?;
            // Links in the root may have brought two together that were apart when they were asked for.
            let meets = |other: &&Bound| overlap(&other.target, &target);
            if is_kernels(&target) || mounts.iter().any(|other| meets(&other)) {
                return Err(SandboxError::Refused(format!(
                    "{} is a link to {} in the image, where nothing may be mounted",
                    mount.target.display(),
                    target.display()
                )));
            }
            let from = mount.from;
            mounts.push(Bound { target, from });
        }
        let folder = self.folder(rootfs)?;
        Ok(Found {
            user,
            folder,
            mounts,
            cgroups: self.cgroup.v1_folders(),
        })
    }

    /// The working folder without links: a link to a descriptor of the runtime's would be a way out (CVE-2024-21626).
    fn folder(&self, rootfs: &Rootfs) -> Result<PathBuf, SandboxError> {
        let wanted = &self.process.folder;
        let resolved = rootfs.resolve(wanted)?;
        let refuse = |why: &str| {
            let message = format!("the working folder {} {why}", wanted.display());
            Err(SandboxError::Refused(message))
        };
        if is_kernels(&resolved.path) {
            return refuse("is a link to the kernel's files");
        }
        match resolved.kind {
            Some(FileType::Directory) => Ok(resolved.path),
            Some(_) => refuse("is not a folder in the image"),
            None => refuse("is not in the image"),
        }
    }

    /// Where a mount point really is; it is made if it is missing.
    fn place(
        &self,
        rootfs: &Rootfs,
        target: &Path,
        folder: bool,
        made: &mut Vec<PathBuf>,
    ) -> Result<PathBuf, SandboxError> {
        let resolved = rootfs.resolve(target)?;
        let refuse = |what: &str| {
            let message = format!(
                "{} is {what} in the image, and nothing can be mounted there",
                target.display()
            );
            Err(SandboxError::Refused(message))
        };
        if ["/proc", "/dev", "/sys"]
            .iter()
            .any(|fixed| target == Path::new(fixed))
            && resolved.path != target
        {
            return refuse("a link");
        }
        match resolved.kind {
            Some(FileType::Directory) if !folder => return refuse("a folder"),
            Some(FileType::RegularFile) if folder => return refuse("a file"),
            Some(FileType::Directory | FileType::RegularFile) => {}
            Some(_) => return refuse("neither a file nor a folder"),
            // Refused by whoever asked, with better words.
            None if is_kernels(&resolved.path) && resolved.path != target => {}
            None => {
                let ids = &self.host.settings.ids;
                made.extend(rootfs.make(&resolved.path, folder, Some(ids))?);
            }
        }
        Ok(resolved.path)
    }

    fn check_user(&self, user: &User) -> Result<(), SandboxError> {
        let numbers = [user.uid, user.gid]
            .into_iter()
            .chain(user.groups.iter().copied());
        for number in numbers {
            if self.host.settings.ids.outside(number).is_none() {
                return Err(SandboxError::Refused(format!(
                    "user or group {number} of the image is beyond the range of ids that the sandbox has"
                )));
            }
        }
        Ok(())
    }

    /// Everything that is mounted besides the kernel's file systems, reachable for the runtime.
    async fn mounts(&self, view: &mut View<'_>, user: &User) -> Result<Vec<Wanted>, SandboxError> {
        let mut wanted = Vec::new();
        let file = |target: &str, path| Wanted {
            target: target.into(),
            folder: false,
            from: From::Path {
                path,
                writable: false,
            },
        };
        let hosts = view.file(HOSTS.as_bytes(), 0, 0, 0o444).await?;
        wanted.push(file("/etc/hosts", hosts));
        if !matches!(self.process.egress, Egress::None) {
            let text = format!("nameserver {NAME_SERVER}\noptions timeout:5 attempts:2\n");
            let resolver = view.file(text.as_bytes(), 0, 0, 0o444).await?;
            wanted.push(file("/etc/resolv.conf", resolver));
        }
        if let Some(certificates) = &self.process.certificates {
            let bundle = view.file(certificates, 0, 0, 0o444).await?;
            wanted.push(file(trust::BUNDLE, bundle));
        }
        for mount in &self.process.mounts {
            let (from, folder) = match &mount.source {
                Source::ReadOnly(path) => {
                    let folder = path.is_dir();
                    let path = view.source(path).await?;
                    (
                        From::Path {
                            path,
                            writable: false,
                        },
                        folder,
                    )
                }
                Source::Cache(path) => {
                    let path = view.source(path).await?;
                    view.give(&path, user.uid, user.gid).await?;
                    (
                        From::Path {
                            path,
                            writable: true,
                        },
                        true,
                    )
                }
                Source::Scratch { bytes } => (From::Memory { bytes: *bytes }, true),
                Source::Secret(secret) => {
                    let path = view
                        .file(&secret.content, user.uid, user.gid, 0o400)
                        .await?;
                    (
                        From::Path {
                            path,
                            writable: false,
                        },
                        false,
                    )
                }
            };
            wanted.push(Wanted {
                target: mount.target.clone(),
                folder,
                from,
            });
        }
        Ok(wanted)
    }

    /// The last look before the process runs: it is where its limits are.
    fn check(&self, namespaces: &Namespaces) -> Result<(), SandboxError> {
        if self.cgroup.holds(namespaces.pid()) {
            return Ok(());
        }
        Err(SandboxError::NotInForce {
            limit: "cgroup.procs".to_owned(),
            asked: namespaces.pid().to_string(),
            found: "nothing".to_owned(),
        })
    }

    async fn supervise(
        &self,
        namespaces: &mut Namespaces,
        outputs: Outputs,
        output: Output,
        disk: &Disk,
        gateway: &Gateway,
        cancel: &CancellationToken,
    ) -> Result<Outcome, SandboxError> {
        let limits = self.process.limits;
        let lines = output.lines.clone();
        let mut pump = std::pin::pin!(output::pump(outputs.stdout, outputs.stderr, output));
        let mut read = None;
        let begun = Instant::now();
        namespaces.start().await?;
        let mut deadline = std::pin::pin!(sleep_or_never(limits.wall));
        let mut full = std::pin::pin!(async {
            match limits.disk {
                Some(limit) => disk.exceeded(limit, || self.cgroup.processes()).await,
                None => std::future::pending().await,
            }
        });
        let ended = loop {
            tokio::select! {
                result = &mut pump, if read.is_none() => read = Some(result?),
                exit = namespaces.wait() => break Ok(exit?),
                () = &mut deadline => break Err(Stop::Time),
                () = cancel.cancelled() => break Err(Stop::Cancel),
                result = &mut full => { result?; break Err(Stop::Disk) }
            }
        };
        let wall = begun.elapsed();
        let processes = self.cgroup.processes();
        let mut grown = disk.grown(processes).await?;
        self.cgroup.kill();
        namespaces.stop().await?;
        let read = match read {
            Some(read) => read,
            None => pump.await?,
        };
        if ended == Err(Stop::Disk) {
            grown = grown.max(limits.disk.unwrap_or(0));
        }
        for refused in gateway.refused() {
            let text = format!("[not allowed by the build's network policy: {refused}]");
            let stream = Stream::Sandbox;
            let _ = lines.send(Line { stream, text }).await;
        }
        let counted = self.cgroup.counted();
        let usage = Usage {
            wall,
            cpu: counted.cpu,
            memory: counted.memory,
            memory_kills: counted.memory_kills,
            process_refusals: counted.process_refusals,
            disk: grown,
            output: read.bytes,
            output_dropped: read.dropped,
        };
        let (exit, stop) = match ended {
            Ok(exit) => (exit, None),
            Err(stop) => (None, Some(stop)),
        };
        let over_disk = limits.disk.is_some_and(|limit| grown > limit);
        let reason = reason(exit, stop, &usage, over_disk);
        Ok(Outcome {
            exit,
            reason,
            usage,
            left_behind: Vec::new(),
        })
    }
}

/// A mount that the runtime can reach, at a place that has not been looked at.
struct Wanted {
    target: PathBuf,
    folder: bool,
    from: From,
}

const HOSTS: &str = "127.0.0.1 localhost build\n::1 localhost\n";

/// Only a failure has a limit to blame: a build may have lived with a refusal.
fn reason(exit: Option<u8>, stop: Option<Stop>, usage: &Usage, over_disk: bool) -> Reason {
    match (stop, exit) {
        (Some(Stop::Disk), _) => Reason::DiskFull,
        (Some(Stop::Time), _) => Reason::TimedOut,
        (Some(Stop::Cancel), _) => Reason::Cancelled,
        // What it left is beyond the limit, even if it was done before it was seen.
        (None, _) if over_disk => Reason::DiskFull,
        (None, Some(0)) => Reason::Succeeded,
        (None, _) if usage.memory_kills > 0 => Reason::OutOfMemory,
        (None, _) if usage.process_refusals > 0 => Reason::TooManyProcesses,
        (None, _) => Reason::Failed,
    }
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
