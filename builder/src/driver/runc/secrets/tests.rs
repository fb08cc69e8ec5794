use std::collections::BTreeSet;

use aho_corasick::automaton::Automaton as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::{Secrets, known};

fn secrets(content: &[u8]) -> Secrets {
    without(content, &BTreeSet::new())
}

fn without(content: &[u8], known: &BTreeSet<Vec<u8>>) -> Secrets {
    Secrets::new([("npm", "token", content)].into_iter(), known).unwrap()
}

fn find<'a>(secrets: &'a Secrets, bytes: &[u8]) -> Option<&'a str> {
    secrets.find(bytes).map(|hit| hit.owner)
}

const OWNER: &str = "file token of the secret npm";

#[test]
fn all_forms_are_found_and_masked() {
    let secrets = secrets(b"  s3cret+/ \"token\"\n");
    for text in [
        "x s3cret+/ \"token\" y",
        "czNjcmV0Ky8gInRva2VuIg==",
        "dXNlcjpzM2NyZXQrLyAidG9rZW4i",
        "aHR0cDpzM2NyZXQrLyAidG9rZW4iQA",
        "czNjcmV0Ky8gInRva2VuIg",
        "7333637265742B2F2022746F6B656E22",
        "7333637265742b2f2022746f6b656e22",
        "https://x:s3cret%2B%2F%20%22token%22@host",
        "https://x:s3cret%2b%2f%20%22token%22@host",
        r#"{"token": "s3cret+/ \"token\""}"#,
    ] {
        assert_eq!(find(&secrets, text.as_bytes()), Some(OWNER), "{text}");
        let masked = secrets.mask(text.to_owned());
        assert!(masked.contains("[secret]"), "{text} became {masked}");
        assert_eq!(find(&secrets, masked.as_bytes()), None);
    }
    // Folded, as `base64` and `xxd -p` do it.
    for text in [
        "czNj\ncmV0Ky8\r\n gInRva2VuIg==",
        "73 33 63 72 65 74 2b 2f 20 22 74 6f 6b 65 6e 22",
    ] {
        assert_eq!(find(&secrets, text.as_bytes()), Some(OWNER), "{text}");
    }
    for text in ["", "s3cret", "token", "s3 cret+/ \"token\""] {
        assert_eq!(find(&secrets, text.as_bytes()), None);
        assert_eq!(secrets.mask(text.to_owned()), text);
    }
}

#[test]
fn what_is_short_is_said_and_not_looked_for() {
    let secrets = secrets(b" short \n");
    assert!(secrets.is_empty());
    assert_eq!(secrets.unsearched().len(), 1);
    assert!(
        !secrets.unsearched()[0].contains("short"),
        "{:?}",
        secrets.unsearched()
    );
    assert_eq!(find(&secrets, b"short"), None);
}

/// 64 digits a line, as `openssl` writes it.
fn key() -> (Vec<u8>, String) {
    let der: Vec<u8> = (0..300_u16).map(|at| (at * 89 % 251) as u8).collect();
    let digits = STANDARD.encode(&der);
    let lines: Vec<&str> = digits
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    );
    (der, pem)
}

#[test]
fn a_key_is_found_however_its_lines_are_broken() {
    let (der, pem) = key();
    let lines: Vec<&str> = pem.lines().collect();
    let digits = lines[1..lines.len() - 1].concat();
    // A file of the secret may have ends of lines, and blanks, of its own.
    for file in [
        pem.clone(),
        pem.replace('\n', "\r\n"),
        format!("\u{feff}\n  {pem}\n"),
    ] {
        let secrets = secrets(file.as_bytes());
        for line in &lines[1..lines.len() - 1] {
            assert_eq!(secrets.mask((*line).to_owned()), "[secret]");
            assert_eq!(secrets.mask(format!("+ key='{line}'")), "+ key='[secret]'");
            if line.len() == 64 {
                assert_eq!(find(&secrets, line.as_bytes()), Some(OWNER), "{line}");
            }
        }
        for frame in [lines[0], lines[lines.len() - 1]] {
            assert_eq!(secrets.mask(frame.to_owned()), frame);
            assert_eq!(find(&secrets, frame.as_bytes()), None);
        }
        let rewrapped: Vec<&[u8]> = digits.as_bytes().chunks(76).collect();
        for text in [
            pem.as_bytes(),
            pem.replace('\n', "\r\n").as_bytes(),
            pem.replace('\n', "\\n").as_bytes(),
            pem.replace('\n', "%0A").as_bytes(),
            pem.replace('\n', "\n    ").as_bytes(),
            digits.as_bytes(),
            &rewrapped.join(&b"\n"[..]),
            &der,
            STANDARD.encode(&pem).as_bytes(),
        ] {
            let shown = String::from_utf8_lossy(text);
            assert_eq!(find(&secrets, text), Some(OWNER), "{shown}");
        }
        // One line of a log, as a variable is shown.
        for line in [
            pem.replace('\n', "\\n"),
            pem.replace('\n', " "),
            digits.clone(),
        ] {
            let masked = secrets.mask(line);
            assert!(!masked.contains(&digits[..20]), "{masked}");
            assert!(!masked.contains(&digits[200..220]), "{masked}");
        }
    }
}

