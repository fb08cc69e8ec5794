//! What a process names, found in its root; and what it is given, brought to where the runtime can reach it.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::bundle::{Bound, Found, From};
use super::cgroup::Cgroup;
use super::egress::{Egress, NAME_SERVER};
use super::error::SandboxError;
use super::ids::SandboxIds;
use super::process::{Process, Source, is_kernels, overlap};
use super::rootfs::{Made, Rootfs};
use super::trust;
use super::user::{self, User};
use super::view::View;

/// `/etc/passwd` and `/etc/group` of an image.
const ACCOUNTS: u64 = 1 << 20;

pub(super) struct Preparation<'a> {
    pub(super) ids: &'a SandboxIds,
    pub(super) process: &'a Process,
    pub(super) cgroup: &'a Cgroup,
    pub(super) rootfs: &'a Rootfs,
    /// Mount points that were not in the root, also when the preparation fails.
    pub(super) made: &'a mut Made,
}

/// A mount that the runtime can reach, at a place that has not been looked at.
struct Wanted {
    target: PathBuf,
    folder: bool,
    from: From,
}

/// Where in the view is whom tools are to trust.
struct Trusted {
    bundle: Option<PathBuf>,
    java_store: Option<PathBuf>,
}

impl Wanted {
    /// A file of the view's that nobody writes to.
    fn file(target: &str, path: PathBuf) -> Self {
        Self {
            target: target.into(),
            folder: false,
            from: From::read_only(path),
        }
    }
}

const HOSTS: &str = "127.0.0.1 localhost build\n::1 localhost\n";

