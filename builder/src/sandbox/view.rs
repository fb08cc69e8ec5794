//! What a run's mount namespace has besides the host's files: one file system in memory, and one in it for what the run may
//! change.
//!
//! It holds the root's mount, the sources of the mounts, secrets, and the runtime's state. All of it is gone with the mount
//! namespace, and none of it was ever on a disk. It hides a folder that every Linux has, that everyone may enter
//! and that the runtime does not need; so the run's ids, which may not enter the server's own folders, reach what they need.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::error::SandboxError;
use super::host::is_initial;
use super::ids::SandboxIds;
use super::namespaces::Namespaces;
use super::output;
use super::root::Root;
use super::tool;

/// Where it is mounted: nothing that outlives a reboot is there, so no folder of a build's.
pub(super) const VIEW: &str = "/dev/shm";
/// For everything but secrets.
const BASE_BYTES: u64 = 16 << 20;
/// For what a run makes of the files that it may change.
const OWN_BYTES: u64 = 16 << 20;
/// The end of the runtime's log that is worth reading.
const LOG_BYTES: u64 = 64 << 10;

/// Paths in the run's mount namespace.
pub(super) const ROOT: &str = "/dev/shm/root";
pub(super) const BUNDLE: &str = "/dev/shm/bundle";
pub(super) const STATE: &str = "/dev/shm/runc";
pub(super) const LOG: &str = "/dev/shm/runc.log";

pub(super) struct View<'a> {
    namespaces: &'a Namespaces,
    ids: &'a SandboxIds,
    /// How many mount sources there are.
    sources: usize,
    /// Whether there is a file system for what the run may change.
    has_own: bool,
}

impl<'a> View<'a> {
    /// Mounts it, with room for so many bytes of files.
    pub(super) async fn make(
        namespaces: &'a Namespaces,
        ids: &'a SandboxIds,
        files: u64,
    ) -> Result<Self, SandboxError> {
        let mut mount = namespaces.command("mount");
        let size = BASE_BYTES + files;
        let options = format!("mode=0755,nosuid,nodev,size={size}");
        mount.args(["-n", "-t", "tmpfs", "-o", &options, "sandbox", VIEW]);
        tool::run(mount, "mount", b"").await?;
        let view = Self {
            namespaces,
            ids,
            sources: 0,
            has_own: false,
        };
        // The runtime, root inside, makes its log and state here.
        view.give(Path::new(VIEW), 0, 0)?;
        for folder in [ROOT, BUNDLE, STATE] {
            view.folder(Path::new(folder))?;
        }
        view.folder(&Path::new(VIEW).join("m"))?;
        Ok(view)
    }

    /// Mounts the root. Its device files and set-user-ID bits mean nothing, whoever unpacked them.
    pub(super) async fn root(&self, root: &Root) -> Result<(), SandboxError> {
        const HARMLESS: &str = "nodev,nosuid";
        let mut mount = self.namespaces.command("mount");
        mount.arg("-n");
        match root {
            Root::Folder(path) => {
                check_visible(path)?;
                mount.arg("--bind").arg(path).arg(ROOT);
            }
            Root::Overlay { lower, upper, work } => {
                for path in lower.iter().chain([upper, work]) {
                    check_visible(path)?;
                }
                let options = overlay_options(lower, upper, work, !is_initial()?)?;
                let options = format!("{HARMLESS},{options}");
                mount.args(["-t", "overlay", "-o", &options, "overlay", ROOT]);
            }
        }
        tool::run(mount, "mount the root", b"").await?;
        if let Root::Folder(_) = root {
            // A bind mount takes its flags in a second step.
            let mut mount = self.namespaces.command("mount");
            let options = format!("remount,bind,{HARMLESS}");
            mount.args(["-n", "-o", &options, ROOT]);
            tool::run(mount, "mount the root", b"").await?;
        }
        Ok(())
    }

    /// Makes a file or folder of the host reachable; where it is then.
    pub(super) async fn source(&mut self, path: &Path) -> Result<PathBuf, SandboxError> {
        check_visible(path)?;
        let metadata = fs::metadata(path);
        let metadata = metadata.map_err(SandboxError::io(format!("mount {}", path.display())))?;
        let place = self.next();
        if metadata.is_dir() {
            self.folder(&place)?;
        } else {
            self.write(&place, b"", 0o444)?;
        }
        let mut mount = self.namespaces.command("mount");
        mount.args(["-n", "--bind"]).arg(path).arg(&place);
        tool::run(mount, "mount", b"").await?;
        Ok(place)
    }

    /// A file in memory with this content, which only `uid` (inside) may read; where it is.
    pub(super) fn file(
        &mut self,
        content: &[u8],
        uid: u32,
        gid: u32,
        mode: u32,
    ) -> Result<PathBuf, SandboxError> {
        let place = self.next();
        self.write(&place, content, mode)?;
        self.give(&place, uid, gid)?;
        Ok(place)
    }

    /// The same, for `uid` to write to as well. What a run may change has a file system of its own, lest it fill the runtime's;
    /// `bytes` are those of all such files.
    pub(super) async fn own_file(
        &mut self,
        content: &[u8],
        uid: u32,
        gid: u32,
        bytes: u64,
    ) -> Result<PathBuf, SandboxError> {
        let folder = Path::new(VIEW).join("own");
        if !self.has_own {
            self.folder(&folder)?;
            let mut mount = self.namespaces.command("mount");
            let options = format!("mode=0755,nosuid,nodev,size={}", OWN_BYTES + bytes);
            mount.args(["-n", "-t", "tmpfs", "-o", &options, "sandbox"]);
            mount.arg(&folder);
            tool::run(mount, "mount", b"").await?;
            self.has_own = true;
        }
        self.sources += 1;
        let place = folder.join(self.sources.to_string());
        self.write(&place, content, 0o600)?;
        self.give(&place, uid, gid)?;
        Ok(place)
    }

