//! Several hashes of one stream.

use crate::{Algorithm, Digest, Hasher, InvalidCheckpoint};

#[cfg(test)]
mod tests;

/// sha256, sha512, or both, of one stream in one pass.
///
/// Who knows which digest is wanted asks for one hash only; each costs its own pass of the processor over all bytes.
#[derive(Clone, Debug)]
pub struct Hashers(Vec<Hasher>);

impl Hashers {
    /// Hashes with each of `algorithms`; naming one twice is the same as once.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let is_wanted = |algorithm: &Algorithm| algorithms.contains(algorithm);
        Self(
            Algorithm::ALL
                .into_iter()
                .filter(is_wanted)
                .map(Hasher::new)
                .collect(),
        )
    }

    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        for hasher in &mut self.0 {
            hasher.update(bytes);
        }
    }

    /// The digest of what was taken so far; `None` if `algorithm` was not asked for at the start. The stream
    /// may go on.
    pub fn finish(&self, algorithm: Algorithm) -> Option<Digest> {
        let hasher = self
            .0
            .iter()
            .find(|hasher| hasher.algorithm() == algorithm)?;
        Some(hasher.clone().finish())
    }

    /// Which hashes are computed.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.0.iter().map(Hasher::algorithm)
    }

    /// How many bytes were taken; 0 also if there is no hash at all.
    pub fn written(&self) -> u64 {
        self.0.first().map_or(0, Hasher::written)
    }

    /// The state as bytes: each [`Hasher::checkpoint`], its length (u16, little-endian) before it.
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for hasher in &self.0 {
            let one = hasher.checkpoint();
            // At most 18 + 209 bytes each.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a checkpoint is under 300 bytes"
            )]
            bytes.extend_from_slice(&(one.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&one);
        }
        bytes
    }

    /// Goes on from a [`Hashers::checkpoint`].
    pub fn resume(checkpoint: &[u8]) -> Result<Self, InvalidCheckpoint> {
        let mut hashers: Vec<Hasher> = Vec::new();
        let mut rest = checkpoint;
        while let Some((length, tail)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_le_bytes(*length));
            let (one, tail) = tail.split_at_checked(length).ok_or(InvalidCheckpoint)?;
            let hasher = Hasher::resume(one)?;
            let in_step = |before: &Hasher| {
                before.algorithm() < hasher.algorithm() && before.written() == hasher.written()
            };
            if !hashers.last().is_none_or(in_step) {
                return Err(InvalidCheckpoint);
            }
            hashers.push(hasher);
            rest = tail;
        }
        if rest.is_empty() {
            Ok(Self(hashers))
        } else {
            Err(InvalidCheckpoint)
        }
    }
}
