//! Incompressible blobs of any size that cost nothing to make different.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// Bytes of one block; a blob is a whole number of equal blocks and a tail.
const BLOCK: usize = 1024 * 1024;
/// Go's `io.Copy` buffer, and so the chunk in which Go's clients stream.
const CHUNK: usize = 32 * 1024;
/// An image configuration up to where its tail, the author's name, begins.
const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/bin/true"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":[]},"author":""#;

/// A blob: N times the same random block, then a few bytes of its own.
///
/// The part that differs stands last, so a variation's digest is one hash block from a saved state.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    body: Arc<Body>,
    tail: Vec<u8>,
    digest: String,
}

#[derive(Debug)]
struct Body {
    block: Vec<u8>,
    chunked: Vec<u8>,
    blocks: u64,
    hashed: Sha256,
    /// Ends every tail.
    close: &'static str,
}

impl Blob {
    /// A blob of `mebibytes` MiB and 32 bytes.
    pub(crate) fn mebibytes(mebibytes: u64) -> Self {
        Self::build(random(BLOCK), mebibytes, "")
    }

    /// A blob of `bytes` and 32 bytes, for layers of small images.
    pub(crate) fn small(bytes: usize) -> Self {
        Self::build(random(bytes), 1, "")
    }

    /// An image configuration: a JSON object, as some registries look into it.
    pub(crate) fn config() -> Self {
        Self::build(CONFIG.into(), 1, "\"}")
    }

    fn build(block: Vec<u8>, blocks: u64, close: &'static str) -> Self {
        let mut hashed = Sha256::new();
        for _ in 0..blocks {
            hashed.update(&block);
        }
        let mut chunked = Vec::with_capacity(block.len() + block.len() / CHUNK * 8 + 16);
        for chunk in block.chunks(CHUNK) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        let body = Arc::new(Body {
            block,
            chunked,
            blocks,
            hashed,
            close,
        });
        Self::finish(body, 0, 0)
    }

    fn finish(body: Arc<Body>, salt: u64, number: u64) -> Self {
        let tail = format!("{salt:016x}{number:016x}{}", body.close).into_bytes();
        let mut hash = body.hashed.clone();
        hash.update(&tail);
        let digest = name(&hash.finalize());
        Self { body, tail, digest }
    }

    /// A blob of the same size that differs for every (`salt`, `number`).
    pub(crate) fn vary(&self, salt: u64, number: u64) -> Self {
        Self::finish(Arc::clone(&self.body), salt, number)
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.body.blocks * self.body.block.len() as u64 + self.tail.len() as u64
    }

    /// The digest, `sha256:…`.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// How many blocks precede the tail.
    pub(crate) fn blocks(&self) -> u64 {
        self.body.blocks
    }

    /// The block.
    pub(crate) fn block(&self) -> &[u8] {
        &self.body.block
    }

    /// The block in chunked transfer coding.
    pub(crate) fn chunked_block(&self) -> &[u8] {
        &self.body.chunked
    }

    /// What follows the blocks.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// The writer's.
    pub(crate) fn write_to(&self, to: &mut impl io::Write) -> io::Result<()> {
        for _ in 0..self.blocks() {
            to.write_all(self.block())?;
        }
        to.write_all(self.tail())
    }
}

/// The digest of `bytes`, `sha256:…`.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    name(&Sha256::digest(bytes))
}

fn name(hash: &[u8]) -> String {
    let mut name = String::from("sha256:");
    for byte in hash {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The same bytes in every run.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(20_040_229).fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variation_has_its_own_digest_and_says_it_rightly() {
        let pattern = Blob::mebibytes(2);
        let (one, two) = (pattern.vary(7, 1), pattern.vary(7, 2));
        assert_ne!(one.digest(), two.digest());
        let mut bytes = Vec::new();
        two.write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, two.size());
        assert_eq!(sha256(&bytes), two.digest());
    }

    #[test]
    fn a_configuration_is_json_however_it_varies() {
        let mut bytes = Vec::new();
        Blob::config().vary(1, 2).write_to(&mut bytes).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["author"], "00000000000000010000000000000002");
    }

    #[test]
    fn the_chunked_block_is_the_block() {
        let blob = Blob::mebibytes(1);
        assert_eq!(
            blob.chunked_block().len(),
            BLOCK + (BLOCK / CHUNK) * "8000\r\n\r\n".len()
        );
        assert_eq!(&blob.chunked_block()[6..6 + CHUNK], &blob.block()[..CHUNK]);
    }
}
