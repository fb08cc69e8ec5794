//! Webhooks of builds, from the wire.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use http::{Method, Request, StatusCode};
use serde_json::json;
use support::{Answer, Server, request, user};
use tokio::sync::Barrier;

const SECRET: &str = "canary-of-a-webhook-secret";
const HOOK: &str = "/hooks/team/app/generic";

/// A server with the build `team/app` of user `builder`, which scripts may start.
async fn server() -> Server {
    let server = Server::guarded(false).await;
    let secret =
        json!({"usedFor": "webhook", "files": {"webhook-secret": STANDARD.encode(SECRET)}});
    let path = "/api/v1/namespaces/team/secrets/hook";
    let set = server
        .ask(Method::PUT, path, &user("root"), &secret.to_string())
        .await;
    assert!(set.status.is_success(), "{:?}", set.body);
    let build = json!({"name": "app", "spec": {
        "source": {"kind": "git", "url": "https://git.example.com/team/app.git", "revision": "main"},
        "builder": "team/go:1",
        "output": {"image": "team/app:v1"},
        "triggers": {"webhooks": [{"kind": "generic", "secret": "hook"}]},
    }});
    let path = "/api/v1/namespaces/team/builds";
    let made = server
        .post(path, &user("builder"), &build.to_string())
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    server
}

fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

