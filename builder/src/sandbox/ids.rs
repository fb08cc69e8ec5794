//! Which numbers of the host the users inside a sandbox are.

use std::fmt::Write as _;

use crate::layer;

#[cfg(test)]
mod tests;

/// A user namespace's map, for users and groups alike: pieces of (first inside, first outside, count).
///
/// Files of a [`Root`](super::Root) belong to numbers *outside*: what is root's in the image is [`IdMap::outside`]`(0)` on
/// disk. Source: `user_namespaces(7)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap(Vec<Piece>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    inside: u32,
    outside: u32,
    count: u32,
}

/// Why a map is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdMap {
    /// Root and at least one user are needed.
    #[error("a range of user ids needs at least 2 of them")]
    TooSmall,
    /// Beyond 32 bits, or the host's root is in it.
    #[error("a range of user ids must lie between 1 and 4294967294")]
    OutOfRange,
}

impl IdMap {
    /// Inside 0..count is outside first..first+count: what a server that runs as root uses.
    pub fn range(first: u32, count: u32) -> Result<Self, InvalidIdMap> {
        if count < 2 {
            return Err(InvalidIdMap::TooSmall);
        }
        let end = first.checked_add(count);
        if first == 0 || end.is_none_or(|end| end == u32::MAX) {
            return Err(InvalidIdMap::OutOfRange);
        }
        Ok(Self(vec![Piece {
            inside: 0,
            outside: first,
            count,
        }]))
    }

    /// Root inside is `own` outside, the rest inside is a range that `/etc/subuid` grants: what an ordinary user has.
    pub fn ordinary(own: u32, first: u32, count: u32) -> Result<Self, InvalidIdMap> {
        let mut map = Self::range(first, count)?;
        if own == 0 {
            return Err(InvalidIdMap::OutOfRange);
        }
        for piece in &mut map.0 {
            piece.inside = 1;
        }
        map.0.insert(
            0,
            Piece {
                inside: 0,
                outside: own,
                count: 1,
            },
        );
        Ok(map)
    }

    /// The number on the host; none for a number that does not exist inside.
    pub fn outside(&self, inside: u32) -> Option<u32> {
        let piece = |piece: &Piece| {
            let offset = inside.checked_sub(piece.inside)?;
            (offset < piece.count).then(|| piece.outside + offset)
        };
        self.0.iter().find_map(piece)
    }

    /// The number inside that is `outside` on the host.
    pub fn inside(&self, outside: u32) -> Option<u32> {
        let piece = |piece: &Piece| {
            let offset = outside.checked_sub(piece.outside)?;
            (offset < piece.count).then(|| piece.inside + offset)
        };
        self.0.iter().find_map(piece)
    }

    /// The pieces, as (first inside, first outside, count).
    pub fn pieces(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        let numbers = |piece: &Piece| (piece.inside, piece.outside, piece.count);
        self.0.iter().map(numbers)
    }

    /// The same map for the store of layers and the export of one.
    pub fn for_layers(&self) -> Result<layer::IdMap, layer::InvalidIdMap> {
        let range = |(inside, outside, length)| layer::Range {
            inside,
            outside,
            length,
        };
        layer::IdMap::new(self.pieces().map(range).collect())
    }

    /// The highest number outside.
    pub(super) fn last(&self) -> Option<u32> {
        self.0
            .iter()
            .map(|piece| piece.outside + (piece.count - 1))
            .max()
    }

    /// As `/proc/PID/uid_map` takes it.
    pub(super) fn lines(&self) -> String {
        let mut text = String::new();
        for (inside, outside, count) in self.pieces() {
            let _ = writeln!(text, "{inside} {outside} {count}");
        }
        text
    }

    /// As `newuidmap PID …` takes it.
    pub(super) fn arguments(&self) -> Vec<String> {
        let numbers = self.pieces().flat_map(<[u32; 3]>::from);
        numbers.map(|number| number.to_string()).collect()
    }
}
