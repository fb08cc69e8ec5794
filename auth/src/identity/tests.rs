use proptest::prelude::*;

use super::*;

fn of(provider: &str, name: &str) -> Identity {
    Identity::authenticated(provider, name, [])
}

#[test]
fn a_stranger_is_only_a_stranger() {
    let who = Identity::anonymous();
    assert_eq!((who.name(), who.provider()), (ANONYMOUS, ""));
    assert_eq!(who.groups().collect::<Vec<_>>(), [UNAUTHENTICATED]);
    assert!(who.is_anonymous());
}

#[test]
fn whoever_is_known_is_in_system_authenticated_once_and_never_a_stranger() {
    let groups = ["devs", AUTHENTICATED, UNAUTHENTICATED].map(String::from);
    let who = Identity::authenticated("x", "alice", groups);
    assert_eq!(who.groups().collect::<Vec<_>>(), ["devs", AUTHENTICATED]);
    assert!(!who.is_anonymous());
    assert_eq!(
        of("x", "alice").groups().collect::<Vec<_>>(),
        [AUTHENTICATED]
    );
}

#[test]
fn the_principal_does_not_change_with_the_token() {
    let who = of("htpasswd", "alice");
    assert_eq!(
        who.clone().limited_to(Access::default()).principal(),
        who.principal()
    );
}

proptest! {
    #[test]
    fn principals_are_equal_only_for_the_same_user(
        a in "[a:0-9]{0,4}", b in "[a:0-9]{0,4}", c in "[a:0-9]{0,4}", d in "[a:0-9]{0,4}",
    ) {
        let (one, two) = (of(&a, &b), of(&c, &d));
        prop_assert_eq!(one.principal() == two.principal(), (a, b) == (c, d));
    }
}

#[test]
fn a_colon_moves_nobody_to_another_provider() {
    assert_ne!(of("a:b", "c").principal(), of("a", "b:c").principal());
    assert_ne!(of("1", "1:x").principal(), of("1:1", "x").principal());
}

#[test]
fn a_user_called_like_a_stranger_does_not_own_a_strangers_uploads() {
    assert_ne!(
        of("htpasswd", ANONYMOUS).principal(),
        Identity::anonymous().principal()
    );
}
