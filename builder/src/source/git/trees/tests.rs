use super::*;

const TREE: &str = "0123456789abcdef0123456789abcdef01234567";

type Parsed = (Kind, Vec<u8>, ObjectId);

fn entries(bytes: &[u8]) -> Vec<Result<Parsed, Fault>> {
    let mut entries = Entries::of(bytes.to_vec(), &ObjectId::parse(TREE).unwrap());
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        found.push(entry.map(|entry| (entry.kind, entry.name.to_vec(), entry.id())));
    }
    found
}

fn entry(mode: &str, name: &[u8]) -> Vec<u8> {
    let id = (0..10).flat_map(|_| [0x0a, 0xf5]);
    let id: Vec<u8> = id.collect();
    [mode.as_bytes(), b" ", name, b"\0", &id].concat()
}

#[test]
fn modes_are_what_git_makes_of_them() {
    let file = |executable| Kind::File { executable };
    let id = ObjectId::parse(&"0af5".repeat(10)).unwrap();
    for (mode, kind) in [
        ("100644", file(false)),
        ("100664", file(false)),
        ("100755", file(true)),
        ("100775", file(true)),
        ("40000", Kind::Folder),
        ("040000", Kind::Folder),
        ("120000", Kind::Link),
        ("160000", Kind::Submodule),
    ] {
        let two = [entry(mode, b"a b"), entry("100644", b"\xff\n")].concat();
        let found = entries(&two);
        assert_eq!(found[0], Ok((kind, b"a b".to_vec(), id.clone())), "{mode}");
        assert_eq!(found[1], Ok((file(false), b"\xff\n".to_vec(), id.clone())));
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn what_is_no_entry_is_refused_and_ends_the_tree() {
    let whole = entry("100644", b"a");
    let cases = [
        entry("20000", b"a"),
        entry("", b"a"),
        entry("100648", b"a"),
        entry("+100644", b"a"),
        entry("000000100644", b"a"),
        entry("100644", b""),
        entry("100644", b"a/b"),
        entry("100644", b"/"),
    ];
    let cut = (1..whole.len()).map(|length| whole[..length].to_vec());
    for case in cases.into_iter().chain(cut) {
        let found = entries(&[&whole[..], &case].concat());
        assert!(found[0].is_ok());
        assert!(found[1].is_err(), "{}", case.escape_ascii());
    }
    assert!(entries(b"").is_empty());
}

#[test]
fn folders_are_what_is_left() {
    let bytes = [
        entry("100644", b"a"),
        entry("40000", b"first"),
        entry("120000", b"b"),
        entry("40000", b"second"),
        entry("100644", b"c"),
    ];
    let mut entries = Entries::of(bytes.concat(), &ObjectId::parse(TREE).unwrap());
    let mut kept = 0;
    while let Some(entry) = entries.next() {
        if entry.unwrap().kind == Kind::Folder {
            kept = entries.keep(kept);
        }
    }
    entries.begin_again(kept);
    assert_eq!(entries.next().unwrap().unwrap().name, b"first");
    assert_eq!(entries.next().unwrap().unwrap().name, b"second");
    assert!(entries.next().is_none());
}
