//! Whose files are.
//!
//! Commands of an administrator make files that the server, as another user, must be able to write.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, open};
use rustix::io::Errno;
use rustix::process::geteuid;

const ROOT: u32 = 0;

/// Gives files and folders of root's to the owner and group of `folder`. Does nothing for any other user, who can make
/// files for nobody else, and for what is not there.
pub(crate) fn give_to_owner_of(folder: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    if geteuid().as_raw() != ROOT {
        return Ok(());
    }
    let owner = folder
        .metadata()
        .with_context(|| folder.display().to_string())?;
    for file in files {
        give(file, owner.uid(), owner.gid()).with_context(|| {
            let (user, group) = (owner.uid(), owner.gid());
            format!(
                "cannot give {} to user {user} and group {group}",
                file.display()
            )
        })?;
    }
    Ok(())
}

/// By a handle, not by name: in a folder of another user, a name may lead elsewhere a moment later. And a second name of
/// a file is one that this user has put here to be given what is not theirs.
fn give(file: &Path, user: u32, group: u32) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match open(file, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => File::from(opened?),
    };
    let metadata = file.metadata()?;
    let is_ours = metadata.is_dir() || metadata.is_file() && metadata.nlink() == 1;
    if metadata.uid() != ROOT || (user, group) == (ROOT, metadata.gid()) || !is_ours {
        return Ok(());
    }
    fchown(&file, Some(user), Some(group))
}

/// Fails where this user may not do with `path`, which is there, what `access` says.
pub(crate) fn check_access(path: &Path, access: Access) -> anyhow::Result<()> {
    let Err(error) = accessat(CWD, path, access, AtFlags::EACCESS) else {
        return Ok(());
    };
    let user = geteuid().as_raw();
    match path.metadata() {
        Ok(metadata) if error == Errno::ACCESS => {
            let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
            let may_not = [
                (Access::READ_OK, "read"),
                (Access::WRITE_OK, "write"),
                (Access::EXEC_OK, "enter"),
            ];
            let may_not: Vec<_> = may_not
                .into_iter()
                .filter(|(one, _)| access.contains(*one))
                .filter(|(one, _)| accessat(CWD, path, *one, AtFlags::EACCESS).is_err())
                .map(|(_, verb)| verb)
                .collect();
            anyhow::bail!(
                "{}: user {user} may not {} it: it belongs to user {owner} and group {group} (mode {mode:04o})",
                path.display(),
                may_not.join(" and ")
            )
        }
        _ => anyhow::bail!("{}: {error}", path.display()),
    }
}
