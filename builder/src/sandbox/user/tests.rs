use super::*;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1001:5:App:/opt:/bin/sh\nbig:x:99999999999:0::/:/\n";
const GROUP: &str = "root:x:0:\nstaff:x:50:app,other\nwheel:x:10:other,app\nbroken:x\n";

fn user(text: &str) -> (u32, u32, Vec<u32>) {
    let user = look_up(text, PASSWD, GROUP).unwrap();
    (user.uid, user.gid, user.groups)
}

#[test]
fn names_and_numbers_are_read_as_engines_do() {
    assert_eq!(user(""), (0, 0, vec![]));
    assert_eq!(user("app"), (1001, 5, vec![10, 50]));
    assert_eq!(user("1001"), (1001, 5, vec![10, 50]));
    assert_eq!(user("4711"), (4711, 0, vec![]));
    assert_eq!(user("1001:0"), (1001, 0, vec![]));
    assert_eq!(user("app:staff"), (1001, 50, vec![]));
    assert_eq!(user("4711:4712"), (4711, 4712, vec![]));
}

#[test]
fn who_is_not_there_or_too_large_is_refused() {
    for text in [
        "nobody",
        "big",
        "app:nobody",
        "2147483648",
        "1:4294967296",
        "app:",
    ] {
        assert!(look_up(text, PASSWD, GROUP).is_err(), "{text}");
    }
}
