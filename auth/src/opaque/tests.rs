use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use async_trait::async_trait;
use oci::RepoName;

use super::*;
use crate::{
    Action, AdminRight, AllowAuthenticated, Authenticator, BuildRight, Credential, Deed, Gate,
    Policy, Scope, Tokens,
};

/// Has vouched for ada, and knows nobody by what they send.
#[derive(Debug)]
struct Voucher {
    provider: &'static str,
    notices_removal: bool,
}

impl Voucher {
    fn of(provider: &'static str, notices_removal: bool) -> Arc<dyn Authenticator> {
        Arc::new(Self {
            provider,
            notices_removal,
        })
    }
}

#[async_trait]
impl Authenticator for Voucher {
    async fn authenticate(
        &self,
        _: &Credential,
        _: Option<IpAddr>,
        _: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        Ok(None)
    }

    fn provider(&self) -> &'static str {
        self.provider
    }

    fn notices_removal(&self) -> bool {
        self.notices_removal
    }

    fn revoked(&self, _: &Identity) -> bool {
        false
    }
}

/// A store in memory, which counts what it is asked.
#[derive(Debug, Default)]
struct Shelf {
    tokens: Mutex<BTreeMap<String, StoredToken>>,
    asked: AtomicU64,
    down: AtomicBool,
}

