//! Who `git` and `ssh` are on this machine, and what they see of it.
//!
//! They speak to strangers and read what strangers made: should one of them do what a stranger wants, it finds itself as a user
//! that owns nothing but this session's folder and this repository, without capabilities or a way to any, and with no more files
//! than programs and libraries, certificates, and what names are resolved by. Of other processes it sees none. It reaches the one
//! server that was judged, and of the kernel what builds reach.
//!
//! ```text
//! a thread (launch.rs)               namespaces, network, system calls
//!   sh confine.sh                    PID 1: bounds, mounts, then starts
//!     chroot, setpriv                which become
//!       git                          with its own children
//! ```
//!
//! The table of mounts and the folders that they are made upon are the server's own, beside git's, not within.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::launch::Namespaces;
use super::process::MEMORY;
use crate::programs;
use crate::sandbox::{SandboxIds, Settings};

#[cfg(test)]
mod tests;

const CONFINE: &str = include_str!("confine.sh");

/// The status that [`CONFINE`] ends with where git could not be started as it must.
pub(super) const UNCONFINED: i32 = 125;

/// Folders and files of the machine that are there for git to read, if they are there at all.
const READ: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/gnutls",
    "/etc/host.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
];

/// `hosts(5)`.
const HOSTS: &str = "/etc/hosts";

/// How they are mounted.
const READ_ONLY: &str = "rbind,ro,nosuid,nodev";

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Whom `git` runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// A number of the builder's, which is nobody else's: where the server is root, be it of a user namespace.
    Own(u32),
    /// The server's user, who is not root; with no way to become more.
    Servers,
}

impl User {
    /// Who it is, given what users inside a build are outside: the last of them.
    pub(super) fn of(ids: &SandboxIds) -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Own(ids.last())
        } else {
            Self::Servers
        }
    }

    /// Who it is where no configuration says what users inside are outside.
    pub(super) fn usual() -> Self {
        const NOBODY: u32 = 65_534;
        if !rustix::process::geteuid().is_root() {
            return Self::Servers;
        }
        let usual = Settings::root("");
        let ours = usual.and_then(|usual| Settings::of_this_process("", usual.ids));
        match ours {
            Ok(settings) => Self::of(&settings.ids),
            Err(_) => Self::Own(NOBODY),
        }
    }

    /// Gives a file or folder to it.
    pub(super) fn give(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Own(id) => chown(path, Some(id), Some(id)),
            Self::Servers => Ok(()),
        }
    }

    /// The words before a command that reads nothing of a stranger's.
    pub(super) fn words(self) -> Vec<String> {
        let mut words = vec!["setpriv".to_owned(), "--no-new-privs".to_owned()];
        if let Self::Own(id) = self {
            let (user, group) = (format!("--reuid={id}"), format!("--regid={id}"));
            words.extend([user, group, "--clear-groups".to_owned()]);
        }
        words
    }
}

/// What one session's commands see.
#[derive(Debug)]
pub(super) struct Confinement(Option<View>);

#[derive(Debug)]
struct View {
    user: u32,
    /// What is mounted where, as `fstab(5)` has it.
    table: PathBuf,
    /// What is `/`.
    root: PathBuf,
}

