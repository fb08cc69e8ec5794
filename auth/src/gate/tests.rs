use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use super::*;
use crate::{AllowAuthenticated, Delete, Pull, Push, Retag, Right, Scope, Secret};

/// Knows everybody whose password is their name.
#[derive(Debug, Default)]
struct Names {
    removed: Mutex<HashSet<String>>,
}

#[async_trait]
impl Authenticator for Names {
    async fn authenticate(
        &self,
        credential: &Credential,
        _: Option<IpAddr>,
        _: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        match credential {
            Credential::Basic(basic) => match basic.user() {
                user if user == basic.password().expose() => {
                    Ok(Some(Identity::authenticated("names", user, [])))
                }
                "later" => Ok(None),
                "down" => Err(Refusal::Unavailable {
                    because: crate::Outage::Cluster,
                    retry_after: Duration::from_secs(1),
                }),
                _ => Err(Refusal::BadCredential),
            },
            Credential::Bearer(_) => Ok(None),
        }
    }

    fn provider(&self) -> &'static str {
        "names"
    }

    fn revoked(&self, who: &Identity) -> bool {
        who.provider() == "names" && self.removed.lock().unwrap().contains(who.name())
    }
}

/// Allows what is in the list; `down/…` cannot be decided.
#[derive(Debug, Default)]
struct Listed(Mutex<HashSet<(String, Action, String)>>);

impl Listed {
    fn allow(&self, who: &str, action: Action, repo: &str) {
        self.0
            .lock()
            .unwrap()
            .insert((who.into(), action, repo.into()));
    }
}

#[async_trait]
impl Policy for Listed {
    async fn allows(
        &self,
        who: &Identity,
        action: Action,
        repo: &RepoName,
    ) -> Result<bool, Refusal> {
        if repo.namespace() == "down" {
            return Err(Refusal::Unavailable {
                because: crate::Outage::Cluster,
                retry_after: Duration::from_secs(1),
            });
        }
        let asked = (who.name().to_owned(), action, repo.as_str().to_owned());
        Ok(self.0.lock().unwrap().contains(&asked))
    }

    async fn has_right(
        &self,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        let is_here = who.name() == "root" || (who.name() == "alice" && namespace == Some("team"));
        let sees_builds = who.name() == "bob" && right == BuildRight::GetBuilds.into();
        let makes_builds = who.name() == "carol" && right == BuildRight::CreateBuilds.into();
        Ok(is_here && right == AdminRight::ReadAudit.into() || sees_builds || makes_builds)
    }

    fn rules_kept(&self) -> RulesKept {
        RulesKept::Nowhere
    }
}

struct Lab {
    _dir: TempDir,
    names: Arc<Names>,
    policy: Arc<Listed>,
    gate: Gate,
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(2_000_000_000)
}

fn lab(anonymous: bool) -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let tokens =
        Tokens::load_or_create(&dir.path().join("k"), vec![], Tokens::DEFAULT_TTL).unwrap();
    let (names, policy) = (Arc::new(Names::default()), Arc::new(Listed::default()));
    let gate = Gate::new(
        vec![Arc::clone(&names) as Arc<dyn Authenticator>],
        Arc::clone(&policy) as Arc<dyn Policy>,
        Some(Arc::new(tokens)),
        anonymous,
    );
    Lab {
        _dir: dir,
        names,
        policy,
        gate,
    }
}

fn repo(name: &str) -> RepoName {
    RepoName::parse(name).unwrap()
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::basic(user, Secret::new(password.into())).unwrap()
}

impl Lab {
    async fn identify(&self, credential: &Credential) -> Result<Identity, Refusal> {
        self.gate.identify(Some(credential), None, now()).await
    }

    /// The identity behind a token of `user` for `scopes`.
    async fn token(&self, user: &str, scopes: &[&str]) -> Identity {
        let who = self.identify(&basic(user, user)).await.unwrap();
        let scopes = Scope::parse_all(scopes.iter().copied()).unwrap();
        let issued = self.gate.issue(&who, &scopes, now()).await.unwrap();
        self.identify(&Credential::Bearer(Secret::new(issued.token().into())))
            .await
            .unwrap()
    }

