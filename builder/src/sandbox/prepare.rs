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
        for mount in self.mounts(view, &user).await? {
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
        let folder = self.folder()?;
        Ok(Found {
            user,
            folder,
            mounts,
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
                    .make(&resolved.path, true, Some(self.ids), made)?;
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
                self.rootfs
                    .make(&resolved.path, folder, Some(self.ids), self.made)?;
            }
        }
        Ok(resolved.path)
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
}
