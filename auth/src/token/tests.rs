use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oci::RepoName;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::jws::altered::{with, without};
use crate::{Action, Actions};

const NOW: u64 = 2_000_000_000;

struct Lab {
    dir: TempDir,
    tokens: Tokens,
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn load(path: &Path) -> Result<Tokens, LoadError> {
    let services = ["registry.example.com", "other.example.com"]
        .map(String::from)
        .to_vec();
    Tokens::load_or_create(path, services, Tokens::DEFAULT_TTL)
}

fn lab() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let tokens = load(&dir.path().join("keys.pem")).unwrap();
    Lab { dir, tokens }
}

fn alice() -> Identity {
    Identity::authenticated("htpasswd", "alice", ["devs".to_owned()])
}

fn access() -> Access {
    let mut access = Access::default();
    access.add(
        RepoName::parse("team/app").unwrap(),
        Actions::NONE.with(Action::Get),
    );
    access
}

impl Lab {
    fn path(&self) -> PathBuf {
        self.dir.path().join("keys.pem")
    }

    fn key(&self) -> Ed25519KeyPair {
        let pem = fs::read(self.path()).unwrap();
        let key = PrivatePkcs8KeyDer::pem_slice_iter(&pem)
            .last()
            .unwrap()
            .unwrap();
        Ed25519KeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap()
    }

    fn issued(&self) -> String {
        self.tokens
            .issue(&alice(), &access(), at(NOW))
            .unwrap()
            .token()
            .to_owned()
    }

    fn part(&self, index: usize) -> Value {
        let token = self.issued();
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn header(&self) -> Value {
        self.part(0)
    }

    fn claims(&self) -> Value {
        self.part(1)
    }

    /// A token with our genuine signature over whatever is said.
    fn signed(&self, header: &str, claims: &str) -> String {
        signed_by(&self.key(), header, claims)
    }

    fn ask(&self, token: &str, seconds: u64) -> Result<Option<Identity>, Refusal> {
        self.tokens
            .verify(&Secret::new(token.to_owned()), at(seconds))
    }

    fn refuses(&self, token: &str, what: &str) {
        // Twice: nothing that was refused may have been remembered.
        for _ in 0..2 {
            let answer = self.ask(token, NOW);
            assert!(!matches!(answer, Ok(Some(_))), "{what}: {answer:?}");
        }
    }
}

fn signed_by(key: &Ed25519KeyPair, header: &str, claims: &str) -> String {
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()));
    format!("{text}.{signature}")
}

#[test]
fn what_was_issued_begins_as_its_key_is_known_to_write() {
    let lab = lab();
    let token = lab.issued();
    let (first, _) = token.split_once('.').unwrap();
    assert!(lab.tokens.keys.current().headers.contains(first));
}

#[test]
fn a_token_brings_back_who_and_what() {
    let lab = lab();
    let issued = lab.tokens.issue(&alice(), &access(), at(NOW)).unwrap();
    assert_eq!(
        (issued.expires_in(), issued.issued_at()),
        (Duration::from_secs(300), at(NOW))
    );
    for _ in 0..2 {
        let who = lab.ask(issued.token(), NOW).unwrap().unwrap();
        assert_eq!(who.principal(), alice().principal());
        assert_eq!(
            who.groups().collect::<Vec<_>>(),
            ["devs", "system:authenticated"]
        );
        assert_eq!(who.access(), Some(&access()));
    }
    let stranger = lab
        .tokens
        .issue(&Identity::anonymous(), &access(), at(NOW))
        .unwrap();
    let who = lab.ask(stranger.token(), NOW).unwrap().unwrap();
    assert!(who.is_anonymous());
    assert_eq!(who.principal(), Identity::anonymous().principal());
}

#[test]
fn the_test_forges_as_well_as_the_issuer_signs() {
    let lab = lab();
    let token = lab.signed(&lab.header().to_string(), &lab.claims().to_string());
    assert_eq!(lab.ask(&token, NOW).unwrap().unwrap().name(), "alice");
}

#[test]
fn the_payload_is_that_of_the_docker_token_protocol() {
    let lab = lab();
    assert_eq!(
        lab.claims(),
        json!({
            "iss": "slipway", "sub": "alice", "aud": "registry.example.com",
            "exp": NOW + 300, "nbf": NOW, "iat": NOW,
            "provider": "htpasswd", "groups": ["devs", "system:authenticated"],
            "access": [{"type": "repository", "name": "team/app", "actions": ["pull"]}],
        })
    );
}

