//! `slipway install-links`: the other names of this program.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Context as _;

use super::print;
use crate::invoked::{COMPLETION, HELPER, PLUGIN};

/// Makes the links in `dir`, by default in the folder of the program.
pub(super) fn install(dir: Option<&Path>) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("where this program is")?;
    let dir = match dir {
        Some(dir) => dir,
        None => program.parent().context("the program's folder")?,
    };
    for name in [PLUGIN, COMPLETION, HELPER] {
        let link = dir.join(name);
        make(&link, &program).with_context(|| link.display().to_string())?;
        print::line(&format!("{} → {}", link.display(), program.display()))?;
    }
    if !is_on_path(HELPER) {
        print::line(&format!(
            "{} is not on PATH yet: kubectl, podman and docker look for these names there",
            dir.display()
        ))?;
    }
    Ok(())
}

fn make(link: &Path, program: &Path) -> anyhow::Result<()> {
    match symlink(program, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // Only a link is replaced: another program under this name is somebody else's.
            anyhow::ensure!(
                fs::symlink_metadata(link)?.is_symlink(),
                "is there already and no link; remove it first"
            );
            fs::remove_file(link)?;
            Ok(symlink(program, link)?)
        }
        made => Ok(made?),
    }
}

/// Whether a client that looks for `name` finds it.
pub(super) fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::make;

    #[test]
    fn links_are_renewed_and_programs_of_others_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        for program in ["/old/slipway", "/new/slipway"] {
            make(&link, Path::new(program)).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(program));
        }
        let other = dir.path().join("other");
        fs::write(&other, "somebody's").unwrap();
        make(&other, Path::new("/new/slipway")).unwrap_err();
        assert_eq!(fs::read(&other).unwrap(), b"somebody's");
    }
}
