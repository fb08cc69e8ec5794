mod attacks;
mod outages;
mod provider;

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use self::provider::{Provider, SigningKey, Weather};
use super::*;
use crate::jws::altered::{with, without};
use crate::{Access, AllowAuthenticated, Gate, Secret, Tokens};

const NOW: u64 = 2_000_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// An issuer with one RSA key `one`, and a registry that takes its tokens for `slipway`.
struct Lab {
    provider: Provider,
    key: SigningKey,
    tokens: IdTokens,
}

fn algorithms() -> Vec<String> {
    ALGORITHMS.iter().map(ToString::to_string).collect()
}

fn settings(provider: &Provider) -> Settings {
    let names = Names::new(
        &provider.issuer,
        "sub",
        Some("-"),
        Some("groups"),
        None,
        BTreeMap::new(),
    );
    Settings {
        issuer: provider.issuer.clone(),
        client_id: "slipway".into(),
        audiences: vec!["ci".into()],
        names: names.unwrap(),
        algorithms: algorithms(),
        ca_file: None,
    }
}

async fn lab() -> Lab {
    let (provider, key) = (Provider::start().await, SigningKey::rsa());
    provider.publish(&[key.jwk("one")]);
    let tokens = IdTokens::new(vec![settings(&provider)]).unwrap();
    Lab {
        provider,
        key,
        tokens,
    }
}

impl Lab {
    fn header(&self) -> Value {
        json!({"alg": self.key.algorithm(), "typ": "JWT", "kid": "one"})
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.provider.issuer, "sub": "ada", "aud": "slipway",
            "exp": NOW + 600, "iat": NOW - 10, "groups": ["devs", "ops"],
        })
    }

    fn token(&self) -> String {
        self.key
            .sign(&self.header().to_string(), &self.claims().to_string())
    }

    async fn ask(&self, token: &str, seconds: u64) -> Result<Option<Identity>, Refusal> {
        let bearer = Credential::Bearer(Secret::new(token.to_owned()));
        self.tokens.authenticate(&bearer, None, at(seconds)).await
    }

    async fn knows(&self, token: &str) -> Identity {
        self.ask(token, NOW).await.unwrap().unwrap()
    }

    async fn refuses(&self, token: &str, what: &str) {
        // Twice: nothing that was refused may have been remembered.
        for _ in 0..2 {
            let answer = self.ask(token, NOW).await;
            assert_eq!(answer, Err(Refusal::BadCredential), "{what}");
        }
    }
}

fn groups(who: &Identity) -> Vec<&str> {
    who.groups().collect()
}

#[tokio::test]
async fn a_token_says_who_and_in_which_groups() {
    let lab = lab().await;
    for _ in 0..2 {
        let who = lab.knows(&lab.token()).await;
        assert_eq!(who.name(), "ada");
        assert_eq!(groups(&who), ["devs", "ops", "system:authenticated"]);
        assert_eq!(who.until(), Some(at(NOW + 600)));
    }
    assert_eq!(lab.provider.asked(), 1);
    let basic = Credential::basic("whoever", Secret::new(lab.token())).unwrap();
    let who = lab.tokens.authenticate(&basic, None, at(NOW)).await;
    assert_eq!(who.unwrap().unwrap().name(), "ada");
}

#[tokio::test]
async fn every_kind_of_key_is_known() {
    let mut lab = lab().await;
    let keys = [SigningKey::rsa(), SigningKey::ec(), SigningKey::ed()];
    let published: Vec<Value> = keys.iter().map(|key| key.jwk(key.algorithm())).collect();
    lab.provider.publish(&published);
    for key in keys {
        let kind = key.algorithm();
        lab.key = key;
        let header = json!({"alg": kind, "kid": kind}).to_string();
        let token = lab.key.sign(&header, &lab.claims().to_string());
        assert_eq!(lab.knows(&token).await.name(), "ada", "{kind}");
        if kind == "RS256" {
            let header = json!({"alg": "PS384", "kid": kind}).to_string();
            let token = lab.key.sign(&header, &lab.claims().to_string());
            assert_eq!(lab.knows(&token).await.name(), "ada", "PS384");
        }
    }
}