#[test]
fn it_holds_from_its_time_to_its_end_and_not_a_second_longer() {
    let lab = lab();
    let token = lab.issued();
    for (seconds, holds) in [
        (NOW - 31, false),
        (NOW - 30, true),
        (NOW, true),
        (NOW + 299, true),
        (NOW + 300, false),
        (NOW + 1_000_000, false),
        (NOW, true),
        (0, false),
    ] {
        // The first answer is remembered; the time is looked at each time.
        assert_eq!(lab.ask(&token, seconds).is_ok(), holds, "{seconds}");
    }
}

#[test]
fn t10_keys_and_pointers_in_the_header() {
    let lab = lab();
    let (header, claims) = (lab.header(), lab.claims().to_string());
    let own = Ed25519KeyPair::generate().unwrap();
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(own.public_key())});
    for (field, value) in [
        ("jwk", jwk),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/c")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("x")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("p2c", json!(2_000_000_000)),
        ("nonce", json!("x")),
        ("anything", json!(1)),
    ] {
        let header = with(&header, field, value);
        lab.refuses(
            &signed_by(&own, &header, &claims),
            &format!("{field} by the attacker's key"),
        );
        lab.refuses(
            &lab.signed(&header, &claims),
            &format!("{field} by our own key"),
        );
    }
}

#[test]
fn t10_algorithms() {
    let lab = lab();
    let (header, claims) = (lab.header(), lab.claims().to_string());
    for alg in [
        "none", "None", "HS256", "HS512", "RS256", "ES256", "PS256", "EdDsa", "Ed25519", "dir", "",
    ] {
        let header = with(&header, "alg", json!(alg));
        lab.refuses(&lab.signed(&header, &claims), alg);
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(&header),
            URL_SAFE_NO_PAD.encode(&claims)
        );
        lab.refuses(&unsigned, alg);
        // HMAC under the public key.
        let text = unsigned.trim_end_matches('.');
        let secret = aws_lc_rs::hmac::Key::new(
            aws_lc_rs::hmac::HMAC_SHA256,
            lab.key().public_key().as_ref(),
        );
        let tag = aws_lc_rs::hmac::sign(&secret, text.as_bytes());
        lab.refuses(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag)), alg);
    }
    lab.refuses(
        &lab.signed(&with(&header, "alg", json!(null)), &claims),
        "alg null",
    );
    lab.refuses(
        &lab.signed(&with(&header, "alg", json!(["EdDSA"])), &claims),
        "alg array",
    );
    for field in ["alg", "kid", "typ"] {
        lab.refuses(&lab.signed(&without(&header, field), &claims), field);
    }
    lab.refuses(
        &lab.signed(&with(&header, "typ", json!("at+jwt")), &claims),
        "typ",
    );
}

#[test]
fn t10_key_ids_and_foreign_keys() {
    let lab = lab();
    let (header, claims) = (lab.header(), lab.claims().to_string());
    for kid in [
        "../../../../dev/null",
        "",
        "x",
        "' OR 1=1 --",
        "https://evil.example/k",
        "\u{0}",
    ] {
        lab.refuses(&lab.signed(&with(&header, "kid", json!(kid)), &claims), kid);
    }
    let own = Ed25519KeyPair::generate().unwrap();
    lab.refuses(
        &signed_by(&own, &header.to_string(), &claims),
        "another key under our id",
    );
    let other = self::lab();
    assert_eq!(
        lab.ask(&other.issued(), NOW),
        Ok(None),
        "another registry's token is not ours"
    );
}

#[test]
fn t10_duplicate_fields() {
    let lab = lab();
    let (header, claims) = (lab.header().to_string(), lab.claims().to_string());
    for field in [r#""alg":"none","#, r#""alg":"EdDSA","#, r#""kid":"x","#] {
        lab.refuses(
            &lab.signed(&header.replacen('{', &format!("{{{field}"), 1), &claims),
            field,
        );
    }
    for field in [
        r#""sub":"root","#,
        r#""exp":9999999999,"#,
        r#""access":[],"#,
        r#""aud":"x","#,
    ] {
        lab.refuses(
            &lab.signed(&header, &claims.replacen('{', &format!("{{{field}"), 1)),
            field,
        );
    }
}