impl Preparation<'_> {
    /// Looks up what the process names, makes the mount points, and makes what is mounted there reachable.
    pub(super) async fn prepare(&mut self, view: &mut View<'_>) -> Result<Found, SandboxError> {
        let accounts = |path: &str| self.rootfs.read(Path::new(path), ACCOUNTS);
        let passwd = accounts("/etc/passwd")?.unwrap_or_default();
        let group = accounts("/etc/group")?.unwrap_or_default();
        let user = user::look_up(&self.process.user, &passwd, &group)?;
        self.check_user(&user)?;
        for fixed in ["/proc", "/dev", "/sys"] {
            self.place(Path::new(fixed), true)?;
        }
        let mut mounts: Vec<Bound> = Vec::new();
        let Trusted { bundle, java_store } = self.trusted(view)?;
        let has_java_store = java_store.is_some();
        let files = [
            (trust::BUNDLE, bundle.clone()),
            (trust::JAVA_STORE, java_store),
        ];
        let files = files.map(|(target, path)| path.map(|path| Wanted::file(target, path)));
        let others = self.mounts(view, &user).await?;
        for mount in files.into_iter().flatten().chain(others) {
            let folder = mount.folder;
            let target = self.place(&mount.target, folder)?;
            // Links in the root may have brought two together that were apart when they were asked for.
            let meets = |other: &&Bound| overlap(&other.target, &target);
            if is_kernels(&target) || mounts.iter().any(|other| meets(&other)) {
                return Err(SandboxError::refused(format!(
                    "{} is a link to {} in the image, where nothing may be mounted",
                    mount.target.display(),
                    target.display()
                )));
            }
            let from = mount.from;
            mounts.push(Bound { target, from });
        }
        // Root may be about to install its own, which nobody can over a mount.
        if let Some(bundle) = bundle.filter(|_| user.uid != 0) {
            self.cover_stores(&bundle, &mut mounts);
        }
        let folder = self.folder()?;
        Ok(Found {
            user,
            folder,
            mounts,
            has_java_store,
            cgroups: self.cgroup.v1_folders(),
        })
    }

    /// The working folder without links: a link to a descriptor of the runtime's would be a way out (CVE-2024-21626).
    fn folder(&self) -> Result<PathBuf, SandboxError> {
        let wanted = &self.process.folder;
        let resolved = self.rootfs.resolve(wanted)?;
        let refuse = |why: &str| {
            let message = format!("the working folder {} {why}", wanted.display());
            Err(SandboxError::refused(message))
        };
        if is_kernels(&resolved.path) {
            return refuse("is a link to the kernel's files");
        }
        match resolved.kind {
            Some(FileType::Directory) => Ok(resolved.path),
            Some(_) => refuse("is not a folder in the image"),
            None => {
                // As engines do; it belongs to root and stays.
                let made = &mut Made::default();
                self.rootfs
                    .make(&resolved.path, true, self.ids.outside(0), made)?;
                Ok(resolved.path)
            }
        }
    }

    /// Where a mount point really is; it is made if it is missing.
    fn place(&mut self, target: &Path, folder: bool) -> Result<PathBuf, SandboxError> {
        let resolved = self.rootfs.resolve(target)?;
        let refuse = |what: &str| {
            let message = format!(
                "{} is {what} in the image, and nothing can be mounted there",
                target.display()
            );
            Err(SandboxError::refused(message))
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
                self.rootfs.make(&resolved.path, folder, None, self.made)?;
            }
        }
        Ok(resolved.path)
    }

    fn trusted(&self, view: &mut View<'_>) -> Result<Trusted, SandboxError> {
        let bundle = self.process.certificates.as_deref();
        let java_store = bundle.and_then(trust::java_store);
        let mut file = |content: &[u8]| view.file(content, 0, 0, 0o444);
        Ok(Trusted {
            bundle: bundle.map(&mut file).transpose()?,
            java_store: java_store.as_deref().map(&mut file).transpose()?,
        })
    }

    /// Mounts the bundle over the stores that the root has, but for what the process itself has mounted there.
    fn cover_stores(&self, bundle: &Path, mounts: &mut Vec<Bound>) {
        for store in trust::SYSTEM_STORES {
            // One that cannot be followed is none.
            let Ok(resolved) = self.rootfs.resolve(Path::new(store)) else {
                continue;
            };
            let target = resolved.path;
            let is_free = !mounts.iter().any(|other| overlap(&other.target, &target));
            if resolved.kind == Some(FileType::RegularFile) && is_free && !is_kernels(&target) {
                let from = From::read_only(bundle.to_owned());
                mounts.push(Bound { target, from });
            }
        }
    }

    fn check_user(&self, user: &User) -> Result<(), SandboxError> {
        let numbers = [user.uid, user.gid]
            .into_iter()
            .chain(user.groups.iter().copied());
        for number in numbers {
            if self.ids.outside(number).is_none() {
                return Err(SandboxError::refused(format!(
                    "user or group {number} of the image is beyond the range of ids that the sandbox has"
                )));
            }
        }
        Ok(())
    }

    /// Everything that is mounted besides the kernel's file systems, reachable for the runtime.
    async fn mounts(&self, view: &mut View<'_>, user: &User) -> Result<Vec<Wanted>, SandboxError> {
        let mut wanted = Vec::new();
        let hosts = view.file(HOSTS.as_bytes(), 0, 0, 0o444)?;
        wanted.push(Wanted::file("/etc/hosts", hosts));
        if !matches!(self.process.egress, Egress::None) {
            let text = format!("nameserver {NAME_SERVER}\noptions timeout:5 attempts:2\n");
            let resolver = view.file(text.as_bytes(), 0, 0, 0o444)?;
            wanted.push(Wanted::file("/etc/resolv.conf", resolver));
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
                    view.give(&path, user.uid, user.gid)?;
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
                    let path = view.file(&secret.content, user.uid, user.gid, 0o400)?;
                    (
                        From::Path {
                            path,
                            writable: false,
                        },
                        false,
                    )
                }
                Source::Injected(file) => {
                    let room = self.process.injected();
                    let own = view.own_file(&file.content, user.uid, user.gid, room);
                    (
                        From::Path {
                            path: own.await?,
                            writable: true,
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
}
