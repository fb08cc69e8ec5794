use proptest::prelude::*;

use super::Hashers;
use crate::{Algorithm, Digest, Hasher, InvalidCheckpoint};

#[test]
fn only_the_hashes_asked_for_are_had() {
    let mut hashers = Hashers::new(&[Algorithm::Sha512, Algorithm::Sha512]);
    hashers.update(b"abc");
    assert_eq!(
        hashers.algorithms().collect::<Vec<_>>(),
        [Algorithm::Sha512]
    );
    assert_eq!(hashers.finish(Algorithm::Sha256), None);
    assert_eq!(
        hashers.finish(Algorithm::Sha512),
        Some(Digest::of(Algorithm::Sha512, b"abc"))
    );
}

#[test]
fn the_stream_goes_on_after_a_digest_was_taken() {
    let mut hashers = Hashers::new(&Algorithm::ALL);
    hashers.update(b"ab");
    assert_eq!(
        hashers.finish(Algorithm::Sha256),
        Some(Digest::of(Algorithm::Sha256, b"ab"))
    );
    hashers.update(b"c");
    assert_eq!(
        hashers.finish(Algorithm::Sha256),
        Some(Digest::of(Algorithm::Sha256, b"abc"))
    );
    assert_eq!(hashers.written(), 3);
}

#[test]
fn hashes_that_are_not_of_one_stream_are_refused() {
    let framed = |hasher: &Hasher| {
        let bytes = hasher.checkpoint();
        [
            &u16::try_from(bytes.len()).unwrap().to_le_bytes()[..],
            &bytes,
        ]
        .concat()
    };
    let short = Hasher::new(Algorithm::Sha256);
    let mut long = Hasher::new(Algorithm::Sha512);
    assert!(Hashers::resume(&[framed(&short), framed(&long)].concat()).is_ok());
    long.update(b"x");
    for pair in [[&short, &long], [&short, &short], [&long, &short]] {
        let bytes = pair.map(framed).concat();
        assert_eq!(Hashers::resume(&bytes).err(), Some(InvalidCheckpoint));
    }
}

proptest! {
    #[test]
    fn a_checkpoint_anywhere_changes_nothing(
        before in proptest::collection::vec(any::<u8>(), 0..400),
        after in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut hashers = Hashers::new(&Algorithm::ALL);
        hashers.update(&before);
        let mut hashers = Hashers::resume(&hashers.checkpoint()).unwrap();
        hashers.update(&after);
        let whole = [before, after].concat();
        for algorithm in Algorithm::ALL {
            prop_assert_eq!(hashers.finish(algorithm), Some(Digest::of(algorithm, &whole)));
        }
    }

    #[test]
    fn a_cut_checkpoint_is_refused(cut in 1_usize..200) {
        let mut bytes = Hashers::new(&Algorithm::ALL).checkpoint();
        bytes.truncate(bytes.len() - cut);
        prop_assert!(Hashers::resume(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Hashers::resume(&bytes);
    }
}
