use std::collections::BTreeSet;

use super::*;

#[test]
fn no_call_is_named_twice() {
    let lists = ALLOWED
        .iter()
        .chain(&[calls::REFUSED, "clone clone3 socket personality"]);
    let mut seen = BTreeSet::new();
    for name in lists.flat_map(|list| list.split_whitespace()) {
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