#[tokio::test]
async fn what_names_another_issuer_is_left_to_others() {
    let lab = lab().await;
    for text in ["password", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30.x", "..", ""] {
        assert_eq!(lab.ask(text, NOW).await, Ok(None), "{text}");
    }
    let slash = format!("{}/", lab.provider.issuer);
    let upper = lab.provider.issuer.to_uppercase();
    for issuer in ["https://other.example", &slash, &upper, ""] {
        let claims = with(&lab.claims(), "iss", json!(issuer));
        let token = lab.key.sign(&lab.header().to_string(), &claims);
        assert_eq!(lab.ask(&token, NOW).await, Ok(None), "{issuer}");
    }
    assert_eq!(lab.provider.asked(), 0, "nobody asked for keys for that");
}

#[tokio::test]
async fn two_issuers_do_not_vouch_for_each_other() {
    let (one, other) = (lab().await, lab().await);
    let both = vec![settings(&one.provider), settings(&other.provider)];
    let both = Lab {
        tokens: IdTokens::new(both).unwrap(),
        ..lab().await
    };
    assert_eq!(both.knows(&one.token()).await.name(), "ada");
    assert_eq!(both.knows(&other.token()).await.name(), "ada");
    let crossed = other
        .key
        .sign(&one.header().to_string(), &one.claims().to_string());
    both.refuses(&crossed, "signed by the other issuer").await;
    let twice = IdTokens::new(vec![settings(&one.provider), settings(&one.provider)]);
    assert!(matches!(twice, Err(InvalidIssuer::Twice(_))));
}

#[tokio::test]
async fn who_was_vouched_for_by_an_issuer_that_is_configured_no_more_is_nobody() {
    let (one, other) = (lab().await, lab().await);
    let (ada, namesake) = (
        one.knows(&one.token()).await,
        other.knows(&other.token()).await,
    );
    assert_eq!(ada.name(), namesake.name());
    assert_ne!(ada.principal(), namesake.principal());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.pem");
    let gate = |of: &[&Lab]| {
        let of = of.iter().map(|lab| settings(&lab.provider)).collect();
        let tokens = Arc::new(IdTokens::new(of).unwrap());
        let own = Tokens::load_or_create(&path, vec![], Duration::from_secs(300)).unwrap();
        let own = Some(Arc::new(own));
        Gate::new(vec![tokens], Arc::new(AllowAuthenticated), own, false)
    };
    let both = gate(&[&one, &other]);
    let issued = both.issue(&ada, &[], at(NOW)).await.unwrap();
    let bearer = Credential::Bearer(Secret::new(issued.token().to_owned()));
    let who = both.identify(Some(&bearer), None, at(NOW)).await.unwrap();
    assert_eq!(who.principal(), ada.principal());
    let left = gate(&[&other]);
    let gone = left.identify(Some(&bearer), None, at(NOW)).await;
    assert_eq!(gone, Err(Refusal::BadCredential));
}

#[tokio::test]
async fn t11_a_token_with_fewer_groups_has_fewer_at_once() {
    let lab = lab().await;
    assert_eq!(groups(&lab.knows(&lab.token()).await).len(), 3);
    for (now, left) in [
        (json!(["devs"]), &["devs", "system:authenticated"][..]),
        (json!([]), &["system:authenticated"]),
        (json!("solo"), &["solo", "system:authenticated"]),
    ] {
        let claims = with(&lab.claims(), "groups", now);
        let token = lab.key.sign(&lab.header().to_string(), &claims);
        assert_eq!(groups(&lab.knows(&token).await), left);
    }
    let token = lab
        .key
        .sign(&lab.header().to_string(), &without(&lab.claims(), "groups"));
    assert_eq!(groups(&lab.knows(&token).await), ["system:authenticated"]);
}

