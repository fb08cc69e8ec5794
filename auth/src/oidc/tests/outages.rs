//! T12 and T30: an issuer that is away, slow, huge or nonsense, and keys that come and go.

use super::*;

/// Moves the clock of timers, not that of tokens.
async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// A token under another key's id, issued so many seconds later.
fn newer(lab: &Lab, kid: &str, seconds: u64) -> String {
    let mut claims = lab.claims();
    claims["iat"] = json!(NOW + seconds);
    lab.key
        .sign(&with(&lab.header(), "kid", json!(kid)), &claims.to_string())
}

fn is_unavailable(answer: &Result<Option<Identity>, Refusal>) -> bool {
    matches!(answer, Err(Refusal::Unavailable { retry_after, .. }) if !retry_after.is_zero())
}

#[tokio::test]
async fn t30_without_keys_nobody_is_let_in_and_nobody_is_told_no() {
    let bad = |issuer: &str| {
        [
            Weather::Down,
            Weather::Status(500),
            Weather::Status(404),
            Weather::Redirect,
            Weather::Garbage,
            Weather::Endless,
            Weather::Configuration(
                json!({"issuer": "https://evil.example", "jwks_uri": format!("{issuer}/keys")}),
            ),
            Weather::Configuration(
                json!({"issuer": format!("{issuer}/"), "jwks_uri": format!("{issuer}/keys")}),
            ),
            Weather::Configuration(json!({"issuer": issuer, "jwks_uri": "http://192.0.2.1/keys"})),
            Weather::Configuration(json!({"issuer": issuer, "jwks_uri": "file:///etc/passwd"})),
            Weather::Configuration(json!({"issuer": issuer, "jwks_uri": "keys"})),
            Weather::Configuration(json!({"issuer": issuer})),
        ]
    };
    let lab = lab().await;
    for weather in bad(&lab.provider.issuer) {
        lab.provider.set(weather.clone());
        let fresh = Lab {
            provider: lab.provider.clone(),
            key: SigningKey::ed(),
            tokens: IdTokens::new(vec![settings(&lab.provider)]).unwrap(),
        };
        for _ in 0..3 {
            let answer = fresh.ask(&lab.token(), NOW).await;
            assert!(is_unavailable(&answer), "{weather:?}: {answer:?}");
        }
        assert_eq!(
            (fresh.tokens.fetches(), fresh.tokens.failures()),
            (1, 1),
            "{weather:?}"
        );
        // What is of no use anyway is refused without it.
        let mut old = lab.claims();
        old["exp"] = json!(NOW - 1);
        let old = lab.key.sign(&lab.header().to_string(), &old.to_string());
        fresh.refuses(&old, "it has ended").await;
        lab.provider.set(Weather::Fair);
        later(6).await;
        assert_eq!(fresh.knows(&lab.token()).await.name(), "ada", "{weather:?}");
    }
}

#[tokio::test]
async fn sets_without_a_usable_key_replace_nothing() {
    let lab = lab().await;
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
    let many: Vec<Value> = (0..101).map(|_| lab.key.jwk("one")).collect();
    for keys in [
        vec![],
        vec![json!({"kty": "oct", "k": "AAAA"})],
        vec![json!("x")],
        many,
    ] {
        lab.provider.publish(&keys);
        later(61).await;
        let failures = lab.tokens.failures();
        let answer = lab.ask(&newer(&lab, "unknown", 100), NOW + 100).await;
        assert!(is_unavailable(&answer), "{answer:?}");
        assert_eq!(lab.tokens.failures(), failures + 1);
        assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
    }
}

#[tokio::test]
async fn known_keys_outlive_an_outage_but_not_for_ever() {
    let lab = lab().await;
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
    lab.provider.set(Weather::Down);
    later(5 * 3600).await;
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
    let mut claims = lab.claims();
    claims["sub"] = json!("bob");
    let other = lab.key.sign(&lab.header().to_string(), &claims.to_string());
    assert_eq!(lab.knows(&other).await.name(), "bob");
    later(3600).await;
    assert!(is_unavailable(&lab.ask(&lab.token(), NOW).await));
    lab.provider.set(Weather::Fair);
    later(6).await;
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
}

