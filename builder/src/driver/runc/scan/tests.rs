use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;

use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;

use super::*;

const TOKEN: &[u8] = b"9f86d081-Xy/884c7d659a2f";
const EPOCH: Mtime = Mtime {
    seconds: 0,
    nanoseconds: 0,
};

fn secrets() -> Secrets {
    Secrets::new([("npm", "token", TOKEN)].into_iter(), &BTreeSet::new()).unwrap()
}

#[test]
fn attributes_of_files_and_folders_are_searched() {
    let tree = tempfile::tempdir().unwrap();
    let at = |name: &str| tree.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("folder/file"), "nothing").unwrap();
    let find = || folder(tree.path(), EPOCH, &secrets(), || false).unwrap();
    assert!(find().is_none());
    // That of overlays is in no image, and is there in a cache all the same.
    for (name, found) in [
        ("folder/file", "/folder/file"),
        ("folder", "/folder"),
        ("", "/"),
    ] {
        for attribute in ["user.t", "user.overlay.t"] {
            let value = [b"x=", TOKEN].concat();
            match setxattr(at(name), attribute, &value, XattrFlags::empty()) {
                Err(Errno::OPNOTSUPP) => {
                    println!("skipped: the disk of $TMPDIR has no attributes of users");
                    return;
                }
                set => set.unwrap(),
            }
            assert_eq!(find().unwrap().0.to_string(), found, "{attribute}");
            rustix::fs::removexattr(at(name), attribute).unwrap();
        }
    }
    setxattr(
        at("folder"),
        [b"user.", TOKEN].concat(),
        b"",
        XattrFlags::empty(),
    )
    .unwrap();
    assert_eq!(find().unwrap().0.to_string(), "/folder");
}

/// Nothing of it is read: there are folders and links only, or what was there before.
#[test]
fn a_search_ends_between_any_two_names() {
    let tree = tempfile::tempdir().unwrap();
    for number in 0..100 {
        fs::create_dir(tree.path().join(number.to_string())).unwrap();
    }
    let later = Mtime {
        seconds: i64::MAX,
        nanoseconds: 0,
    };
    for since in [EPOCH, later] {
        let asked = Cell::new(0);
        let is_over = || {
            asked.set(asked.get() + 1);
            asked.get() > 10
        };
        let found = folder(tree.path(), since, &secrets(), is_over);
        assert!(found.is_err_and(|error| error.to_string().contains("is over")));
        assert_eq!(asked.get(), 11);
    }
}
