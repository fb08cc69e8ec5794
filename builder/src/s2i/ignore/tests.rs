use proptest::prelude::*;

use super::*;

const TREE: &[&str] = &[
    ".git",
    ".s2iignore",
    "README.md",
    "a.log",
    "build",
    "build-2",
    "build/keep.txt",
    "build/out",
    "build/out/x.o",
    "src",
    "src/b.log",
    "src/deep",
    "src/deep/c.log",
    "src/main.c",
];

/// What is left of [`TREE`].
fn left(mode: Mode, text: &str) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    let ignore = Ignore::parse(mode, text.as_bytes(), &mut warnings).unwrap();
    assert_eq!(warnings, [], "{text}");
    let paths: Vec<&[u8]> = TREE.iter().map(|path| path.as_bytes()).collect();
    let out = ignore.left_out(&paths, || false).unwrap();
    TREE.iter()
        .zip(out)
        .filter(|(_, out)| !out)
        .map(|(path, _)| *path)
        .collect()
}

fn without(gone: &[&str]) -> Vec<&'static str> {
    TREE.iter()
        .copied()
        .filter(|path| !gone.contains(path))
        .collect()
}

#[test]
fn classic_patterns_are_not_recursive() {
    assert_eq!(left(Mode::Classic, "*.log"), without(&["a.log"]));
    assert_eq!(left(Mode::Classic, "*/*.log"), without(&["src/b.log"]));
    assert_eq!(
        left(Mode::Classic, "**/c.log"),
        without(&[]),
        "two stars are as one"
    );
}

#[test]
fn a_folder_goes_with_what_is_in_it() {
    let build = ["build", "build/keep.txt", "build/out", "build/out/x.o"];
    for text in ["build", "/build/", "./build", "x/../build", " build \r"] {
        assert_eq!(left(Mode::Classic, text), without(&build), "{text:?}");
    }
}

#[test]
fn a_folder_goes_whole_though_another_stands_between_by_name() {
    let gone = [
        "build",
        "build-2",
        "build/keep.txt",
        "build/out",
        "build/out/x.o",
    ];
    assert_eq!(left(Mode::Classic, "build-2\nbuild"), without(&gone));
    assert_eq!(left(Mode::Recursive, "build*"), without(&gone));
}

#[test]
fn stars_match_names_that_begin_with_a_dot() {
    assert_eq!(left(Mode::Classic, "*"), [""; 0]);
}

#[test]
fn classic_exceptions_take_back_what_was_named_before() {
    let text = "build/*\n!build/keep.txt\n";
    assert_eq!(
        left(Mode::Classic, text),
        without(&["build/out", "build/out/x.o"])
    );
    assert_eq!(
        left(Mode::Classic, "!build/keep.txt\nbuild/*"),
        without(&["build/keep.txt", "build/out", "build/out/x.o"]),
        "a later line counts again"
    );
    assert_eq!(
        left(Mode::Classic, "build\n!build/keep.txt"),
        without(&["build", "build/keep.txt", "build/out", "build/out/x.o"]),
        "the folder itself was named, not the file"
    );
}

#[test]
fn recursive_patterns_are_those_of_dockerignore() {
    assert_eq!(left(Mode::Recursive, "*.log"), without(&["a.log"]));
    assert_eq!(
        left(Mode::Recursive, "**/*.log"),
        without(&["a.log", "src/b.log", "src/deep/c.log"])
    );
    assert_eq!(
        left(Mode::Recursive, "build\n!build/keep.txt"),
        without(&["build/out", "build/out/x.o"]),
        "what is brought back brings its folder"
    );
    assert_eq!(
        left(Mode::Recursive, "**\n!src/deep/**"),
        ["src", "src/deep", "src/deep/c.log"]
    );
}