impl Confinement {
    /// Prepares a view in `folder`, which is the server's, of `home` with all that is in it and of `others`, which git may write to,
    /// and of `programs`, which it may not. `named` are names that have one address each, as nothing else tells it there.
    pub(super) fn prepare(
        user: User,
        folder: &Path,
        home: &Path,
        others: &[&Path],
        programs: &[&Path],
        named: &[(IpAddr, &str)],
    ) -> io::Result<Self> {
        let User::Own(id) = user else {
            return Ok(Self(None));
        };
        user.give(home)?;
        for file in std::fs::read_dir(home)? {
            user.give(&file?.path())?;
        }
        let root = folder.join("root");
        std::fs::create_dir(&root)?;
        let mut table = Table {
            root: &root,
            text: Vec::new(),
        };
        for read in READ {
            table.read(Path::new(read))?;
        }
        for program in programs {
            // As most are, where the others are.
            if !READ.iter().any(|read| program.starts_with(read)) {
                table.add(program, READ_ONLY)?;
            }
        }
        for device in DEVICES {
            table.add(Path::new(device), "rbind,ro,nosuid,noexec")?;
        }
        for own in [&[home], others].concat() {
            table.add(own, "bind,nosuid,nodev,noexec")?;
        }
        // ssh refuses a user without a name.
        let home = home.display();
        let passwd = format!("git:x:{id}:{id}::{home}:/bin/false\n");
        std::fs::create_dir_all(root.join("etc"))?;
        std::fs::write(root.join("etc/passwd"), passwd)?;
        let named = named.iter().map(|(at, name)| format!("{at} {name}\n"));
        let mut hosts = named.collect::<String>().into_bytes();
        hosts.extend(std::fs::read(HOSTS).unwrap_or_default());
        std::fs::write(root.join("etc/hosts"), hosts)?;
        readable(&root)?;
        let text = table.text;
        let table = folder.join("mounts");
        std::fs::write(&table, text)?;
        Ok(Self(Some(View {
            user: id,
            table,
            root,
        })))
    }

    /// Which namespaces commands are in that may speak to one server, at these addresses, or to none.
    pub(super) fn namespaces<'a>(&self, servers: &'a [SocketAddr]) -> Namespaces<'a> {
        match self.0 {
            None => Namespaces::Servers,
            Some(_) => Namespaces::Own(servers),
        }
    }

    /// A command to which the words of another are to be added, whose files may have so many bytes each.
    pub(super) fn command(&self, file_bytes: u64) -> Command {
        let memory = (MEMORY / 1024).to_string();
        let blocks = match file_bytes {
            u64::MAX => "unlimited".to_owned(),
            bytes => bytes.div_ceil(512).to_string(),
        };
        let (table, root, user) = match &self.0 {
            None => (OsStr::new("sh"), OsStr::new(""), 0),
            Some(view) => (view.table.as_os_str(), view.root.as_os_str(), view.user),
        };
        let mut command = Command::new(programs::to_start("sh"));
        command.arg("-c").arg(CONFINE).arg(table).arg(root);
        command.args([&user.to_string(), &memory, &blocks]);
        command
    }
}

/// Lets git's user pass through folders, whatever the server's mask is. Who is not inside comes no further than the session's folder.
fn readable(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            readable(&path)?;
        } else if kind.is_file() {
            std::fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

/// A table of mounts, and the places below a root that they are made upon.
struct Table<'a> {
    root: &'a Path,
    text: Vec<u8>,
}

impl Table<'_> {
    /// Something of the machine, at its own place. Where most distributions have links, `/bin` to `usr/bin`, a link.
    fn read(&mut self, path: &Path) -> io::Result<()> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() && path.parent() == Some(Path::new("/")) => {
                symlink(std::fs::read_link(path)?, self.place(path))
            }
            Ok(_) => self.add(path, READ_ONLY),
            Err(_) => Ok(()),
        }
    }

    fn add(&mut self, path: &Path, options: &str) -> io::Result<()> {
        let Ok(found) = std::fs::metadata(path) else {
            return Ok(());
        };
        let place = self.place(path);
        if found.is_dir() {
            std::fs::create_dir_all(&place)?;
        } else {
            if let Some(folder) = place.parent() {
                std::fs::create_dir_all(folder)?;
            }
            File::create(&place)?;
        }
        self.text.extend(field(path));
        self.text.push(b' ');
        self.text.extend(field(&place));
        self.text
            .extend(format!(" none {options} 0 0\n").into_bytes());
        Ok(())
    }

    fn place(&self, path: &Path) -> PathBuf {
        let below: OsString = OsString::from_vec(path.as_os_str().as_bytes()[1..].to_vec());
        self.root.join(below)
    }
}

/// A path as one field of `fstab(5)`.
fn field(path: &Path) -> Vec<u8> {
    let escaped = |byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
        byte => vec![*byte],
    };
    path.as_os_str()
        .as_bytes()
        .iter()
        .flat_map(escaped)
        .collect()
}
