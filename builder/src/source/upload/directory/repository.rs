//! The repository that a folder is in: its own patterns, and which files it tracks.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::s2i::Warning;

/// A repository, as seen from one of its folders.
#[derive(Debug)]
pub(super) struct Repository {
    top: PathBuf,
    exclude: PathBuf,
    folder: PathBuf,
    tracked: OnceCell<BTreeSet<PathBuf>>,
}

/// What a repository tracks at a path, although it is ignored.
pub(super) enum Tracked {
    Nothing,
    /// The file, or the submodule.
    Itself,
    /// Files within the folder.
    Below,
}

impl Repository {
    /// The one that a folder is in, whose path is absolute and has no links in it.
    pub(super) fn around(folder: &Path) -> Option<Self> {
        let (top, exclude) = folder
            .ancestors()
            .find_map(|top| Some((top, exclude(top)?)))?;
        Some(Self {
            top: top.to_owned(),
            exclude,
            folder: folder.to_owned(),
            tracked: OnceCell::new(),
        })
    }

    /// The one that a folder is the top of.
    pub(super) fn of(top: &Path) -> Option<Self> {
        Some(Self {
            exclude: exclude(top)?,
            top: top.to_owned(),
            folder: top.to_owned(),
            tracked: OnceCell::new(),
        })
    }

    /// The folder that its work tree begins with.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    /// Its own patterns, `info/exclude`, if they are there.
    pub(super) fn exclude(&self) -> &Path {
        &self.exclude
    }

    /// What it tracks at a path. Git is asked once, when something is ignored.
    pub(super) fn tracks(&self, path: &Path, warnings: &mut Vec<Warning>) -> Tracked {
        let tracked = self.tracked.get_or_init(|| {
            tracked(&self.folder).unwrap_or_else(|why| {
                warnings.push(Warning::new(format!(
                    "{}: git cannot be asked what it tracks, so what .gitignore names is left out even if it is committed: {why}",
                    self.folder.display()
                )));
                BTreeSet::new()
            })
        });
        let path = path.strip_prefix(&self.folder).unwrap_or(path);
        let from = (Bound::Included(path), Bound::Unbounded);
        match tracked.range::<Path, _>(from).next() {
            Some(first) if first == path => Tracked::Itself,
            Some(first) if first.starts_with(path) => Tracked::Below,
            _ => Tracked::Nothing,
        }
    }
}

/// Where the patterns of the repository are that a folder is the top of (gitrepository-layout(5)). In a submodule `.git` is a file
/// that says where the repository is; in a work tree beside the first one, too, and there it says what all of them share.
fn exclude(top: &Path) -> Option<PathBuf> {
    let git = top.join(".git");
    let folder = if fs::metadata(&git).ok()?.is_dir() {
        // As git does: an empty folder of that name is no repository, and the one around it counts.
        let head = fs::symlink_metadata(git.join("HEAD"));
        if head.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return None;
        }
        git
    } else {
        let said = fs::read(&git).ok()?;
        top.join(path(said.strip_prefix(b"gitdir:")?))
    };
    let shared = match fs::read(folder.join("commondir")) {
        Ok(said) => folder.join(path(&said)),
        Err(_) => folder,
    };
    Some(shared.join("info/exclude"))
}

fn path(said: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(said.trim_ascii()))
}

/// The files that git tracks below a folder, and submodules.
fn tracked(folder: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let mut git = Command::new("git");
    // Of a hook that called us, they mean another folder.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(name);
    }
    // A repository's configuration may name a program to ask about changes: a stranger's is not run.
    git.args(["-c", "core.fsmonitor=", "ls-files", "--cached", "-z"])
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    let said = git.output().map_err(|error| format!("git: {error}"))?;
    if !said.status.success() {
        let why = String::from_utf8_lossy(&said.stderr);
        return Err(why.lines().next().unwrap_or("git failed").to_owned());
    }
    let names = said.stdout.split(|byte| *byte == 0);
    Ok(names
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
        .collect())
}