    /// What of the four is permitted, or the refusal of those that are not.
    async fn verbs(&self, who: &Identity, name: &str) -> (Vec<Action>, HashSet<String>) {
        let name = repo(name);
        let answers = [
            self.verb::<Pull>(who, &name).await,
            self.verb::<Push>(who, &name).await,
            self.verb::<Retag>(who, &name).await,
            self.verb::<Delete>(who, &name).await,
        ];
        let refused = answers
            .iter()
            .filter_map(|a| a.as_ref().err())
            .map(|r| format!("{r:?}"))
            .collect();
        (answers.into_iter().flatten().collect(), refused)
    }

    async fn verb<V: Verb>(&self, who: &Identity, repo: &RepoName) -> Result<Action, Refusal> {
        let permit = self.gate.permit::<V>(who, repo).await?;
        assert_eq!(permit.repo(), repo);
        Ok(V::ACTION)
    }
}

#[tokio::test]
async fn an_open_gate_asks_nobody() {
    let gate = Gate::open();
    assert!(!gate.challenges() && gate.anonymous() && gate.service().is_none());
    for credential in [None, Some(basic("any", "body"))] {
        let who = gate
            .identify(credential.as_ref(), None, now())
            .await
            .unwrap();
        assert!(who.is_anonymous());
        assert!(gate.permit::<Delete>(&who, &repo("a/b")).await.is_ok());
        assert!(gate.sees(&who, &repo("a/b")).await.unwrap());
        assert_eq!(
            gate.issue(&who, &[], now()).await.unwrap_err(),
            Refusal::NoTokens
        );
    }
}

#[tokio::test]
async fn strangers_come_in_only_where_they_may_and_bad_credentials_never() {
    let (closed, open) = (lab(false), lab(true));
    assert_eq!(
        closed.gate.identify(None, None, now()).await,
        Err(Refusal::Anonymous)
    );
    let who = open.gate.identify(None, None, now()).await.unwrap();
    assert!(who.is_anonymous());
    assert_eq!(
        open.gate
            .permit::<Pull>(&who, &repo("a/b"))
            .await
            .unwrap_err(),
        Refusal::Anonymous
    );
    for lab in [&closed, &open] {
        assert!(lab.gate.challenges());
        for bad in [
            basic("alice", "x"),
            basic("later", "x"),
            Credential::Bearer(Secret::new("x".into())),
        ] {
            assert_eq!(lab.identify(&bad).await, Err(Refusal::BadCredential));
        }
        assert!(matches!(
            lab.identify(&basic("down", "x")).await,
            Err(Refusal::Unavailable { .. })
        ));
    }
}

#[tokio::test]
async fn without_rules_users_may_everything_and_strangers_nothing() {
    let gate = Gate::new(
        vec![Arc::new(Names::default())],
        Arc::new(AllowAuthenticated),
        None,
        true,
    );
    let alice = gate
        .identify(Some(&basic("alice", "alice")), None, now())
        .await
        .unwrap();
    let stranger = gate.identify(None, None, now()).await.unwrap();
    let name = repo("a/b");
    assert!(gate.permit::<Delete>(&alice, &name).await.is_ok());
    assert!(gate.permit::<Retag>(&alice, &name).await.is_ok());
    assert!(!gate.sees(&stranger, &name).await.unwrap());
    assert_eq!(
        gate.permit::<Pull>(&stranger, &name).await.unwrap_err(),
        Refusal::Anonymous
    );
    assert_eq!(
        gate.permit::<Push>(&stranger, &name).await.unwrap_err(),
        Refusal::Anonymous
    );
    assert_eq!(
        gate.permit::<Delete>(&stranger, &name).await.unwrap_err(),
        Refusal::Anonymous
    );
    assert!(gate.service().is_none());
}

