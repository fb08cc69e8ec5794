use tar::{Builder, EntryType, Header};

use super::*;

struct Made {
    path: &'static str,
    content: &'static str,
    mode: u32,
    owner: u64,
    modified: u64,
    link: Option<&'static str>,
    attribute: Option<&'static str>,
}

const PLAIN: Made = Made {
    path: "opt/a",
    content: "one",
    mode: 0o644,
    owner: 1001,
    modified: 10,
    link: None,
    attribute: None,
};

fn layer(files: &[Made]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for file in files {
        if let Some(value) = file.attribute {
            let extension = [("SCHILY.xattr.user.x", value.as_bytes())];
            archive.append_pax_extensions(extension).unwrap();
        }
        let mut header = Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(file.owner);
        header.set_gid(0);
        header.set_mtime(file.modified);
        header.set_size(file.content.len() as u64);
        match file.link {
            None => {
                header.set_entry_type(EntryType::Regular);
                let content = file.content.as_bytes();
                archive
                    .append_data(&mut header, file.path, content)
                    .unwrap();
            }
            Some(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, file.path, target).unwrap();
            }
        }
    }
    archive.into_inner().unwrap()
}

fn differences(then: &[u8], now: &[u8], most: usize) -> Vec<String> {
    changed(then, now, most).unwrap()
}

#[test]
fn what_differs_of_a_file_is_named() {
    let then = layer(&[PLAIN]);
    assert!(differences(&then, &layer(&[PLAIN]), 10).is_empty());
    for (file, what) in [
        (
            Made {
                content: "two",
                ..PLAIN
            },
            "content",
        ),
        (
            Made {
                mode: 0o755,
                ..PLAIN
            },
            "mode",
        ),
        (Made { owner: 0, ..PLAIN }, "owner"),
        (
            Made {
                modified: 11,
                ..PLAIN
            },
            "time",
        ),
        (
            Made {
                attribute: Some("v"),
                ..PLAIN
            },
            "attributes",
        ),
        (
            Made {
                content: "two",
                modified: 11,
                ..PLAIN
            },
            "content, time",
        ),
    ] {
        let said = differences(&then, &layer(&[file]), 10);
        assert_eq!(said, [format!("/opt/a: {what}")]);
    }
    let link = |target| Made {
        content: "",
        link: Some(target),
        ..PLAIN
    };
    let said = differences(&layer(&[link("b")]), &layer(&[link("c")]), 10);
    assert_eq!(said, ["/opt/a: target"]);
}

#[test]
fn what_is_there_once_is_named_and_the_rest_is_counted() {
    let other = |path| Made { path, ..PLAIN };
    let then = layer(&[PLAIN, other("opt/b"), other("opt/c")]);
    let now = layer(&[PLAIN, other("opt/d")]);
    let all = ["/opt/b: only then", "/opt/c: only then", "/opt/d: only now"];
    assert_eq!(differences(&then, &now, 10), all);
    assert_eq!(
        differences(&then, &now, 1),
        ["/opt/b: only then", "and 2 more"]
    );
}

#[test]
fn names_are_shown_without_doing_anything() {
    let now = layer(&[Made {
        path: "opt/\u{1b}[2J\n",
        ..PLAIN
    }]);
    assert_eq!(
        differences(&layer(&[]), &now, 10),
        ["/opt/\\u{1b}[2J\\n: only now"]
    );
}

/// As a walk comes by them: a folder's files before what is named like the folder and more, whiteouts by what they take away.
#[test]
fn layers_are_read_side_by_side() {
    let other = |path| Made { path, ..PLAIN };
    let then = layer(&[other("a/b"), other("a-b"), other("c"), other("d")]);
    let now = layer(&[other("a/c"), other("a-b"), other(".wh.c"), other("d")]);
    let all = [
        "/a/b: only then",
        "/a/c: only now",
        "/.wh.c: only now",
        "/c: only then",
    ];
    assert_eq!(differences(&then, &now, 10), all);
    for unordered in [["b", "a"], ["a-b", "a/b"], ["a", "a"]] {
        let unordered = layer(&unordered.map(other));
        changed(&*unordered, &*unordered, 10).unwrap_err();
    }
}
