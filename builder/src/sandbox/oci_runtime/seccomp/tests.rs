use std::collections::BTreeSet;

use super::*;

#[test]
fn no_call_is_named_twice() {
    let lists = ALLOWED.iter().chain(&[calls::REFUSED, "clone3"]);
    let names = lists.flat_map(|list| list.split_whitespace());
    let mut seen = BTreeSet::new();
    for name in names.chain(PARTLY.iter().map(|call| call.name)) {
        assert!(seen.insert(name), "{name}");
    }
}

#[test]
fn what_is_not_named_does_not_exist() {
    let profile = serde_json::to_value(Seccomp::profile()).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(profile["defaultErrnoRet"], 38);
    let rules = profile["syscalls"].as_array().unwrap();
    let clone = rules
        .iter()
        .find(|rule| rule["names"][0] == "clone")
        .unwrap();
    assert_eq!(clone["args"][0]["op"], "SCMP_CMP_MASKED_EQ");
    assert_eq!(clone["args"][0]["valueTwo"], 0);
}

/// One byte of an ioctl's number is not `X` if it differs in one bit.
#[test]
fn all_ioctls_but_one_family_are_allowed() {
    let ioctl = PARTLY.iter().find(|call| call.name == "ioctl").unwrap();
    for family in 0..=0xFF_u64 {
        let number = 0x4030_0028 | family << 8;
        let mut allowed = ioctl.allowed.iter();
        let is_allowed = allowed.any(|is| number & is.mask == is.value);
        assert_eq!(is_allowed, family != u64::from(b'X'), "{family:#x}");
    }
}