/// What a token was asked for, what its user may, and what comes out of both: every combination, in the repository
/// itself and around it.
#[tokio::test]
async fn t26_a_token_gives_what_was_asked_and_is_allowed_there_and_nowhere_else() {
    for asked in [
        "pull",
        "push",
        "retag",
        "delete",
        "pull,push",
        "*",
        "pull,delete",
        "",
        "nonsense",
    ] {
        for mask in 0..16u8 {
            let lab = lab(false);
            let allowed = |action: Action| mask & action as u8 != 0;
            for action in Action::ALL.into_iter().filter(|action| allowed(*action)) {
                for name in ["team/app", "team/app/x", "team", "team/ap", "app"] {
                    lab.policy.allow("alice", action, name);
                }
            }
            let who = lab
                .token("alice", &[&format!("repository:team/app:{asked}")])
                .await;
            let wanted = |action: Action| match asked {
                "*" => true,
                asked => asked.split(',').any(|word| {
                    word == action.scope_name() || (word == "push" && action == Action::Update)
                }),
            };
            let expected: Vec<_> = Action::ALL
                .into_iter()
                .filter(|a| wanted(*a) && allowed(*a))
                .collect();
            let (got, refused) = lab.verbs(&who, "team/app").await;
            assert_eq!(got, expected, "asked {asked}, allowed {mask:04b}");
            assert!(
                refused
                    .iter()
                    .all(|refusal| refusal.starts_with("InsufficientScope")),
                "{refused:?}"
            );
            for other in ["team/app/x", "team", "team/ap", "app", "team/app2"] {
                assert_eq!(lab.verbs(&who, other).await.0, [], "{other}");
            }
        }
    }
}

#[tokio::test]
async fn t11_what_policy_takes_away_a_token_does_not_keep() {
    let lab = lab(false);
    lab.policy.allow("alice", Action::Get, "team/app");
    let who = lab.token("alice", &["repository:team/app:pull"]).await;
    assert!(
        lab.gate
            .permit::<Pull>(&who, &repo("team/app"))
            .await
            .is_ok()
    );
    lab.policy.0.lock().unwrap().clear();
    let refusal = lab
        .gate
        .permit::<Pull>(&who, &repo("team/app"))
        .await
        .unwrap_err();
    assert!(matches!(refusal, Refusal::Forbidden(_)), "{refusal:?}");
    assert_eq!(
        refusal.to_string(),
        r#"user "alice" may not get images in namespace "team" (repository team/app)"#
    );
}

#[tokio::test]
async fn t11_a_removed_user_loses_the_tokens() {
    let lab = lab(false);
    let who = lab.identify(&basic("alice", "alice")).await.unwrap();
    let issued = lab.gate.issue(&who, &[], now()).await.unwrap();
    let bearer = Credential::Bearer(Secret::new(issued.token().into()));
    assert_eq!(lab.identify(&bearer).await.unwrap().name(), "alice");
    lab.names.removed.lock().unwrap().insert("alice".into());
    assert_eq!(lab.identify(&bearer).await, Err(Refusal::BadCredential));
}

#[tokio::test]
async fn a_strangers_token_ends_with_strangers() {
    let open = lab(true);
    open.policy
        .allow("system:anonymous", Action::Get, "pub/app");
    let who = open.gate.identify(None, None, now()).await.unwrap();
    let scopes = Scope::parse_all(["repository:pub/app:pull,push repository:a/b:pull"]).unwrap();
    let issued = open.gate.issue(&who, &scopes, now()).await.unwrap();
    let bearer = Credential::Bearer(Secret::new(issued.token().into()));
    let who = open.identify(&bearer).await.unwrap();
    assert_eq!(open.verbs(&who, "pub/app").await.0, [Action::Get]);
    assert_eq!(open.verbs(&who, "a/b").await.0, []);
    let Kind::Guarded {
        authenticators,
        policy,
        tokens,
        ..
    } = open.gate.kind
    else {
        panic!()
    };
    let closed = Gate::new(authenticators, policy, tokens, false);
    assert_eq!(
        closed.identify(Some(&bearer), None, now()).await,
        Err(Refusal::BadCredential)
    );
}

