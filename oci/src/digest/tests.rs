use proptest::prelude::*;

use super::{Algorithm, Digest, InvalidDigest};
use crate::strategies;

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn known_digests_are_computed() {
    assert_eq!(Digest::of(Algorithm::Sha256, b"").to_string(), EMPTY);
    assert_eq!(
        Digest::of(Algorithm::Sha512, b"abc").to_string(),
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    );
}

/// T42: what is no digest never gets near a path.
#[test]
fn t42_whatever_is_not_exactly_a_digest_is_refused() {
    let hex = &EMPTY[7..];
    let malformed = [
        String::new(),
        ":".to_owned(),
        "sha256".to_owned(),
        "sha256:".to_owned(),
        hex.to_owned(),
        format!(":{hex}"),
        "sha256:../../x".to_owned(),
        "sha256:baddigeststring".to_owned(),
        format!("sha256:{}", hex.to_uppercase()),
        format!("SHA256:{hex}"),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("sha256:{}/", &hex[1..]),
        format!("sha256:{}\0", &hex[1..]),
        format!("sha256:{}é", &hex[2..]),
        format!("sha256::{}", &hex[1..]),
        format!("sha256: {}", &hex[1..]),
        format!(" sha256:{hex}"),
        format!("sha256:{hex} "),
        format!("sha512:{hex}"),
        format!("sha256:{hex}{hex}"),
        format!("sha256+:{hex}"),
        format!("../sha256:{hex}"),
    ];
    for text in malformed {
        assert!(
            matches!(Digest::parse(&text), Err(InvalidDigest::Malformed(_))),
            "{text:?}: {:?}",
            Digest::parse(&text)
        );
    }
}

#[test]
fn an_unknown_algorithm_is_told_from_a_malformed_digest() {
    for text in [
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha384:ab",
        "sha256+b64u:LCa0a2j_xo=",
        "blake3:0",
    ] {
        assert_eq!(
            Digest::parse(text),
            Err(InvalidDigest::UnsupportedAlgorithm),
            "{text}"
        );
    }
    assert_eq!(
        "md5".parse::<Algorithm>(),
        Err(InvalidDigest::UnsupportedAlgorithm)
    );
    assert_eq!("sha512".parse(), Ok(Algorithm::Sha512));
}

#[test]
fn raw_output_of_the_wrong_length_is_no_digest() {
    assert_eq!(Digest::from_raw(Algorithm::Sha256, &[0; 31]), None);
    assert_eq!(Digest::from_raw(Algorithm::Sha256, &[0; 64]), None);
    assert!(Digest::from_raw(Algorithm::Sha512, &[0; 64]).is_some());
}

#[test]
fn it_is_small() {
    assert!(size_of::<Digest>() <= 65);
}

proptest! {
    #[test]
    fn text_raw_and_json_come_back(digest in strategies::digest()) {
        let text = digest.to_string();
        prop_assert_eq!(&text, &format!("{}:{}", digest.algorithm(), digest.hex()));
        prop_assert_eq!(format!("{digest:?}"), text.clone());
        prop_assert_eq!(Digest::parse(&text), Ok(digest));
        prop_assert_eq!(Digest::from_raw(digest.algorithm(), digest.raw()), Some(digest));
        let json = serde_json::to_string(&digest).unwrap();
        prop_assert_eq!(&json, &format!("\"{text}\""));
        prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }

    #[test]
    fn digests_order_as_their_texts(a in strategies::digest(), b in strategies::digest()) {
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn what_parses_is_what_was_written(text in strategies::hostile()) {
        if let Ok(digest) = Digest::parse(&text) {
            prop_assert_eq!(digest.to_string(), text);
        }
    }
}