impl Shelf {
    fn check(&self) -> Result<(), StoreFailed> {
        if self.down.load(Ordering::Relaxed) {
            return Err(StoreFailed("down".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl TokenStore for Shelf {
    async fn add(
        &self,
        token: StoredToken,
        most: Most,
        now: SystemTime,
    ) -> Result<bool, StoreFailed> {
        self.check()?;
        let mut tokens = self.tokens.lock().unwrap();
        let of_owner = tokens.values().filter(|other| {
            other.owner == token.owner && other.kind == token.kind && other.expires > now
        });
        if let Most::Refused(most) = most
            && of_owner.count() >= most
        {
            return Ok(false);
        }
        tokens.insert(token.id.clone(), token);
        Ok(true)
    }

    async fn find(&self, id: &str) -> Result<Option<StoredToken>, StoreFailed> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.check()?;
        Ok(self.tokens.lock().unwrap().get(id).cloned())
    }

    async fn list(
        &self,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredToken>, StoreFailed> {
        self.check()?;
        let tokens = self.tokens.lock().unwrap();
        let tokens = tokens.values().filter(|token| {
            token.revoked.is_none()
                && owner.is_none_or(|owner| token.owner == owner)
                && after.is_none_or(|after| token.id.as_str() > after)
        });
        Ok(tokens.take(limit).cloned().collect())
    }

    async fn revoke(
        &self,
        owner: Option<&str>,
        id: &str,
        now: SystemTime,
    ) -> Result<bool, StoreFailed> {
        self.check()?;
        let mut tokens = self.tokens.lock().unwrap();
        let found = tokens.get_mut(id).filter(|token| {
            token.revoked.is_none() && owner.is_none_or(|owner| token.owner == owner)
        });
        Ok(found.is_some_and(|token| token.revoked.replace(now).is_none()))
    }

    async fn touch(&self, id: &str, now: SystemTime) -> Result<(), StoreFailed> {
        self.check()?;
        if let Some(token) = self.tokens.lock().unwrap().get_mut(id) {
            token.used = Some(now);
        }
        Ok(())
    }
}

const NOW: u64 = 2_000_000_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn ada() -> Identity {
    Identity::authenticated("htpasswd", "ada", ["devs".to_owned()])
}

fn limits(namespaces: &[&str], verbs: &[&str]) -> Limits {
    let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    Limits::new(&owned(namespaces), &owned(verbs)).unwrap()
}

fn new(limits: Limits, seconds: u64) -> NewToken {
    NewToken {
        description: "of a test".into(),
        limits,
        lifetime: Some(Duration::from_secs(seconds)),
    }
}

fn repo(name: &str) -> RepoName {
    RepoName::parse(name).unwrap()
}

struct Lab {
    shelf: Arc<Shelf>,
    tokens: Arc<OpaqueTokens>,
    gate: Gate,
    _dir: tempfile::TempDir,
}

fn lab() -> Lab {
    let shelf = Arc::new(Shelf::default());
    let settings = Settings {
        per_user: 3,
        ..Settings::default()
    };
    let tokens = OpaqueTokens::new(Arc::clone(&shelf) as Arc<dyn TokenStore>, settings);
    let tokens = Arc::new(tokens.unwrap());
    let dir = tempfile::tempdir().unwrap();
    let issued = Tokens::load_or_create(&dir.path().join("k"), vec![], Tokens::DEFAULT_TTL);
    let policy: Arc<dyn Policy> = Arc::new(AllowAuthenticated);
    let gate = Gate::new(
        vec![Voucher::of("htpasswd", true), Voucher::of("cluster", false)],
        policy,
        Some(Arc::new(issued.unwrap())),
        false,
    );
    Lab {
        shelf,
        gate: gate.with_opaque(Arc::clone(&tokens)),
        tokens,
        _dir: dir,
    }
}

impl Lab {
    async fn create(&self, limits: Limits, seconds: u64) -> (Secret, Token) {
        let (owner, new) = (ada(), new(limits, seconds));
        self.tokens.create(&owner, new, at(NOW)).await.unwrap()
    }

    async fn bearer(&self, token: &str, seconds: u64) -> Result<Identity, Refusal> {
        let credential = Credential::Bearer(Secret::new(token.to_owned()));
        self.gate
            .identify(Some(&credential), None, at(seconds))
            .await
    }

    async fn basic(&self, token: &str, seconds: u64) -> Result<Identity, Refusal> {
        let credential = Credential::basic("anybody", Secret::new(token.to_owned())).unwrap();
        self.gate
            .identify(Some(&credential), None, at(seconds))
            .await
    }

    /// What `who` may in `repo`, by the gate's own word.
    async fn verbs(&self, who: &Identity, name: &str) -> Vec<&'static str> {
        let mut may = Vec::new();
        for action in Action::ALL {
            let deed = Deed::Repository(action, repo(name));
            if self.gate.may(who, &deed).await.unwrap() {
                may.push(action.verb());
            }
        }
        may
    }
}

#[tokio::test]
async fn a_token_is_its_owner_within_its_limits_by_either_scheme() {
    let lab = lab();
    let (secret, token) = lab
        .create(limits(&["team", "other/app"], &["pull", "push"]), 100)
        .await;
    let text = secret.expose();
    assert!(text.starts_with("slp_") && text.len() == 58, "{text}");
    for who in [lab.bearer(text, NOW).await, lab.basic(text, NOW).await] {
        let who = who.unwrap();
        assert_eq!(who.principal(), ada().principal());
        assert_eq!(
            who.groups().collect::<Vec<_>>(),
            ["devs", "system:authenticated"]
        );
        assert_eq!(
            (who.token(), who.until()),
            (Some(token.id()), Some(at(NOW + 100)))
        );
        for (name, verbs) in [
            ("team/app", &["get", "create", "update"][..]),
            ("team", &["get", "create", "update"]),
            ("other/app/deep", &["get", "create", "update"]),
            ("other/application", &[]),
            ("other", &[]),
            ("teamwork/app", &[]),
        ] {
            assert_eq!(lab.verbs(&who, name).await, verbs, "{name}");
            let sees = lab.gate.sees(&who, &repo(name)).await.unwrap();
            assert_eq!(sees, !verbs.is_empty(), "{name}");
        }
        let refused = lab
            .gate
            .permit::<crate::Delete>(&who, &repo("team/app"))
            .await;
        assert!(matches!(refused, Err(Refusal::Forbidden(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn what_is_kept_has_no_text_and_what_is_printed_neither() {
    let lab = lab();
    let (secret, token) = lab.create(limits(&[], &["pull"]), 100).await;
    let kept = format!("{:?}", lab.shelf.tokens.lock().unwrap());
    let body = &secret.expose()[4 + 16..];
    assert!(!kept.contains(body), "{kept}");
    assert!(kept.contains(token.id().as_str()));
    assert!(!format!("{secret:?}{token:?}{:?}", lab.tokens).contains(body));
}

#[tokio::test]
async fn it_ends_at_its_second_and_so_does_what_was_issued_by_it() {
    let lab = lab();
    let (secret, _) = lab.create(limits(&[], &["pull"]), 100).await;
    let who = lab.bearer(secret.expose(), NOW + 99).await.unwrap();
    let scopes = Scope::parse_all(["repository:a/b:pull,push"]).unwrap();
    let issued = lab.gate.issue(&who, &scopes, at(NOW + 90)).await.unwrap();
    assert_eq!(issued.expires_in(), Duration::from_secs(10));
    for (seconds, holds) in [(NOW + 99, true), (NOW + 100, false), (NOW + 10_000, false)] {
        assert_eq!(lab.bearer(secret.expose(), seconds).await.is_ok(), holds);
        assert_eq!(lab.bearer(issued.token(), seconds).await.is_ok(), holds);
    }
    let who = lab.bearer(issued.token(), NOW + 99).await.unwrap();
    assert_eq!(
        lab.verbs(&who, "a/b").await,
        ["get"],
        "push was not to be had"
    );
}

#[tokio::test]
async fn a_token_for_the_catalog_shows_no_more_than_the_one_behind_it() {
    let lab = lab();
    let (secret, _) = lab.create(limits(&["team"], &["pull"]), 100).await;
    let who = lab.bearer(secret.expose(), NOW).await.unwrap();
    let issued = lab
        .gate
        .issue(&who, &[Scope::Catalog], at(NOW))
        .await
        .unwrap();
    let who = lab.bearer(issued.token(), NOW).await.unwrap();
    assert!(lab.gate.sees(&who, &repo("team/app")).await.unwrap());
    assert!(!lab.gate.sees(&who, &repo("secret/app")).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn revoked_is_refused_at_once_here_and_within_seconds_elsewhere() {
    let lab = lab();
    let (secret, token) = lab.create(limits(&[], &["pull"]), 1_000).await;
    let replica = OpaqueTokens::new(
        Arc::clone(&lab.shelf) as Arc<dyn TokenStore>,
        Settings::default(),
    );
    let replica = replica.unwrap();
    let who = lab.bearer(secret.expose(), NOW).await.unwrap();
    let issued = lab.gate.issue(&who, &[], at(NOW)).await.unwrap();
    assert!(lab.bearer(issued.token(), NOW).await.is_ok());
    assert!(
        replica
            .identify(&secret, None, at(NOW))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        lab.tokens
            .revoke(Some(&ada()), token.id(), at(NOW))
            .await
            .unwrap()
    );
    assert_spent(
        &lab.bearer(secret.expose(), NOW).await,
        &token,
        "was revoked at",
    );
    assert_spent(
        &lab.bearer(issued.token(), NOW).await,
        &token,
        "was revoked at",
    );
    tokio::time::advance(REMEMBERED_FOR).await;
    let elsewhere = replica.identify(&secret, None, at(NOW)).await;
    assert_spent(&elsewhere, &token, "was revoked at");
    let again = lab.tokens.revoke(None, token.id(), at(NOW + 1)).await;
    assert!(!again.unwrap());
    let listed = lab.tokens.list(None, None, 10).await.unwrap();
    assert!(listed.tokens.is_empty(), "{listed:?}");
}

/// It was `token`, and nothing says so to whoever has not its text.
fn assert_spent<T: fmt::Debug>(said: &Result<T, Refusal>, token: &Token, how: &str) {
    let Err(Refusal::SpentToken(spent)) = said else {
        panic!("{said:?}");
    };
    assert_eq!(spent.who().token(), Some(token.id()));
    assert_eq!(spent.who().principal(), ada().principal());
    let words = format!("token {} of user \"ada\" {how} 20", token.id());
    assert!(spent.to_string().starts_with(&words), "{spent}");
}

#[tokio::test]
async fn whose_a_token_was_is_told_to_who_has_its_text() {
    let lab = lab();
    let (secret, token) = lab.create(limits(&[], &["pull"]), 100).await;
    let who = lab.bearer(secret.expose(), NOW).await.unwrap();
    let issued = lab.gate.issue(&who, &[], at(NOW + 99)).await.unwrap();
    let ended = lab.bearer(secret.expose(), NOW + 100).await;
    assert_spent(&ended, &token, "ended at");
    // It ends no later, whatever it says itself.
    assert!(lab.bearer(issued.token(), NOW + 100).await.is_err());
    // The id alone, with a secret of one's own, is nobody's.
    let guessed = format!("slp_{}{}", token.id(), "a".repeat(32));
    let guessed = format!("{guessed}{}", text::checksum(&guessed));
    let guessed = lab.bearer(&guessed, NOW + 100).await;
    assert_eq!(guessed, Err(Refusal::BadCredential));
}

#[tokio::test]
async fn a_remembered_token_asks_nobody_and_its_use_is_noted_once_a_minute() {
    let lab = lab();
    let (secret, token) = lab.create(limits(&[], &["pull"]), 1_000).await;
    for _ in 0..100 {
        lab.bearer(secret.expose(), NOW + 5).await.unwrap();
    }
    assert_eq!(lab.shelf.asked.load(Ordering::Relaxed), 1);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let used = || lab.shelf.tokens.lock().unwrap()[token.id().as_str()].used;
    assert_eq!(used(), Some(at(NOW + 5)));
    for (seconds, noted) in [(NOW + 64, NOW + 5), (NOW + 65, NOW + 65)] {
        lab.bearer(secret.expose(), seconds).await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(used(), Some(at(noted)));
    }
}

#[tokio::test]
async fn what_is_mistyped_is_told_apart_from_what_is_unknown() {
    let lab = lab();
    let (secret, _) = lab.create(limits(&[], &["pull"]), 1_000).await;
    let text = secret.expose();
    for index in 4..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[index] = if bytes[index] == b'a' { b'b' } else { b'a' };
        let typo = String::from_utf8(bytes).unwrap();
        assert_eq!(
            lab.bearer(&typo, NOW).await,
            Err(Refusal::MistypedToken),
            "{index}"
        );
    }
    assert_eq!(
        lab.shelf.asked.load(Ordering::Relaxed),
        0,
        "nothing was looked up"
    );
    for spoilt in [
        &text[..57],
        &text[..40],
        &format!("{text}a"),
        &format!("slp_{}", text[4..].to_uppercase()),
    ] {
        let said = lab.bearer(spoilt, NOW).await;
        assert_eq!(said, Err(Refusal::MistypedToken), "{spoilt}");
    }
    for other in ["slp_", "slp_short", "xlp_", &text.to_uppercase()] {
        assert_eq!(
            lab.bearer(other, NOW).await,
            Err(Refusal::BadCredential),
            "{other}"
        );
    }
    // Another genuine text, and one with a stolen id and a secret of one's own.
    let stranger = Text::generate(Kind::Api).unwrap().into_secret();
    assert_eq!(
        lab.bearer(stranger.expose(), NOW).await,
        Err(Refusal::BadCredential)
    );
    let mut forged = format!("{}{}", &text[..20], &stranger.expose()[20..52]);
    let sum = text::checksum(&forged);
    forged.push_str(&sum);
    assert_eq!(lab.bearer(&forged, NOW).await, Err(Refusal::BadCredential));
    assert!(lab.bearer(text, NOW).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_down() {
    let lab = lab();
    let (known, _) = lab.create(limits(&[], &["pull"]), 1_000).await;
    lab.bearer(known.expose(), NOW).await.unwrap();
    let from = Some("192.0.2.1".parse().unwrap());
    let mut last = Ok(None);
    for _ in 0..150 {
        let guess = Text::generate(Kind::Api).unwrap().into_secret();
        last = lab.tokens.identify(&guess, from, at(NOW)).await;
    }
    assert!(matches!(last, Err(Refusal::Throttled { .. })), "{last:?}");
    // A token that was seen before goes on working at that address.
    tokio::time::advance(REMEMBERED_FOR).await;
    let still = lab.tokens.identify(&known, from, at(NOW)).await;
    assert!(matches!(still, Ok(Some(_))), "{still:?}");
    // One id with many secrets is found as soon, though the store knows it.
    let (secret, _) = lab.create(limits(&[], &["pull"]), 1_000).await;
    let elsewhere = Some("192.0.2.2".parse().unwrap());
    let mut last = Ok(None);
    for _ in 0..15 {
        let guess = Text::generate(Kind::Api).unwrap().into_secret();
        let mut forged = format!("{}{}", &secret.expose()[..20], &guess.expose()[20..52]);
        let sum = text::checksum(&forged);
        forged.push_str(&sum);
        last = lab
            .tokens
            .identify(&Secret::new(forged), elsewhere, at(NOW))
            .await;
    }
    assert!(matches!(last, Err(Refusal::Throttled { .. })), "{last:?}");
}

/// A login stands for its person where that is asked for; a token for images, and an API token whatever it asks, does not.
#[tokio::test]
async fn a_kept_login_acts_as_its_person_only_with_a_token_for_that() {
    let lab = lab();
    let want = || new(limits(&[], &["pull"]), 100);
    let account = Scope::parse_all(["registry:account:*"]).unwrap();
    let login = lab.gate.remember(&ada(), "docker", at(NOW)).await.unwrap();
    let login = lab
        .gate
        .redeem(&login.unwrap(), None, at(NOW))
        .await
        .unwrap();
    let (secret, _) = lab.create(limits(&[], &["pull"]), 100).await;
    let program = lab.bearer(secret.expose(), NOW).await.unwrap();
    for (who, scopes, may) in [
        (&login, &account[..], true),
        (&login, &[], false),
        (&ada(), &account[..], true),
        (&ada(), &[], false),
        (&program, &account[..], false),
    ] {
        let issued = lab.gate.issue(who, scopes, at(NOW)).await.unwrap();
        let by_issued = lab.bearer(issued.token(), NOW).await.unwrap();
        assert_eq!(by_issued.is_in_person(), may, "{who:?} {scopes:?}");
        let made = lab.tokens.create(&by_issued, want(), at(NOW)).await;
        assert_eq!(made.is_ok(), may, "{who:?} {scopes:?}: {made:?}");
        // It begets no other login: that would outlive this one.
        let further = lab.gate.remember(&by_issued, "docker", at(NOW)).await;
        assert!(further.unwrap().is_none());
        let admin = lab.gate.permit_admin(&by_issued, AdminRight::ListTokens);
        let admin = admin.await.map(drop);
        let lacks_scope = matches!(admin, Err(Refusal::InsufficientScope(_)));
        assert!(
            admin.is_err() && !(may && lacks_scope),
            "{who:?}: {admin:?}"
        );
    }
}

#[tokio::test]
async fn no_token_makes_another_and_nobody_has_too_many() {
    let lab = lab();
    let want = || new(limits(&[], &["pull"]), 100);
    let (secret, _) = lab.create(limits(&[], &["pull"]), 100).await;
    let by_token = lab.bearer(secret.expose(), NOW).await.unwrap();
    let issued = lab.gate.issue(&ada(), &[], at(NOW)).await.unwrap();
    let by_issued = lab.bearer(issued.token(), NOW).await.unwrap();
    let account = Identity::authenticated("kubernetes", "system:serviceaccount:a:b", []);
    for who in [&by_token, &by_issued, &Identity::anonymous(), &account] {
        let refused = lab.tokens.create(who, want(), at(NOW)).await;
        assert!(
            matches!(refused, Err(CreateError::NotForYou(_))),
            "{refused:?}"
        );
        let service = lab.gate.remember(who, "docker", at(NOW)).await.unwrap();
        assert!(service.is_none(), "{who:?}");
    }
    lab.create(limits(&[], &["pull"]), 100).await;
    lab.create(limits(&[], &["pull"]), 100).await;
    let full = lab.tokens.create(&ada(), want(), at(NOW)).await;
    assert_eq!(full.unwrap_err(), CreateError::TooMany(3));
    assert!(
        lab.tokens
            .create(&ada(), want(), at(NOW + 100))
            .await
            .is_ok()
    );
    for (description, seconds) in [
        ("a\nb", 1),
        (&*"x".repeat(257), 1),
        ("", 0),
        ("", 366 * 24 * 3600),
    ] {
        let wrong = NewToken {
            description: description.to_owned(),
            ..new(limits(&[], &["pull"]), seconds)
        };
        let refused = lab.tokens.create(&ada(), wrong, at(NOW)).await;
        assert!(
            matches!(refused, Err(CreateError::Invalid(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_refresh_token_is_for_the_token_endpoint_alone() {
    let lab = lab();
    let refresh = lab
        .gate
        .remember(&ada(), "docker", at(NOW))
        .await
        .unwrap()
        .unwrap();
    assert!(refresh.expose().starts_with("slr_"));
    for who in [
        lab.bearer(refresh.expose(), NOW).await,
        lab.basic(refresh.expose(), NOW).await,
    ] {
        assert_eq!(who, Err(Refusal::BadCredential));
    }
    let who = lab.gate.redeem(&refresh, None, at(NOW)).await.unwrap();
    assert_eq!(who.principal(), ada().principal());
    assert_eq!(
        lab.verbs(&who, "a/b").await.len(),
        4,
        "no limits but the owner's"
    );
    assert!(
        lab.gate
            .remember(&who, "docker", at(NOW))
            .await
            .unwrap()
            .is_none()
    );
    let other = lab
        .tokens
        .redeem(&refresh, "other.example.com", None, at(NOW))
        .await;
    assert_eq!(other, Err(Refusal::BadCredential), "bound to the service");
    let (api, _) = lab.create(limits(&[], &["pull"]), 100).await;
    assert_eq!(
        lab.gate.redeem(&api, None, at(NOW)).await,
        Err(Refusal::BadCredential)
    );
    let day = 24 * 3600;
    assert!(
        lab.gate
            .redeem(&refresh, None, at(NOW + 30 * day - 1))
            .await
            .is_ok()
    );
    assert!(
        lab.gate
            .redeem(&refresh, None, at(NOW + 30 * day))
            .await
            .is_err()
    );
    let ending = ada().ending(Some(at(NOW + 60)));
    let short = lab
        .gate
        .remember(&ending, "docker", at(NOW))
        .await
        .unwrap()
        .unwrap();
    assert!(
        lab.gate
            .redeem(&short, None, at(NOW + day / 2 - 1))
            .await
            .is_ok()
    );
    assert!(
        lab.gate
            .redeem(&short, None, at(NOW + day / 2))
            .await
            .is_err()
    );
    let issued = lab.gate.issue(&who, &[], at(NOW)).await.unwrap();
    let id = who.token().unwrap();
    assert!(lab.tokens.revoke(None, id, at(NOW)).await.unwrap());
    assert!(lab.gate.redeem(&refresh, None, at(NOW)).await.is_err());
    assert!(
        lab.bearer(issued.token(), NOW).await.is_err(),
        "what it got ends with it"
    );
}

/// An opaque token of a cluster says no more of its end than a password does.
#[tokio::test]
async fn only_a_login_whose_persons_removal_is_noticed_is_kept_for_weeks() {
    let lab = lab();
    let (half_day, month) = (12 * 3600, 30 * 24 * 3600);
    let of = |provider, groups: &[&str]| {
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        Identity::authenticated(provider, "eve", groups)
    };
    for (who, seconds) in [
        (of("htpasswd", &["devs"]), month),
        (of("cluster", &["devs"]), half_day),
        (of("cluster", &["system:authenticated:oauth"]), half_day),
        (of("htpasswd", &["system:masters"]), half_day),
    ] {
        let login = lab.gate.remember(&who, "docker", at(NOW)).await;
        let login = login.unwrap().unwrap();
        for (after, holds) in [(seconds - 1, true), (seconds, false)] {
            let redeemed = lab.gate.redeem(&login, None, at(NOW + after)).await;
            assert_eq!(redeemed.is_ok(), holds, "{who:?} after {after}");
        }
    }
}

/// A token keeps its owner's groups, and of being a cluster's administrator no longer nobody tells.
#[tokio::test]
async fn a_cluster_administrators_api_tokens_last_hours() {
    let lab = lab();
    let half_day = 12 * 3600;
    for (group, most) in [
        ("system:masters", half_day),
        ("system:authenticated:", half_day),
        ("system:authenticated:oauth", 365 * 24 * 3600),
        ("masters", 365 * 24 * 3600),
    ] {
        let who = Identity::authenticated("cluster", group, [group.to_owned()]);
        let long = new(limits(&[], &["pull"]), most + 1);
        let refused = lab.tokens.create(&who, long, at(NOW)).await;
        let Err(CreateError::Invalid(why)) = refused else {
            panic!("{group}: {refused:?}");
        };
        assert_eq!(most == half_day, why.contains(group), "{why}");
        let longest = new(limits(&[], &["pull"]), most);
        let made = lab.tokens.create(&who, longest, at(NOW)).await;
        assert_eq!(made.unwrap().1.expires(), at(NOW + most));
        let usual = NewToken {
            lifetime: None,
            ..new(limits(&[], &["pull"]), 1)
        };
        let made = lab.tokens.create(&who, usual, at(NOW)).await;
        let usual = most.min(Settings::USUAL.as_secs());
        assert_eq!(made.unwrap().1.expires(), at(NOW + usual));
    }
}

/// A password's tokens of every kind end with it, and do not come back for the next user of that name.
#[tokio::test]
async fn tokens_end_with_the_password_that_they_were_made_with() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    let line = |user: &str| format!("{user}:{}\n", bcrypt::hash("secret", 4).unwrap());
    let first = line("ada");
    std::fs::write(&file, &first).unwrap();
    let users = Arc::new(crate::Htpasswd::load(&file).unwrap());
    let issued = Tokens::load_or_create(&dir.path().join("k"), vec![], Tokens::DEFAULT_TTL);
    let shelf: Arc<dyn TokenStore> = Arc::new(Shelf::default());
    let tokens = Arc::new(OpaqueTokens::new(shelf, Settings::default()).unwrap());
    let gate = Gate::new(
        vec![Arc::clone(&users) as Arc<dyn Authenticator>],
        Arc::new(AllowAuthenticated),
        Some(Arc::new(issued.unwrap())),
        false,
    );
    let gate = gate.with_opaque(Arc::clone(&tokens));
    let password = Credential::basic("ada", Secret::new("secret".into())).unwrap();
    let ada = gate.identify(Some(&password), None, at(NOW)).await.unwrap();
    let login = gate.remember(&ada, "docker", at(NOW)).await.unwrap();
    let login = login.unwrap();
    let wanted = new(limits(&[], &["pull"]), 1_000);
    let (api, _) = tokens.create(&ada, wanted, at(NOW)).await.unwrap();
    let short = gate.issue(&ada, &[], at(NOW)).await.unwrap();
    let bearers =
        [api.expose(), short.token()].map(|text| Credential::Bearer(Secret::new(text.to_owned())));
    for (now_there, holds) in [
        (format!("{}{first}", line("eve")), true),
        (line("eve"), false),
        // The salt tells two users apart who have name and password in common.
        (line("ada"), false),
    ] {
        std::fs::write(&file, &now_there).unwrap();
        assert!(users.reload().unwrap());
        let redeemed = gate.redeem(&login, None, at(NOW)).await;
        assert_eq!(redeemed.is_ok(), holds, "{now_there}: {redeemed:?}");
        for bearer in &bearers {
            let who = gate.identify(Some(bearer), None, at(NOW)).await;
            assert_eq!(who.is_ok(), holds, "{now_there}: {who:?}");
        }
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_answer() {
    let lab = lab();
    let (secret, token) = lab.create(limits(&[], &["pull"]), 100).await;
    lab.shelf.down.store(true, Ordering::Relaxed);
    let unavailable = |refusal: Refusal| matches!(refusal, Refusal::Unavailable { .. });
    assert!(unavailable(
        lab.bearer(secret.expose(), NOW).await.unwrap_err()
    ));
    assert!(unavailable(
        lab.tokens
            .revoke(None, token.id(), at(NOW))
            .await
            .unwrap_err()
    ));
    assert!(unavailable(
        lab.tokens.list(None, None, 1).await.unwrap_err()
    ));
    lab.shelf.down.store(false, Ordering::Relaxed);
    assert!(
        lab.bearer(secret.expose(), NOW).await.is_ok(),
        "nothing of it was remembered"
    );
}

#[tokio::test]
async fn what_is_kept_and_makes_no_sense_opens_nothing() {
    for damage in [
        |token: &mut StoredToken| token.document = "{}".to_owned(),
        |token: &mut StoredToken| token.kind = "root".to_owned(),
        |token: &mut StoredToken| token.owner = "8:htpasswd:root".to_owned(),
        |token: &mut StoredToken| token.hash.truncate(31),
        |token: &mut StoredToken| token.document = token.document.replace("get", "everything"),
    ] {
        let lab = lab();
        let (secret, token) = lab.create(limits(&[], &["pull"]), 100).await;
        damage(
            lab.shelf
                .tokens
                .lock()
                .unwrap()
                .get_mut(token.id().as_str())
                .unwrap(),
        );
        assert_eq!(
            lab.bearer(secret.expose(), NOW).await,
            Err(Refusal::BadCredential)
        );
    }
}

#[test]
fn limits_are_parsed() {
    let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    for (namespaces, verbs, what) in [
        (&["Team"][..], &["pull"][..], "\"Team\""),
        (&["team/"], &["pull"], "\"team/\""),
        (&["*"], &["pull"], "\"*\""),
        (&["a"; 33], &["pull"], "at most 32"),
        (&["a"], &["fly"], "\"fly\""),
        (&["a"], &["*"], "\"*\""),
        (&["a"], &[], "without any"),
        (&["team/app"], &["pull", "build"], "name it: team"),
    ] {
        let error = Limits::new(&owned(namespaces), &owned(verbs)).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    let kept = limits(&["team/app"], &["push", "delete"]);
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(
        text,
        r#"{"namespaces":["team/app"],"verbs":["create","update","delete"]}"#
    );
    assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), kept);
    let building = limits(&["team"], &["pull", "build"]);
    let text = serde_json::to_string(&building).unwrap();
    assert_eq!(text, r#"{"namespaces":["team"],"verbs":["get","build"]}"#);
    assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), building);
}

/// A program builds where its token says so, and neither removes builds nor sets secrets; nor does it change what is
/// everybody's. What was issued for images builds nothing.
#[tokio::test]
async fn a_token_builds_in_its_namespaces_and_does_nothing_else_with_builds() {
    let lab = lab();
    let account = Scope::parse_all(["registry:account:*"]).unwrap();
    let building = [
        "create builds",
        "get builds",
        "list builds",
        "update builds",
        "get builderimages",
        "list builderimages",
    ];
    for (namespaces, verbs, places) in [
        (
            &["team", "other/app"][..],
            &["pull", "push", "build"][..],
            &["team"][..],
        ),
        (&[], &["build"], &["team", "other"]),
        (&["team"], &["pull", "push", "delete"], &[]),
    ] {
        let (secret, token) = lab.create(limits(namespaces, verbs), 100).await;
        let who = lab.bearer(secret.expose(), NOW).await.unwrap();
        let issued = lab.gate.issue(&who, &account, at(NOW));
        let issued = lab
            .bearer(issued.await.unwrap().token(), NOW)
            .await
            .unwrap();
        for right in BuildRight::ALL {
            for namespace in [Some("team"), Some("other"), Some("teamwork"), None] {
                let within = namespace.is_some_and(|namespace| {
                    places.contains(&namespace) || (namespaces.is_empty() && !places.is_empty())
                });
                let may = within && building.contains(&right.to_string().as_str());
                let what = format!("{namespaces:?} {verbs:?}: {right} in {namespace:?}");
                let permit = lab.gate.permit_build(&who, right, namespace).await;
                match permit {
                    Ok(permit) => {
                        assert!(may, "{what}");
                        assert_eq!((permit.right(), permit.namespace()), (right, namespace));
                        assert_eq!(permit.who().token(), Some(token.id()));
                    }
                    Err(Refusal::Forbidden(_)) => assert!(!may, "{what}"),
                    Err(other) => panic!("{what}: {other}"),
                }
                assert_eq!(
                    lab.gate.may_build(&who, right, namespace).await,
                    Ok(may),
                    "{what}"
                );
                let by_issued = lab.gate.permit_build(&issued, right, namespace).await;
                assert!(matches!(by_issued, Err(Refusal::Forbidden(_))), "{what}");
                assert_eq!(
                    lab.gate.may_build(&issued, right, namespace).await,
                    Ok(false)
                );
            }
        }
        lab.tokens.revoke(None, token.id(), at(NOW)).await.unwrap();
    }
}

/// Where there are users and no rules, each builds everywhere; what is everybody's has no administrator. A kept login is
/// its person, by a token for the account.
#[tokio::test]
async fn a_person_builds_by_what_they_log_in_with() {
    let lab = lab();
    let right = BuildRight::DeleteBuilds;
    let account = Scope::parse_all(["registry:account:*"]).unwrap();
    let login = lab.gate.remember(&ada(), "slipway", at(NOW)).await.unwrap();
    let login = lab
        .gate
        .redeem(&login.unwrap(), None, at(NOW))
        .await
        .unwrap();
    for (who, scopes, may) in [
        (&ada(), None, true),
        (&ada(), Some(&account[..]), true),
        (&ada(), Some(&[]), false),
        (&login, Some(&account[..]), true),
        (&login, Some(&[]), false),
    ] {
        let who = match scopes {
            None => who.clone(),
            Some(scopes) => {
                let issued = lab.gate.issue(who, scopes, at(NOW)).await.unwrap();
                lab.bearer(issued.token(), NOW).await.unwrap()
            }
        };
        let permit = lab.gate.permit_build(&who, right, Some("team")).await;
        assert_eq!(permit.is_ok(), may, "{who:?}: {permit:?}");
        let lacks_scope = matches!(permit, Err(Refusal::InsufficientScope(_)));
        assert_eq!(lacks_scope, !may, "{who:?}");
        let of_all = lab.gate.permit_build(&who, right, None).await;
        assert!(of_all.is_err(), "{who:?}");
    }
    let stranger = Identity::anonymous();
    let refused = lab.gate.permit_build(&stranger, right, Some("team")).await;
    assert_eq!(refused.unwrap_err(), Refusal::Anonymous);
    let open = Gate::open().permit_build(&stranger, right, None).await;
    assert!(open.is_ok(), "where nobody is asked, everybody may");
}

/// Who vouched for the owner is configured no more: a namesake whom somebody else vouches for is another person.
#[tokio::test]
async fn tokens_end_with_whoever_vouched_for_their_owners() {
    let lab = lab();
    let bob = Identity::authenticated("kubernetes", "ada", []);
    let made = lab
        .tokens
        .create(&bob, new(limits(&[], &["pull"]), 100), at(NOW));
    let (secret, _) = made.await.unwrap();
    assert_eq!(
        lab.bearer(secret.expose(), NOW).await,
        Err(Refusal::BadCredential)
    );
    let issued = lab.gate.issue(&bob, &[], at(NOW)).await.unwrap();
    assert_eq!(
        lab.bearer(issued.token(), NOW).await,
        Err(Refusal::BadCredential)
    );
}

#[tokio::test]
async fn a_person_who_is_not_there_has_the_rights_of_when_they_were() {
    let lab = lab();
    let who = ada().with_extra(
        Some("7".into()),
        BTreeMap::from([("key".to_owned(), vec!["value".to_owned()])]),
    );
    let proof = lab.gate.proof(&who, at(NOW)).unwrap();
    assert!(proof.get("until").is_none(), "her removal is noticed");
    let again = lab.gate.identity_of(&proof, at(NOW + (1 << 30))).await;
    assert_eq!(again.unwrap(), who);
}

/// Clusters and providers of OpenID Connect do not say who has left.
#[tokio::test]
async fn a_proof_of_whose_removal_nobody_tells_ends() {
    let lab = lab();
    let year = Settings::default().max_lifetime.as_secs();
    let of = |name: &str, group: &str| Identity::authenticated("cluster", name, [group.to_owned()]);
    for (who, life) in [
        (of("bob", "devs"), year),
        (of("root", "system:masters"), 12 * 3600),
        (
            of("system:serviceaccount:team:ci", "system:serviceaccounts"),
            year,
        ),
    ] {
        let proof = lab.gate.proof(&who, at(NOW)).unwrap();
        let before = lab.gate.identity_of(&proof, at(NOW + life - 1)).await;
        assert_eq!(before.unwrap(), who);
        let after = lab.gate.identity_of(&proof, at(NOW + life)).await;
        assert_eq!(after, Err(Refusal::BadCredential), "{}", who.name());
    }
}

#[tokio::test]
async fn what_is_done_by_an_api_token_is_within_it_and_ends_with_it() {
    let lab = lab();
    let (secret, token) = lab.create(limits(&["team"], &["pull"]), 100).await;
    let who = lab.bearer(secret.expose(), NOW).await.unwrap();
    let proof = lab.gate.proof(&who, at(NOW)).unwrap();
    assert!(!proof.to_string().contains(secret.expose()));
    let again = lab.gate.identity_of(&proof, at(NOW + 99)).await.unwrap();
    assert_eq!(again.principal(), ada().principal());
    assert_eq!(lab.verbs(&again, "team/app").await, ["get"]);
    assert_eq!(lab.verbs(&again, "other/app").await, [""; 0]);
    let ended = lab.gate.identity_of(&proof, at(NOW + 100)).await;
    assert!(matches!(ended, Err(Refusal::SpentToken(_))), "{ended:?}");
    lab.tokens
        .revoke(None, token.id(), at(NOW + 1))
        .await
        .unwrap();
    let revoked = lab.gate.identity_of(&proof, at(NOW + 1)).await;
    assert!(
        matches!(revoked, Err(Refusal::SpentToken(_))),
        "{revoked:?}"
    );
}

#[tokio::test]
async fn no_answer_about_the_token_of_a_proof_is_neither_yes_nor_no() {
    let lab = lab();
    let (_, token) = lab.create(limits(&[], &["pull"]), 100).await;
    let who = ada().by_token(token.id().clone(), Kind::Api, Limits::none(), None);
    let proof = lab.gate.proof(&who, at(NOW)).unwrap();
    lab.shelf.down.store(true, Ordering::Relaxed);
    let later = lab.gate.identity_of(&proof, at(NOW)).await;
    assert!(
        matches!(later, Err(Refusal::Unavailable { .. })),
        "{later:?}"
    );
}

/// Logging out ends the login, not what was asked for by it.
#[tokio::test]
async fn a_login_is_the_person() {
    let lab = lab();
    let login = lab.gate.remember(&ada(), "cli", at(NOW)).await;
    let login = login.unwrap().unwrap();
    let who = lab.gate.redeem(&login, None, at(NOW)).await.unwrap();
    let proof = lab.gate.proof(&who, at(NOW)).unwrap();
    let id = who.token().unwrap();
    lab.tokens.revoke(None, id, at(NOW)).await.unwrap();
    let again = lab.gate.identity_of(&proof, at(NOW)).await;
    assert_eq!(again.unwrap(), ada());
}

#[tokio::test]
async fn a_token_for_some_images_does_nothing_when_nobody_is_there() {
    let lab = lab();
    let issue = async |scope: &str| {
        let scopes = Scope::parse_all([scope]).unwrap();
        let issued = lab.gate.issue(&ada(), &scopes, at(NOW)).await.unwrap();
        lab.bearer(issued.token(), NOW).await.unwrap()
    };
    let for_images = issue("repository:team/app:pull").await;
    assert_eq!(lab.gate.proof(&for_images, at(NOW)), None);
    let in_person = issue("registry:account:*").await;
    let proof = lab.gate.proof(&in_person, at(NOW)).unwrap();
    let again = lab.gate.identity_of(&proof, at(NOW)).await;
    assert_eq!(again.unwrap(), ada(), "with all that she may do");
}

#[tokio::test]
async fn what_is_no_proof_proves_nothing() {
    let lab = lab();
    let proof = lab.gate.proof(&ada(), at(NOW)).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut changed = proof.clone();
        changed[key] = value;
        changed
    };
    for changed in [
        serde_json::Value::Null,
        serde_json::json!({}),
        with("name", "".into()),
        with("groups", "devs".into()),
        with("provider", "elsewhere".into()),
        // Strangers do not come in here.
        with("provider", "".into()),
        with("token", "nonsense".into()),
        with("until", (NOW - 1).into()),
    ] {
        let found = lab.gate.identity_of(&changed, at(NOW)).await;
        assert_eq!(found, Err(Refusal::BadCredential), "{changed}");
    }
    let open = Gate::open();
    let proof = open.proof(&Identity::anonymous(), at(NOW)).unwrap();
    assert!(
        open.identity_of(&proof, at(NOW))
            .await
            .unwrap()
            .is_anonymous()
    );
    let guarded = lab.gate.identity_of(&proof, at(NOW)).await;
    assert_eq!(
        guarded,
        Err(Refusal::BadCredential),
        "the gate was closed since"
    );
}
