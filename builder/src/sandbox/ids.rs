//! Which numbers of the host the users inside a sandbox are.

use std::fmt::Write as _;

use crate::{IdMap, Range};

#[cfg(test)]
mod tests;

/// An [`IdMap`] that a sandbox can run with: there is a root inside, and the host's root is not.
///
/// The files of a [`Root`](super::Root) belong to the numbers outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxIds(IdMap);

/// Why a map is none for a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIds {
    /// Root and at least one user are needed.
    #[error("a range of user ids needs at least 2 of them")]
    TooSmall,
    /// Beyond 32 bits, the host's root is in it, or an id is in it twice.
    #[error("a range of user ids must lie between 1 and 4294967294, without the user's own")]
    OutOfRange,
}

impl SandboxIds {
    /// Inside 0..count is outside first..first+count.
    pub fn range(first: u32, count: u32) -> Result<Self, InvalidIds> {
        Self::new(vec![Range {
            inside: 0,
            outside: first,
            length: count,
        }])
    }

    fn new(ranges: Vec<Range>) -> Result<Self, InvalidIds> {
        let count: u64 = ranges.iter().map(|range| u64::from(range.length)).sum();
        if count < 2 {
            return Err(InvalidIds::TooSmall);
        }
        let map = IdMap::new(ranges).map_err(|_| InvalidIds::OutOfRange)?;
        match map.inside(0) {
            Some(_) => Err(InvalidIds::OutOfRange),
            None => Ok(Self(map)),
        }
    }

    /// The map, for the store of layers and the export of one.
    pub fn map(&self) -> &IdMap {
        &self.0
    }

    /// The number on the host; none for a number that does not exist inside.
    pub fn outside(&self, inside: u32) -> Option<u32> {
        self.0.outside(inside)
    }

    /// The number on the host of the last one inside, whom images have no use for.
    pub(crate) fn last(&self) -> u32 {
        // There are at least two: `new`.
        let last = self.0.ranges().last();
        last.map_or(0, |range| range.outside + (range.length - 1))
    }

    /// As `/proc/PID/uid_map` takes it.
    pub(super) fn lines(&self) -> String {
        let mut text = String::new();
        for range in self.0.ranges() {
            let _ = writeln!(text, "{} {} {}", range.inside, range.outside, range.length);
        }
        text
    }
}
