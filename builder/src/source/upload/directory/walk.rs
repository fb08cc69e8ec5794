//! What of a folder git does not ignore.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::repository::{Repository, Tracked};
use super::rules::Rules;
use crate::s2i::Warning;
use crate::source::{Fault, FaultClass};

/// A walk through a folder, as git would have it.
pub(super) struct Walk<'a> {
    /// Without links in its path, as git sees it.
    root: PathBuf,
    /// The user's own patterns, for all repositories.
    excludes: Option<&'a Path>,
    waiting: Vec<Place>,
    warnings: Vec<Warning>,
    left_out: usize,
}

/// A folder that is still to be read.
struct Place {
    /// From the root.
    path: PathBuf,
    repository: Option<Rc<Repository>>,
    rules: Option<Rc<Rules>>,
    /// Only what git tracks is taken.
    is_ignored: bool,
}

/// What a walk has to say at its end.
pub(super) struct Walked {
    pub(super) warnings: Vec<Warning>,
    /// Files and folders that are ignored; what is in such a folder is not looked at.
    pub(super) left_out: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(folder: &Path, excludes: Option<&'a Path>) -> Result<Self, Fault> {
        let root = folder.canonicalize();
        let mut walk = Self {
            root: root.map_err(|error| unreadable(folder, &error))?,
            excludes,
            waiting: Vec::new(),
            warnings: Vec::new(),
            left_out: 0,
        };
        // Of another user's home, which `HOME` may name: git goes on without it, too.
        if let Some(file) = excludes
            && let Err(error) = fs::File::open(file)
            && error.kind() == io::ErrorKind::PermissionDenied
        {
            let file = file.display();
            walk.warnings
                .push(Warning::new(format!("{file} does not count: {error}")));
            walk.excludes = None;
        }
        let root = walk.root.clone();
        let mut place = Place {
            path: PathBuf::new(),
            repository: None,
            rules: None,
            is_ignored: false,
        };
        if let Some(repository) = Repository::around(&root) {
            place.rules = walk.rules(&repository)?;
            let above: Vec<_> = root
                .ancestors()
                .skip(1)
                .take_while(|above| above.starts_with(repository.top()))
                .collect();
            for folder in above.into_iter().rev() {
                place.rules = walk.rules_in(folder, place.rules)?;
            }
            place.repository = Some(Rc::new(repository));
        }
        walk.waiting.push(place);
        Ok(walk)
    }

    /// Gives `each` all that is not ignored, by its path from the folder; links are not followed.
    pub(super) fn run(
        mut self,
        mut each: impl FnMut(&Path, &Metadata) -> Result<(), Fault>,
    ) -> Result<Walked, Fault> {
        while let Some(mut place) = self.waiting.pop() {
            let here = self.root.join(&place.path);
            place.rules = self.rules_in(&here, place.rules.take())?;
            let failed = |error| unreadable(&here, &error);
            for entry in fs::read_dir(&here).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                if entry.file_name() == ".git" {
                    continue;
                }
                let metadata = entry.metadata();
                let metadata = metadata.map_err(|error| unreadable(&entry.path(), &error))?;
                let path = place.path.join(entry.file_name());
                if self.takes(&place, &path, metadata.is_dir())? {
                    each(&path, &metadata)?;
                } else {
                    self.left_out += 1;
                }
            }
        }
        Ok(Walked {
            warnings: self.warnings,
            left_out: self.left_out,
        })
    }

    /// Whether a path is taken. A folder that is waits to be read.
    fn takes(&mut self, place: &Place, path: &Path, is_folder: bool) -> Result<bool, Fault> {
        let full = self.root.join(path);
        let rules = place.rules.as_ref();
        let is_ignored =
            place.is_ignored || rules.is_some_and(|rules| rules.ignore(&full, is_folder));
        let tracked = match &place.repository {
            _ if !is_ignored => Tracked::Itself,
            Some(repository) => repository.tracks(&full, &mut self.warnings),
            None => Tracked::Nothing,
        };
        if matches!(tracked, Tracked::Nothing) {
            return Ok(false);
        }
        if !is_folder {
            return Ok(matches!(tracked, Tracked::Itself));
        }
        let mut below = Place {
            path: path.to_owned(),
            repository: place.repository.clone(),
            rules: place.rules.clone(),
            is_ignored: matches!(tracked, Tracked::Below),
        };
        // A repository in another one has rules of its own only.
        if let Some(repository) = Repository::of(&full) {
            below.rules = self.rules(&repository)?;
            below.repository = Some(Rc::new(repository));
            below.is_ignored = false;
        }
        self.waiting.push(below);
        Ok(true)
    }

    /// What counts in all of a repository.
    fn rules(&mut self, of: &Repository) -> Result<Option<Rc<Rules>>, Fault> {
        let mut rules = None;
        for file in self.excludes.into_iter().chain([of.exclude()]) {
            rules = Rules::read(rules, of.top(), file, &mut self.warnings)?;
        }
        Ok(rules)
    }

    /// What counts in a folder and below it.
    fn rules_in(
        &mut self,
        folder: &Path,
        above: Option<Rc<Rules>>,
    ) -> Result<Option<Rc<Rules>>, Fault> {
        let file = folder.join(".gitignore");
        Rules::read(above, folder, &file, &mut self.warnings)
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let message = format!("{} cannot be read: {error}", path.display());
    Fault::new(FaultClass::Machine, message)
}
