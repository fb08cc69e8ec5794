//! What went wrong in other registries and their neighbours, tried here: one test for each, named by its id, over the
//! public API with a real password file, real rules and real tokens.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::rbac::Resource;
use auth::{
    Action, Credential, Delete, Gate, Htpasswd, Identity, Pull, Push, Rbac, Refusal, Retag, Scope,
    Secret, Tokens,
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oci::RepoName;
use tempfile::TempDir;

const NOW: u64 = 2_000_000_000;

struct Lab {
    dir: TempDir,
    users: Arc<Htpasswd>,
    rules: Arc<Rbac>,
    gate: Arc<Gate>,
}

/// `user role namespace`
fn binding(user: &str, role: &str, namespace: &str) -> String {
    format!(
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
         metadata: {{name: {user}-{role}, namespace: {namespace}}}\n\
         roleRef: {{kind: ClusterRole, name: {role}}}\nsubjects: [{{kind: User, name: {user}}}]\n"
    )
}

const CREATOR: &str = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: creator}\n\
     rules: [{apiGroups: [registry.alauda.io], resources: [images], verbs: [get, create]}]\n";

fn password_line(user: &str, password: &str) -> String {
    format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
}

/// Users whose password is their name.
fn lab(users: &[&str], rules: &str) -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let lines: String = users.iter().map(|user| password_line(user, user)).collect();
    fs::write(at("users"), lines).unwrap();
    fs::create_dir(at("rules")).unwrap();
    fs::write(at("rules/rules.yaml"), rules).unwrap();
    let users = Arc::new(Htpasswd::load(&at("users")).unwrap());
    let rules = Arc::new(Rbac::load(&at("rules"), Resource::default()).unwrap());
    let tokens = Tokens::load_or_create(&at("keys.pem"), vec![], Tokens::DEFAULT_TTL).unwrap();
    let gate = Gate::new(
        vec![users.clone()],
        rules.clone(),
        Some(Arc::new(tokens)),
        false,
    );
    Lab {
        dir,
        users,
        rules,
        gate: Arc::new(gate),
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn repo(name: &str) -> RepoName {
    RepoName::parse(name).unwrap()
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::parse(format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
    .unwrap()
    .unwrap()
}

fn bearer(token: &str) -> Credential {
    Credential::Bearer(Secret::new(token.to_owned()))
}

impl Lab {
    async fn login(&self, user: &str, password: &str) -> Result<Identity, Refusal> {
        let from = Some("192.0.2.1".parse().unwrap());
        self.gate
            .identify(Some(&basic(user, password)), from, at(NOW))
            .await
    }

    async fn present(&self, token: &str) -> Result<Identity, Refusal> {
        self.gate
            .identify(Some(&bearer(token)), None, at(NOW))
            .await
    }

    async fn issued(&self, user: &str, scopes: &[&str]) -> String {
        let who = self.login(user, user).await.unwrap();
        let scopes = Scope::parse_all(scopes.iter().copied()).unwrap();
        self.gate
            .issue(&who, &scopes, at(NOW))
            .await
            .unwrap()
            .token()
            .to_owned()
    }

    /// The last token's header and payload, for forging.
    async fn parts(&self) -> (serde_json::Value, serde_json::Value) {
        let token = self.issued("alice", &["repository:team/app:pull"]).await;
        let part = |index| {
            let part = token.split('.').nth(index).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        (part(0), part(1))
    }

    async fn refuses(&self, token: &str, what: &str) {
        assert_eq!(
            self.present(token).await,
            Err(Refusal::BadCredential),
            "{what}"
        );
    }
}

fn sign(key: &Ed25519KeyPair, header: &serde_json::Value, claims: &serde_json::Value) -> String {
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    format!(
        "{text}.{}",
        URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()))
    )
}

/// Distribution trusted the key that the token brought along. (GHSA-phw4-mc57-4hwc)
#[tokio::test]
async fn cve_2025_24976_a_token_does_not_bring_its_own_key() {
    let lab = lab(&["alice"], &binding("alice", "view", "team"));
    let (header, claims) = lab.parts().await;
    let key = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(key.public_key());
    for (field, value) in [
        (
            "jwk",
            serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
        ),
        (
            "x5c",
            serde_json::json!([STANDARD.encode(key.public_key())]),
        ),
        ("jku", "https://evil.example/jwks".into()),
        ("x5u", "https://evil.example/cert".into()),
    ] {
        let mut header = header.clone();
        header[field] = value;
        lab.refuses(&sign(&key, &header, &claims), field).await;
        header["kid"] = "../../etc/passwd".into();
        lab.refuses(&sign(&key, &header, &claims), field).await;
    }
    lab.refuses(
        &sign(&key, &header, &claims),
        "our key's id, another's signature",
    )
    .await;
}

/// `MinIO` let the token choose the algorithm.
#[tokio::test]
async fn cve_2026_33322_a_token_does_not_choose_its_algorithm() {
    let lab = lab(&["alice"], "");
    let (mut header, claims) = lab.parts().await;
    let pem = fs::read_to_string(lab.dir.path().join("keys.pem")).unwrap();
    for alg in ["none", "HS256", "HS384", "HS512", "RS256", "ES256"] {
        header["alg"] = alg.into();
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        lab.refuses(&format!("{text}."), alg).await;
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, pem.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
        lab.refuses(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag)), alg)
            .await;
    }
}

