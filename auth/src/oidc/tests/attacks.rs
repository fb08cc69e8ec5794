//! T10: what a token may not talk us into.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

#[tokio::test]
async fn t10_keys_and_pointers_in_the_header() {
    let lab = lab().await;
    let claims = lab.claims().to_string();
    let own = SigningKey::rsa();
    for (field, value) in [
        ("jwk", own.jwk("one")),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/c")),
        ("x5c", json!([STANDARD.encode(own.public())])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        let header = with(&lab.header(), field, value);
        lab.refuses(
            &own.sign(&header, &claims),
            &format!("{field} by the attacker's key"),
        )
        .await;
        lab.refuses(
            &lab.key.sign(&header, &claims),
            &format!("{field} by the issuer's key"),
        )
        .await;
    }
    // A thumbprint of a certificate brings no key. Entra sends one.
    let header = with(&lab.header(), "x5t", json!("x"));
    assert_eq!(
        lab.knows(&lab.key.sign(&header, &claims)).await.name(),
        "ada"
    );
    for typ in [
        json!("at+jwt"),
        json!("logout+jwt"),
        json!("JWE"),
        json!(null),
        json!(["JWT"]),
    ] {
        let header = with(&lab.header(), "typ", typ.clone());
        lab.refuses(&lab.key.sign(&header, &claims), &format!("typ {typ}"))
            .await;
    }
    assert!(lab.provider.asked() <= 1);
}

#[tokio::test]
async fn t10_algorithms() {
    let lab = lab().await;
    let claims = lab.claims().to_string();
    let public = lab.key.public();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(&public)
    );
    let jwk = lab.key.jwk("one");
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for alg in [
        "none", "None", "NONE", "", "HS256", "HS384", "HS512", "ES256", "EdDSA", "rs256", "RS512",
        "dir", "RSA-OAEP",
    ] {
        let header = with(&lab.header(), "alg", json!(alg));
        lab.refuses(&lab.key.sign(&header, &claims), alg).await;
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&header),
            URL_SAFE_NO_PAD.encode(&claims)
        );
        lab.refuses(&format!("{text}."), alg).await;
        // A MAC under what everybody knows: the public key in each of its forms (CVE-2026-33322).
        for secret in [
            &public[..],
            pem.as_bytes(),
            &modulus,
            jwk.to_string().as_bytes(),
            b"",
        ] {
            let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
            let tag = aws_lc_rs::hmac::sign(&secret, text.as_bytes());
            lab.refuses(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag)), alg)
                .await;
        }
    }
    for alg in [json!(null), json!(["RS256"]), json!(256)] {
        let header = with(&lab.header(), "alg", alg.clone());
        lab.refuses(&lab.key.sign(&header, &claims), &format!("alg {alg}"))
            .await;
    }
    lab.refuses(
        &lab.key.sign(&without(&lab.header(), "alg"), &claims),
        "no alg",
    )
    .await;
}

#[tokio::test]
async fn only_listed_algorithms_are_taken() {
    let mut lab = lab().await;
    let only = Settings {
        algorithms: vec!["ES256".into()],
        ..settings(&lab.provider)
    };
    lab.tokens = IdTokens::new(vec![only]).unwrap();
    lab.refuses(&lab.token(), "RS256 is not listed").await;
    lab.key = SigningKey::ec();
    lab.provider.publish(&[lab.key.jwk("one")]);
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
}

#[tokio::test]
async fn a_key_is_for_what_its_issuer_says() {
    let lab = lab().await;
    for (field, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["encrypt"])),
        ("alg", json!("RSA-OAEP")),
        ("alg", json!("PS256")),
        ("alg", json!("ES256")),
        ("kty", json!("oct")),
    ] {
        let mut jwk = lab.key.jwk("one");
        jwk[field] = value.clone();
        let spare = SigningKey::ec().jwk("two");
        lab.provider.publish(&[jwk, spare]);
        let fresh = Lab {
            provider: lab.provider.clone(),
            key: SigningKey::ed(),
            tokens: IdTokens::new(vec![settings(&lab.provider)]).unwrap(),
        };
        let answer = fresh.ask(&lab.token(), NOW).await;
        assert_eq!(answer, Err(Refusal::BadCredential), "{field} {value}");
    }
}