#[tokio::test]
async fn a_token_gets_no_further_token() {
    let lab = lab(false);
    let who = lab.token("alice", &["repository:a/b:pull"]).await;
    assert_eq!(
        lab.gate.issue(&who, &[], now()).await.unwrap_err(),
        Refusal::BadCredential
    );
}

#[tokio::test]
async fn an_upload_goes_on_with_the_next_token_of_the_same_user() {
    let lab = lab(false);
    let password = lab.identify(&basic("alice", "alice")).await.unwrap();
    let one = lab.token("alice", &["repository:a/b:push"]).await;
    let two = lab.token("alice", &["repository:a/b:pull,push"]).await;
    let bob = lab.token("bob", &["repository:a/b:push"]).await;
    assert_eq!(one.principal(), password.principal());
    assert_eq!(one.principal(), two.principal());
    assert_ne!(one.principal(), bob.principal());
}

#[tokio::test]
async fn the_catalog_is_what_may_be_pulled() {
    let lab = lab(false);
    lab.policy.allow("alice", Action::Get, "a/b");
    lab.policy.allow("alice", Action::Get, "a/c");
    let plain = lab.identify(&basic("alice", "alice")).await.unwrap();
    let catalog = lab.token("alice", &["registry:catalog:*"]).await;
    let scoped = lab
        .token("alice", &["repository:a/b:pull", "repository:a/d:pull"])
        .await;
    for (name, expected) in [
        ("a/b", [true, true, true]),
        ("a/c", [true, true, false]),
        ("a/d", [false; 3]),
    ] {
        for (who, expected) in [&plain, &catalog, &scoped].into_iter().zip(expected) {
            assert_eq!(
                lab.gate.sees(who, &repo(name)).await,
                Ok(expected),
                "{name}"
            );
        }
    }
    let refusal = lab
        .gate
        .permit::<Pull>(&catalog, &repo("a/b"))
        .await
        .unwrap_err();
    assert!(
        matches!(refusal, Refusal::InsufficientScope(_)),
        "seeing is not pulling: {refusal:?}"
    );
}

#[tokio::test]
async fn no_answer_is_neither_yes_nor_no() {
    let lab = lab(false);
    let who = lab.identify(&basic("alice", "alice")).await.unwrap();
    let unavailable = |refusal: Refusal| matches!(refusal, Refusal::Unavailable { .. });
    assert!(unavailable(
        lab.gate
            .permit::<Pull>(&who, &repo("down/a"))
            .await
            .unwrap_err()
    ));
    assert!(unavailable(
        lab.gate.sees(&who, &repo("down/a")).await.unwrap_err()
    ));
    let scopes = Scope::parse_all(["repository:down/a:pull"]).unwrap();
    assert!(unavailable(
        lab.gate.issue(&who, &scopes, now()).await.unwrap_err()
    ));
}

#[tokio::test]
async fn authenticators_are_asked_in_order_until_one_knows() {
    #[derive(Debug)]
    struct Later;
    #[async_trait]
    impl Authenticator for Later {
        async fn authenticate(
            &self,
            _: &Credential,
            _: Option<IpAddr>,
            _: SystemTime,
        ) -> Result<Option<Identity>, Refusal> {
            Ok(Some(Identity::authenticated("later", "x", [])))
        }
        fn provider(&self) -> &'static str {
            "later"
        }

        fn revoked(&self, _: &Identity) -> bool {
            false
        }
    }
    let authenticators: Vec<Arc<dyn Authenticator>> =
        vec![Arc::new(Names::default()), Arc::new(Later)];
    let gate = Gate::new(authenticators, Arc::new(AllowAuthenticated), None, false);
    for (credential, provider) in [(basic("a", "a"), "names"), (basic("later", "x"), "later")] {
        let who = gate.identify(Some(&credential), None, now()).await.unwrap();
        assert_eq!(who.provider(), provider);
    }
    let bad = gate.identify(Some(&basic("a", "b")), None, now()).await;
    assert_eq!(
        bad,
        Err(Refusal::BadCredential),
        "a wrong password is not tried elsewhere"
    );
}

