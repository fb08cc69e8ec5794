use proptest::prelude::*;

use super::{Hasher, InvalidCheckpoint};
use crate::{Algorithm, Digest, strategies};

/// A million letters `a` (FIPS 180 test vector), with a restart in the middle.
#[test]
fn a_known_stream_survives_a_restart() {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    (0..500).for_each(|_| hasher.update(&[b'a'; 1_001]));
    let mut hasher = Hasher::resume(&hasher.checkpoint()).unwrap();
    (0..500).for_each(|_| hasher.update(&[b'a'; 999]));
    assert_eq!(hasher.written(), 1_000_000);
    assert_eq!(
        hasher.finish().to_string(),
        "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    );
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    for algorithm in Algorithm::ALL {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(b"some content");
        let good = hasher.checkpoint();
        for length in 0..good.len() {
            assert_eq!(
                Hasher::resume(&good[..length]).err(),
                Some(InvalidCheckpoint)
            );
        }
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(Hasher::resume(&longer).err(), Some(InvalidCheckpoint));
        for at in 0..good.len() {
            let mut other = good.clone();
            other[at] ^= 0x40;
            assert_eq!(Hasher::resume(&other).err(), Some(InvalidCheckpoint));
        }
    }
}

/// Stored checkpoints must be read by later programs: a change here needs a new version.
#[test]
fn the_encoding_is_pinned() {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(b"abc");
    let digest = Digest::of(Algorithm::Sha256, &hasher.checkpoint());
    assert_eq!(
        digest.to_string(),
        "sha256:e7c52694a59594073fbb1abc3760a7dbe88ced662d6de7e37553d47800a4573f"
    );
}

#[test]
fn logs_show_no_content() {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"secret");
    assert_eq!(
        format!("{hasher:?}"),
        "Hasher { algorithm: Sha512, written: 6, .. }"
    );
}

proptest! {
    #[test]
    fn a_checkpoint_anywhere_changes_nothing(
        algorithm in strategies::algorithm(),
        content in proptest::collection::vec(any::<u8>(), 0..600),
        splits in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
    ) {
        let mut splits: Vec<usize> =
            splits.iter().map(|split| split.index(content.len() + 1)).collect();
        splits.sort_unstable();
        let mut hasher = Hasher::new(algorithm);
        let mut start = 0;
        for split in splits {
            hasher.update(&content[start..split]);
            hasher = Hasher::resume(&hasher.checkpoint()).unwrap();
            prop_assert_eq!((hasher.algorithm(), hasher.written()), (algorithm, split as u64));
            start = split;
        }
        hasher.update(&content[start..]);
        prop_assert_eq!(hasher.finish(), Digest::of(algorithm, &content));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        code in 0_u8..4,
        bytes in proptest::collection::vec(any::<u8>(), 0..260),
    ) {
        let _ = Hasher::resume(&bytes);
        let _ = Hasher::resume(&[&[1, code], bytes.as_slice()].concat());
    }

    /// Even with the sum made to fit, a state is read or refused.
    #[test]
    fn any_state_is_read_or_refused(
        algorithm in strategies::algorithm(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = Hasher::new(algorithm).checkpoint();
        bytes.truncate(bytes.len() - 8);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let sum = super::check_sum(&bytes);
        bytes.extend_from_slice(&sum);
        let _ = Hasher::resume(&bytes);
    }
}