#[tokio::test]
async fn t10_key_ids_and_foreign_keys() {
    let lab = lab().await;
    let claims = lab.claims().to_string();
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
    for kid in [
        "../../../../dev/null",
        "",
        "x",
        "ONE",
        "one ",
        "' OR 1=1 --",
        "https://evil.example/k",
        "\u{0}",
    ] {
        let header = with(&lab.header(), "kid", json!(kid));
        lab.refuses(&lab.key.sign(&header, &claims), kid).await;
    }
    for kid in [json!(null), json!(["one"]), json!(1)] {
        let header = with(&lab.header(), "kid", kid.clone());
        lab.refuses(&lab.key.sign(&header, &claims), &format!("kid {kid}"))
            .await;
    }
    let own = SigningKey::rsa();
    lab.refuses(
        &own.sign(&lab.header().to_string(), &claims),
        "another key under its id",
    )
    .await;
    // Without an id it is for the only key of its kind.
    let anonymous = without(&lab.header(), "kid");
    assert_eq!(
        lab.knows(&lab.key.sign(&anonymous, &claims)).await.name(),
        "ada"
    );
    lab.refuses(&own.sign(&anonymous, &claims), "another key under no id")
        .await;
}

#[tokio::test]
async fn without_an_id_several_keys_are_not_tried() {
    let lab = lab().await;
    lab.provider
        .publish(&[lab.key.jwk("one"), SigningKey::rsa().jwk("two")]);
    let header = without(&lab.header(), "kid");
    lab.refuses(
        &lab.key.sign(&header, &lab.claims().to_string()),
        "which one?",
    )
    .await;
    assert_eq!(lab.knows(&lab.token()).await.name(), "ada");
}

#[tokio::test]
async fn t10_duplicate_fields() {
    let lab = lab().await;
    let (header, claims) = (lab.header().to_string(), lab.claims().to_string());
    for field in [
        r#""alg":"none","#,
        r#""alg":"RS256","#,
        r#""kid":"x","#,
        r#""x":1,"x":1,"#,
    ] {
        let header = header.replacen('{', &format!("{{{field}"), 1);
        lab.refuses(&lab.key.sign(&header, &claims), field).await;
    }
    for field in [
        r#""sub":"root","#,
        r#""exp":9999999999,"#,
        r#""aud":"slipway","#,
        r#""iss":"x","#,
        r#""groups":["admins"],"#,
        r#""\u0073ub":"root","#,
        r#""x":1,"x":2,"#,
    ] {
        let claims = claims.replacen('{', &format!("{{{field}"), 1);
        // Of two issuers it names none: then it is nobody's.
        let answer = lab.ask(&lab.key.sign(&header, &claims), NOW).await;
        assert_eq!(answer, Ok(None), "{field}");
    }
}

