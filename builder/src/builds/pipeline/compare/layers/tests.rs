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

const MEASURED: &str = "builds::pipeline::compare::layers::tests::measured";

/// Layers of 50,000 files whose paths have 3 KB, while they are read.
fn large(content: u8) -> io::PipeReader {
    let (reader, writer) = io::pipe().unwrap();
    std::thread::spawn(move || {
        let mut archive = crate::archive::Writer::new(io::BufWriter::new(writer));
        let folder = ["n".repeat(250).as_str(); 12].join("/");
        for i in 0..50_000 {
            let entry = Entry {
                path: TreePath::parse(format!("{folder}/{i:06}").as_bytes()).unwrap(),
                kind: Kind::File(1),
                mode: 0o644,
                uid: 0,
                gid: 0,
                mtime: crate::archive::Mtime::default(),
                xattrs: crate::archive::Xattrs::new(),
            };
            archive.header(&entry).unwrap();
            archive.content(&[content]).unwrap();
            archive.pad(1).unwrap();
        }
        archive.finish().unwrap();
    });
    reader
}

/// Not a test of its own: the work, alone in a process, whose peak of memory is then that of the work.
#[test]
#[ignore = "started by two_large_layers_are_not_in_memory"]
fn measured() {
    let all = changed(large(b'a'), large(b'b'), 10).unwrap();
    assert_eq!(all[10], "and 49990 more");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    println!("\n{}", peak.unwrap());
}

#[test]
fn two_large_layers_are_not_in_memory() {
    let ran = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", MEASURED, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{told}");
    let peak = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.unwrap().trim().strip_suffix(" kB").unwrap();
    assert!(kilobytes.parse::<u64>().unwrap() < 64 << 10, "{told}");
}