#[test]
fn t10_claims() {
    let lab = lab();
    let (header, claims) = (lab.header().to_string(), lab.claims());
    for field in [
        "iss", "sub", "aud", "exp", "nbf", "iat", "provider", "groups", "access",
    ] {
        lab.refuses(
            &lab.signed(&header, &without(&claims, field)),
            &format!("no {field}"),
        );
        lab.refuses(
            &lab.signed(&header, &with(&claims, field, json!(null))),
            &format!("{field} null"),
        );
    }
    for (field, value) in [
        ("aud", json!([])),
        ("aud", json!(["registry.example.com"])),
        ("aud", json!("evil.example")),
        ("aud", json!("")),
        ("iss", json!("evil")),
        ("iss", json!(["slipway"])),
        ("iss", json!("")),
        ("exp", json!(1e18)),
        ("exp", json!(1_000_000_000_000_000_000u64)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(NOW + 3601)),
        ("exp", json!(-1)),
        ("exp", json!("2000000300")),
        ("exp", json!(2_000_000_300.5)),
        ("exp", json!(NOW)),
        ("exp", json!(NOW - 1)),
        ("exp", json!(0)),
        ("nbf", json!(NOW + 31)),
        ("nbf", json!(NOW - 1)),
        ("nbf", json!(u64::MAX)),
        ("iat", json!(NOW + 31)),
        ("iat", json!(0)),
        ("iat", json!(u64::MAX)),
        ("sub", json!("")),
        ("sub", json!(1)),
        ("provider", json!("")),
        ("groups", json!("devs")),
        ("admin", json!(true)),
        ("scope", json!("*")),
        ("token", json!("../x")),
        ("token", json!("")),
        ("token", json!(1)),
        (
            "access",
            json!([{"type": "repository", "name": "team/app", "actions": ["*"]}]),
        ),
        (
            "access",
            json!([{"type": "repository", "name": "team/*", "actions": ["pull"]}]),
        ),
        (
            "access",
            json!([{"type": "repository", "name": "../x", "actions": ["pull"]}]),
        ),
        (
            "access",
            json!([{"type": "repository", "name": "*", "actions": ["pull"]}]),
        ),
        (
            "access",
            json!([{"type": "registry", "name": "*", "actions": ["*"]}]),
        ),
        (
            "access",
            json!([{"type": "repository", "name": "team/app", "actions": ["pull"], "x": 1}]),
        ),
    ] {
        let token = lab.signed(&header, &with(&claims, field, value.clone()));
        lab.refuses(&token, &format!("{field} {value}"));
    }
    let second_host = lab.signed(&header, &with(&claims, "aud", json!("other.example.com")));
    assert!(
        lab.ask(&second_host, NOW).unwrap().is_some(),
        "tokens hold for every host"
    );
}

#[test]
fn t10_shapes() {
    let lab = lab();
    let token = lab.issued();
    let parts: Vec<&str> = token.split('.').collect();
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        ".".repeat(1 << 20),
        ".".repeat(60_000),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{}", parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        // JWE in its compact form has five parts.
        format!(
            "{}.a.b.c.d",
            URL_SAFE_NO_PAD
                .encode(r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647}"#)
        ),
        format!("{}.{}.{}", "A".repeat(30_000), parts[1], parts[2]),
        format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        format!(
            "{}.{}.{}",
            parts[0],
            parts[1],
            &parts[2][..parts[2].len() - 1]
        ),
        format!(" {token}"),
        format!("{token}\n"),
        token.to_uppercase(),
        format!(
            "{}.{}.{}",
            parts[0],
            parts[1],
            URL_SAFE_NO_PAD.encode([0; 64])
        ),
    ] {
        lab.refuses(&text, &format!("{text:.40}"));
    }
    assert_eq!(
        lab.ask(&"a".repeat(MAX_LEN + 1), NOW),
        Err(Refusal::BadCredential)
    );
}

#[test]
fn every_flipped_bit_is_noticed() {
    let lab = lab();
    let token = lab.issued();
    for index in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            lab.refuses(
                &String::from_utf8(bytes).unwrap(),
                &format!("bit {bit} of byte {index}"),
            );
        }
    }
}

