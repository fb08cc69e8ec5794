use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::kubernetes::pull_secrets::content::Claims;
use crate::kubernetes::pull_secrets::grant::Standing;
use crate::kubernetes::pull_secrets::observed::Content;

fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn key(namespace: &str) -> Key {
    Key {
        namespace: name(namespace),
        account: name("default"),
    }
}

fn there(namespace: &str) -> News {
    let state = Namespace {
        opted_out: false,
        ending: false,
    };
    News::Fact(Fact::Namespace(name(namespace), Some(state)))
}

fn secret(uid: &str, version: &str, ends: Option<u64>) -> PullSecret {
    let token = |ends| {
        Content::Token(Claims {
            audiences: Vec::new(),
            account_uid: String::new(),
            secret_uid: None,
            issued: UNIX_EPOCH,
            expires: UNIX_EPOCH + Duration::from_secs(ends),
        })
    };
    PullSecret {
        uid: uid.to_owned(),
        version: version.to_owned(),
        ending: false,
        content: ends.map_or(Content::Empty, token),
    }
}

fn is(namespace: &str, secret: PullSecret) -> News {
    News::Fact(Fact::Secret(key(namespace), Seen::Is(secret)))
}

fn gone(namespace: &str, uid: &str) -> News {
    News::Fact(Fact::Secret(key(namespace), Seen::Gone(uid.to_owned())))
}

fn world() -> World {
    World::new(vec![name("default")])
}

/// In which every list was seen.
fn whole() -> World {
    let mut world = world();
    for list in [
        List::Namespaces,
        List::Accounts(name("default")),
        List::Secrets(name("default")),
        List::Grants,
    ] {
        world.hear(News::Listing(list.clone()));
        world.hear(News::Listed(list));
    }
    assert!(world.is_whole());
    world
}

fn login(namespace: &str) -> Duty {
    Duty::Login(key(namespace))
}

fn right(namespace: &str) -> Duty {
    Duty::Grant(name(namespace))
}

fn binding(namespace: &str, uid: &str, version: &str) -> News {
    let grant = Grant {
        uid: uid.to_owned(),
        version: version.to_owned(),
        ending: false,
        standing: Standing::Good,
    };
    News::Fact(Fact::Grant(name(namespace), Seen::Is(grant)))
}

#[test]
fn nothing_is_planned_for_before_every_list_was_seen_that_matters() {
    let mut world = world();
    world.hear(there("a"));
    let known = |world: &World| (world.is_known(&login("a")), world.is_known(&right("a")));
    let lists = [
        (List::Namespaces, (false, false)),
        (List::Accounts(name("default")), (false, false)),
        // Who may not see the bindings keeps the secrets.
        (List::Secrets(name("default")), (true, false)),
        (List::Grants, (true, true)),
    ];
    for (list, then) in lists {
        assert!(!world.is_whole());
        let before = known(&world);
        world.hear(News::Listing(list.clone()));
        if list == List::Namespaces {
            world.hear(there("a"));
        }
        assert_eq!(known(&world), before);
        // What was due before its time is due now.
        assert_eq!(world.hear(News::Listed(list)), [login("a"), right("a")]);
        assert_eq!(known(&world), then);
    }
    assert!(world.is_whole());
    // A list that is read again makes nothing unknown.
    world.hear(News::Listing(List::Namespaces));
    assert!(world.is_whole() && known(&world) == (true, true));
}

#[test]
fn the_right_may_be_granted_before_the_secrets_are_known() {
    let mut world = world();
    for list in [List::Namespaces, List::Grants] {
        world.hear(News::Listing(list.clone()));
        world.hear(News::Listed(list));
    }
    assert!(world.is_known(&right("a")) && !world.is_known(&login("a")));
}