async fn call(server: &Server, path: &str, secret: &str, time: u64, body: &str) -> Answer {
    let mut request = request(Method::POST, path, "", body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let tag = tag.as_ref().iter();
    let tag = tag.fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let headers = request.headers_mut();
    headers.insert("x-slipway-timestamp", time.into());
    headers.insert(
        "x-slipway-signature",
        format!("sha256={tag}").parse().unwrap(),
    );
    server.send(request).await
}

#[tokio::test]
async fn a_signed_call_starts_a_run_once_with_the_owners_rights_and_in_their_name() {
    let server = server().await;
    let now = seconds();
    let started = call(&server, HOOK, SECRET, now, r#"{"ref":"main"}"#).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{:?}", started.body);
    assert_eq!(started.json(), json!({"started": true, "run": "app-1"}));
    let again = call(&server, HOOK, SECRET, now, r#"{"ref":"main"}"#).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.json()["started"], false);
    let other = call(&server, HOOK, SECRET, now, r#"{"ref":"dev"}"#).await;
    assert_eq!(other.status, StatusCode::OK);
    assert!(
        other.json()["reason"]
            .as_str()
            .unwrap()
            .contains("another branch")
    );
    let run = server
        .get("/api/v1/namespaces/team/buildruns/app-1", &user("builder"))
        .await
        .json();
    assert_eq!(
        (&run["actor"], &run["cause"]["kind"]),
        (&json!("builder"), &json!("webhook"))
    );
    let rows = server
        .get("/api/v1/audit?namespace=team&user=builder", &user("root"))
        .await
        .json();
    let rows = rows["items"].as_array().unwrap().clone();
    let row = rows.iter().find(|row| {
        row.to_string()
            .contains("POST /hooks/team/app/generic app-1")
    });
    let row = row.unwrap_or_else(|| panic!("{rows:?}")).to_string();
    assert!(row.contains("webhook"), "{row}");
}

#[tokio::test]
async fn nobody_learns_what_is_there() {
    let server = server().await;
    let now = seconds();
    let mut answers = Vec::new();
    for (path, secret) in [
        (HOOK, "another-secret-altogether"),
        ("/hooks/team/none/generic", SECRET),
        ("/hooks/none/app/generic", SECRET),
        ("/hooks/team/app/github", SECRET),
        ("/hooks/team/app/unknown", SECRET),
    ] {
        let answer = call(&server, path, secret, now, "{}").await;
        let mut json = answer.json();
        assert_eq!(json["requestId"], answer.header("x-request-id"));
        json.as_object_mut().unwrap().remove("requestId");
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        // Of a call that has no signature of its kind the body is not read, whatever is there.
        headers.remove("connection");
        answers.push((answer.status, headers, json));
    }
    // A call without any signature, with a user's password.
    let bare = server.post(HOOK, &user("builder"), "{}").await;
    assert_eq!(bare.status, StatusCode::NOT_FOUND);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, StatusCode::NOT_FOUND);
    let got = server.get(HOOK, "").await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// A vendored tree: 20 commits that list each file.
#[tokio::test]
async fn a_push_with_long_lists_of_files_starts_a_run() {
    let server = server().await;
    let build = json!({"name": "forge", "spec": {
        "source": {"kind": "git", "url": "https://git.example.com/team/app.git", "revision": "main"},
        "builder": "team/go:1",
        "output": {"image": "team/app:v1"},
        "triggers": {"webhooks": [{"kind": "gitlab", "secret": "hook"}]},
    }});
    let path = "/api/v1/namespaces/team/builds";
    let made = server
        .post(path, &user("builder"), &build.to_string())
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    let files: Vec<_> = (0..15_000)
        .map(|number| {
            format!("vendor/git.example.com/library/package-{number:05}/generated/types.go")
        })
        .collect();
    let commits: Vec<_> = (0..20)
        .map(|number| json!({"id": format!("{number:040x}"), "added": files, "modified": [], "removed": []}))
        .collect();
    let push = json!({
        "ref": "refs/heads/main",
        "after": format!("{:040x}", 19),
        "project": {"git_http_url": "https://git.example.com/team/app.git", "default_branch": "main"},
        "commits": commits,
    });
    let push = push.to_string();
    assert!(push.len() > 16 << 20, "{}", push.len());
    let mut request = request(Method::POST, "/hooks/team/forge/gitlab", "", &push);
    let headers = request.headers_mut();
    headers.insert("x-gitlab-token", SECRET.parse().unwrap());
    headers.insert("x-gitlab-event", "Push Hook".parse().unwrap());
    let answer = server.send(request).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
}

/// Two long calls at once are taken of one client, a third is more than it may send at a time.
#[tokio::test]
async fn who_is_turned_away_does_not_learn_what_is_there_either() {
    let server = server().await;
    let build = json!({"name": "forge", "spec": {
        "source": {"kind": "git", "url": "https://git.example.com/team/app.git", "revision": "main"},
        "builder": "team/go:1",
        "output": {"image": "team/app:v1"},
        "triggers": {"webhooks": [{"kind": "github", "secret": "hook"}]},
    }});
    let path = "/api/v1/namespaces/team/builds";
    let made = server
        .post(path, &user("builder"), &build.to_string())
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    let long = bytes::Bytes::from("x".repeat(20 << 20));
    let connection = registry::http::Connection {
        peer: "192.0.2.7:1234".parse().unwrap(),
        secure: false,
        outlet: sendfile::Outlet::default(),
    };
    // What is long takes its time to arrive: the last byte comes when all have come so far, or were answered.
    let call = async |path: &str, all: &Arc<Barrier>| {
        let frames = [long.clone(), bytes::Bytes::from_static(b"x")];
        let has_come = Arc::new(AtomicBool::new(false));
        let gate = (Arc::clone(all), Arc::clone(&has_come));
        let frames = stream::iter(frames).then(move |bytes| {
            let (all, has_come) = gate.clone();
            async move {
                if bytes.len() == 1 {
                    has_come.store(true, Ordering::Relaxed);
                    all.wait().await;
                }
                Ok::<_, Infallible>(bytes)
            }
        });
        let signature = format!("sha256={}", "0".repeat(64));
        let request = Request::post(path)
            .header("host", "registry.example.com")
            .header("x-hub-signature-256", signature)
            .header("x-github-event", "push")
            .header("x-github-delivery", "1")
            .body(axum::body::Body::from_stream(frames))
            .unwrap();
        let status = server.front.respond(request, &connection).await.status();
        if !has_come.load(Ordering::Relaxed) {
            all.wait().await;
        }
        status
    };
    for path in [
        "/hooks/team/forge/github",
        "/hooks/team/app/github",
        "/hooks/team/none/github",
        "/hooks/none/forge/github",
    ] {
        let calls = async |count| {
            let all = Arc::new(Barrier::new(count));
            join_all((0..count).map(|_| call(path, &all))).await
        };
        let mut statuses = calls(3).await;
        statuses.sort();
        let (refused, full) = (StatusCode::NOT_FOUND, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(statuses, [refused, refused, full], "{path}");
        assert_eq!(calls(2).await, [refused, refused], "{path}");
    }
}

#[tokio::test]
async fn too_much_and_too_many_are_turned_away() {
    let server = server().await;
    let now = seconds();
    let long = "x".repeat((25 << 20) + 1);
    let answer = call(&server, HOOK, SECRET, now, &long).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let long = "x".repeat((1 << 20) + 1);
    for path in [HOOK, "/hooks/team/none/generic"] {
        let answer = call(&server, path, SECRET, now, &long).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
    let longest = "x".repeat(25 << 20);
    for kind in ["github", "gitlab", "gitea"] {
        for (body, expected) in [
            (&longest, StatusCode::NOT_FOUND),
            (&format!("{longest}x"), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let mut request = request(Method::POST, &format!("/hooks/team/none/{kind}"), "", body);
            for name in ["x-hub-signature-256", "x-gitlab-token", "x-gitea-signature"] {
                request.headers_mut().insert(name, "0".parse().unwrap());
            }
            assert_eq!(server.send(request).await.status, expected, "{kind}");
        }
    }
    let mut refused = 0;
    for _ in 0..200 {
        let answer = call(&server, HOOK, SECRET, now - 4000, "{}");
        if answer.await.status == StatusCode::TOO_MANY_REQUESTS {
            refused += 1;
            break;
        }
    }
    assert_eq!(refused, 1);
}
