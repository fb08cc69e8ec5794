//! Who may do what, over the wire: every operation for every kind of caller, and what a stranger
//! may learn.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use oci::{Algorithm, Digest, Operation};
use support::{Answer, MANIFEST, Server, Setup, Who, image, request};

/// What an operation needs, as DESIGN's table of verbs has it. Exhaustive: a new operation does
/// not compile without a line here.
fn needs(operation: &Operation) -> &'static str {
    match operation {
        Operation::Base | Operation::Catalog { .. } => "",
        Operation::GetBlob { .. }
        | Operation::HeadBlob { .. }
        | Operation::GetManifest { .. }
        | Operation::HeadManifest { .. }
        | Operation::ListTags { .. }
        | Operation::Referrers { .. } => "get",
        Operation::StartUpload { .. }
        | Operation::UploadStatus { .. }
        | Operation::PatchUpload { .. }
        | Operation::FinishUpload { .. }
        | Operation::CancelUpload { .. }
        | Operation::PutManifest { .. } => "create",
        Operation::DeleteBlob { .. } | Operation::DeleteManifest { .. } => "delete",
    }
}

/// What the users of the rules may do in `team`.
const VERBS: [(&str, &[&str]); 6] = [
    ("puller", &["get"]),
    ("pusher", &["get", "create", "update"]),
    ("creator", &["get", "create"]),
    ("pruner", &["get", "delete"]),
    ("root", &["get", "create", "update", "delete"]),
    ("other", &[]),
];

/// The examples' paths, with their repositories moved into `namespace`.
fn examples(namespace: &str) -> Vec<(Operation, Method, String)> {
    Operation::examples()
        .into_iter()
        .map(|operation| {
            let (method, mut path) = operation.request_line();
            if let Some(repo) = operation.repo() {
                path = path.replacen(&format!("/v2/{repo}/"), &format!("/v2/{namespace}/app/"), 1);
            }
            (operation, method, path)
        })
        .collect()
}

/// Refused for want of rights, whatever the status of a request that gets through may be.
fn refused(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN
}

/// T22, CVE-2020-29662, CVE-2016-1906, CVE-2015-7561: no operation is on a path that nobody guards, the catalog neither.
#[tokio::test(flavor = "multi_thread")]
async fn t22_every_operation_asks_for_its_verb() {
    let server = Server::guarded().await;
    for (operation, method, path) in examples("team") {
        for (user, verbs) in VERBS {
            let answer = server
                .ask(method.clone(), &path, &Who::User(user), b"")
                .await;
            let allowed = needs(&operation).is_empty() || verbs.contains(&needs(&operation));
            let line = format!("{user}: {method} {path}: {}", answer.status);
            assert_eq!(!refused(answer.status), allowed, "{line}");
            if !allowed {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{line}");
            }
        }
        // A wrong password once: more of them are throttled, which tests of `auth` look at.
        let wrong = (operation == Operation::Base).then_some(Who::Wrong("root"));
        let others = [Who::Nobody, Who::Token("x.y.z".into())];
        for who in others.into_iter().chain(wrong) {
            let answer = server.ask(method.clone(), &path, &who, b"").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{who:?}: {path}");
            let challenge = answer.header("www-authenticate");
            assert!(
                challenge.starts_with("Bearer realm=\"http://registry.test/auth/token\",service="),
                "{challenge}"
            );
        }
    }
}

