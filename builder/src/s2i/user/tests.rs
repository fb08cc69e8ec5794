use super::*;

fn user(text: &str) -> User {
    User::parse(text).unwrap()
}

#[test]
fn users_are_read_as_images_write_them() {
    assert_eq!(user("1001").uid(), Some(1001));
    assert_eq!(user("1001:0").uid(), Some(1001));
    assert_eq!(user(" default : root ").as_str(), "default:root");
    assert_eq!(user("default").uid(), None);
    assert_eq!(user("g++").uid(), None);
    assert!(user("").is_empty());
}

#[test]
fn users_that_could_be_mistaken_are_refused() {
    assert_eq!(User::parse("4294967296"), Err(InvalidUser::TooLarge));
    assert_eq!(User::parse("2147483648"), Err(InvalidUser::TooLarge));
    for text in [
        "a b", ":", "x:", ":x", "a\nb", "-x", "0/0", "1:2:3", "+1001", "+0", "1001:+0",
    ] {
        assert_eq!(User::parse(text), Err(InvalidUser::Malformed), "{text:?}");
    }
}

#[test]
fn ranges_allow_numbers_only() {
    let from_one: AllowedUids = "1-".parse().unwrap();
    assert!(from_one.allow(&user("1001")));
    assert!(from_one.allow(&user("1001:0")));
    for not in ["0", "", "default", "root"] {
        assert!(!from_one.allow(&user(not)), "{not:?}");
    }
    let some: AllowedUids = "5, 1000-1002,-2".parse().unwrap();
    for (uid, allowed) in [
        ("5", true),
        ("6", false),
        ("1002", true),
        ("1003", false),
        ("0", true),
        ("3", false),
    ] {
        assert_eq!(some.allow(&user(uid)), allowed, "{uid}");
    }
    assert!(AllowedUids::default().allow(&user("root")));
}

#[test]
fn what_is_no_range_is_refused() {
    for text in ["a", "-", "5-1", "1-2-3", "1--2", "+1", "1-+2"] {
        assert!(text.parse::<AllowedUids>().is_err(), "{text:?}");
    }
}
