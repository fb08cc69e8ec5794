//! What the audit record says of requests: every operation for every kind of caller, and what a change leaves.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use oci::{Digest, Operation};
use storage::audit::{Outcome, Proof, Row, Verb};
use support::{MANIFEST, PASSWORD, Server, Setup, Who, image, request};

/// What a row of the operation is called, and whether the operation changes something, so that it is also recorded when
/// it failed. Exhaustive: a new operation does not compile without a line here.
fn recorded(operation: &Operation) -> (Verb, bool) {
    match operation {
        Operation::Base => (Verb::Login, false),
        Operation::Catalog { .. } | Operation::ListTags { .. } | Operation::Referrers { .. } => {
            (Verb::List, false)
        }
        Operation::GetBlob { .. }
        | Operation::HeadBlob { .. }
        | Operation::GetManifest { .. }
        | Operation::HeadManifest { .. } => (Verb::Pull, false),
        Operation::PutManifest { .. } => (Verb::Push, true),
        Operation::DeleteManifest { .. } | Operation::DeleteBlob { .. } => (Verb::Delete, true),
        Operation::StartUpload { mount, digest, .. } => {
            let verb = if mount.is_some() {
                Verb::Mount
            } else {
                Verb::Upload
            };
            (verb, mount.is_some() || digest.is_some())
        }
        Operation::FinishUpload { .. } => (Verb::Upload, true),
        Operation::UploadStatus { .. }
        | Operation::PatchUpload { .. }
        | Operation::CancelUpload { .. } => (Verb::Upload, false),
    }
}

/// Every row, once the recorder has written what it holds. Nothing is recorded afterwards.
async fn rows(server: &Server) -> Vec<Row> {
    server.observer.audit.close().await;
    let audit = &server.registry.storage().audit;
    audit.since(0, 10_000).await.unwrap()
}

fn told(row: &Row) -> (Verb, Outcome, u16, &str) {
    let entry = &row.entry;
    (entry.verb, entry.outcome, entry.status, &entry.origin.user)
}

