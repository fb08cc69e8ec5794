use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::ledger::Kind;

const SECRET: &[u8] = b"canary-5d41402abc4b2a76";

fn key(namespace: &str, name: &str) -> Key {
    Key {
        kind: Kind::Secret,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn made() -> (SecretKeys, TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let keys = SecretKeys::load_or_create(&path).unwrap();
    (keys, folder, path)
}

#[test]
fn what_was_sealed_opens_as_the_same_record_after_a_restart_too() {
    let (keys, _folder, path) = made();
    let one = key("team", "git");
    let sealed = keys.seal(&one, SECRET).unwrap();
    assert_eq!(*keys.open(&one, &sealed).unwrap(), SECRET);
    let again = SecretKeys::load_or_create(&path).unwrap();
    assert_eq!(*again.open(&one, &sealed).unwrap(), SECRET);
    assert_ne!(
        sealed,
        keys.seal(&one, SECRET).unwrap(),
        "a nonce of its own"
    );
    let empty = keys.seal(&one, b"").unwrap();
    assert_eq!(*keys.open(&one, &empty).unwrap(), b"");
}

#[test]
fn moved_to_another_record_it_does_not_open() {
    let (keys, _folder, _) = made();
    let sealed = keys.seal(&key("a", "bc"), SECRET).unwrap();
    let of_kind = Key {
        kind: Kind::Build,
        ..key("a", "bc")
    };
    for other in [key("ab", "c"), key("a", "b"), key("", "abc"), of_kind] {
        assert_eq!(keys.open(&other, &sealed), Err(SealError::Altered));
    }
}

#[test]
fn the_secret_is_in_no_text() {
    let (keys, _folder, path) = made();
    let sealed = keys.seal(&key("team", "git"), SECRET).unwrap();
    let file = fs::read_to_string(&path).unwrap();
    let material = file.lines().last().unwrap();
    assert_eq!(STANDARD.decode(material).unwrap().len(), KEY_BYTES);
    let bytes = URL_SAFE_NO_PAD.decode(sealed.splitn(3, '.').last().unwrap());
    let bytes = bytes.unwrap();
    assert!(!bytes.windows(8).any(|part| SECRET.starts_with(part)));
    let shown = format!("{keys:?} {sealed}");
    assert!(!shown.contains(material) && !shown.contains("canary"));
}

#[test]
fn a_new_key_seals_and_old_ones_open() {
    let (old, _folder, path) = made();
    let one = key("team", "git");
    let sealed = old.seal(&one, SECRET).unwrap();
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("\n  # the second\n");
    text.push_str(&STANDARD.encode([7; KEY_BYTES]));
    fs::write(&path, &text).unwrap();
    let both = SecretKeys::load(&path).unwrap();
    assert_eq!(*both.open(&one, &sealed).unwrap(), SECRET);
    let anew = both.seal(&one, SECRET).unwrap();
    let Err(SealError::UnknownKey(id)) = old.open(&one, &anew) else {
        panic!("it is sealed by the new one");
    };
    assert!(anew.starts_with(&format!("1.{id}.")), "{anew}");
    assert!(!sealed.contains(&id));
}

#[test]
fn the_file_is_its_owners_and_never_replaced() {
    let (_keys, _folder, path) = made();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    create(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before, "somebody was quicker");
}

#[test]
fn what_is_no_file_of_keys_is_refused_with_the_line_and_without_what_it_says() {
    let (_keys, _folder, path) = made();
    let short = STANDARD.encode([1; 31]);
    for (text, line) in [
        ("# nothing\n", None),
        ("nonsense\n", Some(1)),
        (&format!("# one\n\n{short}\n"), Some(3)),
    ] {
        fs::write(&path, text).unwrap();
        let error = SecretKeys::load_or_create(&path).unwrap_err();
        match (&error, line) {
            (LoadKeysError::Empty(_), None) => {}
            (LoadKeysError::Malformed { line: found, .. }, Some(line)) => assert_eq!(*found, line),
            _ => panic!("{error}"),
        }
        let told = error.to_string();
        assert!(told.contains("keys"), "{told}");
        assert!(!told.contains(&short) && !told.contains("nonsense"));
    }
    let missing = SecretKeys::load(&path.with_extension("none"));
    assert!(matches!(missing, Err(LoadKeysError::Io { .. })));
}

proptest! {
    /// Whatever is changed in it, it does not open, and nothing breaks.
    #[test]
    fn what_was_changed_does_not_open(place in any::<prop::sample::Index>(), change in 1_u8..) {
        let (keys, _folder, _) = made();
        let one = key("team", "git");
        let mut sealed = keys.seal(&one, SECRET).unwrap().into_bytes();
        let place = place.index(sealed.len());
        sealed[place] ^= change;
        if let Ok(sealed) = String::from_utf8(sealed) {
            prop_assert!(keys.open(&one, &sealed).is_err());
        }
    }

    #[test]
    fn no_text_breaks_it(text in ".{0,80}") {
        let (keys, _folder, _) = made();
        prop_assert!(keys.open(&key("team", "git"), &text).is_err());
    }
}