#[tokio::test]
async fn t12_made_up_key_ids_do_not_flood_the_issuer() {
    let lab = lab().await;
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
    later(61).await;
    let made_up = |index: usize, issued: u64| newer(&lab, &format!("made up {index}"), issued);
    let before = lab.provider.asked();
    let flood: Vec<String> = (0..200).map(|index| made_up(index, 0)).collect();
    let answers = flood.iter().map(|token| lab.ask(token, NOW + 5));
    let answers = futures_util::future::join_all(answers).await;
    assert_eq!(lab.provider.asked(), before + 1);
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Err(Refusal::BadCredential))
    );
    // Issued since we asked: it may be by a key that is newer still.
    let newest = made_up(999, 10);
    assert!(is_unavailable(&lab.ask(&newest, NOW + 11).await));
    assert_eq!(lab.provider.asked(), before + 1);
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
    later(61).await;
    assert_eq!(
        lab.ask(&newest, NOW + 72).await,
        Err(Refusal::BadCredential)
    );
    assert_eq!(lab.provider.asked(), before + 2);
}

#[tokio::test]
async fn however_many_come_at_once_the_issuer_is_asked_once() {
    let lab = lab().await;
    lab.provider.set(Weather::Slow(Duration::from_millis(200)));
    let token = lab.token();
    let answers = (0..500).map(|_| lab.ask(&token, NOW));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Some(_)))));
    assert_eq!(lab.provider.asked(), 1);
}

/// Longer than the time after which tokens make us ask again: they do not queue up behind one question after another.
#[tokio::test]
async fn who_waited_for_an_issuer_that_fails_slowly_does_not_ask_again() {
    let lab = lab().await;
    lab.provider
        .set(Weather::SlowlyDown(Duration::from_millis(5500)));
    let token = lab.token();
    let answers = (0..50).map(|_| lab.ask(&token, NOW));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(is_unavailable));
    assert_eq!(lab.tokens.fetches(), 1);
}

#[tokio::test]
async fn a_fetch_goes_on_when_whoever_began_it_goes_away() {
    let lab = lab().await;
    lab.provider.set(Weather::Slow(Duration::from_millis(200)));
    let token = lab.token();
    let hasty = tokio::time::timeout(Duration::from_millis(50), lab.ask(&token, NOW)).await;
    assert!(hasty.is_err());
    assert_eq!(lab.knows(&token).await.name(), "ada");
    assert_eq!(lab.provider.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_and_a_withdrawn_one_takes_its_tokens_along() {
    let mut lab = lab().await;
    let first = lab.token();
    assert_eq!(lab.knows(&first).await.name(), "ada");
    let old = std::mem::replace(&mut lab.key, SigningKey::ec());
    lab.provider.publish(&[old.jwk("one"), lab.key.jwk("two")]);
    let second = newer(&lab, "two", 100);
    later(61).await;
    let knows = async |token: &str, seconds| lab.ask(token, NOW + seconds).await.unwrap().unwrap();
    assert_eq!(knows(&second, 100).await.name(), "ada");
    assert_eq!(knows(&first, 100).await.name(), "ada");
    lab.provider.publish(&[lab.key.jwk("two")]);
    later(61).await;
    let third = lab.ask(&newer(&lab, "three", 200), NOW + 200).await;
    assert_eq!(third, Err(Refusal::BadCredential));
    assert_eq!(knows(&second, 200).await.name(), "ada");
    lab.refuses(&first, "its key was withdrawn").await;
}

#[tokio::test]
async fn keys_are_fetched_before_anybody_asks_and_again_later() {
    let lab = lab().await;
    lab.provider.set(Weather::Down);
    let watching = tokio::spawn(lab.tokens.watch());
    let patience = std::time::Instant::now();
    while lab.tokens.failures() < 1 {
        assert!(patience.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lab.provider.set(Weather::Fair);
    later(16).await;
    while lab.tokens.fetches() < 2 || lab.provider.asked() < 1 {
        assert!(patience.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
    let asked = lab.provider.asked();
    later(601).await;
    while lab.provider.asked() == asked {
        assert!(patience.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watching.abort();
}
