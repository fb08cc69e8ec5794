use super::*;

const HASH: &str = "$2y$05$k6oFxRb.Hj1wT1g0Q9gqLuJ2gq0sX7W3p2l0mVQk9m8y4z6Wn1r7C";

fn parse(text: &str) -> Result<Users, String> {
    let path = Path::new("users").to_owned();
    Users::parse(&[Source {
        path,
        text: text.into(),
    }])
    .map_err(|error| error.to_string())
}

fn hash(cost: u32) -> String {
    bcrypt::hash("x", cost).unwrap()
}

#[test]
fn the_decoy_of_an_empty_file_is_a_hash() {
    let users = parse("# nobody yet\n\n").unwrap();
    let keyed = Keyed::new().unwrap();
    let (_, known) = users.hash_for("alice", &keyed).unwrap();
    assert!(!known);
}

#[test]
fn users_comments_and_line_ends() {
    let hash = hash(4);
    let text = format!("# comment\r\nalice:{hash}\r\n\n élodie x:{hash}\nbob:{hash}:more:fields\n");
    assert!(
        parse(&text)
            .unwrap_err()
            .contains("users:4: user name begins")
    );
    let users = parse(&text.replace(" élodie", "élodie")).unwrap();
    assert!(
        ["alice", "élodie x", "bob"]
            .iter()
            .all(|user| users.contains(user))
    );
    assert!(!users.contains("Alice"));
}

#[test]
fn every_other_hash_is_named_with_its_line_and_not_shown() {
    let good = hash(4);
    for (bad, what) in [
        ("$apr1$oSw0mQ2l$secretsecretsecretsec", "an MD5 hash"),
        ("{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "a SHA-1 hash"),
        ("$5$salt$secret", "a SHA-256 crypt hash"),
        ("$6$salt$secret", "a SHA-512 crypt hash"),
        ("$argon2id$v=19$secret", "an Argon2 hash"),
        ("rl0uE5HLjpTSY", "plain text"),
        ("hunter2", "plain text"),
        ("", "plain text"),
        ("$2$05$secret", "plain text"),
        (
            "$2x$05$secretsecretsecretsecretsecretsecretsecretsecretsecr",
            "broken 2x",
        ),
        ("$2b$05$short", "a damaged bcrypt hash"),
        (&HASH[..59], "a damaged bcrypt hash"),
        (
            "$2b$xx$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK",
            "a damaged bcrypt hash",
        ),
        (
            "$2b$05$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7d!!",
            "a damaged bcrypt hash",
        ),
        (
            "$2b$05$ébcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7db",
            "a damaged bcrypt hash",
        ),
        (&NOBODY.replace("$12$", "$31$"), "cost 31"),
        (&NOBODY.replace("$12$", "$18$"), "cost 18"),
        (&NOBODY.replace("$12$", "$03$"), "cost 3"),
    ] {
        let error = parse(&format!("alice:{good}\n# c\nbob:{bad}\n")).unwrap_err();
        assert!(
            error.starts_with("users:3: ") && error.contains(what),
            "{bad}: {error}"
        );
        assert!(
            error.contains("\"bob\"") && error.contains("slipway user passwd"),
            "{error}"
        );
        assert!(
            !error.contains("secret") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn the_costs_that_are_accepted() {
    for cost in ["04", "17"] {
        assert!(
            parse(&format!(
                "a:{}",
                NOBODY.replace("$12$", &format!("${cost}$"))
            ))
            .is_ok()
        );
    }
    for version in ["2a", "2b", "2y"] {
        assert!(parse(&format!("a:{}", NOBODY.replace("2b", version))).is_ok());
    }
}

#[test]
fn lines_that_are_no_users() {
    let hash = hash(4);
    for (text, line, what) in [
        (format!("{hash}\n"), 1, "not of the form"),
        ("alice\n".into(), 1, "not of the form"),
        (format!(":{hash}"), 1, "is empty"),
        (format!("{}:{hash}", "u".repeat(256)), 1, "longer than 255"),
        (format!("a\tb:{hash}"), 1, "control characters"),
        (
            format!("alice:{hash}\nbob:{hash}\nalice:{hash}"),
            3,
            "second line",
        ),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(
            error.starts_with(&format!("users:{line}: ")) && error.contains(what),
            "{error}"
        );
    }
}

#[test]
fn an_unknown_user_always_costs_what_the_same_known_one_does() {
    let text: Vec<String> = (4..8)
        .map(|cost| format!("u{cost}:{}", hash(cost)))
        .collect();
    let users = parse(&text.join("\n")).unwrap();
    let keyed = Keyed::new().unwrap();
    let cost = |hash: &Hash| format!("{hash:?}");
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..200 {
        let name = format!("nobody-{n}");
        let (hash, known) = users.hash_for(&name, &keyed).unwrap();
        assert!(!known);
        assert_eq!(cost(&hash), cost(&users.hash_for(&name, &keyed).unwrap().0));
        seen.insert(cost(&hash));
    }
    assert_eq!(
        seen.len(),
        4,
        "unknown users are spread over all the costs of the file: {seen:?}"
    );
    for n in 4..8 {
        let (hash, known) = users.hash_for(&format!("u{n}"), &keyed).unwrap();
        assert!(
            known && cost(&hash).contains(&format!("cost {n}")),
            "{hash:?}"
        );
    }
}
