//! `.s2iignore`: what of a source does not go into the build.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Warning;
use super::glob::{NoSteps, Steps};

mod pattern;
#[cfg(test)]
mod tests;

use pattern::{Pattern, split};

/// How the patterns of `.s2iignore` are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "IgnoreMode")]
pub enum Mode {
    /// As the `s2i` program: Go's `filepath.Glob` from the source's root. `*.log` names files of the root only;
    /// `!` takes back what an earlier line matched by that very path.
    #[default]
    Classic,
    /// As `.dockerignore`: `**` is any number of folders, a pattern holds for all beneath what it matches, the last
    /// line that matches decides, `!` brings back. `*.log` still names files of the root only; write `**/*.log`.
    Recursive,
}

/// The patterns of an ignore file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore {
    mode: Mode,
    rules: Vec<Rule>,
}

/// Why it is not known what is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// More than [`Ignore::MAX_RULES`].
    #[error(".s2iignore has more than {} patterns", Ignore::MAX_RULES)]
    TooManyRules,
    /// Patterns and paths together are more work than [`Ignore::MAX_STEPS`].
    #[error(
        ".s2iignore has too many patterns for so many files: name folders rather than what is in them, and write fewer *"
    )]
    TooMuchWork,
    /// Nobody waits for it any more.
    #[error("reading the source was stopped")]
    Stopped,
}

impl From<NoSteps> for IgnoreError {
    fn from(NoSteps: NoSteps) -> Self {
        Self::TooMuchWork
    }
}

impl Ignore {
    /// Largest file that is read, in bytes.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Most patterns.
    pub const MAX_RULES: usize = 1_000;

    /// Most steps that comparing all patterns with all paths may take: some hundreds for each of 500,000 paths, and less
    /// than a second or two.
    pub const MAX_STEPS: u64 = 1 << 28;

    /// Reads the file: a pattern a line, spaces around it taken off, `#` begins a comment line, `!` takes back.
    /// Patterns that are malformed or lead out of the source are passed over with a warning.
    pub fn parse(
        mode: Mode,
        content: &[u8],
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, IgnoreError> {
        let mut rules = Vec::new();
        let mut read = 0;
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = trimmed(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            read += 1;
            if read > Self::MAX_RULES {
                return Err(IgnoreError::TooManyRules);
            }
            let (again, text) = match line.strip_prefix(b"!") {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            match cleaned(text).and_then(|pattern| Pattern::parse(mode, again, &pattern)) {
                Ok(pattern) => rules.push(Rule { pattern, again }),
                Err(why) => warnings.push(Warning::new(format!(
                    ".s2iignore:{}: {} is passed over: {why}",
                    index + 1,
                    line.escape_ascii()
                ))),
            }
        }
        Ok(Self { mode, rules })
    }

    /// For each of `paths`, in their order, whether it is left out. They are all files and folders of the source, from
    /// its root, without `/` at either end, in the order of their bytes. `stopped` is asked for each of them.
    pub fn left_out(
        &self,
        paths: &[&[u8]],
        stopped: impl Fn() -> bool,
    ) -> Result<Vec<bool>, IgnoreError> {
        self.within(Steps::new(Self::MAX_STEPS), paths, stopped)
    }

    fn within(
        &self,
        mut steps: Steps,
        paths: &[&[u8]],
        stopped: impl Fn() -> bool,
    ) -> Result<Vec<bool>, IgnoreError> {
        let mut decided = Decided::default();
        for path in paths {
            if stopped() {
                return Err(IgnoreError::Stopped);
            }
            match self.mode {
                Mode::Classic => decided.out.push(self.classic(path, &mut steps)?),
                Mode::Recursive => self.recursive(paths, &mut decided, &mut steps)?,
            }
        }
        match self.mode {
            Mode::Classic => with_contents(paths, &mut decided.out),
            Mode::Recursive => with_parents(paths, &mut decided.out),
        }
        Ok(decided.out)
    }

    /// The program keeps a set of matched paths: a pattern adds to it, `!` takes exact paths from it.
    fn classic(&self, path: &[u8], steps: &mut Steps) -> Result<bool, NoSteps> {
        let names: Vec<&[u8]> = split(path).collect();
        let mut out = false;
        for rule in &self.rules {
            // Else it would change nothing.
            if out == rule.again {
                out ^= rule.pattern.matches(path, &names, steps)?;
            }
        }
        Ok(out)
    }

    /// Decides on the next path: the last rule counts that matches it or a folder that it is in.
    fn recursive(
        &self,
        paths: &[&[u8]],
        decided: &mut Decided,
        steps: &mut Steps,
    ) -> Result<(), NoSteps> {
        let at = decided.by.len();
        let names: Vec<&[u8]> = split(paths[at]).collect();
        let mut by = folder_of(paths, at).and_then(|folder| decided.by[folder]);
        let first = by.map_or(0, |by| usize::from(by) + 1);
        for (index, rule) in self.rules.iter().enumerate().skip(first).rev() {
            if rule.pattern.matches(paths[at], &names, steps)? {
                // There are no more than `MAX_RULES`.
                by = u16::try_from(index).ok();
                break;
            }
        }
        let rule = by.map(|by| &self.rules[usize::from(by)]);
        decided.by.push(by);
        decided.out.push(rule.is_some_and(|rule| !rule.again));
        Ok(())
    }
}

/// What was decided about the paths so far, and, where the rules of folders count, by which rule.
#[derive(Default)]
struct Decided {
    out: Vec<bool>,
    by: Vec<Option<u16>>,
}

/// Removing a folder removes what is in it.
fn with_contents(paths: &[&[u8]], out: &mut [bool]) {
    for at in 0..paths.len() {
        out[at] = out[at] || folder_of(paths, at).is_some_and(|folder| out[folder]);
    }
}

/// What is brought back brings back the folders that it is in.
fn with_parents(paths: &[&[u8]], out: &mut [bool]) {
    for at in (0..paths.len()).rev() {
        if !out[at]
            && let Some(folder) = folder_of(paths, at)
        {
            out[folder] = false;
        }
    }
}

/// Where the folder is that a path is in: before it, as paths are in the order of their bytes.
fn folder_of(paths: &[&[u8]], at: usize) -> Option<usize> {
    let end = paths[at].iter().rposition(|byte| *byte == b'/')?;
    paths[..at].binary_search(&&paths[at][..end]).ok()
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    /// It began with `!`.
    again: bool,
}

/// Only spaces, as the program does: a tab belongs to the pattern.
fn trimmed(mut line: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = line {
        line = rest;
    }
    line
}

/// The pattern as `filepath.Join(root, pattern)` would have it, less the root.
fn cleaned(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in text.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop().ok_or("it leads out of the source")?;
            }
            _ => names.push(name),
        }
    }
    let pattern = names.join(&b'/');
    if pattern.is_empty() {
        return Err("it names the source itself");
    }
    Ok(pattern)
}
