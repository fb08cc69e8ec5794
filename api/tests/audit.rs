//! The audit record by the API: who reads what of it, and what it says of the API itself.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api::{Caller, Permission, Reply, Route};
use http::StatusCode;
use serde_json::{Value, json};
use storage::Durability;
use storage::audit::{Entry, Groups, Origin, Outcome, Place, Verb};
use support::{Answer, Server, basic, user};

fn noted(who: &str, seconds: u64, verb: Verb, repo: Option<&str>) -> Entry {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let origin = Origin {
        user: who.to_owned(),
        groups: Groups {
            names: vec!["devs".to_owned()],
            more: 1,
        },
        ..Origin::own(time)
    };
    let place = repo.map_or(Place::Registry, |repo| {
        Place::Repository(oci::RepoName::parse(repo).unwrap())
    });
    Entry::new(&Arc::new(origin), verb, place, Outcome::Allowed, 201)
}

#[tokio::test]
async fn groups_are_for_readers_of_the_whole_record() {
    let server = server().await;
    for path in [
        "/api/v1/audit?namespace=team",
        "/api/v1/audit/new?namespace=team&after=0",
    ] {
        for (who, groups, left_out) in [
            ("root", json!(["devs"]), json!(1)),
            ("puller", Value::Null, Value::Null),
        ] {
            let answer = server.get(path, &user(who)).await;
            assert_eq!(ids(&answer).len(), 2, "{path}");
            for row in answer.json()["items"].as_array().unwrap() {
                assert_eq!(row["groups"], groups, "{who} {path}");
                assert_eq!(row["groupsLeftOut"], left_out, "{who} {path}");
            }
        }
    }
}

/// A server with rows of `team`, of `other` and of none.
async fn server() -> Server {
    let server = Server::guarded(false).await;
    let rows = vec![
        noted("ada", 10, Verb::Push, Some("team/app")),
        noted("bob", 20, Verb::Push, Some("other/app")),
        noted("ada", 30, Verb::Delete, Some("team/app")),
        noted("ada", 40, Verb::Login, None),
    ];
    let audit = &server.registry.storage().audit;
    audit.note(rows, Durability::Now).await.unwrap();
    server
}

