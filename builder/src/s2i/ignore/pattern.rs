//! One pattern of an ignore file.

use super::Mode;
use crate::s2i::glob::{self, Glob, NoSteps, Steps};

/// A pattern, without `/` at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Without special characters it is itself.
    Literal(Vec<u8>),
    /// `filepath.Match` with the whole path.
    Whole(Glob),
    /// Name by name: `filepath.Glob`.
    Names(Vec<Name>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    One(Glob),
    /// `**`: any number of names.
    Any,
}

impl Pattern {
    pub(super) fn parse(mode: Mode, again: bool, pattern: &[u8]) -> Result<Self, &'static str> {
        let glob = |text: &[u8]| Glob::parse(text).map_err(|_| "the pattern is malformed");
        // Whatever its names are by themselves: a class may have a slash in it.
        let whole = glob(pattern)?;
        if glob::is_literal(pattern) {
            return Ok(Self::Literal(pattern.to_vec()));
        }
        if mode == Mode::Classic && again {
            return Ok(Self::Whole(whole));
        }
        let name = |name: &[u8]| match (mode, name) {
            (Mode::Recursive, b"**") => Some(Name::Any),
            // A name that is malformed by itself matches nothing.
            _ => Glob::parse(name).ok().map(Name::One),
        };
        let names: Option<Vec<Name>> = split(pattern).map(name).collect();
        Ok(Self::Names(names.unwrap_or_default()))
    }

    /// Whether it matches a path, whose names these are.
    pub(super) fn matches(
        &self,
        path: &[u8],
        names: &[&[u8]],
        steps: &mut Steps,
    ) -> Result<bool, NoSteps> {
        steps.take(1)?;
        match self {
            Self::Literal(pattern) => Ok(pattern == path),
            Self::Whole(glob) => glob.matches(path, steps),
            Self::Names(patterns) => by_names(patterns, names, steps),
        }
    }
}

fn by_names(patterns: &[Name], names: &[&[u8]], steps: &mut Steps) -> Result<bool, NoSteps> {
    let any = patterns.iter().filter(|name| **name == Name::Any).count();
    steps.take(patterns.len())?;
    let fits = if any == 0 {
        patterns.len() == names.len()
    } else {
        patterns.len() - any <= names.len()
    };
    if !fits {
        return Ok(false);
    }
    // Most paths differ in their last name.
    if let (Some(Name::One(last)), Some(name)) = (patterns.last(), names.last())
        && !last.matches(name, steps)?
    {
        return Ok(false);
    }
    // `reach[i]`: the patterns so far match the first `i` names.
    let mut reach = vec![false; names.len() + 1];
    reach[0] = true;
    for pattern in patterns {
        steps.take(reach.len())?;
        let mut next = vec![false; reach.len()];
        match pattern {
            Name::Any => {
                let first = reach.iter().position(|reached| *reached);
                next[first.unwrap_or(reach.len())..].fill(true);
            }
            Name::One(glob) => {
                for (i, name) in names.iter().enumerate().filter(|(i, _)| reach[*i]) {
                    next[i + 1] = glob.matches(name, steps)?;
                }
            }
        }
        reach = next;
    }
    Ok(reach[names.len()])
}

pub(super) fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}
