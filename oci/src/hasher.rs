//! Hashing a stream, with a state that survives a restart.

use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

use crate::{Algorithm, Digest};

#[cfg(test)]
mod tests;

/// One hash of one stream.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    written: u64,
}

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// The hash of nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        };
        Self { state, written: 0 }
    }

    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(hash) => hash.update(bytes),
            State::Sha512(hash) => hash.update(bytes),
        }
        self.written += bytes.len() as u64;
    }

    /// The digest of all that was taken.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(hash) => Digest::from_sha256(hash.finalize().into()),
            State::Sha512(hash) => Digest::from_sha512(hash.finalize().into()),
        }
    }

    /// Which hash it is.
    pub fn algorithm(&self) -> Algorithm {
        match self.state {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// How many bytes were taken. A checkpoint carries it, so that whoever resumes can compare it with
    /// the length of what is stored.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The state as bytes: version, algorithm, count of bytes taken (u64, little-endian), the state of the `sha2`
    /// crate, whose encoding is stable within its 0.11 releases (a later one needs a new version), and a check
    /// sum over all that, because `sha2` would go on from a damaged state to a wrong digest.
    ///
    /// It holds up to a block of the content itself: store it where the content may be stored.
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, algorithm_code(self.algorithm())];
        bytes.extend_from_slice(&self.written.to_le_bytes());
        match &self.state {
            State::Sha256(hash) => bytes.extend_from_slice(&hash.serialize()),
            State::Sha512(hash) => bytes.extend_from_slice(&hash.serialize()),
        }
        let sum = check_sum(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// Goes on from a [`Hasher::checkpoint`].
    pub fn resume(checkpoint: &[u8]) -> Result<Self, InvalidCheckpoint> {
        let (content, sum) = checkpoint.split_last_chunk().ok_or(InvalidCheckpoint)?;
        if check_sum(content) != *sum {
            return Err(InvalidCheckpoint);
        }
        let [VERSION, algorithm, rest @ ..] = content else {
            return Err(InvalidCheckpoint);
        };
        let (written, state) = rest.split_first_chunk().ok_or(InvalidCheckpoint)?;
        let state = match algorithm_named(*algorithm)? {
            Algorithm::Sha256 => State::Sha256(restore(state)?),
            Algorithm::Sha512 => State::Sha512(restore(state)?),
        };
        let written = u64::from_le_bytes(*written);
        Ok(Self { state, written })
    }
}

/// A checkpoint that this program did not write, or whose end is missing: hash the content anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hasher checkpoint is of another version or damaged")]
pub struct InvalidCheckpoint;

const VERSION: u8 = 1;

fn algorithm_code(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    }
}

fn algorithm_named(code: u8) -> Result<Algorithm, InvalidCheckpoint> {
    Algorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm_code(*algorithm) == code)
        .ok_or(InvalidCheckpoint)
}

/// The first eight bytes of the SHA-256.
fn check_sum(content: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&sha2::Sha256::digest(content)[..8]);
    sum
}

fn restore<H: SerializableState>(state: &[u8]) -> Result<H, InvalidCheckpoint> {
    let state = <&SerializedState<H>>::try_from(state).map_err(|_| InvalidCheckpoint)?;
    H::deserialize(state).map_err(|_| InvalidCheckpoint)
}

impl std::fmt::Debug for Hasher {
    // The state holds content: never in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm())
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}