/// Tokens of a cluster may be as short as a password, and stand in the place of one beside users with passwords.
#[tokio::test]
async fn a_short_token_under_a_name_of_no_user_goes_on_to_whoever_knows_it() {
    /// Knows one token.
    #[derive(Debug)]
    struct Cluster;
    #[async_trait]
    impl Authenticator for Cluster {
        async fn authenticate(
            &self,
            credential: &Credential,
            _: Option<IpAddr>,
            _: SystemTime,
        ) -> Result<Option<Identity>, Refusal> {
            match credential.token().expose() {
                "sha256~known" => Ok(Some(Identity::authenticated("cluster", "eve", []))),
                _ => Err(Refusal::BadCredential),
            }
        }
        fn provider(&self) -> &'static str {
            "cluster"
        }

        fn revoked(&self, _: &Identity) -> bool {
            false
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    let hash = bcrypt::hash("secret", 4).unwrap();
    std::fs::write(&file, format!("alice:{hash}\n")).unwrap();
    let users = Arc::new(crate::Htpasswd::load(&file).unwrap());
    let htpasswd = Arc::clone(&users) as Arc<dyn Authenticator>;
    let (policy, from) = (Arc::new(AllowAuthenticated), Some([10, 0, 0, 1].into()));
    let alone = Gate::new(vec![Arc::clone(&htpasswd)], policy.clone(), None, false);
    let stranger = basic("token", "sha256~known");
    let asked = alone.identify(Some(&stranger), None, now()).await;
    assert_eq!(asked, Err(Refusal::BadCredential));
    let gate = Gate::new(vec![htpasswd, Arc::new(Cluster)], policy, None, false);
    let ask = |user, password: &str| {
        let (gate, credential) = (&gate, basic(user, password));
        async move { gate.identify(Some(&credential), from, now()).await }
    };
    let checks = users.checks();
    for _ in 0..40 {
        assert_eq!(ask("token", "sha256~known").await.unwrap().name(), "eve");
        let of_user = ask("alice", "secret").await.unwrap();
        assert_eq!(of_user.provider(), "htpasswd");
    }
    assert_eq!(users.checks(), checks + 2, "one of each pair");
    let shown = ask("alice", "sha256~known").await;
    assert_eq!(shown, Err(Refusal::BadCredential), "alice has a password");
    for guess in 0..10 {
        let asked = ask("token", &guess.to_string()).await;
        assert_eq!(asked, Err(Refusal::BadCredential));
    }
    let asked = ask("token", "one more").await;
    assert!(matches!(asked, Err(Refusal::Throttled { .. })), "{asked:?}");
    assert!(ask("token", "sha256~known").await.is_ok());
}

#[tokio::test]
async fn who_administers_says_who_they_are_and_no_token_will_do() {
    let lab = lab(true);
    let root = lab.identify(&basic("root", "root")).await.unwrap();
    let permit = lab.gate.permit_admin(&root, AdminRight::ReadAudit).await;
    let permit = permit.unwrap();
    assert_eq!(permit.right(), AdminRight::ReadAudit);
    assert_eq!(permit.who().name(), "root");
    let other = lab.gate.permit_admin(&root, AdminRight::ListTokens).await;
    let Err(Refusal::Forbidden(denied)) = other else {
        panic!("{other:?}");
    };
    assert_eq!(
        denied.to_string(),
        "user \"root\" may not list tokens of this registry"
    );
    let token = lab.token("root", &["registry:catalog:*"]).await;
    let by_token = lab.gate.permit_admin(&token, AdminRight::ReadAudit).await;
    assert!(matches!(by_token, Err(Refusal::InsufficientScope(_))));
    let stranger = Identity::anonymous();
    let by_stranger = lab.gate.permit_admin(&stranger, AdminRight::ReadAudit);
    assert_eq!(by_stranger.await.unwrap_err(), Refusal::Anonymous);
    let alice = lab.identify(&basic("alice", "alice")).await.unwrap();
    let right = AdminRight::ReadAudit;
    let permit = lab.gate.permit_admin_in(&alice, right, Some("team")).await;
    assert_eq!(permit.unwrap().namespace(), Some("team"));
    for namespace in [None, Some("other")] {
        let refused = lab.gate.permit_admin_in(&alice, right, namespace).await;
        assert!(matches!(refused, Err(Refusal::Forbidden(_))), "{refused:?}");
    }
    // Asked beforehand it is the same.
    for (who, namespace, expected) in [
        (&root, None, true),
        (&alice, Some("team"), true),
        (&alice, None, false),
        (&alice, Some("other"), false),
        (&token, None, false),
        (&stranger, Some("team"), false),
    ] {
        let deed = Deed::Registry(right.into(), namespace.map(str::to_owned));
        let may = lab.gate.may(who, &deed).await;
        assert_eq!(may, Ok(expected), "{} {deed}", who.name());
    }
    let users = AllowAuthenticated.has_right(&root, AdminRight::ReadAudit.into(), None);
    assert_eq!(users.await, Ok(false), "without rules nobody administers");
}

#[tokio::test]
async fn asking_what_one_may_do_answers_as_the_permit_would() {
    let lab = lab(false);
    lab.policy.allow("alice", Action::Get, "a/b");
    lab.policy.allow("alice", Action::Create, "a/b");
    let password = lab.identify(&basic("alice", "alice")).await.unwrap();
    let token = lab.token("alice", &["repository:a/b:pull"]).await;
    for (who, expected) in [(&password, vec!["get", "create"]), (&token, vec!["get"])] {
        let mut may = Vec::new();
        for action in Action::ALL {
            let deed = Deed::Repository(action, repo("a/b"));
            if lab.gate.may(who, &deed).await.unwrap() {
                may.push(action.verb());
            }
        }
        assert_eq!(may, expected);
    }
    let down = Deed::Repository(Action::Get, repo("down/b"));
    let down = lab.gate.may(&password, &down).await;
    assert!(matches!(down, Err(Refusal::Unavailable { .. })));
}

#[tokio::test]
async fn sources_take_a_right_with_builds_beside_that_with_images() {
    let lab = lab(true);
    let sources = RepoName::parse("team/sources/app").unwrap();
    let image = RepoName::parse("team/app").unwrap();
    let people = ["alice", "bob", "carol"].map(|name| Identity::authenticated("names", name, []));
    let [alice, bob, carol] = &people;
    let stranger = Identity::anonymous();
    for who in people.iter().chain([&stranger]) {
        for repo in [&sources, &image] {
            lab.policy.allow(who.name(), Action::Get, repo.as_str());
        }
        assert!(lab.gate.permit::<Pull>(who, &image).await.is_ok());
    }
    for who in [bob, carol] {
        assert!(lab.gate.permit::<Pull>(who, &sources).await.is_ok());
        assert!(lab.gate.sees(who, &sources).await.unwrap());
        let refused = lab.gate.permit::<Push>(who, &sources).await.unwrap_err();
        assert!(matches!(refused, Refusal::Forbidden(_)), "{refused}");
    }
    let refused = lab.gate.permit::<Pull>(alice, &sources).await.unwrap_err();
    assert!(refused.to_string().contains("get builds"), "{refused}");
    let refused = lab.gate.permit::<Pull>(&stranger, &sources).await;
    assert_eq!(refused.unwrap_err(), Refusal::Anonymous);
    for who in [alice, &stranger] {
        assert!(!lab.gate.sees(who, &sources).await.unwrap());
        let names = [image.clone(), sources.clone()];
        let seen = lab.gate.sight(who).look(&names, 10).await.unwrap();
        assert_eq!(seen.repositories, std::slice::from_ref(&image));
    }
    let deed = Deed::Repository(Action::Get, sources.clone());
    assert!(!lab.gate.may(alice, &deed).await.unwrap());
    assert!(lab.gate.may(bob, &deed).await.unwrap());
}
