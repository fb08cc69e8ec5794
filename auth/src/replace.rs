//! Writing a file so that a reader sees the old or the new one, never half of it.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use tempfile::NamedTempFile;

/// Replaces `path`, or what it links to. A new file is for its owner only; an old one keeps its owner, and the rights of
/// its group, so that a server running as somebody else can still read what an administrator changed.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let staged = stage(&path, content)?;
    if let Ok(old) = fs::metadata(&path) {
        let mine = staged.as_file().metadata()?;
        if (mine.uid(), mine.gid()) != (old.uid(), old.gid()) {
            chown(staged.path(), Some(old.uid()), Some(old.gid()))?;
        }
        let mode = 0o600 | (old.mode() & 0o060);
        staged
            .as_file()
            .set_permissions(Permissions::from_mode(mode))?;
    }
    staged.persist(&path)?;
    sync_folder(&path)
}

/// Makes `path`, for its owner only; false when it is there already.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<bool> {
    match stage(path, content)?.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

fn stage(path: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    // tempfile makes it with mode 0600.
    let folder = folder(path);
    let mut staged = NamedTempFile::new_in(folder).map_err(|error| {
        // Its own text names the temporary file, which tells nobody anything.
        let text = error.to_string();
        let cause = text.split(" at path ").next().unwrap_or(&text);
        let folder = folder.display();
        let text = format!("no file can be made in {folder}: {cause}");
        io::Error::new(error.kind(), text)
    })?;
    staged.write_all(content)?;
    staged.as_file().sync_all()?;
    Ok(staged)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
