//! The lower layer: what the bootstrap installed, without what tells of the machine or the day.

use std::io::Read;

use super::error::CreateError;
use crate::archive::{Entry, Kind, Mtime, Reader, Writer};
use crate::layer::{ExportError, Packing};

/// What the upper layer and the image's configuration need of the lower.
#[derive(Default)]
pub(super) struct Base {
    /// `/etc/passwd`.
    pub(super) passwd: Vec<u8>,
    /// dpkg's list of what is installed.
    status: Vec<u8>,
}

impl Base {
    /// Copies the archive, entry by entry.
    pub(super) fn copy(
        from: &mut dyn Read,
        to: Packing,
        epoch: i64,
    ) -> Result<(Self, Packing, u64), CreateError> {
        let malformed = |error| CreateError::io("read the bootstrap's archive", error);
        let sink = |error| CreateError::from(ExportError::Sink(error));
        let mut base = Self::default();
        let mut reader = Reader::new(from);
        let mut writer = Writer::new(to);
        let mut buffer = vec![0; 64 << 10];
        while let Some(mut entry) = reader
            .next()
            .map_err(|error| malformed(std::io::Error::other(error.to_string())))?
        {
            if !is_kept(&entry) {
                continue;
            }
            clamp(&mut entry, epoch);
            writer.header(&entry).map_err(sink)?;
            let Kind::File(size) = entry.kind else {
                continue;
            };
            loop {
                let read = reader.read(&mut buffer).map_err(malformed)?;
                if read == 0 {
                    break;
                }
                writer.content(&buffer[..read]).map_err(sink)?;
                base.note(entry.path.as_bytes(), &buffer[..read]);
            }
            writer.pad(size).map_err(sink)?;
        }
        let (packing, entries) = writer.finish().map_err(sink)?;
        Ok((base, packing, entries))
    }

    fn note(&mut self, path: &[u8], bytes: &[u8]) {
        match path {
            b"etc/passwd" => self.passwd.extend_from_slice(bytes),
            b"var/lib/dpkg/status" => self.status.extend_from_slice(bytes),
            _ => {}
        }
    }

    /// The upstream version of an installed package (deb-version(7)), without what Debian says about it.
    pub(super) fn version(&self, package: &str) -> Option<String> {
        let status = String::from_utf8_lossy(&self.status);
        let field = |paragraph: &str, name: &str| {
            let mut lines = paragraph.lines();
            lines.find_map(|line| {
                line.strip_prefix(name)?
                    .strip_prefix(": ")
                    .map(str::to_owned)
            })
        };
        let mut paragraphs = status.split("\n\n");
        let paragraph = paragraphs
            .find(|paragraph| field(paragraph, "Package").is_some_and(|name| name == package))?;
        let version = field(paragraph, "Version")?;
        let version = version.split_once(':').map_or(&*version, |(_, rest)| rest);
        let version = version.split(['-', '+', '~']).next()?;
        Some(version.to_owned())
    }
}

/// No file is younger than the epoch, and none has parts of a second, which not all engines keep.
fn clamp(entry: &mut Entry, epoch: i64) {
    entry.mtime = Mtime {
        seconds: entry.mtime.seconds.clamp(0, epoch),
        nanoseconds: 0,
    };
}

fn is_kept(entry: &Entry) -> bool {
    let path = entry.path.as_bytes();
    let is_below = |folder: &[u8]| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with(b"/"))
    };
    if matches!(
        entry.kind,
        Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo
    ) || EMPTIED.iter().any(|folder| is_below(folder.as_bytes()))
        || DROPPED.iter().any(|name| path == name.as_bytes())
    {
        return false;
    }
    let is_directory = entry.kind == Kind::Directory;
    // Programs expect these folders, and write into them.
    if ["var/log", "var/cache"]
        .iter()
        .any(|folder| is_below(folder.as_bytes()))
    {
        return is_directory;
    }
    // Licences go with what they are about.
    if is_below(b"usr/share/doc") {
        return is_directory || path.ends_with(b"/copyright") || is_link(entry);
    }
    !(path.starts_with(b"var/lib/dpkg/") && path.ends_with(b"-old"))
}

const fn is_link(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Symlink(_))
}

/// Folders of which nothing is kept: engines mount over them, packages' lists grow old, and manuals nobody reads here.
const EMPTIED: &[&str] = &[
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "usr/share/bash-completion",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "var/lib/apt/lists",
    "var/tmp",
];

/// Files of the machine that the image was made on, and of the tool that made it.
const DROPPED: &[&str] = &[
    "etc/.pwd.lock",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "var/lib/apt/extended_states",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/systemd/random-seed",
];

#[cfg(test)]
mod tests {
    use super::Base;

    #[test]
    fn the_upstream_version_of_a_package_is_found() {
        let status = "Package: python3-pip\nStatus: install ok installed\nVersion: 23.0.1+dfsg-1\n\n\
                      Package: golang\nVersion: 2:1.23~2~bpo12+1\n\n\
                      Package: openjdk-21-jdk-headless\nVersion: 21.0.12.1+1-1~deb13u1\n\n\
                      Package: python3\nDepends: x\nVersion: 3.11.2-1+b1\nDescription: a\n Version: 9\n";
        let base = Base {
            status: status.as_bytes().to_vec(),
            ..Base::default()
        };
        for (package, version) in [
            ("python3", Some("3.11.2")),
            ("golang", Some("1.23")),
            ("openjdk-21-jdk-headless", Some("21.0.12.1")),
            ("python", None),
        ] {
            assert_eq!(base.version(package).as_deref(), version, "{package}");
        }
    }
}
