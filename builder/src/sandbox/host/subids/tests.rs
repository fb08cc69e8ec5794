use super::*;

#[test]
fn the_first_range_that_is_enough() {
    let text = "other:1:99999\nme:100000:1000\nbroken\nme:200000:65536\n1000:300000:65536\n";
    assert_eq!(range(text, "me", "1000"), Some((200_000, 65_536)));
    assert_eq!(range(text, "you", "1000"), Some((300_000, 65_536)));
    assert_eq!(range(text, "you", "1001"), None);
}
