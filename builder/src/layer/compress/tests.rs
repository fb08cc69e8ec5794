use std::io::{Read as _, Write as _};

use oci::{Algorithm, Digest};

use super::{GZIP_BLOCK, pipe};
use crate::Compression;

fn compressed(content: &[u8], compression: Compression, workers: usize) -> Vec<u8> {
    let (mut blocks, work, ordered) = pipe(compression, workers);
    let mut sink = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work.run(compression));
        }
        let writer = scope.spawn(|| ordered.write_to(&mut sink, compression));
        // In pieces that fit no block.
        for piece in content.chunks(77_777) {
            blocks.write_all(piece).unwrap();
        }
        blocks.finish().unwrap();
        let (digest, size) = writer.join().unwrap().unwrap();
        (digest, size)
    });
    sink
}

/// Text that repeats itself, also over the ends of blocks, and noise that does not.
fn content(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(5);
    let words: Vec<String> = (0..500).map(|_| random.u64(..).to_string()).collect();
    let mut content = Vec::with_capacity(length + 20);
    while content.len() < length {
        content.extend_from_slice(words[random.usize(..500)].as_bytes());
    }
    content.truncate(length);
    content
}

#[test]
fn what_is_compressed_is_the_content() {
    for length in [
        0,
        1,
        GZIP_BLOCK - 1,
        GZIP_BLOCK,
        GZIP_BLOCK + 1,
        9 * GZIP_BLOCK + 5,
    ] {
        let content = content(length);
        for workers in [1, 3] {
            let gzip = compressed(&content, Compression::Gzip, workers);
            let mut back = Vec::new();
            // One member, for readers that stop after the first.
            let mut decoder = flate2::bufread::GzDecoder::new(&gzip[..]);
            decoder.read_to_end(&mut back).unwrap();
            assert!(back == content, "{length} bytes of gzip");
            assert!(decoder.into_inner().is_empty());
            let zstd = compressed(&content, Compression::Zstd, workers);
            assert!(
                zstd::decode_all(&zstd[..]).unwrap() == content,
                "{length} bytes of zstd"
            );
            assert_eq!(compressed(&content, Compression::Plain, workers), content);
        }
    }
}

/// Another release of a library may find other bytes for the same content: then a rebuild that changes nothing gives another
/// digest than before, once. That is to be known.
#[test]
fn the_bytes_are_these() {
    let content = content(3 * GZIP_BLOCK + 100);
    let digest = |compression| {
        let bytes = compressed(&content, compression, 2);
        Digest::of(Algorithm::Sha256, &bytes).to_string()
    };
    assert_eq!(
        digest(Compression::Gzip),
        "sha256:d057c9744c1e5b221b6faef34737d3a6b07d14b0bd95eaaafe15cdd6a28caf0f"
    );
    assert_eq!(
        digest(Compression::Zstd),
        "sha256:0c6b11cc8b705ff058f32532103b921da8af90efbd24331761dd88cea33ea95f"
    );
}
