use super::*;

fn matches(pattern: &[u8], name: &[u8]) -> Result<bool, BadPattern> {
    let matched = Glob::parse(pattern)?.matches(name, &mut Steps::new(1 << 30));
    Ok(matched.expect("enough steps"))
}

/// The table of Go's own tests (`path/filepath/match_test.go`), its Unix half.
const GO: &[(&str, &str, Result<bool, BadPattern>)] = &[
    ("abc", "abc", Ok(true)),
    ("*", "abc", Ok(true)),
    ("*c", "abc", Ok(true)),
    ("a*", "a", Ok(true)),
    ("a*", "abc", Ok(true)),
    ("a*", "ab/c", Ok(false)),
    ("a*/b", "abc/b", Ok(true)),
    ("a*/b", "a/c/b", Ok(false)),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", Ok(true)),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Ok(true)),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", Ok(false)),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Ok(false)),
    ("a*b?c*x", "abxbbxdbxebxczzx", Ok(true)),
    ("a*b?c*x", "abxbbxdbxebxczzy", Ok(false)),
    ("ab[c]", "abc", Ok(true)),
    ("ab[b-d]", "abc", Ok(true)),
    ("ab[e-g]", "abc", Ok(false)),
    ("ab[^c]", "abc", Ok(false)),
    ("ab[^b-d]", "abc", Ok(false)),
    ("ab[^e-g]", "abc", Ok(true)),
    ("a\\*b", "a*b", Ok(true)),
    ("a\\*b", "ab", Ok(false)),
    ("a?b", "a☺b", Ok(true)),
    ("a[^a]b", "a☺b", Ok(true)),
    ("a???b", "a☺b", Ok(false)),
    ("a[^a][^a][^a]b", "a☺b", Ok(false)),
    ("[a-ζ]*", "α", Ok(true)),
    ("*[a-ζ]", "A", Ok(false)),
    ("a?b", "a/b", Ok(false)),
    ("a*b", "a/b", Ok(false)),
    ("[\\]a]", "]", Ok(true)),
    ("[\\-]", "-", Ok(true)),
    ("[x\\-]", "x", Ok(true)),
    ("[x\\-]", "-", Ok(true)),
    ("[x\\-]", "z", Ok(false)),
    ("[\\-x]", "x", Ok(true)),
    ("[\\-x]", "a", Ok(false)),
    ("[]a]", "]", Err(BadPattern)),
    ("[-]", "-", Err(BadPattern)),
    ("[x-]", "x", Err(BadPattern)),
    ("[-x]", "x", Err(BadPattern)),
    ("\\", "a", Err(BadPattern)),
    ("[a-b-c]", "a", Err(BadPattern)),
    ("[", "a", Err(BadPattern)),
    ("[^", "a", Err(BadPattern)),
    ("[^bc", "a", Err(BadPattern)),
    ("a[", "a", Err(BadPattern)),
    ("a[", "ab", Err(BadPattern)),
    ("*x", "xxx", Ok(true)),
];

#[test]
fn it_matches_as_go_does() {
    for (pattern, name, expected) in GO {
        let found = matches(pattern.as_bytes(), name.as_bytes());
        assert_eq!(found, *expected, "{pattern} {name}");
    }
}

#[test]
fn bytes_that_are_no_text_count_one_each() {
    assert_eq!(matches(b"a?b", b"a\xffb"), Ok(true));
    assert_eq!(matches(b"a?b", b"a\xff\xffb"), Ok(false));
}

#[test]
fn many_stars_do_not_take_for_ever() {
    for end in ["b", "[b]"] {
        let pattern = "a*".repeat(500) + end;
        assert_eq!(matches(pattern.as_bytes(), &[b'a'; 4000]), Ok(false));
    }
}

#[test]
fn whoever_has_no_steps_left_does_not_know() {
    let glob = Glob::parse(b"*a*[b]").unwrap();
    let mut steps = Steps::new(100);
    assert_eq!(glob.matches(b"aaab", &mut steps), Ok(true));
    assert_eq!(glob.matches(&[b'a'; 200], &mut steps), Err(NoSteps));
    // Each range of a class is one.
    let class = Glob::parse(&[&b"["[..], &[b'x'; 200], b"]"].concat()).unwrap();
    assert_eq!(class.matches(b"y", &mut Steps::new(100)), Err(NoSteps));
}
