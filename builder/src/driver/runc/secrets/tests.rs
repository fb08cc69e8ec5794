use proptest::prelude::*;

use super::Secrets;

fn secrets(content: &[u8]) -> Secrets {
    Secrets::new([("npm", "token", content)].into_iter()).unwrap()
}

const OWNER: &str = "file token of the secret npm";

#[test]
fn all_forms_are_found_and_masked() {
    let secrets = secrets(b"  s3cret+/ \"token\"\n");
    for text in [
        "x s3cret+/ \"token\" y",
        "czNjcmV0Ky8gInRva2VuIg==",
        "dXNlcjpzM2NyZXQrLyAidG9rZW4i",
        "aHR0cDpzM2NyZXQrLyAidG9rZW4iQA",
        "czNjcmV0Ky8gInRva2VuIg",
        "7333637265742B2F2022746F6B656E22",
        "7333637265742b2f2022746f6b656e22",
        "https://x:s3cret%2B%2F%20%22token%22@host",
        "https://x:s3cret%2b%2f%20%22token%22@host",
        r#"{"token": "s3cret+/ \"token\""}"#,
    ] {
        assert_eq!(secrets.find(text.as_bytes()), Some(OWNER), "{text}");
        let masked = secrets.mask(text.to_owned());
        assert!(masked.contains("[secret]"), "{text} became {masked}");
        assert_eq!(secrets.find(masked.as_bytes()), None);
    }
    // Folded, as `base64` and `xxd -p` do it.
    for text in [
        "czNj\ncmV0Ky8\r\n gInRva2VuIg==",
        "73 33 63 72 65 74 2b 2f 20 22 74 6f 6b 65 6e 22",
    ] {
        assert_eq!(secrets.find(text.as_bytes()), Some(OWNER), "{text}");
    }
    for text in ["", "s3cret", "s3cret+/", "s3 cret+/ \"token\""] {
        assert_eq!(secrets.find(text.as_bytes()), None);
        assert_eq!(secrets.mask(text.to_owned()), text);
    }
}

#[test]
fn what_is_short_is_said_and_not_looked_for() {
    let secrets = secrets(b" short \n");
    assert!(secrets.is_empty());
    assert_eq!(secrets.unsearched().len(), 1);
    assert!(
        !secrets.unsearched()[0].contains("short"),
        "{:?}",
        secrets.unsearched()
    );
    assert_eq!(secrets.find(b"short"), None);
}

#[test]
fn each_line_of_a_key_is_masked() {
    let secrets = secrets(
        b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n-----END KEY-----\n",
    );
    assert_eq!(secrets.mask("9w0BAQEFAASCBKcwggSj".to_owned()), "[secret]");
    assert_eq!(
        secrets.mask("-----BEGIN KEY-----".to_owned()),
        "-----BEGIN KEY-----"
    );
}

proptest! {
    /// Wherever the pieces are cut.
    #[test]
    fn pieces_hide_nothing(
        secret in proptest::collection::vec(any::<u8>(), 12..200),
        before in proptest::collection::vec(any::<u8>(), 0..50),
        cuts in proptest::collection::vec(1_usize..40, 1..40),
        encoded in any::<bool>(),
    ) {
        use base64::Engine as _;
        prop_assume!(secret.trim_ascii().len() >= 12);
        let secrets = secrets(&secret);
        let mut text = [&before[..], &secret[..], b"tail"].concat();
        if encoded {
            text = base64::engine::general_purpose::STANDARD.encode(text).into_bytes();
        }
        let mut search = secrets.search();
        let mut rest = &text[..];
        let mut found = None;
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            found = found.or(search.feed(piece));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, Some(OWNER));
    }
}