fn ids(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let json = answer.json();
    let items = json["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_reader_of_a_namespace_sees_its_rows_and_no_other() {
    let server = server().await;
    let (root, reader) = (user("root"), user("puller"));
    let get = async |query: &str, who: &str| {
        let path = format!("/api/v1/audit{query}");
        server.get(&path, who).await
    };
    assert_eq!(ids(&get("", &root).await), [4, 3, 2, 1]);
    assert_eq!(ids(&get("?namespace=other", &root).await), [2]);
    for query in ["?namespace=team", "?repository=team/app"] {
        assert_eq!(ids(&get(query, &reader).await), [3, 1]);
    }
    assert_eq!(
        ids(&get("?namespace=team&verb=push,retag", &reader).await),
        [1]
    );
    // By repository only the namespace counts; whether there is such a repository is for its readers.
    assert_eq!(ids(&get("?repository=team/none", &reader).await), [0; 0]);
    assert_eq!(get("", &reader).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        get("?user=ada", &reader).await.status,
        StatusCode::FORBIDDEN
    );
    let masked = |answer: &Answer, name: &str| {
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let text = text.replace(answer.header("x-request-id"), "ID");
        (text.replace(name, "NAME"), answer.headers.len())
    };
    // A namespace that one may not read and one that is not there are the same.
    let there = get("?namespace=other", &reader).await;
    let absent = get("?namespace=nowhere", &reader).await;
    assert_eq!(masked(&there, "other"), masked(&absent, "nowhere"));
    let other = get("?namespace=team&repository=other/app", &reader).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
    for who in ["pusher", "other"] {
        let refused = get("?namespace=team", &user(who)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{who}");
    }
    let token = server.get("/auth/token?service=x", &root).await.json();
    let token = format!("Bearer {}", token["token"].as_str().unwrap());
    assert_eq!(get("", &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_same_rights_hold_for_what_is_new() {
    let server = server().await;
    let (root, reader) = (user("root"), user("puller"));
    let get = async |query: &str, who: &str| {
        let path = format!("/api/v1/audit/new{query}");
        server.get(&path, who).await
    };
    let start = get("?namespace=team", &reader).await;
    assert_eq!(ids(&start), [0; 0]);
    assert_eq!(start.json()["continue"], 4);
    assert_eq!(ids(&get("?namespace=team&after=0", &reader).await), [1, 3]);
    let all = get("?after=1", &root).await;
    assert_eq!(ids(&all), [2, 3, 4]);
    assert_eq!(all.json()["continue"], 4);
    let none = get("?user=ada&verb=delete&after=3", &root).await;
    assert_eq!(ids(&none), [0; 0]);
    assert_eq!(none.json()["continue"], 4);
    for query in ["?after=0", "", "?after=0&namespace=other"] {
        assert_eq!(get(query, &reader).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn pages_go_on_and_what_makes_no_sense_is_refused() {
    let server = server().await;
    let root = user("root");
    let (mut seen, mut from) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/audit?limit=1&continue={from}");
        let answer = server.get(&path, &root).await;
        seen.extend(ids(&answer));
        match answer.json()["continue"].as_str() {
            Some(next) => from = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, [4, 3, 2, 1]);
    let since = "/api/v1/audit?since=1970-01-01T00:00:20Z&until=1970-01-01T00:00:40Z";
    assert_eq!(ids(&server.get(since, &root).await), [3, 2]);
    for query in [
        "limit=0",
        "limit=1001",
        "continue=x",
        "continue=-1--1",
        "verb=fly",
        "verb=",
        "outcome=maybe",
        "since=yesterday",
        "namespace=a/b",
        "namespace=",
        "namespace=A",
        "repository=..",
        "nothing=1",
    ] {
        for path in ["/api/v1/audit", "/api/v1/audit/new"] {
            let answer = server.get(&format!("{path}?{query}"), &root).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {query}");
        }
    }
}

/// A row in JSON as programs read it.
#[tokio::test]
async fn a_row_has_the_names_that_are_documented() {
    let server = server().await;
    let answer = server.get("/api/v1/audit?verb=delete", &user("root")).await;
    let expected = serde_json::json!([{
        "id": 3, "time": "1970-01-01T00:00:30.000Z", "requestId": "", "user": "ada", "provider": "",
        "groups": ["devs"], "groupsLeftOut": 1, "credential": "none", "verb": "delete", "namespace": "team", "repository": "team/app",
        "outcome": "allowed", "status": 201,
    }]);
    assert_eq!(answer.json()["items"], expected);
}

/// Outcome, status, user and reference of the rows that are about the API.
async fn of_api(server: &Server) -> Vec<(String, u64, String, String)> {
    server.recorder.close().await;
    let rows = server.registry.storage().audit.since(0, 100).await.unwrap();
    let rows = rows
        .iter()
        .map(|row| serde_json::to_value(api::AuditRow::of(row)).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.map(|row| {
        let verb = text(&row["verb"]);
        let reference = text(&row["reference"]);
        let what = if verb == "admin" { reference } else { verb };
        let namespace = text(&row["namespace"]);
        (
            text(&row["outcome"]),
            row["status"].as_u64().unwrap(),
            text(&row["user"]),
            what + &namespace,
        )
    })
    .collect()
}

#[tokio::test]
async fn what_is_done_by_the_api_is_recorded() {
    let handler = async |caller: Caller| {
        if caller.who.name() == "root" {
            Ok(Reply(StatusCode::CREATED, ()))
        } else {
            Err(registry::http::Problem::not_found("no such thing"))
        }
    };
    let path = "/api/v1/namespaces/{namespace}/things";
    let route = Route::post(path, "make-thing", Permission::Named, handler, ());
    let route = route.summary("A probe").reply::<()>(StatusCode::CREATED);
    let server = Server::with(true, vec![route]).await;
    let things = "/api/v1/namespaces/team/things";
    for who in [
        user("root"),
        user("other"),
        basic("root", "wrong"),
        String::new(),
    ] {
        server.post(things, &who, "{}").await;
    }
    server.get("/api/v1/audit", &user("other")).await;
    // A question is no change, and a stranger's first one no refusal.
    let question = r#"{"repository":"a","verbs":["get"]}"#;
    server.post("/api/v1/can-i", &user("root"), question).await;
    server.get("/api/v1/audit", &user("root")).await;
    server.get("/api/v1/audit", "").await;
    let row = |outcome: &str, status, who: &str, what: &str| {
        (outcome.to_owned(), status, who.to_owned(), what.to_owned())
    };
    let expected = [
        row(
            "allowed",
            201,
            "root",
            "POST /api/v1/namespaces/team/thingsteam",
        ),
        row(
            "failed",
            404,
            "other",
            "POST /api/v1/namespaces/team/thingsteam",
        ),
        row("denied", 401, "root", "login"),
        row("denied", 403, "other", "GET /api/v1/audit"),
    ];
    assert_eq!(of_api(&server).await, expected);
}