#[tokio::test]
async fn a_token_of_ours_ends_with_the_id_token() {
    let lab = lab().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.pem");
    let own = Tokens::load_or_create(&path, vec![], Duration::from_secs(300)).unwrap();
    let who = lab.knows(&lab.token()).await;
    let issue = |now| own.issue(&who, &Access::default(), at(now));
    assert_eq!(issue(NOW).unwrap().expires_in().as_secs(), 300);
    let late = issue(NOW + 500).unwrap();
    assert_eq!(late.expires_in().as_secs(), 100);
    let late = Secret::new(late.token().to_owned());
    assert!(own.verify(&late, at(NOW + 599)).unwrap().is_some());
    assert_eq!(
        own.verify(&late, at(NOW + 600)),
        Err(Refusal::BadCredential)
    );
    assert_eq!(issue(NOW + 600).unwrap_err(), Refusal::BadCredential);

    let tokens = Arc::new(lab.tokens);
    let gate = Gate::new(
        vec![tokens],
        Arc::new(AllowAuthenticated),
        Some(Arc::new(own)),
        false,
    );
    let bearer = Credential::Bearer(Secret::new(lab.key.sign(
        &json!({"alg": "RS256", "kid": "one"}).to_string(),
        &json!({"iss": lab.provider.issuer, "sub": "ada", "aud": "slipway", "iat": NOW, "exp": NOW + 60}).to_string(),
    )));
    let who = gate.identify(Some(&bearer), None, at(NOW)).await.unwrap();
    let issued = gate.issue(&who, &[], at(NOW + 20)).await.unwrap();
    assert_eq!(issued.expires_in().as_secs(), 40);
}

/// What kube-apiserver's `--oidc-*` flags make of the same claims.
#[test]
fn names_are_those_of_kube_apiserver() {
    const ISSUER: &str = "https://id.example";
    let name = |claim: &str, prefix: Option<&str>, claims: Value| {
        let required = BTreeMap::new();
        let names = Names::new(ISSUER, claim, prefix, Some("groups"), Some("g:"), required);
        let who = names.unwrap().identity(claims.as_object().unwrap());
        who.map(|who| who.name().to_owned())
    };
    let claims = json!({"sub": "1", "name": "Ada", "email": "ada@id.example", "n": 7, "empty": ""});
    for (claim, prefix, named) in [
        ("sub", None, "https://id.example#1"),
        ("sub", Some(""), "https://id.example#1"),
        ("sub", Some("-"), "1"),
        ("sub", Some("oidc:"), "oidc:1"),
        ("name", None, "https://id.example#Ada"),
        ("email", None, "ada@id.example"),
        ("email", Some("-"), "ada@id.example"),
        ("email", Some("x-"), "x-ada@id.example"),
    ] {
        assert_eq!(name(claim, prefix, claims.clone()).as_deref(), Ok(named));
    }
    for claim in ["n", "empty", "none", "email_verified"] {
        assert_eq!(
            name(claim, None, claims.clone()),
            Err(token::Flaw::Name),
            "{claim}"
        );
    }
    for (verified, is_refused) in [
        (json!(true), false),
        (json!(false), true),
        (json!("true"), true),
        (json!(null), true),
    ] {
        let mut claims = claims.clone();
        claims["email_verified"] = verified.clone();
        let named = name("email", None, claims.clone());
        assert_eq!(named.is_err(), is_refused, "{verified}");
        assert!(name("sub", None, claims).is_ok(), "{verified}");
    }
}

#[test]
fn no_provider_makes_somebody_one_of_the_clusters_own() {
    let names = |username: &str, groups: &str| {
        let required = BTreeMap::new();
        Names::new(
            "https://i",
            "sub",
            Some(username),
            Some("groups"),
            Some(groups),
            required,
        )
    };
    for claims in [
        json!({"sub": "system:admin"}),
        json!({"sub": "system:serviceaccount:team:ci"}),
    ] {
        let who = names("-", "")
            .unwrap()
            .identity(claims.as_object().unwrap());
        assert_eq!(who, Err(token::Flaw::Name));
    }
    let claims =
        json!({"sub": "ada", "groups": ["system:masters", "devs", "system:authenticated"]});
    let claims = claims.as_object().unwrap();
    let who = names("-", "").unwrap().identity(claims).unwrap();
    assert_eq!(groups(&who), ["devs", "system:authenticated"]);
    let who = names("-", "idp:").unwrap().identity(claims).unwrap();
    assert!(groups(&who).contains(&"idp:system:masters"));
    assert!(matches!(
        names("system:", ""),
        Err(InvalidIssuer::System("usernamePrefix"))
    ));
    assert!(matches!(
        names("-", "system:"),
        Err(InvalidIssuer::System("groupsPrefix"))
    ));
}