/// Many files and patterns, and patterns that go back at each byte: no answer, but soon.
#[test]
fn what_takes_too_long_is_refused() {
    let deep = "d/".repeat(900) + "x";
    let cases = [
        (Mode::Classic, "*a".repeat(60) + "[b]", "a".repeat(90)),
        (Mode::Recursive, "*a".repeat(60) + "[b]", "a".repeat(90)),
        (
            Mode::Classic,
            "!".to_owned() + &"*a".repeat(60) + "[b]",
            "a".repeat(90),
        ),
        (Mode::Recursive, "**/d/".repeat(20) + "[b]*", deep),
        (
            Mode::Recursive,
            "[".to_owned() + &"b".repeat(150) + "]*",
            "a".repeat(90),
        ),
    ];
    for (mode, pattern, name) in cases {
        // There is something to take back.
        let all = if pattern.starts_with('!') { "a*\n" } else { "" };
        let file = all.to_owned() + &format!("{pattern}\n").repeat(80);
        assert!(file.len() <= Ignore::MAX_BYTES);
        let ignore = Ignore::parse(mode, file.as_bytes(), &mut Vec::new()).unwrap();
        let mut paths: Vec<String> = (0..5_000).map(|i| format!("{name}{i:06}")).collect();
        let folders = name
            .match_indices('/')
            .map(|(end, _)| name[..end].to_owned());
        paths.extend(folders);
        paths.sort();
        let paths: Vec<&[u8]> = paths.iter().map(String::as_bytes).collect();
        let found = ignore.within(Steps::new(1 << 22), &paths, || false);
        assert_eq!(found.map(drop), Err(IgnoreError::TooMuchWork), "{pattern}");
    }
    let ignore = Ignore::parse(
        Mode::Classic,
        &b"*a*a*a*a*a*a*[b]\n".repeat(Ignore::MAX_RULES),
        &mut Vec::new(),
    );
    let paths = vec![&[b'a'; 90][..]; 500_000];
    let found = ignore.unwrap().left_out(&paths, || false);
    assert_eq!(found.map(drop), Err(IgnoreError::TooMuchWork));
}

/// What honest files have is far from the bound.
#[test]
fn many_files_and_an_ordinary_list_are_decided() {
    let list = "**/*.log\n**/node_modules\n.git*\nbuild\ndist/**\n**/*.py[co]\n**/__pycache__\n!keep.log\n**/.DS_Store\n\
                target\n*.tmp\ncoverage/**/*.html\n**/test-*\n";
    let ignore = Ignore::parse(Mode::Recursive, list.as_bytes(), &mut Vec::new()).unwrap();
    let mut paths: Vec<String> = (0..100_000)
        .map(|i| format!("src/part-{}/module/file-{i}.js", i / 1_000))
        .collect();
    for part in 0..100 {
        paths.extend([
            format!("src/part-{part}"),
            format!("src/part-{part}/module"),
        ]);
    }
    paths.extend(["src".to_owned(), "src/a.log".to_owned()]);
    paths.sort();
    let paths: Vec<&[u8]> = paths.iter().map(String::as_bytes).collect();
    let out = ignore.left_out(&paths, || false).unwrap();
    assert_eq!(out.iter().filter(|out| **out).count(), 1);
}

#[test]
fn who_is_stopped_compares_no_more() {
    let ignore = Ignore::parse(Mode::Classic, b"*.log", &mut Vec::new()).unwrap();
    let asked = std::cell::Cell::new(0);
    let stopped = || asked.replace(asked.get() + 1) == 2;
    let found = ignore.left_out(&[b"a", b"b", b"c", b"d"], stopped);
    assert_eq!((found, asked.get()), (Err(IgnoreError::Stopped), 3));
}

#[test]
fn a_list_has_a_bound() {
    let text = "# a comment\na\n".repeat(Ignore::MAX_RULES);
    let mut warnings = Vec::new();
    Ignore::parse(Mode::Classic, text.as_bytes(), &mut warnings).unwrap();
    let text = text + "a[";
    let found = Ignore::parse(Mode::Classic, text.as_bytes(), &mut warnings);
    assert_eq!(found, Err(IgnoreError::TooManyRules));
}

#[test]
fn comments_and_empty_lines_say_nothing() {
    assert_eq!(left(Mode::Classic, "# *.log\n\n   \n"), without(&[]));
}

#[test]
fn lines_that_lead_out_or_astray_are_warned_of() {
    for text in ["../x", "/..", "a[", "/", "!", "x/../.."] {
        let mut warnings = Vec::new();
        let ignore = Ignore::parse(Mode::Classic, text.as_bytes(), &mut warnings).unwrap();
        assert_eq!(ignore, Ignore::default(), "{text}");
        assert_eq!(warnings.len(), 1, "{text}");
        assert!(warnings[0].to_string().starts_with(".s2iignore:1: "));
    }
}

proptest! {
    #[test]
    fn what_is_in_a_folder_that_goes_goes_too(text in "[!a-z*?/.\n\\[\\]-]{0,40}", recursive in any::<bool>()) {
        let mode = if recursive { Mode::Recursive } else { Mode::Classic };
        let ignore = Ignore::parse(mode, text.as_bytes(), &mut Vec::new()).unwrap();
        let paths: Vec<&[u8]> = TREE.iter().map(|path| path.as_bytes()).collect();
        let out = ignore.left_out(&paths, || false).unwrap();
        for (folder, _) in paths.iter().zip(&out).filter(|(_, out)| **out) {
            for (path, out) in paths.iter().zip(&out) {
                let below = path.starts_with(&[folder, &b"/"[..]].concat());
                prop_assert!(*out || !below, "{} in {}", path.escape_ascii(), folder.escape_ascii());
            }
        }
    }
}
