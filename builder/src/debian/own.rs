//! The upper layer: the user, the folders and the scripts.

use std::io::Write as _;

use super::error::CreateError;
use super::language::Language;
use super::scripts;
use crate::archive::{Entry, Kind, Mtime, Writer, Xattrs};
use crate::layer::{ExportError, Packing};
use crate::tree::TreePath;

/// Who builds and runs, in group 0: OpenShift gives containers other users of that group.
pub(super) const USER: u32 = 1001;
/// The home.
pub(super) const HOME: &str = "/opt/app-root";

/// Folders of the user, which its group may write to.
const FOLDERS: [&str; 4] = [
    "opt/app-root",
    "opt/app-root/.cache",
    "opt/app-root/bin",
    "opt/app-root/src",
];

/// Writes the layer.
pub(super) fn write(
    language: Language,
    passwd: &[u8],
    to: Packing,
    epoch: i64,
) -> Result<(Packing, u64), CreateError> {
    let mut files = Files {
        writer: Writer::new(to),
        epoch,
    };
    let mut passwd = passwd.to_vec();
    writeln!(
        passwd,
        "default:x:{USER}:0:Default Application User:{HOME}:/usr/sbin/nologin"
    )
    .map_err(|error| CreateError::io("/etc/passwd", error))?;
    files.file("etc/passwd", 0o644, &passwd)?;
    for folder in FOLDERS {
        files.put(folder, Kind::Directory, 0o775, USER)?;
    }
    files.put(scripts::DIRECTORY, Kind::Directory, 0o755, 0)?;
    let mut all = scripts::of(language).to_vec();
    all.sort_unstable();
    for (name, content) in all {
        let mode = if scripts::is_program(name) {
            0o755
        } else {
            0o644
        };
        let path = format!("{}/{name}", scripts::DIRECTORY);
        files.file(&path, mode, content.as_bytes())?;
    }
    files.writer.finish().map_err(sink)
}

struct Files {
    writer: Writer<Packing>,
    epoch: i64,
}

impl Files {
    fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), CreateError> {
        let size = content.len() as u64;
        self.put(path, Kind::File(size), mode, 0)?;
        self.writer.content(content).map_err(sink)?;
        self.writer.pad(size).map_err(sink)
    }

    fn put(&mut self, path: &str, kind: Kind, mode: u32, uid: u32) -> Result<(), CreateError> {
        let parsed = TreePath::parse(path.as_bytes());
        let path = parsed
            .map_err(|error| CreateError::io(path, std::io::Error::other(error.to_string())))?;
        let entry = Entry {
            path,
            kind,
            mode,
            uid,
            gid: 0,
            mtime: Mtime {
                seconds: self.epoch,
                nanoseconds: 0,
            },
            xattrs: Xattrs::default(),
        };
        self.writer.header(&entry).map_err(sink)
    }
}

fn sink(error: std::io::Error) -> CreateError {
    ExportError::Sink(error).into()
}
