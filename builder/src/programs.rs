//! Programs of the host: where they are, whatever the server's own environment says.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where they are looked for.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a program is that is named without a folder.
pub(crate) fn find(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let mut paths = PATH
        .split(':')
        .map(|folder| Path::new(folder).join(name.as_ref()));
    paths.find(|path| {
        let found = path.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

/// What to start for a program: its path. What is not found keeps its name, and says so when it is started.
///
/// With a bare name and a `PATH` of the program's own the standard library forks to look it up, and the kernel copies the tables of
/// all memory of the server; a path is spawned without (`posix_spawn(3)`), some milliseconds faster.
pub(crate) fn to_start(name: impl AsRef<OsStr>) -> PathBuf {
    let name = name.as_ref();
    find(name).unwrap_or_else(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_path_stays() {
        let sh = to_start("sh");
        assert!(sh.is_absolute() && sh.ends_with("sh"), "{}", sh.display());
        assert_eq!(to_start("/no/such/program"), Path::new("/no/such/program"));
        assert_eq!(to_start("no-such-program"), Path::new("no-such-program"));
        assert_eq!(find("no-such-program"), None);
    }
}
