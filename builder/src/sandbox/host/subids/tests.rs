use super::*;

#[test]
fn the_first_range_that_is_enough() {
    let text = "other:1:99999\nme:100000:1000\nbroken\nme:200000:65536\n1000:300000:65536\n";
    assert_eq!(range(text, "me", "1000"), Some((200_000, 65_536)));
    assert_eq!(range(text, "you", "1000"), Some((300_000, 65_536)));
    assert_eq!(range(text, "you", "1001"), None);
}

#[test]
fn ids_of_a_namespace_are_counted_up_to_the_first_gap() {
    let two = "         0       1000          1\n         1     100000      65536\n";
    assert_eq!(mapped(two), 65_537);
    assert_eq!(mapped("1 100000 65536\n0 1000 1\n"), 65_537);
    assert_eq!(mapped("0 1000 1\n2 100000 65536\n"), 1);
    assert_eq!(mapped("0 0 4294967295\n"), u32::MAX);
    assert_eq!(mapped(""), 0);
}
