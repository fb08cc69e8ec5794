//! Runs and what they say, from the wire. The source of these runs is at an address that is not asked, so they end soon; runs
//! that build something are tested with the whole program.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::{Answer, Server, request, user};

const RUNS: &str = "/api/v1/namespaces/team/buildruns";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn new(name: &str) -> String {
    let spec = json!({
        "source": {"kind": "git", "url": "https://127.0.0.1:1/team/app.git"},
        "builder": "team/go:1",
        "output": {"image": "team/app:v1"},
    });
    json!({"name": name, "spec": spec}).to_string()
}

fn following(path: &str, last: Option<&str>) -> Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = request(Method::GET, path, &user("builder"), "");
    let headers = request.headers_mut();
    headers.insert("accept", "text/event-stream".parse().unwrap());
    if let Some(last) = last {
        headers.insert("last-event-id", last.parse().unwrap());
    }
    request
}

/// Events as id, kind and data.
fn events(answer: &Answer) -> Vec<(String, String, Value)> {
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-store");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let events = text.split("\n\n").filter(|event| event.contains("data: "));
    events
        .map(|event| {
            let field = |name: &str| {
                let line = event.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().to_owned()
            };
            let data = serde_json::from_str(&field("data: ")).unwrap();
            (field("id: "), field("event: "), data)
        })
        .collect()
}

#[tokio::test]
async fn a_run_is_followed_to_its_end_and_from_where_one_was() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let made = server.post(RUNS, &who, &new("r1")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    assert_eq!(made.header("location"), format!("{RUNS}/r1"));
    let made = made.json();
    assert_eq!(
        (&made["state"]["is"], &made["actor"]),
        (&json!("queued"), &json!("builder"))
    );
    assert_eq!(made["cause"], json!({"kind": "asked", "by": "builder"}));
    let (builds, stop) = (server.builds.clone(), server.stopping.clone());
    let driving = tokio::spawn(async move { builds.drive(stop).await });

    let log = format!("{RUNS}/r1/log");
    let followed = tokio::time::timeout(PATIENCE, server.send(following(&log, None)));
    let all = events(&followed.await.unwrap());
    let (id, kind, end) = all.last().unwrap();
    assert_eq!((&**kind, &**id), ("end", "end"));
    // Browsers come again whenever a stream ends; with the end's id they are told to stay away.
    let again = server.send(following(&log, Some("end"))).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    assert_eq!(end["state"]["is"], "failed", "{end}");
    assert_eq!(end["state"]["reason"], "AddressForbidden");
    assert_eq!(all[0].1, "phase");
    assert_eq!(all[0].2["phase"], "resolve");
    assert!(all.iter().any(|(_, kind, _)| kind == "note"), "{all:?}");
    for at in 0..all.len() - 1 {
        let rest = events(&server.send(following(&log, Some(&all[at].0))).await);
        assert_eq!(rest, all[at + 1..], "behind {}", all[at].0);
    }

    parts_are_followed_to_their_end(&server, &log).await;

    let text = server.get(&log, &who).await;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    assert_eq!(text.lines().count(), all.len() - 1);
    assert!(text.starts_with("==> resolve\n"), "{text}");
    let fetch = server
        .get(&format!("{log}?phase=fetch&timestamps=true"), &who)
        .await;
    let fetch = String::from_utf8(fetch.body.to_vec()).unwrap();
    assert!(
        fetch.lines().next().unwrap().ends_with("Z ==> fetch"),
        "{fetch}"
    );
    assert!(
        fetch.lines().count() < all.len() - 1 && text.contains("==> fetch"),
        "{fetch}"
    );
    for (query, status) in [
        ("?phase=publish", StatusCode::NOT_FOUND),
        ("?phase=fetch&follow=true", StatusCode::BAD_REQUEST),
        ("?phase=fetch&follow", StatusCode::BAD_REQUEST),
        ("?phase=fetch&follow=false", StatusCode::OK),
        ("?timestamps", StatusCode::OK),
        ("?timestamps=yes", StatusCode::BAD_REQUEST),
        ("?phase=lunch", StatusCode::BAD_REQUEST),
        ("?from=-1", StatusCode::BAD_REQUEST),
        ("?frm=1", StatusCode::BAD_REQUEST),
        ("?from=18446744073709551615", StatusCode::OK),
    ] {
        let answer = server.get(&format!("{log}{query}"), &who).await;
        assert_eq!(answer.status, status, "{query}: {:?}", answer.body);
    }
    let wrong = server.send(following(&log, Some("x"))).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let absent = server.get(&format!("{RUNS}/r2/log"), &who).await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);

    let r1 = format!("{RUNS}/r1");
    let cancelled = server.post(&format!("{r1}/cancel"), &who, "{}").await;
    assert_eq!(
        cancelled.json()["state"]["is"],
        "failed",
        "what has ended stays as it is"
    );
    let gone = server.ask(Method::DELETE, &r1, &who, "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&log, &who).await.status, StatusCode::NOT_FOUND);
    server.stopping.cancel();
    driving.await.unwrap();
}

