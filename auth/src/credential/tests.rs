use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn basic(text: &str) -> Result<Option<Credential>, Refusal> {
    Credential::parse(format!("Basic {}", STANDARD.encode(text)))
}

fn pair(parsed: Result<Option<Credential>, Refusal>) -> (String, String) {
    match parsed.unwrap().unwrap() {
        Credential::Basic(basic) => {
            let password = basic.password().expose();
            (basic.user().to_owned(), password.to_owned())
        }
        Credential::Bearer(token) => panic!("bearer {}", token.expose()),
    }
}

#[test]
fn nothing_is_nobody() {
    assert!(Credential::parse("").unwrap().is_none());
}

#[test]
fn basic_splits_at_the_first_colon() {
    assert_eq!(pair(basic("alice:a:b:")), ("alice".into(), "a:b:".into()));
    assert_eq!(pair(basic("élodie:Ã")), ("élodie".into(), "Ã".into()));
}

#[test]
fn the_scheme_has_no_case_and_padding_may_miss() {
    assert_eq!(pair(Credential::parse("bAsIc YTpi")).0, "a");
    assert_eq!(pair(Credential::parse("basic  YTpiYg")).1, "bb");
    assert_eq!(pair(Credential::parse("Basic YTpiYg==")).1, "bb");
    let Some(Credential::Bearer(token)) = Credential::parse("BEARER x.y.z").unwrap() else {
        panic!("not bearer");
    };
    assert_eq!(token.expose(), "x.y.z");
}

#[test]
fn what_is_malformed_is_refused_and_never_taken_for_nobody() {
    let long = "x".repeat(Credential::MAX_LEN);
    let long_user = format!("{}:p", "u".repeat(Credential::MAX_USER_LEN + 1));
    for header in [
        "Basic",
        "Basic ",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a\u{e9}",
        " ",
        "x",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(
        [
            "Negotiate abc",
            "Digest a=b",
            "Basic !!!!",
            "Basic YQ",
            "Basic YTpi, Basic YTpi",
        ]
        .map(str::to_owned),
    )
    .chain([
        format!("Bearer {long}"),
        format!("Basic {}", STANDARD.encode(&long_user)),
    ])
    .chain(
        [":p", "u:", ":", "u\n:p", "u\0:p", "u:p\0q"]
            .map(|t| format!("Basic {}", STANDARD.encode(t))),
    )
    .chain([format!("Basic {}", STANDARD.encode(b"u:\xff"))])
    {
        assert_eq!(
            Credential::parse(&header).unwrap_err(),
            Refusal::BadCredential,
            "{header:.60}"
        );
    }
    assert_eq!(
        Credential::parse(b"Bearer \xff").unwrap_err(),
        Refusal::BadCredential
    );
}

#[test]
fn the_longest_that_is_allowed_passes() {
    let token = "x".repeat(Credential::MAX_LEN - "Bearer ".len());
    assert!(
        Credential::parse(format!("Bearer {token}"))
            .unwrap()
            .is_some()
    );
    let user = "u".repeat(Credential::MAX_USER_LEN);
    assert_eq!(pair(basic(&format!("{user}:p"))).0, user);
}

/// A form or a file can hold what no header can.
#[test]
fn no_way_in_takes_what_a_header_could_not_hold() {
    let long = "u".repeat(Credential::MAX_USER_LEN + 1);
    for (user, password) in [
        ("", "p"),
        ("a:b", "p"),
        ("a\n", "p"),
        ("a\0", "p"),
        ("a\u{85}", "p"),
        (&*long, "p"),
        ("a", ""),
        ("a", "p\0"),
    ] {
        let made = Credential::basic(user, Secret::new(password.to_owned()));
        assert_eq!(made.unwrap_err(), Refusal::BadCredential, "{user:?}");
    }
    let made = Credential::basic("a", Secret::new("b:c\n".to_owned()));
    assert_eq!(pair(made.map(Some)), ("a".to_owned(), "b:c\n".to_owned()));
}

#[test]
fn secrets_are_not_printed() {
    let shown = format!(
        "{:?} {:?}",
        basic("alice:hunter2"),
        Credential::parse("Bearer hunter2")
    );
    assert!(
        shown.contains("alice") && !shown.contains("hunter2"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn any_pair_comes_back(user in "[^:\\p{Cc}]{1,40}", password in "[^\\x00]{1,72}") {
        prop_assert_eq!(pair(basic(&format!("{user}:{password}"))), (user, password));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Credential::parse(&bytes);
        let _ = Credential::parse([b"Basic ", &bytes[..]].concat());
    }
}