async fn token(server: &Server, user: &'static str, scope: &str) -> String {
    let path = format!("/auth/token?service=slipway&scope={scope}");
    let answer = server.ask(Method::GET, &path, &Who::User(user), b"").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_and_every_failed_change_has_its_row() {
    for operation in Operation::examples() {
        let server = Server::guarded().await;
        let (method, path) = operation.request_line();
        let (verb, is_change) = recorded(&operation);
        let is_guarded = operation.repo().is_some();
        let ask = async |who: Who| {
            let answer = server.ask(method.clone(), &path, &who, b"").await;
            (answer.status, answer.header("x-request-id").to_owned())
        };
        // The first request of a client that does not know yet whether it must log in.
        assert_eq!(ask(Who::Nobody).await.0, StatusCode::UNAUTHORIZED);
        let empty = token(&server, "root", "").await;
        let mut expected = vec![(Verb::Login, Outcome::Allowed, 200, "root", None)];
        let (status, id) = ask(Who::User("other")).await;
        if is_guarded {
            expected.push((verb, Outcome::Denied, status.as_u16(), "other", Some(id)));
        }
        let (status, id) = ask(Who::Token(empty)).await;
        if is_guarded {
            expected.push((verb, Outcome::Denied, status.as_u16(), "root", Some(id)));
        }
        let (status, id) = ask(Who::Wrong("root")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        expected.push((Verb::Login, Outcome::Denied, 401, "root", Some(id)));
        let (status, id) = ask(Who::User("root")).await;
        // To mount what is not there opens an upload, which is no failure.
        if is_change && status != StatusCode::ACCEPTED {
            assert!(status.is_client_error(), "{operation:?}: {status}");
            expected.push((verb, Outcome::Failed, status.as_u16(), "root", Some(id)));
        }
        let rows = rows(&server).await;
        let found: Vec<_> = rows.iter().map(told).collect();
        let wanted: Vec<_> = expected
            .iter()
            .map(|row| (row.0, row.1, row.2, row.3))
            .collect();
        assert_eq!(found, wanted, "{operation:?}");
        for (row, (.., id)) in rows.iter().zip(&expected) {
            let entry = &row.entry;
            if let Some(id) = id {
                assert_eq!(&entry.origin.request_id, id, "{operation:?}");
                assert!(entry.reason.is_some(), "{operation:?}: {row:?}");
            }
            // Who failed to log in gets no further than that, and readers of a namespace do not see it.
            let repo = operation.repo().filter(|_| entry.verb != Verb::Login);
            assert_eq!(entry.place.repository(), repo, "{operation:?}");
            assert_eq!(entry.origin.client, Some("127.0.0.1".parse().unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_and_to_whom() {
    let server = Server::guarded().await;
    let path = "/v2/team/app/manifests/v1";
    let kind = [("user-agent", "skopeo/1"), ("content-type", MANIFEST)];
    let puller = Who::User("puller");
    let answer = server
        .send(request(Method::PUT, path, &puller, &kind, b"{}"))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let narrow = Who::Token(token(&server, "pusher", "repository:team/app:pull").await);
    server.ask(Method::PUT, path, &narrow, b"{}").await;
    let rows = rows(&server).await;
    let entry = &rows[0].entry;
    assert_eq!(entry.origin.user, "puller");
    assert_eq!(entry.origin.provider, "htpasswd");
    assert_eq!(entry.origin.credential, Proof::Basic);
    assert_eq!(entry.origin.user_agent.as_deref(), Some("skopeo/1"));
    assert_eq!(entry.reference.as_deref(), Some("v1"));
    assert_eq!(entry.place.namespace(), Some("team"));
    let reason = entry.reason.as_deref().unwrap();
    assert!(reason.contains("may not create images"), "{reason}");
    let entry = &rows[2].entry;
    assert_eq!(entry.origin.credential, Proof::Token);
    let reason = entry.reason.as_deref().unwrap();
    assert!(
        reason.contains("by this token, which was not asked for it"),
        "{reason}"
    );
}

/// Whoever looks for pushes that were tried finds them, though clients ask what is there first.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_look_is_a_push_where_the_token_was_asked_for_to_push() {
    let server = Server::guarded().await;
    let blob = format!(
        "/v2/team/app/blobs/{}",
        Digest::of(oci::Algorithm::Sha256, b"x")
    );
    let cases = [
        ("pull,push", Method::HEAD, blob.as_str(), Verb::Push),
        (
            "pull,push",
            Method::HEAD,
            "/v2/team/app/manifests/v1",
            Verb::Push,
        ),
        (
            "pull,push",
            Method::GET,
            "/v2/team/app/manifests/v1",
            Verb::Pull,
        ),
        ("pull", Method::HEAD, &blob, Verb::Pull),
        ("*", Method::HEAD, &blob, Verb::Pull),
    ];
    for (actions, method, path, _) in &cases {
        let scope = format!("repository:team/app:{actions}");
        let token = Who::Token(token(&server, "other", &scope).await);
        let answer = server.ask(method.clone(), path, &token, b"").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let basic = server
        .ask(Method::HEAD, &blob, &Who::User("other"), b"")
        .await;
    assert_eq!(basic.status, StatusCode::FORBIDDEN);
    let rows = rows(&server).await;
    let denied = rows
        .iter()
        .filter(|row| row.entry.outcome == Outcome::Denied);
    let verbs: Vec<_> = denied.map(|row| row.entry.verb).collect();
    let mut expected: Vec<_> = cases.iter().map(|(.., verb)| *verb).collect();
    expected.push(Verb::Pull);
    assert_eq!(verbs, expected);
    let reason = rows[1].entry.reason.as_deref().unwrap();
    assert!(reason.contains("asked for to push"), "{reason}");
}

/// Moving a tag takes a right of its own; to have it refused is a refusal, not a failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_may_not_be_moved_is_denied() {
    let server = Server::guarded().await;
    let creator = Who::User("creator");
    server.push_image("team/app", "v1", b"one", &creator).await;
    let config = server.push_blob("team/app", b"{}", &creator).await;
    let layer = server.push_blob("team/app", b"two", &creator).await;
    let other = image(&config, 2, &layer, 3);
    let refused = server
        .put_manifest("team/app", "v1", &other, &creator)
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let rows = rows(&server).await;
    let entry = &rows.last().unwrap().entry;
    assert_eq!((entry.verb, entry.outcome), (Verb::Push, Outcome::Denied));
    assert!(entry.reason.as_deref().unwrap().contains("moving it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_its_row_with_who_and_what() {
    let server = Server::guarded().await;
    let root = Who::User("root");
    let first = server.push_image("team/app", "v1", b"one", &root).await;
    let second = server.push_image("team/app", "v1", b"two", &root).await;
    let ask = async |method, path: String, status: u16| {
        let answer = server.ask(method, &path, &root, b"").await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    };
    let [config, one, two] = [&b"{}"[..], b"one", b"two"].map(sha256);
    let (first, second) = (sha256(&first), sha256(&second));
    let mount = format!("/v2/other/app/blobs/uploads/?mount={one}&from=team/app");
    ask(Method::POST, mount, 201).await;
    // A mount from nowhere opens an upload: nothing has changed yet.
    let nowhere = format!("/v2/other/app/blobs/uploads/?mount={one}&from=no/where");
    ask(Method::POST, nowhere, 202).await;
    ask(Method::DELETE, "/v2/team/app/manifests/v1".into(), 202).await;
    ask(
        Method::DELETE,
        format!("/v2/team/app/manifests/{second}"),
        202,
    )
    .await;
    ask(Method::DELETE, format!("/v2/team/app/blobs/{two}"), 202).await;
    ask(Method::GET, format!("/v2/team/app/manifests/{first}"), 200).await;
    ask(Method::GET, format!("/v2/team/app/blobs/{one}"), 200).await;
    ask(Method::GET, "/v2/team/app/tags/list".into(), 200).await;
    let rows = rows(&server).await;
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let entry = &row.entry;
            assert_eq!(entry.outcome, Outcome::Allowed);
            assert_eq!(entry.origin.user, "root");
            assert_eq!(entry.origin.credential, Proof::Basic);
            (
                entry.verb,
                entry.reference.as_deref(),
                entry.digest,
                entry.previous,
            )
        })
        .collect();
    let expected = [
        (Verb::Upload, None, Some(config), None),
        (Verb::Upload, None, Some(one), None),
        (Verb::Push, Some("v1"), Some(first), None),
        (Verb::Upload, None, Some(config), None),
        (Verb::Upload, None, Some(two), None),
        (Verb::Retag, Some("v1"), Some(second), Some(first)),
        (Verb::Mount, None, Some(one), None),
        (Verb::Delete, Some("v1"), Some(second), None),
        (Verb::Delete, None, Some(second), None),
        (Verb::Delete, None, Some(two), None),
    ];
    assert_eq!(found, expected);
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(oci::Algorithm::Sha256, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_are_recorded_only_when_asked_for() {
    for pulls in [false, true] {
        let setup = Setup {
            pulls,
            ..Setup::default()
        };
        let server = Server::start(setup).await;
        let pushed = server.push_image("a", "v1", b"layer", &Who::Nobody).await;
        let manifest = "/v2/a/manifests/v1";
        assert_eq!(server.get(manifest).await.status, StatusCode::OK);
        server.ask(Method::HEAD, manifest, &Who::Nobody, b"").await;
        server.get("/v2/a/manifests/v2").await;
        let rows = rows(&server).await;
        let pulled: Vec<_> = rows
            .iter()
            .filter(|row| row.entry.verb == Verb::Pull)
            .collect();
        assert_eq!(pulled.len(), usize::from(pulls));
        for row in pulled {
            assert_eq!(
                told(row),
                (Verb::Pull, Outcome::Allowed, 200, "system:anonymous")
            );
            assert_eq!(row.entry.digest, Some(sha256(&pushed)));
            assert_eq!(row.entry.reference.as_deref(), Some("v1"));
        }
    }
}

/// A stranger's password is not in the record, and neither is anybody's.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_record() {
    let server = Server::guarded().await;
    let bearer = token(&server, "puller", "repository:team/app:pull").await;
    for who in [
        Who::User("puller"),
        Who::Wrong("puller"),
        Who::Token(bearer.clone()),
        Who::Token("canary-token".into()),
    ] {
        server
            .ask(Method::PUT, "/v2/team/app/manifests/v1", &who, b"{}")
            .await;
    }
    let form = b"grant_type=password&username=puller&password=canary-form&service=slipway";
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let login = request(Method::POST, "/auth/token", &Who::Nobody, &kind, form);
    assert_eq!(server.send(login).await.status, StatusCode::UNAUTHORIZED);
    let rows = rows(&server).await;
    assert_eq!(rows.len(), 6);
    let text = format!("{rows:?}");
    for secret in [PASSWORD, "wrong\"", "canary-token", "canary-form", &bearer] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(
        told(&rows[5]),
        (Verb::Login, Outcome::Denied, 401, "puller")
    );
}

/// Rows of many at once: none is lost, none is there twice, and the numbers are in order.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_none_is_lost() {
    let server = std::sync::Arc::new(Server::open().await);
    let all = (0..64_u32).map(|number| {
        let server = std::sync::Arc::clone(&server);
        tokio::spawn(async move {
            let layer = number.to_le_bytes();
            server.push_blob("a", &layer, &Who::Nobody).await
        })
    });
    let mut pushed = Vec::new();
    for push in all.collect::<Vec<_>>() {
        pushed.push(push.await.unwrap());
    }
    let rows = rows(&server).await;
    let mut found: Vec<Digest> = rows.iter().map(|row| row.entry.digest.unwrap()).collect();
    assert!(rows.is_sorted_by_key(|row| row.id));
    found.sort_unstable();
    pushed.sort_unstable();
    assert_eq!(found, pushed);
}

/// Whoever has the text of a token that is none any more leaves a row with its name, and a guess at its id does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_over_is_named_with_its_owner() {
    use auth::opaque::{Limits, NewToken};
    let server = Server::guarded().await;
    let owner = auth::Identity::authenticated("htpasswd", "puller", ["devs".to_owned()]);
    let now = SystemTime::now();
    let make = async |lifetime: u64, made: SystemTime| {
        let new = NewToken {
            description: String::new(),
            limits: Limits::new(&[], &["pull".to_owned()]).unwrap(),
            lifetime: Some(Duration::from_secs(lifetime)),
        };
        server.opaque.create(&owner, new, made).await.unwrap()
    };
    let (revoked, its) = make(3600, now).await;
    let (ended, of_ended) = make(60, now - Duration::from_secs(120)).await;
    assert!(server.opaque.revoke(None, its.id(), now).await.unwrap());
    let tags = "/v2/team/app/tags/list";
    for text in [&revoked, &ended] {
        for who in [
            Who::Token(text.expose().to_owned()),
            Who::Password(text.expose().to_owned()),
        ] {
            let answer = server.ask(Method::GET, tags, &who, b"").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
    }
    let rows = rows(&server).await;
    assert_eq!(rows.len(), 4, "{rows:?}");
    for (row, (id, how)) in rows.iter().zip([
        (its.id(), "was revoked at"),
        (its.id(), "was revoked at"),
        (of_ended.id(), "ended at"),
        (of_ended.id(), "ended at"),
    ]) {
        assert_eq!(told(row), (Verb::Login, Outcome::Denied, 401, "puller"));
        let origin = &row.entry.origin;
        assert_eq!(origin.credential_id.as_deref(), Some(id.as_str()));
        assert_eq!(origin.groups.names, ["devs"]);
        let reason = row.entry.reason.as_deref().unwrap();
        assert!(reason.contains(how), "{reason}");
    }
}