#[test]
fn bindings_are_known_by_their_namespace() {
    let mut world = world();
    world.hear(there("a"));
    assert_eq!(world.hear(binding("a", "u", "9")), [right("a")]);
    assert_eq!(world.hear(binding("b", "v", "3")), [right("b")]);
    assert!(world.hear(binding("a", "u", "8")).is_empty());
    assert_eq!(world.grant("a").unwrap().version, "9");
    let gone = |uid: &str| News::Fact(Fact::Grant(name("a"), Seen::Gone(uid.to_owned())));
    assert!(world.hear(gone("before")).is_empty());
    assert_eq!(world.hear(gone("u")), [right("a")]);
    assert_eq!(world.grant("a"), None);
    // What a list lacks is gone.
    for (seen, left) in [(true, true), (false, false)] {
        world.hear(News::Listing(List::Grants));
        if seen {
            world.hear(binding("b", "v", "3"));
        }
        world.hear(News::Listed(List::Grants));
        assert_eq!(world.grant("b").is_some(), left);
    }
}

#[test]
fn what_a_new_list_lacks_is_gone_and_what_it_has_stays() {
    let mut world = whole();
    let list = List::Secrets(name("default"));
    for namespace in ["a", "b"] {
        world.hear(there(namespace));
        world.hear(is(namespace, secret("u", "1", Some(5))));
    }
    assert_eq!(world.kept(), 2);
    world.hear(News::Listing(list.clone()));
    world.hear(is("b", secret("u", "1", Some(5))));
    assert!(world.view(&key("a")).secret.is_some(), "not before its end");
    assert_eq!(world.hear(News::Listed(list)), [login("a")]);
    assert!(world.view(&key("a")).secret.is_none());
    assert!(world.view(&key("b")).secret.is_some());
    assert_eq!(world.kept(), 1);
    // Namespaces are another list.
    assert!(world.view(&key("a")).namespace.is_some());
    world.hear(News::Listing(List::Namespaces));
    world.hear(there("b"));
    assert_eq!(
        world.hear(News::Listed(List::Namespaces)),
        [login("a"), right("a")]
    );
}

#[test]
fn old_news_is_not_believed() {
    let mut world = world();
    world.hear(is("a", secret("u", "9", Some(5))));
    assert!(world.hear(is("a", secret("u", "8", None))).is_empty());
    assert_eq!(world.view(&key("a")).secret.unwrap().version, "9");
    // As numbers, not as text.
    assert_eq!(world.hear(is("a", secret("u", "10", None))), [login("a")]);
    // That an earlier one of that name is gone says nothing about this one.
    assert!(world.hear(gone("a", "before")).is_empty());
    assert!(world.view(&key("a")).secret.is_some());
    // Another object of that name has a life of its own.
    assert_eq!(world.hear(is("a", secret("new", "3", None))), [login("a")]);
    assert_eq!(world.hear(gone("a", "new")), [login("a")]);
    assert!(world.view(&key("a")).secret.is_none());
}

#[test]
fn the_same_again_of_a_namespace_is_no_news() {
    let mut world = world();
    assert_eq!(world.hear(there("a")), [login("a"), right("a")]);
    assert!(world.hear(there("a")).is_empty());
    let gone = News::Fact(Fact::Namespace(name("a"), None));
    assert_eq!(world.hear(gone.clone()), [login("a"), right("a")]);
    assert!(world.hear(gone).is_empty());
}

#[test]
fn the_ends_of_tokens_are_counted() {
    let mut world = world();
    assert_eq!((world.kept(), world.first_end()), (0, None));
    world.hear(is("a", secret("u", "1", None)));
    assert_eq!((world.kept(), world.first_end()), (0, None));
    world.hear(is("a", secret("u", "2", Some(50))));
    world.hear(is("b", secret("u", "2", Some(40))));
    world.hear(is("c", secret("u", "2", Some(40))));
    assert_eq!((world.kept(), world.first_end()), (3, Some(40)));
    world.hear(is("b", secret("u", "3", Some(60))));
    assert_eq!((world.kept(), world.first_end()), (3, Some(40)));
    world.hear(gone("c", "u"));
    assert_eq!((world.kept(), world.first_end()), (2, Some(50)));
}