#[test]
fn the_key_file_is_made_once_and_for_its_owner_only() {
    let lab = lab();
    assert_eq!(fs::metadata(lab.path()).unwrap().mode() & 0o777, 0o600);
    let before = fs::read(lab.path()).unwrap();
    let again = load(&lab.path()).unwrap();
    assert_eq!(fs::read(lab.path()).unwrap(), before);
    assert!(
        again
            .verify(&Secret::new(lab.issued()), at(NOW))
            .unwrap()
            .is_some()
    );
    assert_eq!(
        fs::read_dir(lab.dir.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn two_that_start_at_once_agree_on_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.pem");
    let starts: Vec<_> = (0..8)
        .map(|_| path.clone())
        .map(|path| std::thread::spawn(move || load(&path).unwrap()))
        .collect();
    let all: Vec<Tokens> = starts
        .into_iter()
        .map(|start| start.join().unwrap())
        .collect();
    for one in &all {
        let token = one.issue(&alice(), &access(), at(NOW)).unwrap();
        for other in &all {
            assert!(
                other
                    .verify(&Secret::new(token.token().into()), at(NOW))
                    .unwrap()
                    .is_some()
            );
        }
    }
}

#[test]
fn keys_are_rotated_without_a_restart() {
    let lab = lab();
    let old = lab.issued();
    assert!(lab.ask(&old, NOW).unwrap().is_some());
    let (first, other) = (fs::read_to_string(lab.path()).unwrap(), self::lab());
    let second = fs::read_to_string(other.path()).unwrap();
    fs::write(lab.path(), format!("{first}# the next\n{second}")).unwrap();
    assert!(lab.tokens.reload().unwrap());
    let new = lab.issued();
    assert_eq!(
        other.ask(&new, NOW).unwrap().unwrap().name(),
        "alice",
        "the newest signs"
    );
    assert!(
        lab.ask(&old, NOW).unwrap().is_some(),
        "the old one still verifies"
    );
    fs::write(lab.path(), second).unwrap();
    assert!(lab.tokens.reload().unwrap());
    assert_eq!(
        lab.ask(&old, NOW),
        Ok(None),
        "a removed key takes its remembered tokens along"
    );
    assert!(lab.ask(&new, NOW).unwrap().is_some());
}

#[test]
fn a_key_of_openssl_is_read_and_others_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.pem");
    // RFC 8410 §10.3: a v1 key, without the public half, as `openssl genpkey` writes it.
    let openssl = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
    fs::write(&path, openssl).unwrap();
    let tokens = load(&path).unwrap();
    let issued = tokens.issue(&alice(), &access(), at(NOW)).unwrap();
    assert!(
        tokens
            .verify(&Secret::new(issued.token().into()), at(NOW))
            .unwrap()
            .is_some()
    );
    let rsa = openssl.replace("MC4CAQAwBQYDK2VwBCIEI", "MC4CAQAwBQYDK2VuBCIEI");
    for (text, what) in [
        ("", "holds no key"),
        ("x", "holds no key"),
        (&rsa, "not Ed25519"),
        ("-----BEGIN PRIVATE KEY-----\n", "PEM"),
    ] {
        fs::write(&path, text).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(
            error.contains(what) && error.contains("keys.pem"),
            "{error}"
        );
    }
}

#[test]
fn nothing_secret_is_printed() {
    let lab = lab();
    let issued = lab.tokens.issue(&alice(), &access(), at(NOW)).unwrap();
    let shown = format!(
        "{:?} {issued:?} {:?}",
        lab.tokens,
        lab.ask(issued.token(), NOW)
    );
    let pem = fs::read_to_string(lab.path()).unwrap();
    assert!(
        !shown.contains(issued.token()) && !shown.contains(pem.lines().nth(1).unwrap()),
        "{shown}"
    );
}

#[test]
fn a_life_longer_than_the_longest_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let tokens =
        Tokens::load_or_create(&dir.path().join("k"), vec![], Duration::from_secs(1 << 30))
            .unwrap();
    let issued = tokens.issue(&alice(), &access(), at(NOW)).unwrap();
    assert_eq!(
        (issued.expires_in(), tokens.service()),
        (Tokens::MAX_TTL, "slipway")
    );
    let token = Secret::new(issued.token().into());
    assert!(tokens.verify(&token, at(NOW + 3599)).unwrap().is_some());
    assert!(tokens.verify(&token, at(NOW + 3600)).is_err());
}

#[test]
fn a_key_file_is_checked_without_being_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.pem");
    assert!(!Tokens::check(&path).unwrap());
    assert!(!path.exists());
    Tokens::load_or_create(&path, Vec::new(), Tokens::DEFAULT_TTL).unwrap();
    assert!(Tokens::check(&path).unwrap());
    fs::write(&path, "no key\n").unwrap();
    Tokens::check(&path).unwrap_err();
    Tokens::check(folder.path()).unwrap_err();
}
