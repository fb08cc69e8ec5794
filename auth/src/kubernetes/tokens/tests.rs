use k8s_openapi::api::authentication::v1::UserInfo;

use super::*;

fn status(name: &str, audiences: &[&str]) -> TokenReviewStatus {
    TokenReviewStatus {
        authenticated: Some(true),
        audiences: Some(audiences.iter().map(ToString::to_string).collect()),
        user: Some(UserInfo {
            username: Some(name.to_owned()),
            ..UserInfo::default()
        }),
        ..TokenReviewStatus::default()
    }
}

#[test]
fn a_token_for_somebody_else_is_nobodys() {
    let ours = ["slipway".to_owned(), "registry".to_owned()];
    let who = identity(status("alice", &["vault", "registry"]), &ours).unwrap();
    assert_eq!((who.name(), who.provider()), ("alice", "kubernetes"));
    assert_eq!(identity(status("alice", &["vault"]), &ours), None);
    // An API server that knows no audiences, or a webhook that ignores them.
    assert_eq!(identity(status("alice", &[]), &ours), None);
    assert!(identity(status("alice", &[]), &[]).is_some());
}

#[test]
fn a_half_answer_is_nobody() {
    assert_eq!(identity(TokenReviewStatus::default(), &[]), None);
    assert_eq!(identity(status("", &[]), &[]), None);
    let unsure = TokenReviewStatus {
        authenticated: None,
        ..status("alice", &[])
    };
    assert_eq!(identity(unsure, &[]), None);
    let nameless = TokenReviewStatus {
        user: None,
        ..status("alice", &[])
    };
    assert_eq!(identity(nameless, &[]), None);
}

#[test]
fn a_jwt_says_when_it_ends_and_nothing_else_does() {
    let token = |payload: &str| {
        let payload = URL_SAFE_NO_PAD.encode(payload);
        Secret::new(format!("e30.{payload}.sig"))
    };
    let end = end_of(&token(r#"{"exp": 1700000000}"#)).unwrap();
    assert_eq!(end, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    for payload in [
        "{}",
        r#"{"exp": -1}"#,
        r#"{"exp": 1e300}"#,
        r#"{"exp": "tomorrow"}"#,
        "[]",
        "",
    ] {
        assert_eq!(end_of(&token(payload)), None, "{payload}");
    }
    for text in ["opaque", "a.b", "..", "a.!.c"] {
        assert_eq!(end_of(&Secret::new(text.to_owned())), None, "{text}");
    }
    let dots = ".".repeat(60_000);
    assert_eq!(end_of(&Secret::new(dots)), None);
}
