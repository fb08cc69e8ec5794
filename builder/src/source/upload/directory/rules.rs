//! Which paths git ignores by what its files of patterns say (gitignore(5)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::s2i::Warning;
use crate::source::{Fault, FaultClass};

/// The patterns of one file, and of those that give way to it.
#[derive(Debug)]
pub(super) struct Rules {
    patterns: Gitignore,
    above: Option<Rc<Rules>>,
}

impl Rules {
    /// Puts the patterns of a file, which are meant from `folder` on, before those `above`. A file that is not there says nothing.
    pub(super) fn read(
        above: Option<Rc<Self>>,
        folder: &Path,
        file: &Path,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Rc<Self>>, Fault> {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("{} cannot be read: {error}", file.display());
            Fault::new(FaultClass::Machine, message)
        };
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if is_none(&error) => return Ok(above),
            Err(error) => return Err(failed(&error)),
        };
        let mut patterns = GitignoreBuilder::new(folder);
        let text = String::from_utf8_lossy(bytes.strip_prefix(BOM).unwrap_or(&bytes));
        for (index, line) in text.lines().enumerate() {
            if let Err(why) = patterns.add_line(Some(PathBuf::from(file)), line) {
                warnings.push(Warning::new(format!(
                    "{}:{}: {} is passed over: {why}",
                    file.display(),
                    index + 1,
                    line.escape_debug()
                )));
            }
        }
        let patterns = patterns.build().map_err(|error| failed(&error))?;
        Ok(Some(Rc::new(Self { patterns, above })))
    }

    /// Whether a path is ignored: the nearest file that has a pattern for it decides.
    pub(super) fn ignore(&self, path: &Path, is_folder: bool) -> bool {
        let mut next = Some(self);
        while let Some(rules) = next {
            match rules.patterns.matched(path, is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => next = rules.above.as_deref(),
            }
        }
        false
    }
}

/// What some editors begin a file with.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Git takes what is no file there for none, too.
fn is_none(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}