/// jwt-go took an empty list of audiences for every audience; telemeter did not look at the issuer (CVE-2024-5037).
#[tokio::test]
async fn cve_2020_26160_audience_issuer_and_times_are_looked_at() {
    let lab = lab(&["alice"], "");
    let (header, claims) = lab.parts().await;
    let pem = fs::read(lab.dir.path().join("keys.pem")).unwrap();
    let der =
        <rustls_pki_types::PrivatePkcs8KeyDer as rustls_pki_types::pem::PemObject>::from_pem_slice(
            &pem,
        )
        .unwrap();
    let key = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    assert!(lab.present(&sign(&key, &header, &claims)).await.is_ok());
    for (field, value) in [
        ("aud", serde_json::json!([])),
        ("aud", "other".into()),
        ("aud", "".into()),
        ("iss", "other".into()),
        ("exp", serde_json::Value::Null),
        ("exp", 1e18.into()),
        ("exp", NOW.into()),
        ("nbf", (NOW + 60).into()),
    ] {
        let mut claims = claims.clone();
        claims[field] = value.clone();
        lab.refuses(&sign(&key, &header, &claims), &format!("{field} {value}"))
            .await;
    }
}

/// golang-jwt split without bound, and CVE-2025-27144, GHSA-2c7c-3mj9-8fqh, CVE-2024-28180, CVE-2026-34986 and
/// CVE-2025-66506 likewise.
#[tokio::test]
async fn cve_2025_30204_large_and_odd_tokens_cost_nothing() {
    let lab = lab(&["alice"], "");
    let jwe = URL_SAFE_NO_PAD
        .encode(r#"{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","zip":"DEF","p2c":4294967295}"#);
    for token in [
        ".".repeat(1 << 20),
        "a.".repeat(1 << 19),
        "a".repeat(1 << 20),
        ".".repeat(60_000),
        format!("{jwe}.a.b.c.d"),
        format!("{jwe}.."),
        "{}".into(),
        format!("{}.e30.e30", URL_SAFE_NO_PAD.encode("[".repeat(20_000))),
    ] {
        lab.refuses(&token, &format!("{token:.20}")).await;
        let header = Credential::parse(format!("Bearer {token}"));
        assert!(
            token.len() <= 64 * 1024 || header.is_err(),
            "longer than any header may be"
        );
    }
}

/// zot kept the groups of an earlier login. Here what rules and users say now counts at each request, and groups that
/// another provider vouched for end with the token.
#[tokio::test]
async fn cve_2025_23208_taken_away_is_gone() {
    let lab = lab(&["alice", "bob"], &binding("alice", "edit", "team"));
    let token = lab
        .issued("alice", &["repository:team/app:pull,push"])
        .await;
    let who = lab.present(&token).await.unwrap();
    assert!(
        lab.gate
            .permit::<Push>(&who, &repo("team/app"))
            .await
            .is_ok()
    );
    fs::write(
        lab.dir.path().join("rules/rules.yaml"),
        binding("alice", "view", "team"),
    )
    .unwrap();
    assert!(lab.rules.reload().unwrap());
    assert!(
        lab.gate
            .permit::<Pull>(&who, &repo("team/app"))
            .await
            .is_ok()
    );
    let refusal = lab
        .gate
        .permit::<Push>(&who, &repo("team/app"))
        .await
        .unwrap_err();
    assert!(matches!(refusal, Refusal::Forbidden(_)), "{refusal:?}");
    fs::write(lab.dir.path().join("users"), password_line("bob", "bob")).unwrap();
    assert!(lab.users.reload().unwrap());
    lab.refuses(&token, "a removed user's token").await;
    assert_eq!(
        lab.login("alice", "alice").await,
        Err(Refusal::BadCredential)
    );
    let end = lab
        .gate
        .identify(Some(&bearer(&token)), None, at(NOW + 300))
        .await;
    assert_eq!(end, Err(Refusal::BadCredential));
}

/// Traefik answered two requests that shared a key with one identity.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2026_71326_nobody_gets_anothers_identity() {
    let lab = lab(&["a", "ab", "b"], "");
    fs::write(
        lab.dir.path().join("users"),
        [
            password_line("a", "b:c"),
            password_line("ab", "c"),
            password_line("b", "b"),
        ]
        .concat(),
    )
    .unwrap();
    assert!(lab.users.reload().unwrap());
    // No user can be called "a:b", whose pair with "c" would read like that of "a" with "b:c".
    let smuggled = Credential::basic("a:b", Secret::new("c".into()));
    assert_eq!(smuggled.unwrap_err(), Refusal::BadCredential);
    let mut clients = Vec::new();
    for n in 0..100_000u32 {
        let gate = Arc::clone(&lab.gate);
        clients.push(tokio::spawn(async move {
            // From addresses of their own, so that none is throttled.
            let from = Some(std::net::Ipv4Addr::from(n).into());
            let (credential, expected) = match n % 8 {
                0..3 => (basic("a", "b:c"), Some("a")),
                3..5 => (basic("ab", "c"), Some("ab")),
                // Its two parts, joined, read like those of the first.
                _ if n % 1000 == 7 => (basic("ab", ":c"), None),
                _ => (basic("b", "b"), Some("b")),
            };
            let who = gate.identify(Some(&credential), from, at(NOW)).await;
            assert_eq!(who.ok().as_ref().map(Identity::name), expected);
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
}

/// A file of users that changes under load drops nobody whom both states know.
#[tokio::test(flavor = "multi_thread")]
async fn t57_reloading_drops_no_request() {
    let lab = lab(&["alice"], "");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..4u8)
        .map(|n| {
            let (gate, stop) = (Arc::clone(&lab.gate), Arc::clone(&stop));
            tokio::spawn(async move {
                let (credential, mut served) = (basic("alice", "alice"), 0);
                let from = Some(std::net::Ipv4Addr::new(192, 0, 2, n).into());
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    gate.identify(Some(&credential), from, at(NOW))
                        .await
                        .unwrap();
                    served += 1;
                    tokio::task::yield_now().await;
                }
                served
            })
        })
        .collect();
    let users = lab.dir.path().join("users");
    let alice = fs::read_to_string(&users).unwrap();
    for n in 0..100 {
        let next = lab.dir.path().join("next");
        fs::write(
            &next,
            format!("{alice}{}", password_line(&format!("user{n}"), "x")),
        )
        .unwrap();
        fs::rename(&next, &users).unwrap();
        assert!(lab.users.reload().unwrap());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

/// Gitea kept the first decision of a connection for all that followed.
#[tokio::test]
async fn cve_2026_27775_each_question_has_its_own_answer() {
    let rules = [
        binding("alice", "view", "team"),
        binding("bob", "admin", "team"),
        binding("alice", "admin", "own"),
    ]
    .concat();
    let lab = lab(&["alice", "bob"], &rules);
    let (alice, bob) = (
        lab.login("alice", "alice").await.unwrap(),
        lab.login("bob", "bob").await.unwrap(),
    );
    for _ in 0..3 {
        assert!(
            lab.gate
                .permit::<Delete>(&bob, &repo("team/app"))
                .await
                .is_ok()
        );
        assert!(
            lab.gate
                .permit::<Delete>(&alice, &repo("team/app"))
                .await
                .is_err()
        );
        assert!(
            lab.gate
                .permit::<Pull>(&alice, &repo("team/app"))
                .await
                .is_ok()
        );
        assert!(
            lab.gate
                .permit::<Push>(&alice, &repo("team/app"))
                .await
                .is_err()
        );
        assert!(
            lab.gate
                .permit::<Delete>(&alice, &repo("own/app"))
                .await
                .is_ok()
        );
        assert!(
            lab.gate
                .permit::<Pull>(&bob, &repo("own/app"))
                .await
                .is_err()
        );
    }
}

/// T14: Harbor, Dragonfly (CVE-2025-59350), osin (CVE-2021-4294) and Traefik (CVE-2026-32595, CVE-2026-41263) told by the
/// time whether a user exists. The time is that of bcrypt, so what is counted is its runs.
#[tokio::test]
async fn t14_cve_2023_20902_unknown_users_cost_as_much_as_known_ones() {
    let lab = lab(&["alice"], "");
    for (n, user) in (1..).zip(["alice", "nobody", "root", "alice", "admin"]) {
        assert_eq!(
            lab.login(user, &format!("wrong {n}")).await,
            Err(Refusal::BadCredential)
        );
        assert_eq!(lab.users.checks(), n, "{user}");
    }
}

/// T16: Harbor had a default password; `MinIO` did not slow down guessing (CVE-2026-33419).
#[tokio::test]
async fn t16_cve_2026_4404_no_default_password_and_no_guessing() {
    let lab = lab(&[], "");
    for (user, password) in [
        ("admin", "Harbor12345"),
        ("admin", "admin"),
        ("minioadmin", "minioadmin"),
    ] {
        assert_eq!(lab.login(user, password).await, Err(Refusal::BadCredential));
    }
    let mut outcomes = Vec::new();
    for n in 0..50 {
        outcomes.push(lab.login("admin", &n.to_string()).await);
    }
    assert!(
        outcomes
            .iter()
            .any(|outcome| matches!(outcome, Err(Refusal::Throttled { .. })))
    );
    assert!(
        lab.users.checks() < 20,
        "{} passwords hashed",
        lab.users.checks()
    );
}

/// Harbor let a request set fields that were not its own.
#[tokio::test]
async fn cve_2019_16097_fields_that_do_not_belong_are_refused() {
    let lab = lab(&["alice"], "");
    let good = binding("alice", "view", "team");
    for bad in [
        good.clone() + "admin: true\n",
        good.replace("{kind: User", "{isAdmin: true, kind: User"),
    ] {
        fs::write(lab.dir.path().join("rules/rules.yaml"), &bad).unwrap();
        assert!(
            lab.rules
                .reload()
                .unwrap_err()
                .to_string()
                .contains("unknown field"),
            "{bad}"
        );
    }
}

/// T16: Quay compared the first 72 bytes of a password.
#[tokio::test]
async fn t16_cve_2024_9683_the_73rd_byte_matters() {
    let lab = lab(&[], "");
    let full = "p".repeat(72);
    fs::write(lab.dir.path().join("users"), password_line("alice", &full)).unwrap();
    lab.users.reload().unwrap();
    assert!(lab.login("alice", &full).await.is_ok());
    for longer in [format!("{full}p"), format!("{full}x"), full.repeat(10)] {
        assert_eq!(
            lab.login("alice", &longer).await,
            Err(Refusal::BadCredential)
        );
    }
    let mut file = auth::htpasswd::File::load(&lab.dir.path().join("new")).unwrap();
    assert!(
        file.set_password("alice", &Secret::new(format!("{full}p")))
            .is_err()
    );
}

/// Distribution deleted tags where deleting was switched off: it is a right of its own.
#[tokio::test]
async fn cve_2026_41888_who_may_push_may_not_delete() {
    let lab = lab(&["alice"], &binding("alice", "edit", "team"));
    let who = lab.login("alice", "alice").await.unwrap();
    assert!(
        lab.gate
            .permit::<Retag>(&who, &repo("team/app"))
            .await
            .is_ok()
    );
    let refusal = lab
        .gate
        .permit::<Delete>(&who, &repo("team/app"))
        .await
        .unwrap_err();
    assert!(matches!(refusal, Refusal::Forbidden(_)), "{refusal:?}");
}

/// zot took moving a tag for making one.
#[tokio::test]
async fn cve_2026_31801_who_may_only_create_moves_no_tag() {
    let lab = lab(
        &["alice"],
        &(CREATOR.to_owned() + &binding("alice", "creator", "team")),
    );
    let password = lab.login("alice", "alice").await.unwrap();
    let token = lab
        .issued(
            "alice",
            &["repository:team/app:pull,push", "repository:team/app:*"],
        )
        .await;
    let token = lab.present(&token).await.unwrap();
    for who in [password, token] {
        assert!(
            lab.gate
                .permit::<Push>(&who, &repo("team/app"))
                .await
                .is_ok()
        );
        assert!(
            lab.gate
                .permit::<Retag>(&who, &repo("team/app"))
                .await
                .is_err()
        );
    }
}

/// Quay let anybody with a push right anywhere use anybody's upload: uploads belong to a principal, which is this.
#[tokio::test]
async fn cve_2026_32589_a_principal_is_one_user() {
    let lab = lab(&["alice", "bob"], "");
    let (alice, bob) = (
        lab.login("alice", "alice").await.unwrap(),
        lab.login("bob", "bob").await.unwrap(),
    );
    let token = lab.present(&lab.issued("alice", &[]).await).await.unwrap();
    assert_eq!(alice.principal(), token.principal());
    assert_ne!(alice.principal(), bob.principal());
    assert_ne!(alice.principal(), Identity::anonymous().principal());
    let elsewhere = Identity::authenticated("kubernetes", "alice", []);
    assert_ne!(alice.principal(), elsewhere.principal());
}

/// gRPC-Go and others checked one spelling of a path and served another: a permit names what was checked, and only one
/// spelling parses.
#[tokio::test]
async fn cve_2026_33186_a_name_has_one_spelling() {
    let lab = lab(&["alice"], &binding("alice", "view", "team"));
    let who = lab.login("alice", "alice").await.unwrap();
    for other in [
        "Team/app",
        "/team/app",
        "team//app",
        "team/./app",
        "team/../team/app",
        "team%2fapp",
        "team/app/",
        "team/app;x",
        " team/app",
    ] {
        assert!(RepoName::parse(other).is_err(), "{other}");
    }
    let permit = lab
        .gate
        .permit::<Pull>(&who, &repo("team/app"))
        .await
        .unwrap();
    assert_eq!(permit.repo().as_str(), "team/app");
}

/// Gitea held tokens to their scope only on some ways in (and CVE-2026-28744, -28699, -20706, -27761, -56654).
#[tokio::test]
async fn cve_2025_68944_a_scope_holds_for_every_verb_and_the_catalog() {
    let lab = lab(&["alice"], &binding("alice", "admin", "team"));
    for (asked, allowed) in [
        ("pull", [true, false, false, false]),
        ("push", [false, true, true, false]),
        ("delete", [false, false, false, true]),
        ("", [false; 4]),
    ] {
        let token = lab
            .issued("alice", &[&format!("repository:team/app:{asked}")])
            .await;
        let who = lab.present(&token).await.unwrap();
        for (name, here) in [
            ("team/app", true),
            ("team/other", false),
            ("team", false),
            ("team/app/x", false),
        ] {
            let name = repo(name);
            let got = [
                lab.gate.permit::<Pull>(&who, &name).await.is_ok(),
                lab.gate.permit::<Push>(&who, &name).await.is_ok(),
                lab.gate.permit::<Retag>(&who, &name).await.is_ok(),
                lab.gate.permit::<Delete>(&who, &name).await.is_ok(),
            ];
            assert_eq!(
                got,
                allowed.map(|allowed| allowed && here),
                "{asked} {name}"
            );
            assert_eq!(
                lab.gate.sees(&who, &name).await,
                Ok(allowed[0] && here),
                "{asked} {name}"
            );
        }
    }
}

/// A token for `a` used on `a/b`, wildcards, and repeated names.
#[tokio::test]
async fn scope_confusion_has_no_prefix_and_no_wildcard() {
    let lab = lab(
        &["alice"],
        &[
            binding("alice", "admin", "a"),
            binding("alice", "admin", "b"),
        ]
        .concat(),
    );
    for scope in [
        "repository:*:pull",
        "repository:a/*:pull",
        "repository:a/:pull",
        "repository::pull",
    ] {
        assert!(Scope::parse(scope).is_err(), "{scope}");
    }
    let token = lab.issued("alice", &["repository:a:*"]).await;
    let who = lab.present(&token).await.unwrap();
    let access = who.access().unwrap();
    for action in Action::ALL {
        assert!(access.allows(action, &repo("a")));
        for other in ["a/b", "a/a", "b", "b/a", "aa", "a-b"] {
            assert!(!access.allows(action, &repo(other)), "{action} {other}");
        }
    }
}