async fn token(server: &Server, user: &'static str, scope: &str) -> String {
    let path = format!("/auth/token?service=slipway&scope={scope}");
    let answer = server.ask(Method::GET, &path, &Who::User(user), b"").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// T26: by an API token every operation asks for the verb of its owner, and for the token's.
#[tokio::test(flavor = "multi_thread")]
async fn t26_every_operation_asks_for_the_verb_of_an_api_token_and_of_its_owner() {
    let server = Server::guarded().await;
    let all = ["get", "create", "update", "delete"];
    let limits: [(&[&str], &[&str]); 4] = [
        (&[], &all),
        (&["team"], &["pull"]),
        (&["team"], &["push"]),
        (&["other"], &all),
    ];
    for (user, verbs) in VERBS {
        for (namespaces, may) in limits {
            let token = server.api_token(user, namespaces, may).await;
            let granted: &[&str] = match may {
                ["pull"] => &["get"],
                ["push"] => &["create", "update"],
                all => all,
            };
            for (operation, method, path) in examples("team") {
                let needed = needs(&operation);
                let is_within = namespaces.is_empty() || namespaces == ["team"];
                let is_granted = granted.contains(&needed);
                let owner_may = verbs.contains(&needed);
                let allowed = needed.is_empty() || (owner_may && is_within && is_granted);
                for who in [Who::Token(token.clone()), Who::Password(token.clone())] {
                    let answer = server.ask(method.clone(), &path, &who, b"").await;
                    let line = format!(
                        "{user} {namespaces:?} {may:?}: {method} {path}: {}",
                        answer.status
                    );
                    assert_eq!(!refused(answer.status), allowed, "{line}");
                }
            }
        }
    }
}

/// A client that asks for exactly what the challenge names can mount.
#[tokio::test(flavor = "multi_thread")]
async fn the_challenge_to_a_mount_names_the_source_too() {
    let server = Server::guarded().await;
    let root = Who::User("root");
    let digest = server.push_blob("other/app", b"layer", &root).await;
    let path = format!("/v2/team/app/blobs/uploads/?mount={digest}&from=other/app");
    let refused = server.ask(Method::POST, &path, &Who::Nobody, b"").await;
    let challenge = refused.header("www-authenticate");
    let (_, scope) = challenge.split_once("scope=\"").unwrap();
    let (scope, _) = scope.split_once('"').unwrap();
    assert_eq!(
        scope,
        "repository:team/app:pull,push repository:other/app:pull"
    );
    let scope = scope.replace(' ', "%20");
    let who = Who::Token(token(&server, "root", &scope).await);
    let mounted = server.ask(Method::POST, &path, &who, b"").await;
    assert_eq!(mounted.status, StatusCode::CREATED, "{mounted:?}");
}

/// T26: a token holds for what it was issued for, and nothing that looks like it.
#[tokio::test(flavor = "multi_thread")]
async fn t26_a_token_holds_for_its_scope_only() {
    let server = Server::guarded().await;
    let scopes = [
        ("repository:team/app:pull", true, false, false),
        ("repository:team/app:pull,push", true, true, false),
        ("repository:team/app:delete", false, false, true),
        ("repository:team/app:*", true, true, true),
        ("repository:team:pull,push,delete", false, false, false),
        (
            "repository:team/app/x:pull,push,delete",
            false,
            false,
            false,
        ),
        ("repository:team/ap:pull,push,delete", false, false, false),
        ("registry:catalog:*", false, false, false),
    ];
    for (scope, pull, push, delete) in scopes {
        let who = Who::Token(token(&server, "root", scope).await);
        for (operation, method, path) in examples("team") {
            let allowed = match needs(&operation) {
                "get" => pull,
                "create" => push,
                "delete" => delete,
                _ => true,
            };
            let answer = server.ask(method.clone(), &path, &who, b"").await;
            let line = format!("{scope}: {method} {path}: {}", answer.status);
            assert_eq!(!refused(answer.status), allowed, "{line}");
            if !allowed {
                let challenge = answer.header("www-authenticate");
                assert!(challenge.contains("insufficient_scope"), "{line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_grants_no_more_than_its_user_has() {
    let server = Server::guarded().await;
    let who = Who::Token(token(&server, "puller", "repository:team/app:pull,push,delete").await);
    for (operation, method, path) in examples("team") {
        let allowed = matches!(needs(&operation), "" | "get");
        let answer = server.ask(method, &path, &who, b"").await;
        assert_eq!(!refused(answer.status), allowed, "{path}");
    }
}

/// A refusal can be acted on: it says who lacks which verb where. Not to strangers, not even to those with a token.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_user_verb_and_place() {
    let server = Server::start(Setup {
        guarded: true,
        anonymous: true,
        ..Setup::default()
    })
    .await;
    let path = "/v2/team/app/blobs/uploads/";
    let message = async |who: &Who| {
        let answer = server.ask(Method::POST, path, who, b"").await;
        assert!(refused(answer.status), "{answer:?}");
        answer.json()["errors"][0]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let denied = r#"user "puller" may not create images in namespace "team" (repository team/app)"#;
    assert_eq!(message(&Who::User("puller")).await, denied);
    let narrow = token(&server, "puller", "repository:team/app:pull,push").await;
    assert_eq!(message(&Who::Token(narrow)).await, denied);
    // Only of what the token was not asked for it is not known whether the user may.
    let narrow = token(&server, "puller", "repository:team/app:pull").await;
    assert_eq!(
        message(&Who::Token(narrow)).await,
        format!("{denied} by this token, which was not asked for it")
    );
    let scope = "/auth/token?service=slipway&scope=repository:public/app:pull";
    let answer = server.ask(Method::GET, scope, &Who::Nobody, b"").await;
    let strange = answer.json()["token"].as_str().unwrap().to_owned();
    for who in [Who::Nobody, Who::Token(strange)] {
        let message = message(&who).await;
        assert!(!message.contains("team"), "{who:?}: {message}");
    }
}

/// CVE-2019-19030, CVE-2020-13794, CVE-2025-69413: whether a repository exists is none of a stranger's business.
#[tokio::test(flavor = "multi_thread")]
async fn t15_absent_and_forbidden_look_the_same_to_a_stranger() {
    let server = Server::guarded().await;
    let root = Who::User("root");
    server.push_image("team/app", "v1", b"layer", &root).await;
    for (_, method, path) in examples("team") {
        let elsewhere = path.replacen("/v2/team/app/", "/v2/none/app/", 1);
        for who in [Who::Nobody, Who::User("other")] {
            let there = server.ask(method.clone(), &path, &who, b"").await;
            let absent = server.ask(method.clone(), &elsewhere, &who, b"").await;
            let named = there
                .masked()
                .replace("team/app", "none/app")
                .replace(r#"\"team\""#, r#"\"none\""#);
            assert_eq!(named, absent.masked(), "{who:?} {method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_holds_what_may_be_pulled() {
    let server = Server::start(Setup {
        guarded: true,
        anonymous: true,
        ..Setup::default()
    })
    .await;
    let root = Who::User("root");
    for repo in ["team/app", "team/b", "other/app", "public/app"] {
        server.push_image(repo, "v1", b"layer", &root).await;
    }
    let cases = [
        (Who::Nobody, vec!["public/app"]),
        (
            Who::User("puller"),
            vec!["public/app", "team/app", "team/b"],
        ),
        (Who::User("other"), vec!["other/app", "public/app"]),
        (root, vec!["other/app", "public/app", "team/app", "team/b"]),
    ];
    for (who, wanted) in cases {
        let answer = server.ask(Method::GET, "/v2/_catalog", &who, b"").await;
        assert_eq!(
            answer.json()["repositories"],
            serde_json::json!(wanted),
            "{who:?}"
        );
        // Page by page it is the same list.
        let mut paged = Vec::new();
        let mut path = "/v2/_catalog?n=1".to_owned();
        loop {
            let answer = server.ask(Method::GET, &path, &who, b"").await;
            let page = answer.json()["repositories"].as_array().unwrap().clone();
            paged.extend(page);
            let link = answer.header("link");
            match link.strip_prefix('<').and_then(|link| link.split_once('>')) {
                Some((next, _)) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(
            serde_json::Value::from(paged),
            serde_json::json!(wanted),
            "{who:?}"
        );
    }
}

/// CVE-2024-39897, CVE-2026-35172: knowing a digest gives nothing.
#[tokio::test(flavor = "multi_thread")]
async fn t20_a_blob_is_seen_only_where_it_is() {
    let server = Server::guarded().await;
    let (root, other) = (Who::User("root"), Who::User("other"));
    let digest = server.push_blob("team/app", b"secret layer", &root).await;
    for path in [
        format!("/v2/other/app/blobs/{digest}"),
        format!("/v2/other/app/manifests/{digest}"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = server.ask(method, &path, &other, b"").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
        }
    }
    // A mount needs the right to pull the source; without, it is an upload as if there were none.
    for from in ["&from=team/app", "&from=none/app", ""] {
        let path = format!("/v2/other/app/blobs/uploads/?mount={digest}{from}");
        let answer = server.ask(Method::POST, &path, &other, b"").await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{from}");
    }
    for from in ["&from=team/app", ""] {
        let path = format!("/v2/public/app/blobs/uploads/?mount={digest}{from}");
        let answer = server.ask(Method::POST, &path, &root, b"").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{from}");
    }
    // Gone here, though it is still there elsewhere.
    let path = format!("/v2/team/app/blobs/{digest}");
    let answer = server.ask(Method::DELETE, &path, &root, b"").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let answer = server.ask(Method::GET, &path, &root, b"").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

/// CVE-2026-31801: to create is not to move.
#[tokio::test(flavor = "multi_thread")]
async fn t21_whoever_may_only_create_moves_no_tag() {
    let server = Server::guarded().await;
    let (root, creator) = (Who::User("root"), Who::User("creator"));
    let first = server.push_image("team/app", "v1", b"one", &root).await;
    let config = Digest::of(Algorithm::Sha256, b"{}");
    let layer = server.push_blob("team/app", b"two", &creator).await;
    let second = image(&config, 2, &layer, 3);
    let answer = server
        .put_manifest("team/app", "v1", &second, &creator)
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.code(), "DENIED");
    let there = server
        .ask(Method::GET, "/v2/team/app/manifests/v1", &root, b"")
        .await;
    assert_eq!(there.body, first);
    // The same content again moves nothing, and a new tag is a creation.
    for (tag, bytes) in [("v1", &first), ("v2", &second)] {
        let answer = server.put_manifest("team/app", tag, bytes, &creator).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{tag}");
    }
    // Several tags in one push: one that exists elsewhere refuses all.
    let digest = Digest::of(Algorithm::Sha256, &second);
    let reference = format!("{digest}?tag=v3&tag=v1");
    let answer = server
        .put_manifest("team/app", &reference, &second, &creator)
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let v3 = server
        .ask(Method::GET, "/v2/team/app/manifests/v3", &root, b"")
        .await;
    assert_eq!(v3.status, StatusCode::NOT_FOUND);
    // With the right to update it moves.
    let answer = server
        .put_manifest("team/app", "v1", &second, &Who::User("pusher"))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

/// The same bytes as another type would change what every tag of them serves.
#[tokio::test(flavor = "multi_thread")]
async fn t21_whoever_may_only_create_changes_no_media_type() {
    let server = Server::guarded().await;
    let (root, creator) = (Who::User("root"), Who::User("creator"));
    let config = server.push_blob("team/app", b"{}", &root).await;
    let layer = server.push_blob("team/app", b"one", &root).await;
    let told = format!(r#""mediaType":"{MANIFEST}","#);
    let silent = String::from_utf8(image(&config, 2, &layer, 3))
        .unwrap()
        .replacen(&told, "", 1)
        .into_bytes();
    let first = server
        .put_manifest("team/app", "latest", &silent, &root)
        .await;
    assert_eq!(first.status, StatusCode::CREATED);
    let digest = Digest::of(Algorithm::Sha256, &silent);
    let path = |reference: &str| format!("/v2/team/app/manifests/{reference}");
    let other = [("content-type", "application/vnd.example+json")];
    let push = async |reference: &str, who| {
        let request = request(Method::PUT, &path(reference), who, &other, &silent);
        server.send(request).await
    };
    for reference in [digest.to_string(), "new".to_owned(), "latest".to_owned()] {
        let answer = push(&reference, &creator).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{reference}");
        assert_eq!(answer.code(), "DENIED");
        let there = server.ask(Method::GET, &path("latest"), &root, b"").await;
        assert_eq!(there.header("content-type"), MANIFEST);
    }
    // With the right to update it becomes the other type.
    let answer = push(&digest.to_string(), &Who::User("pusher")).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let there = server.ask(Method::GET, &path("latest"), &root, b"").await;
    assert_eq!(there.header("content-type"), other[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_of_racing_creators_one_wins() {
    let server = std::sync::Arc::new(Server::guarded().await);
    let creator = Who::User("creator");
    let config = server.push_blob("team/app", b"{}", &creator).await;
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..16 {
        let text = format!("layer {number}");
        let layer = server
            .push_blob("team/app", text.as_bytes(), &creator)
            .await;
        let manifest = image(&config, 2, &layer, text.len());
        let (server, creator) = (std::sync::Arc::clone(&server), creator.clone());
        racers.spawn(async move {
            let answer = server
                .put_manifest("team/app", "latest", &manifest, &creator)
                .await;
            answer.status
        });
    }
    let statuses = racers.join_all().await;
    let won = statuses.iter().filter(|s| **s == StatusCode::CREATED);
    assert_eq!(won.count(), 1, "{statuses:?}");
}

/// CVE-2026-32589: an upload belongs to who opened it, where it was opened.
#[tokio::test(flavor = "multi_thread")]
async fn t24_an_upload_belongs_to_its_owner_and_repository() {
    let server = Server::guarded().await;
    let pusher = Who::User("pusher");
    let answer = server
        .ask(Method::POST, "/v2/team/app/blobs/uploads/", &pusher, b"")
        .await;
    let location = answer.header("location").to_owned();
    let elsewhere = location.replacen("/v2/team/app/", "/v2/team/b/", 1);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        for (path, who) in [(&elsewhere, &pusher), (&location, &Who::User("root"))] {
            let answer = server.ask(method.clone(), path, who, b"x").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(answer.code(), "BLOB_UPLOAD_UNKNOWN");
        }
    }
    let digest = Digest::of(Algorithm::Sha256, b"x");
    let finish = format!("{location}?digest={digest}");
    let answer = server
        .ask(Method::PUT, &finish, &Who::User("creator"), b"x")
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let answer = server.ask(Method::PUT, &finish, &pusher, b"x").await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

const LIFETIME: Duration = Duration::from_secs(10);

/// Asks with a new token, and with another one where it was refused because it had ended, as on a machine that stands still.
async fn in_time(server: &Server, ask: impl AsyncFn(&Who) -> Answer) -> (Who, Answer) {
    let scope = "repository:team/app:pull,push";
    loop {
        let begun = Instant::now();
        let who = Who::Token(token(server, "pusher", scope).await);
        let answer = ask(&who).await;
        // Its end is a whole second.
        let most = begun.elapsed() + Duration::from_secs(1);
        if answer.status != StatusCode::UNAUTHORIZED || most < LIFETIME {
            return (who, answer);
        }
    }
}

/// moby#33558: a layer that takes longer than a token lives is finished with the next one.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_outlives_the_token_it_was_opened_with() {
    let server = Server::start(Setup {
        guarded: true,
        token_lifetime: LIFETIME,
        ..Setup::default()
    })
    .await;
    let begin = async |who: &Who| {
        let path = "/v2/team/app/blobs/uploads/";
        let opened = server.ask(Method::POST, path, who, b"").await;
        match opened.header("location") {
            "" => opened,
            location => server.ask(Method::PATCH, location, who, b"half ").await,
        }
    };
    let (first, answer) = in_time(&server, begin).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let location = answer.header("location").to_owned();
    // Asked for nothing but how far it is, until the token has ended.
    let ended = async {
        while server.ask(Method::GET, &location, &first, b"").await.status
            != StatusCode::UNAUTHORIZED
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    ended.expect("the first has expired");
    let answer = server.ask(Method::PATCH, &location, &first, b"done").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let digest = Digest::of(Algorithm::Sha256, b"half done");
    let path = format!("{location}?digest={digest}");
    let finish = async |who: &Who| server.ask(Method::PUT, &path, who, b"done").await;
    let (_, answer) = in_time(&server, finish).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_issued_by_form_too() {
    let server = Server::guarded().await;
    let password = support::PASSWORD;
    let form = format!(
        "grant_type=password&username=pusher&password={password}&service=slipway&client_id=test&scope=repository%3Ateam%2Fapp%3Apull%2Cpush"
    );
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let post = |form: &str| {
        request(
            Method::POST,
            "/auth/token",
            &Who::Nobody,
            &kind,
            form.as_bytes(),
        )
    };
    let answer = server.send(post(&form)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    server.push_blob("team/app", b"x", &Who::Token(token)).await;
    let answer = server.send(post(&form.replace(password, "wrong"))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    // What no header could hold is no credential here either.
    let long = "u".repeat(256);
    for user in ["", "push%3Aer", "pusher%0A", "pusher%00", &*long] {
        let form = form.replace("username=pusher", &format!("username={user}"));
        let answer = server.send(post(&form)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{user:?}");
    }
    let answer = server
        .send(post("grant_type=refresh_token&refresh_token=x"))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let answer = server.send(post(&"x".repeat(20_000))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_to_be_had_where_openshifts_registry_has_them() {
    let server = Server::guarded().await;
    let path = "/openshift/token?scope=repository:team/app:pull";
    assert_eq!(server.get(path).await.status, StatusCode::UNAUTHORIZED);
    let root = Who::User("root");
    let answer = server.ask(Method::GET, path, &root, b"").await;
    assert_eq!(answer.status, StatusCode::OK);
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let path = "/v2/team/app/manifests/none";
    let answer = server.ask(Method::GET, path, &Who::Token(token), b"").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_tokens_only_where_they_are_let_in() {
    let server = Server::guarded().await;
    assert_eq!(
        server.get("/auth/token").await.status,
        StatusCode::UNAUTHORIZED
    );
    let server = Server::start(Setup {
        guarded: true,
        anonymous: true,
        ..Setup::default()
    })
    .await;
    server
        .push_image("public/app", "v1", b"layer", &Who::User("root"))
        .await;
    // Clients learn at the base whether to authenticate, so it always asks.
    assert_eq!(server.get("/v2/").await.status, StatusCode::UNAUTHORIZED);
    let scope = "/auth/token?scope=repository:public/app:pull,push";
    let token = server.get(scope).await.json()["token"].clone();
    let stranger = Who::Token(token.as_str().unwrap().to_owned());
    for who in [stranger, Who::Nobody] {
        let path = "/v2/public/app/manifests/v1";
        let answer = server.ask(Method::GET, path, &who, b"").await;
        assert_eq!(answer.status, StatusCode::OK);
        let path = "/v2/public/app/blobs/uploads/";
        let answer = server.ask(Method::POST, path, &who, b"").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_the_challenge_is_basic() {
    let server = Server::start(Setup {
        guarded: true,
        tokens: false,
        ..Setup::default()
    })
    .await;
    let answer = server.get("/v2/").await;
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"slipway\"");
}
