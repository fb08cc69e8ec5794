//! Webhooks of a repository that moves: what a repeated call starts.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_lc_rs::hmac;
use builder::hooks::{Answer, HookError, Hooks};
use builder::records::{Actor, HookKind, SecretUse, State};
use builder::triggers::{OwnerRefused, Owners};
use http::HeaderMap;
use serde_json::json;

use crate::lab::{Lab, now, said, spec};
use crate::servers::Servers;

const SECRET: &str = "canary-of-a-webhook-secret";

#[derive(Debug)]
struct Everybody;

#[async_trait]
impl Owners for Everybody {
    async fn may_build(&self, _: &Actor, _: &str, _: SystemTime) -> Result<(), OwnerRefused> {
        Ok(())
    }
}

/// A call as a forge makes it that tries again while it is told that there is no answer at the moment.
async fn taken(hooks: &Hooks, commit: &str) -> Answer {
    for _ in 0..200 {
        if let Ok(answer) = call(hooks, commit).await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    call(hooks, commit).await.unwrap()
}

/// What a forge sends that signs the body and has no time in it.
async fn call(hooks: &Hooks, commit: &str) -> Result<Answer, HookError> {
    let target =
        json!({"name": "main", "type": "branch", "target": {"hash": commit, "message": "m"}});
    let body = json!({
        "push": {"changes": [{"new": target, "old": null, "closed": false}]},
        "repository": {"links": {"html": {"href": "https://localhost/public/cart"}}},
    });
    let body = body.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut tag = "sha256=".to_owned();
    for byte in hmac::sign(&key, body.as_bytes()).as_ref() {
        write!(tag, "{byte:02x}").unwrap();
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-event-key", "repo:push".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("x-hub-signature", tag.parse().unwrap());
    let kind = HookKind::Bitbucket;
    hooks
        .call(("shop", "app"), kind, &headers, body.as_bytes(), now())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_pushed_back_is_built_once_and_a_kept_call_starts_nothing() {
    let servers = Servers::start("builds-hooks");
    let repository = servers.repository("public/cart.git");
    let lab = Lab::with(|_| (), servers.network()).await;
    lab.secret("hook", SecretUse::Webhook, &[("webhook-secret", SECRET)])
        .await;
    let mut wanted = spec("shop/x:1", "hello");
    let url = servers.url("public/cart.git").to_string();
    wanted.source =
        serde_json::from_value(json!({"kind": "git", "url": url, "revision": "main"})).unwrap();
    wanted.triggers =
        serde_json::from_value(json!({"webhooks": [{"kind": "bitbucket", "secret": "hook"}]}))
            .unwrap();
    let one = repository.files("main", &[("app.py", "print(1)")]);
    lab.build(wanted).await;
    let hooks = Hooks::new(lab.builds.clone(), Arc::new(Everybody));
    let built = async |answer: Answer, commit: &str| {
        let Answer::Started { run, .. } = answer else {
            panic!("{answer:?}");
        };
        let run = lab.builds.run("shop", &run).await.unwrap().value;
        let (run, lines) = lab.ended(&run).await;
        assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
        assert_eq!(run.resolved.commit.as_deref(), Some(commit));
    };
    let is_known = async |commit: &str| {
        let answer = taken(&hooks, commit).await;
        assert!(matches!(answer, Answer::Known { .. }), "{answer:?}");
    };
    built(taken(&hooks, &one).await, &one).await;
    is_known(&one).await;
    let two = repository.files("main", &[("app.py", "print(2)")]);
    // It was moved, and nobody has said so: where it was before is where it is not.
    is_known(&one).await;
    built(taken(&hooks, &two).await, &two).await;
    // Somebody kept the first call, and the branch is elsewhere.
    is_known(&one).await;

    // Back by force, twice over, and each time told by many at once.
    for (to, from) in [(&one, &two), (&two, &one)] {
        repository.point("refs/heads/main", to);
        let calls = (0..4).map(|_| {
            let (hooks, commit) = (hooks.clone(), to.clone());
            tokio::spawn(async move { taken(&hooks, &commit).await })
        });
        let mut started = Vec::new();
        for called in calls.collect::<Vec<_>>() {
            match called.await.unwrap() {
                Answer::Known { .. } => {}
                answer => started.push(answer),
            }
        }
        assert_eq!(started.len(), 1, "{started:?}");
        built(started.remove(0), to).await;
        is_known(to).await;
        is_known(from).await;
    }

    // Who cannot be asked does not say that nothing has happened.
    std::fs::remove_dir_all(servers.lab.path("repositories/public")).unwrap();
    let asked = call(&hooks, &one).await;
    assert!(matches!(asked, Err(HookError::Unavailable(_))), "{asked:?}");
    is_known(&two).await;
}