    /// Writes the runtime's configuration.
    pub(super) fn configuration(&self, text: &[u8]) -> Result<(), SandboxError> {
        self.write(&Path::new(BUNDLE).join("config.json"), text, 0o444)
    }

    fn next(&mut self) -> PathBuf {
        self.sources += 1;
        Path::new(VIEW).join("m").join(self.sources.to_string())
    }

    fn folder(&self, path: &Path) -> Result<(), SandboxError> {
        let outside = self.namespaces.path(path);
        let made = fs::create_dir(&outside)
            .and_then(|()| fs::set_permissions(&outside, fs::Permissions::from_mode(0o755)));
        made.map_err(SandboxError::io(format!("make {}", path.display())))?;
        self.give(path, 0, 0)
    }

    fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), SandboxError> {
        let outside = self.namespaces.path(path);
        // Closed to all before its content comes.
        let file = File::options().write(true).create_new(true).open(&outside);
        let written = file.and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            std::io::Write::write_all(&mut file, content)
        });
        written.map_err(SandboxError::io(format!("write {}", path.display())))
    }

    /// Gives a file to numbers inside.
    pub(super) fn give(&self, path: &Path, uid: u32, gid: u32) -> Result<(), SandboxError> {
        let (Some(uid), Some(gid)) = (self.ids.outside(uid), self.ids.outside(gid)) else {
            return Err(SandboxError::refused(format!(
                "user {uid}:{gid} is beyond the range of user ids that the sandbox has"
            )));
        };
        let (uid, gid) = (
            rustix::fs::Uid::from_raw(uid),
            rustix::fs::Gid::from_raw(gid),
        );
        let given = rustix::fs::chown(self.namespaces.path(path), Some(uid), Some(gid));
        given.map_err(SandboxError::io(format!(
            "give {} to the run",
            path.display()
        )))
    }
}

/// The runtime's log, readable when the namespaces are gone.
pub(super) struct Log(rustix::fd::OwnedFd);

impl Log {
    /// Holds the file system in memory open.
    pub(super) fn hold(namespaces: &Namespaces) -> Result<Self, SandboxError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(namespaces.path(VIEW), flags, Mode::empty());
        folder
            .map(Self)
            .map_err(SandboxError::io("open the sandbox's view"))
    }

    /// The runtime's last error; none if the process was started.
    pub(super) fn error(&self) -> Option<String> {
        let name = Path::new(LOG).file_name()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty()).ok()?;
        let mut text = String::new();
        File::from(file)
            .take(LOG_BYTES)
            .read_to_string(&mut text)
            .ok()?;
        let message = |line: &str| {
            let entry: serde_json::Value = serde_json::from_str(line).ok()?;
            let serious = entry["level"] == "error" || entry["level"] == "fatal";
            // It has words of the image in it.
            let plain = |text: &str| output::plain(text.as_bytes());
            serious.then(|| entry["msg"].as_str().map(plain))?
        };
        text.lines().filter_map(message).next_back()
    }
}

/// What lies in the folder that is hidden cannot be mounted from.
fn check_visible(path: &Path) -> Result<(), SandboxError> {
    let real = fs::canonicalize(path);
    let real = real.map_err(SandboxError::io(format!("mount {}", path.display())))?;
    if real.starts_with(VIEW) {
        return Err(SandboxError::Unsupported(format!(
            "{} lies in {VIEW}, which runs hide; put the server's data elsewhere",
            path.display()
        )));
    }
    Ok(())
}

/// `mount(8)`'s words for overlayfs. The features that rewrite what a layer means are off, whatever the kernel's default. Syncs are not
/// waited for (`volatile`): the kernel would write out all that is dirty on the disk when the mount goes, whoever it is of.
fn overlay_options(
    lower: &[PathBuf],
    upper: &Path,
    work: &Path,
    nested: bool,
) -> Result<String, SandboxError> {
    let mut lowers = Vec::new();
    for path in lower {
        lowers.push(plain(path)?);
    }
    let (lower, upper, work) = (lowers.join(":"), plain(upper)?, plain(work)?);
    // The overlay of root of a user namespace never redirects, and refuses to be told not to.
    let features = if nested {
        "userxattr,index=off"
    } else {
        "redirect_dir=off,metacopy=off,index=off"
    };
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work},volatile,{features}");
    if options.len() >= 4096 {
        return Err(SandboxError::refused(
            "the paths of the root's layers are longer than the kernel takes; mount it first and give its folder",
        ));
    }
    Ok(options)
}

/// See [`Root::fits`].
pub(super) fn fits(lower: &[PathBuf], upper: &Path, work: &Path) -> bool {
    let overlay = |nested| overlay_options(lower, upper, work, nested).is_ok();
    overlay(false) && overlay(true)
}

/// A path without the characters that mean something in the options of overlayfs.
fn plain(path: &Path) -> Result<&str, SandboxError> {
    let text = path
        .to_str()
        .filter(|text| !text.contains([',', ':', '\\', '"']));
    text.ok_or_else(|| {
        let message = format!(
            "{} has a comma, colon, quote or backslash in it",
            path.display()
        );
        SandboxError::refused(message)
    })
}
