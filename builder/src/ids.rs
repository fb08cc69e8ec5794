//! Ids inside a container and outside of it.

#[cfg(test)]
mod tests;

/// One line of a user namespace's map (`user_namespaces(7)`, `uid_map`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: u32,
    /// How many there are.
    pub length: u32,
}

/// How users and groups inside a container are called outside, where files on the disk belong to them.
///
/// Archives always have the inner ids. Whoever works from within the container's user namespace sees those on the disk as
/// well, and needs the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap(Vec<Range>);

impl IdMap {
    /// Every id is called as it is.
    pub fn identity() -> Self {
        Self(vec![Range {
            inside: 0,
            outside: 0,
            length: u32::MAX,
        }])
    }

    /// The ranges.
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// A map of ranges that have no id in common, on neither side.
    pub fn new(ranges: Vec<Range>) -> Result<Self, InvalidIdMap> {
        let sides: [fn(&Range) -> u32; 2] = [|range| range.inside, |range| range.outside];
        for first in sides {
            let mut spans: Vec<_> = ranges
                .iter()
                .map(|range| (u64::from(first(range)), u64::from(range.length)))
                .collect();
            spans.sort_unstable();
            let is_apart = spans.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0);
            let is_in_bounds =
                |(first, length): &(u64, u64)| *length > 0 && first + length <= u32::MAX.into();
            if !is_apart || !spans.iter().all(is_in_bounds) {
                return Err(InvalidIdMap);
            }
        }
        Ok(Self(ranges))
    }

    /// What an inner id is called outside; `None` if nothing outside stands for it.
    pub fn outside(&self, inside: u32) -> Option<u32> {
        let within = |range: &Range| {
            let offset = inside.checked_sub(range.inside)?;
            (offset < range.length).then(|| range.outside + offset)
        };
        self.0.iter().find_map(within)
    }

    /// What an outer id is called inside; `None` if it has no name there.
    pub fn inside(&self, outside: u32) -> Option<u32> {
        let within = |range: &Range| {
            let offset = outside.checked_sub(range.outside)?;
            (offset < range.length).then(|| range.inside + offset)
        };
        self.0.iter().find_map(within)
    }
}

/// Ranges that are empty, overlap or go beyond the largest id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id map has a range that is empty, overlaps another or is too long")]
pub struct InvalidIdMap;