/// A part of a log, and what is not followed, come to an end, too, and go on from where one was.
async fn parts_are_followed_to_their_end(server: &Server, log: &str) {
    for query in [
        "?phase=fetch",
        "?phase=resolve&follow=false",
        "?follow=false",
    ] {
        let part = format!("{log}{query}");
        let told = events(&server.send(following(&part, None)).await);
        let (id, kind, end) = told.last().unwrap();
        assert_eq!((&**kind, &**id), ("end", "end"), "{query}");
        assert_eq!(end["state"]["is"], "failed", "{query}");
        for at in 0..told.len() - 1 {
            let rest = events(&server.send(following(&part, Some(&told[at].0))).await);
            assert_eq!(rest, told[at + 1..], "{query}: behind {}", told[at].0);
        }
        let again = server.send(following(&part, Some("end"))).await;
        assert_eq!(again.status, StatusCode::NO_CONTENT, "{query}");
    }
    let of_fetch = events(
        &server
            .send(following(&format!("{log}?phase=fetch"), None))
            .await,
    );
    let from = format!("{log}?phase=fetch&from={}", of_fetch[0].0);
    let rest = server.get(&from, &user("builder")).await;
    let rest = String::from_utf8(rest.body.to_vec()).unwrap();
    assert_eq!(rest.lines().count(), of_fetch.len() - 2, "{rest}");
}

#[tokio::test]
async fn what_lasts_ends_with_the_server_and_says_that_it_is_not_the_end() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    // Nothing drives it: it waits.
    assert_eq!(
        server.post(RUNS, &who, &new("r1")).await.status,
        StatusCode::CREATED
    );
    let log = format!("{RUNS}/r1/log");
    // What has not ended has no end to tell of.
    let so_far = server.send(following(&format!("{log}?follow=false"), None));
    assert_eq!(events(&so_far.await), []);
    let stopping = server.stopping.clone();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stopping.cancel();
    };
    let (answer, ()) = tokio::join!(server.send(following(&log, None)), stop);
    let events = events(&answer);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].1, "cut");
    // As text it is a body that breaks off.
    let connection = registry::http::Connection {
        peer: "192.0.2.7:1234".parse().unwrap(),
        secure: false,
        outlet: sendfile::Outlet::default(),
    };
    let path = format!("{log}?follow=true");
    let request = request(Method::GET, &path, &who, "");
    let answer = server.front.respond(request, &connection).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn runs_that_wait_are_listed_cancelled_and_bounded() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    for name in ["r1", "r2", "r3"] {
        assert_eq!(
            server.post(RUNS, &who, &new(name)).await.status,
            StatusCode::CREATED
        );
    }
    let again = server.post(RUNS, &who, &new("r1")).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let page = server.get(&format!("{RUNS}?limit=2"), &who).await.json();
    let names = |page: &Value| {
        let items = page["items"].as_array().unwrap().iter();
        let names = items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ["r3", "r2"]);
    let next = page["continue"].as_str().unwrap();
    let rest = server
        .get(&format!("{RUNS}?limit=2&continue={next}"), &who)
        .await
        .json();
    assert_eq!(names(&rest), ["r1"]);
    let no_json = server
        .ask(Method::POST, &format!("{RUNS}/r1/cancel"), &who, "")
        .await;
    assert_eq!(
        no_json.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "no site makes a browser do it"
    );
    let busy = server
        .ask(Method::DELETE, &format!("{RUNS}/r1"), &who, "")
        .await;
    assert_eq!(busy.status, StatusCode::CONFLICT);
    let cancelled = server
        .post(&format!("{RUNS}/r1/cancel"), &who, "{}")
        .await
        .json();
    assert_eq!(
        cancelled["state"],
        json!({"is": "cancelled", "by": "builder"})
    );
    let same = server
        .post(&format!("{RUNS}/r1/rebuild"), &who, r#"{"same":true}"#)
        .await;
    assert_eq!(
        same.status,
        StatusCode::CONFLICT,
        "it never succeeded: {:?}",
        same.body
    );

    // So many at once for one caller, and room again when they are gone.
    let connection = registry::http::Connection {
        peer: "192.0.2.7:1234".parse().unwrap(),
        secure: false,
        outlet: sendfile::Outlet::default(),
    };
    let log = format!("{RUNS}/r2/log");
    let mut open = Vec::new();
    let refused = loop {
        let answer = server
            .front
            .respond(following(&log, None), &connection)
            .await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        open.push(answer);
        assert!(open.len() < 1_000, "no bound");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    drop(open);
    let answer = server
        .front
        .respond(following(&log, None), &connection)
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
}
