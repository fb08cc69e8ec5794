//! Opaque tokens.

use super::Subject;
use super::material::at;
use crate::index::{Fact, KeptToken, WhenFull};

pub async fn tokens_are_kept_by_their_names(index: Subject) {
    let add = async |one: &KeptToken| {
        let added = index.add_token(one, 10, WhenFull::Refuse, at(10)).await;
        assert!(added.unwrap());
    };
    let (a, b, c) = (
        token("a", "ada", 10),
        token("b", "bob", 10),
        token("c", "ada", 10),
    );
    for one in [&c, &a, &b] {
        add(one).await;
    }
    let again = index.add_token(&a, 10, WhenFull::Refuse, at(10)).await;
    assert!(again.is_err(), "a name is given once");
    assert_eq!(index.token("a").await.unwrap(), Some(a.clone()));
    assert_eq!(index.token("z").await.unwrap(), None);
    let of_ada = index.tokens(Some("ada"), None, 10).await.unwrap();
    assert_eq!(of_ada, [a.clone(), c.clone()]);
    assert_eq!(ids(index.tokens(None, None, 2).await.unwrap()), ["a", "b"]);
    assert_eq!(ids(index.tokens(None, Some("b"), 2).await.unwrap()), ["c"]);
    assert_eq!(
        ids(index.tokens(Some("ada"), Some("a"), 2).await.unwrap()),
        ["c"]
    );
    index.touch_token("a", at(30)).await.unwrap();
    index.touch_token("a", at(20)).await.unwrap();
    index.touch_token("z", at(20)).await.unwrap();
    assert_eq!(index.token("a").await.unwrap().unwrap().used, Some(at(30)));
    let revoke = async |owner, id, now| index.revoke_token(owner, id, at(now)).await.unwrap();
    assert!(!revoke(Some("bob"), "a", 40).await);
    assert!(revoke(Some("ada"), "a", 40).await);
    assert!(!revoke(Some("ada"), "a", 50).await);
    assert!(revoke(None, "b", 50).await);
    assert!(!revoke(None, "z", 50).await);
    let revoked = async |id| index.token(id).await.unwrap().unwrap().revoked;
    assert_eq!(revoked("a").await, Some(at(40)), "it is not forgotten");
    assert_eq!(revoked("c").await, None);
    // Before and behind what is left, so that a page of one is not of what was revoked.
    add(&token("d", "ada", 10)).await;
    assert!(revoke(None, "d", 50).await);
    for owner in [None, Some("ada")] {
        assert_eq!(ids(index.tokens(owner, None, 1).await.unwrap()), ["c"]);
        let behind = index.tokens(owner, Some("c"), 1).await.unwrap();
        assert_eq!(behind, []);
    }
    let all = index.all_tokens(Some("a"), 10).await.unwrap();
    assert_eq!(ids(all), ["b", "c", "d"]);
}

pub async fn nobody_has_more_tokens_than_allowed(index: Subject) {
    let add = async |one: KeptToken, when_full, now| {
        index.add_token(&one, 2, when_full, at(now)).await.unwrap()
    };
    let refuse = WhenFull::Refuse;
    assert!(add(token("a", "ada", 10), refuse, 10).await);
    assert!(add(token("b", "ada", 20), refuse, 20).await);
    assert!(!add(token("c", "ada", 30), refuse, 30).await);
    assert!(
        add(token("d", "bob", 30), refuse, 30).await,
        "others have their own"
    );
    let login = KeptToken {
        kind: "login".to_owned(),
        ..token("l", "ada", 30)
    };
    assert!(add(login, refuse, 30).await, "each kind for itself");
    assert!(add(token("e", "ada", 40), WhenFull::ForgetOldest, 40).await);
    assert_eq!(
        ids(index.tokens(Some("ada"), None, 10).await.unwrap()),
        ["b", "e", "l"]
    );
    assert!(
        add(token("f", "ada", 120), refuse, 120).await,
        "what has ended is not counted"
    );
    // A week after its end a token is forgotten.
    let week = 7 * 24 * 3600;
    assert!(add(token("g", "eve", week), refuse, week + 135).await);
    assert_eq!(
        ids(index.tokens(None, None, 10).await.unwrap()),
        ["e", "f", "g"]
    );
}

pub async fn tokens_are_taken_over_as_they_were(index: Subject) {
    let was = KeptToken {
        used: Some(at(15)),
        ..token("a", "ada", 10)
    };
    let groundless = index.load(vec![Fact::Token(was.clone())]).await.unwrap();
    assert_eq!(groundless, [0; 0]);
    assert_eq!(index.token("a").await.unwrap(), Some(was));
}

/// A token of `owner` from `created` on, for a hundred seconds.
fn token(id: &str, owner: &str, created: u64) -> KeptToken {
    KeptToken {
        id: id.to_owned(),
        kind: "api".to_owned(),
        owner: owner.to_owned(),
        hash: vec![0, 255, 7],
        created: at(created),
        expires: at(created + 100),
        used: None,
        revoked: None,
        document: r#"{"a": "ü"}"#.to_owned(),
    }
}

fn ids(tokens: Vec<KeptToken>) -> Vec<String> {
    tokens.into_iter().map(|token| token.id).collect()
}
