use proptest::prelude::*;

use super::*;

fn lines(text: &str) -> Vec<String> {
    let mut lines = Lines::default();
    let mut found = lines.push(text.as_bytes());
    found.extend(lines.finish());
    found
}

#[test]
fn lines_end_with_any_ending() {
    assert_eq!(
        lines("one\ntwo\r\nthree\rfour"),
        ["one", "two", "three", "four"]
    );
    assert_eq!(lines("\n\n"), ["", ""]);
    assert_eq!(lines(""), Vec::<String>::new());
}

#[test]
fn what_a_terminal_would_act_on_is_gone() {
    assert_eq!(lines("\u{1b}[31mred\u{1b}[0m\tx"), ["red\tx"]);
    assert_eq!(
        lines("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b"),
        ["ab"]
    );
    assert_eq!(lines("\u{9b}2Ja\u{8}b\u{0}c\u{7f}"), ["abc"]);
    assert_eq!(lines("safe\u{202e}gnp.exe"), ["safegnp.exe"]);
    assert_eq!(lines("a\u{1b}[2"), ["a"]);
}

#[test]
fn a_long_line_is_cut_between_characters() {
    let text = "ä".repeat(MAX_LINE);
    let found = lines(&format!("x{text}"));
    assert!(found.iter().all(|line| line.len() <= MAX_LINE));
    assert_eq!(found.concat(), format!("x{text}"));
}

proptest! {
    #[test]
    fn no_bytes_make_a_line_harmful(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let mut all = Lines::default();
        let mut found = all.push(&bytes);
        found.extend(all.finish());
        for line in found {
            prop_assert!(line.chars().all(|c| c == '\t' || is_harmless(c)));
        }
    }
}
