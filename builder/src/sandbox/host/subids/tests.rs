use super::*;

#[test]
fn a_range_is_enough_or_is_not() {
    let text = "other:1:99999\nbroken\nme:200000:65536\n1000:300000:65535\nfew:1:65534\nfew:400000:65536\n";
    assert!(is_enough(text, "me", "999"));
    assert!(is_enough(text, "you", "1000"));
    assert!(!is_enough(text, "you", "1001"));
    assert!(!is_enough(text, "few", "1001"), "the first is taken");
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