#[test]
fn required_claims_and_forms_of_groups() {
    let required = BTreeMap::from([("hd".to_owned(), "example.com".to_owned())]);
    let names = Names::new("https://i", "sub", None, Some("groups"), None, required).unwrap();
    let flaw = |claims: Value| names.identity(claims.as_object().unwrap()).err();
    assert_eq!(flaw(json!({"sub": "a", "hd": "example.com"})), None);
    for hd in [
        json!("other.example"),
        json!(["example.com"]),
        json!(null),
        json!(1),
    ] {
        let claims = json!({"sub": "a", "hd": hd});
        assert_eq!(flaw(claims), Some(token::Flaw::Required));
    }
    assert_eq!(flaw(json!({"sub": "a"})), Some(token::Flaw::Required));
    for groups in [
        json!({"devs": true}),
        json!([1]),
        json!([["devs"]]),
        json!(true),
        json!(null),
    ] {
        let claims = json!({"sub": "a", "hd": "example.com", "groups": groups});
        assert_eq!(flaw(claims), Some(token::Flaw::Groups), "{groups}");
    }
}

#[test]
fn settings_that_cannot_work_are_said() {
    let make = |issuer: &str, change: fn(&mut Settings)| {
        let names = Names::new(issuer, "sub", None, None, None, BTreeMap::new()).unwrap();
        let mut settings = Settings {
            issuer: issuer.to_owned(),
            client_id: "slipway".into(),
            audiences: vec![],
            names,
            algorithms: algorithms(),
            ca_file: None,
        };
        change(&mut settings);
        IdTokens::new(vec![settings])
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    for issuer in [
        "https://id.example",
        "https://id.example/realms/a/",
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost/x",
    ] {
        assert_eq!(make(issuer, |_| {}), Ok(()), "{issuer}");
    }
    for issuer in [
        "",
        "id.example",
        "http://id.example",
        "http://127.0.0.1.example",
        "https://a:b@id.example",
        "https://id.example?x=1",
        "https://id.example#x",
        "ftp://id.example",
    ] {
        let said = make(issuer, |_| {}).unwrap_err();
        assert!(said.contains("https"), "{issuer}: {said}");
    }
    let issuer = "https://id.example";
    for (change, said) in [
        (
            (|settings| settings.client_id.clear()) as fn(&mut Settings),
            "clientId",
        ),
        (
            |settings| settings.audiences = vec![String::new()],
            "audiences: one of them is empty",
        ),
        (
            |settings| settings.algorithms.clear(),
            "algorithms: is empty",
        ),
        (
            |settings| settings.algorithms = vec!["HS256".into()],
            "\"HS256\" is none of RS256",
        ),
        (
            |settings| settings.algorithms = vec!["none".into()],
            "\"none\" is none of RS256",
        ),
        (
            |settings| settings.ca_file = Some("/nowhere/ca.pem".into()),
            "caFile: /nowhere/ca.pem",
        ),
        (
            |settings| settings.ca_file = Some("/dev/null".into()),
            "holds no certificate",
        ),
    ] {
        let error = make(issuer, change).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let lab = lab().await;
    let token = lab.token();
    let answer = lab.ask(&token, NOW).await;
    let shown = format!("{:?} {answer:?}", lab.tokens);
    let parts: Vec<&str> = token.split('.').collect();
    assert!(
        !shown.contains(parts[1]) && !shown.contains(parts[2]),
        "{shown}"
    );
}
