use tar::{Builder, EntryType, Header};

use super::*;

struct File {
    path: &'static str,
    content: &'static str,
    mode: u32,
    owner: u64,
    modified: u64,
    link: Option<&'static str>,
    attribute: Option<&'static str>,
}

const PLAIN: File = File {
    path: "opt/a",
    content: "one",
    mode: 0o644,
    owner: 1001,
    modified: 10,
    link: None,
    attribute: None,
};

fn layer(files: &[File]) -> Listed {
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
    listed(&*archive.into_inner().unwrap()).unwrap()
}

#[test]
fn what_differs_of_a_file_is_named() {
    let then = layer(&[PLAIN]);
    assert!(changed(&then, &layer(&[PLAIN]), 10).is_empty());
    for (file, what) in [
        (
            File {
                content: "two",
                ..PLAIN
            },
            "content",
        ),
        (
            File {
                mode: 0o755,
                ..PLAIN
            },
            "mode",
        ),
        (File { owner: 0, ..PLAIN }, "owner"),
        (
            File {
                modified: 11,
                ..PLAIN
            },
            "time",
        ),
        (
            File {
                attribute: Some("v"),
                ..PLAIN
            },
            "attributes",
        ),
        (
            File {
                content: "two",
                modified: 11,
                ..PLAIN
            },
            "content, time",
        ),
    ] {
        let said = changed(&then, &layer(&[file]), 10);
        assert_eq!(said, [format!("/opt/a: {what}")]);
    }
    let link = |target| File {
        content: "",
        link: Some(target),
        ..PLAIN
    };
    let said = changed(&layer(&[link("b")]), &layer(&[link("c")]), 10);
    assert_eq!(said, ["/opt/a: target"]);
}

#[test]
fn what_is_there_once_is_named_and_the_rest_is_counted() {
    let other = |path| File { path, ..PLAIN };
    let then = layer(&[PLAIN, other("opt/b"), other("opt/c")]);
    let now = layer(&[PLAIN, other("opt/d")]);
    let all = ["/opt/d: only now", "/opt/b: only then", "/opt/c: only then"];
    assert_eq!(changed(&then, &now, 10), all);
    assert_eq!(changed(&then, &now, 1), ["/opt/d: only now", "and 2 more"]);
}

#[test]
fn names_are_shown_without_doing_anything() {
    let now = layer(&[File {
        path: "opt/\u{1b}[2J\n",
        ..PLAIN
    }]);
    assert_eq!(
        changed(&layer(&[]), &now, 10),
        ["/opt/\\u{1b}[2J\\n: only now"]
    );
}