#[test]
fn encoded_secrets_are_masked_line_by_line() {
    let token = "glpat-Zx9_4kPq71LmN0bVcXsA".repeat(5);
    let secrets = secrets(token.as_bytes());
    let with_end = format!("{token}\n");
    for width in [64, 76] {
        for content in [&token, &with_end] {
            let encoded = STANDARD.encode(content);
            for row in encoded.as_bytes().chunks(width) {
                let row = String::from_utf8(row.to_vec()).unwrap();
                assert_eq!(secrets.mask(row), "[secret]");
            }
        }
    }
    let encoded = STANDARD.encode(format!("user:{token}"));
    let masked = secrets.mask(format!("Authorization: Basic {encoded}"));
    assert!(masked.len() < 60 && masked.contains("[secret]"), "{masked}");
}

#[test]
fn what_is_a_token_in_a_file_is_a_secret_by_itself() {
    let token = "npm_aB3dE5gH7jK9mN1pQ3sT";
    for file in [
        format!(
            "registry=https://npm.example.com/team/\n//npm.example.com/team/:_authToken={token}\n"
        ),
        format!("machine npm.example.com login ann password {token}"),
        format!(r#"{{"auths": {{"npm.example.com": {{"auth":"{token}"}}}}}}"#),
        format!("<server><id>npm</id><password>{token}</password></server>"),
        format!("https://ann:{token}@npm.example.com/team"),
        format!("export TOKEN='{token}'"),
    ] {
        let secrets = secrets(file.as_bytes());
        let base64 = STANDARD.encode(format!("ann:{token}"));
        for text in [token, &base64, &format!("x={token}&y")] {
            assert_eq!(
                find(&secrets, text.as_bytes()),
                Some(OWNER),
                "{file}: {text}"
            );
            let masked = secrets.mask(format!("> {text}"));
            assert!(
                masked.contains("[secret]") && !masked.contains(token),
                "{masked}"
            );
        }
        // A stranger's file may name the same server and user.
        let other =
            "registry=https://npm.example.com/team/\n//npm.example.com/team/ machine login ann";
        assert_eq!(find(&secrets, other.as_bytes()), None, "{file}");
    }
}

#[test]
fn ids_are_tokens_unless_others_have_them() {
    let uuid = "3f2a9c47-1d5e-4b8a-9e60-7c1d2b3a4f5e";
    let hex = "9f86d081884c7d659a2feaa0c55ad015";
    let base32 = "mfrggzdfmztwq2lkgm3tqojqga4tcmbr";
    let large = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    for token in [uuid, &uuid.to_uppercase(), hex, base32, large, "Hunter2-x"] {
        let file = format!(
            "registry=https://npm.example.com/repository/{}/\n_authToken={token}\n",
            uuid.replace('3', "4")
        );
        let first = secrets(file.as_bytes());
        let hit = first.find(format!("x {token} y").as_bytes()).unwrap();
        assert_eq!((hit.owner, hit.is_doubtful), (OWNER, true), "{token}");
        let base64 = STANDARD.encode(format!("ann:{token}"));
        assert_eq!(find(&first, base64.as_bytes()), Some(OWNER), "{token}");
        assert!(!first.mask(format!("> {token}")).contains(token));
        // What stands in the registry's URL is nobody's secret.
        assert_eq!(find(&first, uuid.replace('3', "4").as_bytes()), None);
        // The whole stays one where its word is everybody's.
        let everybodys = format!("cache-id: {token}\n");
        let found = known(first.doubtful(), everybodys.as_bytes()).unwrap();
        assert_eq!(found, BTreeSet::from([token.as_bytes().to_vec()]));
        let second = without(file.as_bytes(), &found);
        assert_eq!(find(&second, everybodys.as_bytes()), None);
        assert!(second.doubtful().is_empty());
        assert!(!second.mask(format!("> {token}")).contains(token));
        let hit = second.find(file.trim().as_bytes()).unwrap();
        assert_eq!((hit.owner, hit.is_doubtful), (OWNER, false));
    }
    // A file that is nothing else is a secret for certain.
    let alone = secrets(uuid.as_bytes());
    assert!(!alone.find(uuid.as_bytes()).unwrap().is_doubtful);
    for file in [
        "00000000-0000-0000-0000-000000000000",
        "libsomething-of-the-kind",
        "2026-11-21-2026-11-22",
        "abcdefghijklmnopqrstuvwxyz1",
    ] {
        let secrets = secrets(format!("user ann\nid {file}\n").as_bytes());
        assert_eq!(find(&secrets, file.as_bytes()), None, "{file}");
    }
}

#[test]
fn what_is_everybodys_is_neither_masked_nor_refused() {
    let (_, key) = key();
    let certificate = key.replace("PRIVATE KEY", "CERTIFICATE");
    let line = certificate.lines().nth(1).unwrap();
    let file = format!(
        "{certificate}# --------\n========================\nname: Example\n  - x\n\nuser: ann\nimage: https://Registry2.example.com/Team/app-1.2.3\n{}",
        key.replace("BEGIN", "BEGIN RSA")
    );
    let secrets = secrets(file.as_bytes());
    assert_eq!(
        find(&secrets, line.as_bytes()),
        Some(OWNER),
        "the key has the same digits"
    );
    let secrets = self::secrets(
        file.replace(&key.replace("BEGIN", "BEGIN RSA"), "")
            .as_bytes(),
    );
    assert_eq!(find(&secrets, line.as_bytes()), None);
    for text in [
        "========================",
        "ann",
        "x",
        "- x",
        "name",
        "Example",
        "Team",
    ] {
        assert_eq!(secrets.mask(text.to_owned()), text);
    }
    for text in [
        "https://Registry2.example.com/Team/app-1.2.3",
        "========================",
    ] {
        assert_eq!(find(&secrets, text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_long_secret_is_masked_to_its_end() {
    let words: Vec<String> = (0..3000).map(|at| format!("{:x}", at * 7919)).collect();
    let long = words.join("-");
    assert!(long.len() > 3 * 4096);
    let secrets = secrets(long.as_bytes());
    assert_eq!(secrets.unsearched(), Vec::<String>::new());
    let masked = secrets.mask(format!("key={long} is it"));
    assert!(masked.starts_with("key=[secret]") && masked.ends_with("[secret] is it"));
    assert_eq!(masked.replace("[secret]", ""), "key= is it");
    assert_eq!(
        find(&secrets, &long.as_bytes()[4096..2 * 4096]),
        Some(OWNER)
    );
}

#[test]
fn many_and_long_secrets_cost_so_much_and_no_more() {
    let content = |number: u32| {
        let rows = (0..4000_u32).map(|row| format!("{number}pAss{:x}\n", row.wrapping_mul(number)));
        rows.collect::<String>().into_bytes()
    };
    let files: Vec<(String, Vec<u8>)> = (1..300_u32)
        .map(|number| (format!("f{number}"), content(number * 104_729)))
        .collect();
    let of = |files: &[(String, Vec<u8>)]| {
        let listed = files.iter();
        let listed = listed.map(|(name, file)| ("npm", name.as_str(), &file[..]));
        Secrets::new(listed, &BTreeSet::new())
    };
    // Rather than to publish what was not looked through.
    let failure = of(&files).err().unwrap();
    assert_eq!(failure.reason.as_str(), "TooManySecrets");
    let files = &files[..60];
    let secrets = of(files).unwrap();
    let forms = secrets.forms.iter().flatten();
    let bytes: usize = forms.map(|forms| forms.automaton.memory_usage()).sum();
    let masks = secrets.masks.as_ref().unwrap().memory_usage();
    assert!(bytes + masks < 80 << 20, "{bytes} and {masks}");
    // All files, before the rest of any.
    for (name, file) in files {
        let owner = format!("file {name} of the secret npm");
        assert_eq!(find(&secrets, file), Some(&owner[..]));
    }
    // It is said of which.
    assert!(!secrets.unsearched().is_empty() && secrets.unsearched().len() <= 2 * files.len());
    assert_eq!(
        find(&secrets, &files[0].1),
        Some("file f1 of the secret npm")
    );
}

proptest! {
    /// Wherever the pieces are cut.
    #[test]
    fn pieces_hide_nothing(
        secret in proptest::collection::vec(any::<u8>(), 12..200),
        before in proptest::collection::vec(any::<u8>(), 0..50),
        cuts in proptest::collection::vec(1_usize..40, 1..40),
        encoded in any::<bool>(),
    ) {
        prop_assume!(secret.trim_ascii().len() >= 12);
        let secrets = secrets(&secret);
        let mut text = [&before[..], &secret[..], b"tail"].concat();
        if encoded {
            text = STANDARD.encode(text).into_bytes();
        }
        let mut search = secrets.search();
        let mut rest = &text[..];
        let mut found = None;
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            found = found.or(search.feed(piece).map(|hit| hit.owner));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, Some(OWNER));
    }
}

/// Tools write what they were configured with elsewhere, in their own words.
#[test]
fn a_password_in_a_url_is_found_by_itself() {
    let pip = b"[global]\nindex-url = https://ci:Summer-2024x@pypi.example.com/simple\n";
    let auth = STANDARD.encode("ci:Summer-2024x");
    let npm = format!("registry=https://npm.example.com/\n//npm.example.com/:_auth={auth}\n");
    for file in [&pip[..], npm.as_bytes()] {
        for text in [
            "machine pypi.example.com login ci password Summer-2024x",
            &auth,
        ] {
            assert_eq!(find(&secrets(file), text.as_bytes()), Some(OWNER), "{text}");
        }
        assert_eq!(
            find(&secrets(file), b"https://pypi.example.com/simple/x"),
            None
        );
    }
    let weak = secrets(b"[global]\nindex-url = https://admin:admin@pypi.example.com/simple\n");
    assert_eq!(
        find(&weak, b"admin:x:0:0::/home/admin:/bin/sh administrators"),
        None
    );
}