#[tokio::test]
async fn t10_claims() {
    let lab = lab().await;
    let (header, claims) = (lab.header().to_string(), lab.claims());
    for field in ["sub", "aud", "exp", "iat"] {
        lab.refuses(
            &lab.key.sign(&header, &without(&claims, field)),
            &format!("no {field}"),
        )
        .await;
        let null = with(&claims, field, json!(null));
        lab.refuses(&lab.key.sign(&header, &null), &format!("{field} null"))
            .await;
    }
    for (field, value) in [
        ("aud", json!([])),
        ("aud", json!("")),
        ("aud", json!("evil")),
        ("aud", json!("slipway ")),
        ("aud", json!(["evil"])),
        // Issued for somebody else too, and it does not say to whom.
        ("aud", json!(["slipway", "evil"])),
        ("aud", json!(["slipway", 1])),
        ("aud", json!([["slipway"]])),
        ("aud", json!({"slipway": 1})),
        ("azp", json!("evil")),
        ("azp", json!(null)),
        ("azp", json!(["slipway"])),
        ("exp", json!(1e18)),
        ("exp", json!(1_000_000_000_000_000_000u64)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(1e308)),
        ("exp", json!(NOW + 367 * 24 * 3600)),
        ("exp", json!(-1)),
        ("exp", json!((NOW + 600).to_string())),
        ("exp", json!([NOW + 600])),
        ("exp", json!(NOW)),
        ("exp", json!(NOW - 1)),
        ("exp", json!(0)),
        ("nbf", json!(NOW + 61)),
        ("nbf", json!(u64::MAX)),
        ("nbf", json!("0")),
        ("iat", json!(NOW + 61)),
        ("iat", json!(NOW + 601)),
        ("iat", json!("now")),
        ("iat", json!(0)),
        ("sub", json!("")),
        ("sub", json!(1)),
        ("sub", json!(["ada"])),
        ("groups", json!({"devs": 1})),
    ] {
        let token = lab.key.sign(&header, &with(&claims, field, value.clone()));
        lab.refuses(&token, &format!("{field} {value}")).await;
    }
    for (field, value) in [
        ("aud", json!(["slipway"])),
        ("aud", json!("ci")),
        ("aud", json!(["ci", "slipway"])),
        ("azp", json!("slipway")),
        ("azp", json!("ci")),
        ("exp", json!(600.5 + 2e9)),
        ("nbf", json!(NOW + 59)),
        ("anything", json!({"else": [1]})),
    ] {
        let token = lab.key.sign(&header, &with(&claims, field, value.clone()));
        assert_eq!(lab.knows(&token).await.name(), "ada", "{field} {value}");
    }
    let mut shared = claims.clone();
    shared["aud"] = json!(["slipway", "account"]);
    shared["azp"] = json!("slipway");
    let token = lab.key.sign(&header, &shared.to_string());
    assert_eq!(
        lab.knows(&token).await.name(),
        "ada",
        "issued to us, for others too"
    );
    shared["azp"] = json!("account");
    lab.refuses(
        &lab.key.sign(&header, &shared.to_string()),
        "issued to another",
    )
    .await;
}

#[tokio::test]
async fn it_holds_to_its_end_and_not_a_second_longer() {
    let lab = lab().await;
    let token = lab.token();
    for (seconds, holds) in [
        (NOW - 71, false),
        (NOW - 70, true),
        (NOW, true),
        (NOW + 599, true),
        (NOW + 600, false),
        (NOW + 1_000_000, false),
        (NOW, true),
    ] {
        // The first answer is remembered; the time is looked at each time.
        assert_eq!(lab.ask(&token, seconds).await.is_ok(), holds, "{seconds}");
    }
}

#[tokio::test]
async fn t10_shapes() {
    let lab = lab().await;
    let token = lab.token();
    let parts: Vec<&str> = token.split('.').collect();
    let nobodys = [
        ".".repeat(1 << 20),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{}", parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        // An encrypted token has five parts.
        format!("{token}.a.b"),
        format!("{}.{}.{}", "A".repeat(5000), parts[1], parts[2]),
        format!("{}.{}=.{}", parts[0], parts[1], parts[2]),
    ];
    for text in nobodys {
        assert_eq!(lab.ask(&text, NOW).await, Ok(None), "{text:.60}");
    }
    for text in [
        format!("{}..{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        format!("{}.{}.{}\n", parts[0], parts[1], parts[2]),
        format!(" {token}"),
        format!(".{}.{}", parts[1], parts[2]),
        format!(
            "{}.{}.{}",
            parts[0],
            parts[1],
            URL_SAFE_NO_PAD.encode([0; 256])
        ),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(60_000)),
        format!("{}.{}.{}", "A".repeat(4000), parts[1], parts[2]),
    ] {
        let answer = lab.ask(&text, NOW).await;
        assert!(!matches!(answer, Ok(Some(_))), "{text:.60}: {answer:?}");
    }
}

#[tokio::test]
async fn every_changed_letter_is_noticed() {
    let lab = lab().await;
    let token = lab.token();
    assert_eq!(lab.knows(&token).await.name(), "ada");
    for index in 0..token.len() {
        for bit in [0, 1, 4] {
            let mut bytes = token.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let answer = lab.ask(&text, NOW).await;
            assert!(
                !matches!(answer, Ok(Some(_))),
                "bit {bit} of {index}: {answer:?}"
            );
        }
    }
    assert!(lab.provider.asked() <= 2, "{}", lab.provider.asked());
}
