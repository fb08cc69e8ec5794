use super::*;

#[test]
fn parts_do_not_run_into_each_other() {
    let keyed = Keyed::new().unwrap();
    let inputs: [&[&[u8]]; 7] = [
        &[b"a:b", b"c"],
        &[b"a", b"b:c"],
        &[b"a:b:c"],
        &[b"a:b:c", b""],
        &[b"", b"a:b:c"],
        &[b"a:b", b"", b"c"],
        &[b"c", b"a:b"],
    ];
    let made: std::collections::HashSet<_> = inputs.iter().map(|input| keyed.of(input)).collect();
    assert_eq!(made.len(), inputs.len());
    assert_eq!(keyed.of(&[b"a", b"b"]), keyed.of(&[b"a", b"b"]));
}

#[test]
fn each_process_has_its_own_key() {
    assert_ne!(
        Keyed::new().unwrap().of(&[b"a"]),
        Keyed::new().unwrap().of(&[b"a"])
    );
}
