//! API tokens and refresh tokens, from the wire.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Answer, PASSWORD, Server, basic, user};

const TOKENS: &str = "/api/v1/tokens";

impl Server {
    async fn make(&self, authorization: &str, wanted: &Value) -> Answer {
        self.post(TOKENS, authorization, &wanted.to_string()).await
    }

    /// A token of `name`: its text and its id.
    async fn token(&self, name: &str, namespaces: &[&str], verbs: &[&str]) -> (String, String) {
        let wanted = json!({"namespaces": namespaces, "verbs": verbs});
        let made = self.make(&user(name), &wanted).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        let text = |field: &str| made.json()[field].as_str().unwrap().to_owned();
        (text("token"), text("id"))
    }

    async fn listed(&self, authorization: &str, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("{TOKENS}{query}"), authorization).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.json()["items"].as_array().unwrap().clone()
    }

    async fn revoke(&self, authorization: &str, id: &str) -> Answer {
        let path = format!("{TOKENS}/{id}");
        self.ask(Method::DELETE, &path, authorization, "").await
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Both ways in which a client may send a token.
fn schemes(token: &str) -> [String; 2] {
    [bearer(token), basic("robot", token)]
}

#[tokio::test]
async fn a_token_is_shown_once_and_listed_without_its_text() {
    let server = Server::guarded(false).await;
    let wanted = json!({
        "description": "CI of team", "namespaces": ["team"], "verbs": ["pull", "push"], "expiresIn": 3600,
    });
    let made = server.make(&user("pusher"), &wanted).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.json();
    let text = made["token"].as_str().unwrap();
    let listed = server.listed(&user("pusher"), "").await;
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("token");
    assert_eq!(listed, [shown]);
    let listed = &listed[0];
    for (field, value) in [
        ("kind", json!("api")),
        ("user", json!("pusher")),
        ("provider", json!("htpasswd")),
        ("groups", json!(["system:authenticated"])),
        ("description", json!("CI of team")),
        ("namespaces", json!(["team"])),
        ("verbs", json!(["get", "create", "update"])),
        ("expired", json!(false)),
    ] {
        assert_eq!(listed[field], value, "{field}");
    }
    assert_eq!(server.listed(&user("puller"), "").await, [Value::Null; 0]);
    for authorization in schemes(text) {
        let who = server.get("/api/v1/whoami", &authorization).await.json();
        assert_eq!(
            (&who["name"], &who["token"]["id"]),
            (&json!("pusher"), &made["id"])
        );
        assert_eq!(who["expiresAt"], made["expiresAt"]);
    }
}

/// T26: a token's limits hold on every endpoint, by Bearer and Basic, and behind the token that was issued for it.
#[tokio::test]
async fn t26_the_limits_of_a_token_hold_on_every_endpoint_by_every_scheme() {
    let server = Server::guarded(false).await;
    let digest = format!("sha256:{}", "a".repeat(64));
    let endpoints = |repo: &str| {
        let v2 = format!("/v2/{repo}");
        [
            (Method::GET, format!("{v2}/manifests/v1"), "get"),
            (Method::HEAD, format!("{v2}/manifests/v1"), "get"),
            (Method::GET, format!("{v2}/blobs/{digest}"), "get"),
            (Method::HEAD, format!("{v2}/blobs/{digest}"), "get"),
            (Method::GET, format!("{v2}/tags/list"), "get"),
            (Method::GET, format!("{v2}/referrers/{digest}"), "get"),
            (Method::POST, format!("{v2}/blobs/uploads/"), "create"),
            (Method::PUT, format!("{v2}/manifests/v1"), "create"),
            (Method::DELETE, format!("{v2}/manifests/v1"), "delete"),
            (Method::DELETE, format!("{v2}/blobs/{digest}"), "delete"),
        ]
    };
    let cases: [(&[&str], &[&str]); 4] = [
        (&["team"], &["pull"]),
        (&["team/app"], &["push"]),
        (&["team"], &["delete"]),
        (&[], &["pull", "push", "delete"]),
    ];
    for (namespaces, verbs) in cases {
        let (token, id) = server.token("root", namespaces, verbs).await;
        let scope =
            "repository:team/app:*%20repository:other/app:*%20repository:team/application:*";
        let path = format!("/auth/token?scope={scope}");
        let issued = server.get(&path, &basic("x", &token)).await.json();
        let issued = bearer(issued["token"].as_str().unwrap());
        let granted = |verb: &str| match verb {
            "get" => verbs.contains(&"pull"),
            "create" => verbs.contains(&"push"),
            _ => verbs.contains(&"delete"),
        };
        for repo in ["team/app", "team/application", "other/app"] {
            let within = namespaces.is_empty()
                || namespaces
                    .iter()
                    .any(|name| repo == *name || repo.starts_with(&format!("{name}/")));
            for (method, path, verb) in endpoints(repo) {
                let may = within && granted(verb);
                let ways = schemes(&token).into_iter().chain([issued.clone()]);
                for (way, authorization) in ways.enumerate() {
                    let body = if method == Method::PUT { "{}" } else { "" };
                    let answer = server
                        .ask(method.clone(), &path, &authorization, body)
                        .await;
                    let status = answer.status.as_u16();
                    let what =
                        format!("{namespaces:?} {verbs:?}: {method} {path} by way {way}: {status}");
                    // 404, 400, 202: through the gate. The issued token says what it lacks by a challenge.
                    let refused = if way == 2 { 401 } else { 403 };
                    assert_eq!(status == refused, !may, "{what}");
                    assert!(status != 500 && status != 503, "{what}");
                }
            }
            for authorization in schemes(&token) {
                let question =
                    format!(r#"{{"repository":"{repo}","verbs":["get","create","delete"]}}"#);
                let answer = server
                    .post("/api/v1/can-i", &authorization, &question)
                    .await
                    .json();
                for verb in answer["verbs"].as_array().unwrap() {
                    let may = within && granted(verb["verb"].as_str().unwrap());
                    assert_eq!(
                        verb["allowed"], may,
                        "{namespaces:?} {verbs:?} {repo} {verb}"
                    );
                }
            }
        }
        server.revoke(&user("root"), &id).await;
    }
}

/// T26 on the side endpoints: no token, however it was got, makes, shows or takes away tokens, or administers.
#[tokio::test]
async fn t26_a_token_manages_no_tokens() {
    let server = Server::guarded(true).await;
    let (token, id) = server.token("root", &[], &["pull", "push", "delete"]).await;
    let by_password = server.get("/auth/token", &user("root")).await.json();
    let by_token = server.get("/auth/token", &bearer(&token)).await.json();
    let mut ways = schemes(&token).to_vec();
    ways.push(bearer(by_password["token"].as_str().unwrap()));
    ways.push(bearer(by_token["token"].as_str().unwrap()));
    for authorization in ways {
        let made = server
            .make(&authorization, &json!({"verbs": ["pull"]}))
            .await;
        let listed = server.get(TOKENS, &authorization).await;
        let all = server
            .get(&format!("{TOKENS}?all=true"), &authorization)
            .await;
        let revoked = server.revoke(&authorization, &id).await;
        for answer in [made, listed, all, revoked] {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{:?}", answer.body);
        }
    }
    let strange = server.make("", &json!({"verbs": ["pull"]})).await;
    assert_eq!(
        strange.status,
        StatusCode::UNAUTHORIZED,
        "strangers come in here, and have none"
    );
    assert_eq!(server.listed(&user("root"), "").await.len(), 1);
}

/// T23: another's token is answered as one that is not there.
#[tokio::test]
async fn t23_the_id_of_anothers_token_tells_nothing() {
    let server = Server::guarded(false).await;
    let (token, id) = server.token("pusher", &[], &["pull"]).await;
    let mut answers = Vec::new();
    for id in [
        id.as_str(),
        "aaaaaaaaaaaaaaaa",
        "A",
        "..",
        "%00",
        &"a".repeat(4_000),
    ] {
        let mut answer = server.revoke(&user("puller"), id).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
        let request = answer.header("x-request-id").to_owned();
        let body = String::from_utf8_lossy(&answer.body).replace(&request, "");
        answer.headers.remove("x-request-id");
        answers.push((answer.headers, body));
    }
    assert!(
        answers.windows(2).all(|two| two[0] == two[1]),
        "{answers:#?}"
    );
    assert!(
        server
            .get("/api/v1/whoami", &bearer(&token))
            .await
            .status
            .is_success()
    );
    let foreign = server
        .get(&format!("{TOKENS}?continue={id}"), &user("puller"))
        .await;
    assert_eq!(foreign.json()["items"], json!([]));
}

#[tokio::test]
async fn an_administrator_sees_and_revokes_everybodys() {
    let server = Server::guarded(false).await;
    let (token, id) = server.token("pusher", &[], &["pull"]).await;
    server.token("puller", &[], &["pull"]).await;
    let everybodys = server.listed(&user("root"), "?all=true").await;
    assert_eq!(everybodys.len(), 2);
    let refused = server
        .get(&format!("{TOKENS}?all=true"), &user("pusher"))
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(
        server.revoke(&user("root"), &id).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        server.revoke(&user("root"), &id).await.status,
        StatusCode::NOT_FOUND
    );
    let gone = server.get("/api/v1/whoami", &bearer(&token)).await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    let server = Server::guarded(false).await;
    for _ in 0..5 {
        server.token("puller", &[], &["pull"]).await;
    }
    let full = server
        .make(&user("puller"), &json!({"verbs": ["pull"]}))
        .await;
    assert_eq!(full.status, StatusCode::FORBIDDEN, "five are allowed here");
    let mut seen = Vec::new();
    let mut from = String::new();
    loop {
        let path = format!("{TOKENS}?limit=2&continue={from}");
        let page = server.get(&path, &user("puller")).await.json();
        let items = page["items"].as_array().unwrap();
        seen.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["continue"].as_str() {
            Some(next) => next.clone_into(&mut from),
            None => break,
        }
    }
    let mut once = seen.clone();
    once.dedup();
    assert_eq!((seen.len(), once.len()), (5, 5));
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?all=maybe",
        "?user=root",
    ] {
        let wrong = server
            .get(&format!("{TOKENS}{query}"), &user("puller"))
            .await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

/// T17: what a token may be is said in the fields that there are.
#[tokio::test]
async fn t17_a_token_is_made_of_known_fields_within_bounds() {
    let server = Server::guarded(false).await;
    for wanted in [
        json!({"verbs": ["pull"], "user": "root"}),
        json!({"verbs": ["pull"], "owner": "root"}),
        json!({"verbs": ["pull"], "groups": ["system:masters"]}),
        json!({"verbs": ["pull"], "id": "aaaaaaaaaaaaaaaa"}),
        json!({"verbs": ["pull"], "expiresAt": "2099-01-01T00:00:00Z"}),
        json!({"verbs": []}),
        json!({"verbs": ["*"]}),
        json!({}),
        json!({"verbs": ["pull"], "namespaces": ["*"]}),
        json!({"verbs": ["pull"], "namespaces": [""]}),
        json!({"verbs": ["pull"], "namespaces": ["../x"]}),
        json!({"verbs": ["pull"], "namespaces": vec!["a"; 33]}),
        json!({"verbs": ["pull"], "expiresIn": 0}),
        json!({"verbs": ["pull"], "expiresIn": -1}),
        json!({"verbs": ["pull"], "expiresIn": 365 * 24 * 3600 + 1}),
        json!({"verbs": ["pull"], "expiresIn": u64::MAX}),
        json!({"verbs": ["pull"], "description": "two\nlines"}),
        json!({"verbs": ["pull"], "description": "x".repeat(257)}),
    ] {
        let answer = server.make(&user("pusher"), &wanted).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wanted}");
    }
    assert_eq!(server.listed(&user("pusher"), "").await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_removed_owner_takes_the_tokens_along() {
    let server = Server::guarded(false).await;
    let (token, _) = server.token("pusher", &[], &["pull"]).await;
    let issued = server.get("/auth/token", &bearer(&token)).await.json();
    let issued = bearer(issued["token"].as_str().unwrap());
    let file = server.folder.path().join("htpasswd");
    let users = std::fs::read_to_string(&file).unwrap();
    let without = users.lines().filter(|line| !line.starts_with("pusher:"));
    let without = without.collect::<Vec<_>>().join("\n") + "\n";
    std::fs::write(&file, without).unwrap();
    server.users.reload().unwrap();
    for authorization in schemes(&token).into_iter().chain([issued]) {
        let answer = server.get("/api/v1/whoami", &authorization).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_changed_password_ends_the_tokens() {
    let server = Server::guarded(false).await;
    let (token, _) = server.token("pusher", &[], &["pull"]).await;
    let issued = server.get("/auth/token", &bearer(&token)).await.json();
    let issued = bearer(issued["token"].as_str().unwrap());
    let file = server.folder.path().join("htpasswd");
    let mut users = auth::htpasswd::File::load(&file).unwrap();
    let secret = auth::Secret::new("another password".to_owned());
    users.set_password("pusher", &secret).unwrap();
    users.save().unwrap();
    server.users.reload().unwrap();
    for authorization in schemes(&token).into_iter().chain([issued]) {
        let answer = server.get("/api/v1/whoami", &authorization).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_mistyped_token_is_told_so() {
    let server = Server::guarded(false).await;
    let (token, id) = server.token("pusher", &[], &["pull"]).await;
    let last = if token.ends_with('a') { 'b' } else { 'a' };
    let typo = format!("{}{last}", &token[..token.len() - 1]);
    for authorization in schemes(&typo) {
        let answer = server.get("/api/v1/whoami", &authorization).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("mistyped"), "{detail}");
    }
    server.revoke(&user("pusher"), &id).await;
    let revoked = server.get("/api/v1/whoami", &bearer(&token)).await.json();
    assert!(
        revoked["detail"]
            .to_string()
            .contains("of user \\\"pusher\\\" was revoked at"),
        "{revoked}"
    );
}

/// Docker: `GET` with `offline_token`, then `POST` with what it got.
#[tokio::test]
async fn a_login_is_kept_as_a_refresh_token_and_revoked() {
    let server = Server::guarded(true).await;
    let path = "/auth/token?service=slipway&client_id=docker&offline_token=true&account=puller";
    let kept = server.get(path, &user("puller")).await.json();
    let refresh = kept["refresh_token"].as_str().unwrap().to_owned();
    let plain = server
        .get("/auth/token?service=slipway", &user("puller"))
        .await
        .json();
    assert!(plain.get("refresh_token").is_none());
    let exchange = async |refresh: &str, scope: &str| {
        let form = format!(
            "grant_type=refresh_token&service=slipway&client_id=docker&refresh_token={refresh}&scope={scope}"
        );
        server.form(&form).await
    };
    let got = exchange(&refresh, "repository:team/app:pull,push").await;
    assert_eq!(got.status, StatusCode::OK, "{:?}", got.body);
    let issued = bearer(got.json()["access_token"].as_str().unwrap());
    assert!(
        got.json().get("refresh_token").is_none(),
        "the one it has goes on"
    );
    let who = server.get("/api/v1/whoami", &issued).await.json();
    assert_eq!(who["name"], "puller");
    assert_eq!(
        who["limitedTo"]["repositories"],
        json!([{"name": "team/app", "verbs": ["get"]}])
    );
    let manifest = "/v2/team/app/manifests/v1";
    assert_eq!(
        server.get(manifest, &issued).await.status,
        StatusCode::NOT_FOUND
    );
    // It is a login, and opens nothing by itself.
    for authorization in schemes(&refresh)
        .iter()
        .chain(&[basic("<token>", &refresh)])
    {
        assert_eq!(
            server.get(manifest, authorization).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    let logins = server.listed(&user("puller"), "").await;
    let found = logins
        .iter()
        .find(|login| login["description"] == "docker")
        .unwrap();
    assert_eq!(found["kind"], "login");
    let id = found["id"].as_str().unwrap();
    assert_eq!(
        server.revoke(&user("puller"), id).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        exchange(&refresh, "").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        server.get(manifest, &issued).await.status,
        StatusCode::UNAUTHORIZED
    );
    for (form, status) in [
        ("grant_type=refresh_token", 400),
        ("grant_type=client_credentials", 400),
        ("grant_type=refresh_token&refresh_token=", 401),
        ("grant_type=refresh_token&refresh_token=x", 401),
    ] {
        assert_eq!(server.form(form).await.status, status, "{form}");
    }
}

/// containerd and oras: `POST` with `access_type=offline`.
#[tokio::test]
async fn a_refresh_token_goes_to_whoever_showed_a_password() {
    let server = Server::guarded(true).await;
    let form = format!(
        "grant_type=password&access_type=offline&client_id=containerd-client&service=slipway&username=puller&password={PASSWORD}"
    );
    let refresh = server.form(&form).await.json();
    let refresh = refresh["refresh_token"].as_str().unwrap().to_owned();
    let online = server.form(&form.replace("offline", "online")).await.json();
    assert!(online.get("refresh_token").is_none());
    let (token, _) = server.token("puller", &[], &["pull"]).await;
    let path = "/auth/token?offline_token=true";
    for authorization in [String::new(), bearer(&token), basic("x", &token)] {
        let got = server.get(path, &authorization).await;
        assert_eq!(got.status, StatusCode::OK);
        assert!(got.json().get("refresh_token").is_none(), "{authorization}");
    }
    // Bound to the user, not to what they chose to be called.
    let form =
        format!("grant_type=refresh_token&refresh_token={refresh}&username=root&account=root");
    let issued = server.form(&form).await.json();
    let issued = bearer(issued["token"].as_str().unwrap());
    let who = server.get("/api/v1/whoami", &issued).await.json();
    assert_eq!(who["name"], "puller");
}

#[tokio::test]
async fn when_a_token_was_last_used_is_known_roughly() {
    let server = Server::guarded(false).await;
    let (token, _) = server.token("pusher", &[], &["pull"]).await;
    assert!(
        server.listed(&user("pusher"), "").await[0]
            .get("lastUsedAt")
            .is_none()
    );
    let before = SystemTime::now();
    server.get("/api/v1/whoami", &bearer(&token)).await;
    // It is written down beside the request.
    let used = loop {
        let listed = server.listed(&user("pusher"), "").await;
        if let Some(used) = listed[0]["lastUsedAt"].as_str() {
            break humantime::parse_rfc3339(used).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(used + Duration::from_secs(1) >= before);
}
