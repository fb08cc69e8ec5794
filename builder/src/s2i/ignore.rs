//! `.s2iignore`: what of a source does not go into the build.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Warning, glob};

#[cfg(test)]
mod tests;

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

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// Without `/` at either end.
    pattern: Vec<u8>,
    /// It began with `!`.
    again: bool,
}

impl Ignore {
    /// Largest file that is read, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// Reads the file: a pattern a line, spaces around it taken off, `#` begins a comment line, `!` takes back.
    /// Patterns that are malformed or lead out of the source are passed over with a warning.
    pub fn parse(mode: Mode, content: &[u8], warnings: &mut Vec<Warning>) -> Self {
        let mut rules = Vec::new();
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = trimmed(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let (again, text) = match line.strip_prefix(b"!") {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            match cleaned(text) {
                Ok(pattern) => rules.push(Rule { pattern, again }),
                Err(why) => warnings.push(Warning::new(format!(
                    ".s2iignore:{}: {} is passed over: {why}",
                    index + 1,
                    line.escape_ascii()
                ))),
            }
        }
        Self { mode, rules }
    }

    /// For each of `paths`, in their order, whether it is left out. They are all files and folders of the source, from
    /// its root, without `/` at either end.
    pub fn left_out(&self, paths: &[&[u8]]) -> Vec<bool> {
        match self.mode {
            Mode::Classic => {
                let mut out = self.classic(paths);
                with_contents(paths, &mut out);
                out
            }
            Mode::Recursive => {
                let mut out = self.recursive(paths);
                with_parents(paths, &mut out);
                out
            }
        }
    }

    /// The program keeps a set of matched paths: a pattern adds to it, `!` takes exact paths from it.
    fn classic(&self, paths: &[&[u8]]) -> Vec<bool> {
        let mut out = vec![false; paths.len()];
        for rule in &self.rules {
            for (path, out) in paths.iter().zip(&mut out) {
                if rule.again {
                    // Checked when it was parsed; what is malformed is no rule.
                    *out = *out && !matches!(glob::matches(&rule.pattern, path), Ok(true));
                } else {
                    *out = *out || same_segments(&rule.pattern, path);
                }
            }
        }
        out
    }

    fn recursive(&self, paths: &[&[u8]]) -> Vec<bool> {
        let decide = |path: &&[u8]| {
            let matching =
                |rule: &&Rule| prefixes(path).any(|prefix| any_depth(&rule.pattern, prefix));
            let last = self.rules.iter().rev().find(matching);
            last.is_some_and(|rule| !rule.again)
        };
        paths.iter().map(decide).collect()
    }
}

/// Removing a folder removes what is in it.
fn with_contents(paths: &[&[u8]], out: &mut [bool]) {
    let removed = paths.iter().zip(&*out).filter(|(_, out)| **out);
    let removed: HashSet<&[u8]> = removed.map(|(path, _)| *path).collect();
    for (path, out) in paths.iter().zip(out) {
        *out = *out || prefixes(path).any(|folder| removed.contains(folder));
    }
}

/// What is brought back brings back the folders that it is in.
fn with_parents(paths: &[&[u8]], out: &mut [bool]) {
    let kept = paths.iter().zip(&*out).filter(|(_, out)| !**out);
    let kept: HashSet<&[u8]> = kept.flat_map(|(path, _)| prefixes(path)).collect();
    for (path, out) in paths.iter().zip(out) {
        *out = *out && !kept.contains(path);
    }
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
    glob::check(&pattern).map_err(|_| "the pattern is malformed")?;
    Ok(pattern)
}

/// `filepath.Glob`: name by name. A pattern without special characters is itself.
fn same_segments(pattern: &[u8], path: &[u8]) -> bool {
    if glob::is_literal(pattern) {
        return pattern == path;
    }
    let (mut patterns, mut names) = (split(pattern), split(path));
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) => {
                if glob::matches(pattern, name) != Ok(true) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Name by name, with `**` for any number of names.
fn any_depth(pattern: &[u8], path: &[u8]) -> bool {
    let patterns: Vec<&[u8]> = split(pattern).collect();
    let names: Vec<&[u8]> = split(path).collect();
    // `reach[i]`: the patterns so far match the first `i` names.
    let mut reach = vec![false; names.len() + 1];
    reach[0] = true;
    for pattern in patterns {
        let mut next = vec![false; names.len() + 1];
        let mut seen = false;
        for i in 0..=names.len() {
            if pattern == b"**" {
                seen |= reach[i];
                next[i] = seen;
            } else if i > 0 {
                next[i] = reach[i - 1] && glob::matches(pattern, names[i - 1]) == Ok(true);
            }
        }
        reach = next;
    }
    reach[names.len()]
}

/// The path and every folder that it is in.
fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let folders = ends.map(|(index, _)| &path[..index]);
    folders.chain(std::iter::once(path))
}

fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}
