use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::deliveries::{taken, taking};
use super::{Answer, Event, HookError, Hooks, Keys, Signed, Verdict, judge, prune};
use crate::builds::Asked;
use crate::ledger::{Kind, Ledger as _};
use crate::records::{Cause, HookKind, SecretUse};
use crate::source::git::ObjectId;
use crate::triggers::lab::{Lab, NAMESPACE, at, owner, spec};

const SECRET: &str = "canary-of-a-webhook-secret";
const NEXT: &str = "canary-of-the-next-secret";
const COMMIT: &str = "22671f0349857934857983457983475ec39f196b";
const GONE: &str = "0000000000000000000000000000000000000000";
const NOW: u64 = 1_795_132_800;

/// RFC 2104, written out.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let pad = |with: u8| -> Vec<u8> {
        let key = key.iter().copied().chain(std::iter::repeat(0));
        key.take(64).map(|byte| byte ^ with).collect()
    };
    let inner = Sha256::digest([&pad(0x36), message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn headers(all: &[(&str, &str)]) -> HeaderMap {
    let all = all.iter().map(|(name, value)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    all.collect()
}

/// The headers with which a forge calls.
fn signed(kind: HookKind, event: &str, secret: &str, body: &str, now: SystemTime) -> HeaderMap {
    let hub = format!("sha256={}", hex(&hmac(secret.as_bytes(), body.as_bytes())));
    let seconds = now.duration_since(at(0)).unwrap().as_secs().to_string();
    match kind {
        HookKind::GitHub => headers(&[
            ("X-GitHub-Event", event),
            ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            ("X-Hub-Signature-256", &hub),
        ]),
        HookKind::Gitea => headers(&[
            ("X-Gitea-Event", event),
            ("X-Gitea-Delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473"),
            ("X-Gitea-Signature", &hub["sha256=".len()..]),
        ]),
        HookKind::Bitbucket => headers(&[
            ("X-Event-Key", event),
            ("X-Request-UUID", "{a5a1b1b0-1111-4222-8333-444455556666}"),
            ("X-Hub-Signature", &hub),
        ]),
        HookKind::GitLab => headers(&[
            ("X-Gitlab-Event", event),
            ("Idempotency-Key", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"),
            ("X-Gitlab-Token", secret),
        ]),
        HookKind::Generic => {
            let tag = hmac(secret.as_bytes(), format!("{seconds}.{body}").as_bytes());
            headers(&[
                ("X-Slipway-Timestamp", &seconds),
                ("X-Slipway-Signature", &format!("sha256={}", hex(&tag))),
            ])
        }
    }
}

fn github(name: &str, after: &str, message: &str) -> Value {
    json!({
        "ref": name,
        "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "after": after,
        "created": false, "deleted": after == GONE, "forced": false, "base_ref": null,
        "compare": "https://git.example.com/team/app/compare/6113728f27ae...22671f034985",
        "commits": [],
        "head_commit": if after == GONE { Value::Null } else { json!({
            "id": after, "tree_id": "f9d2a07e9488b91af2641b26b9407fe22a451433", "distinct": true,
            "message": message, "timestamp": "2019-05-15T15:20:41Z",
            "author": {"name": "Codertocat", "email": "21031067+Codertocat@users.noreply.github.com"},
            "added": [], "removed": [], "modified": ["README.md"]
        })},
        "repository": {
            "id": 186_853_002, "name": "app", "full_name": "team/app", "private": false,
            "html_url": "https://git.example.com/team/app",
            "url": "https://git.example.com/team/app",
            "git_url": "git://git.example.com/team/app.git",
            "ssh_url": "git@git.example.com:team/app.git",
            "clone_url": "https://git.example.com/team/app.git",
            "pushed_at": 1_557_933_657, "default_branch": "main", "master_branch": "main"
        },
        "pusher": {"name": "Codertocat", "email": "21031067+Codertocat@users.noreply.github.com"},
        "sender": {"login": "Codertocat", "id": 21_031_067, "type": "User"}
    })
}

fn gitlab(name: &str, after: &str, message: &str) -> Value {
    json!({
        "object_kind": "push", "event_name": "push",
        "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
        "after": after, "ref": name, "ref_protected": true, "checkout_sha": after,
        "user_id": 4, "user_name": "John Smith", "user_username": "jsmith", "project_id": 15,
        "project": {
            "id": 15, "name": "App", "description": "", "namespace": "Team",
            "web_url": "http://git.example.com/team/app", "visibility_level": 0,
            "git_ssh_url": "git@git.example.com:team/app.git",
            "git_http_url": "http://git.example.com/team/app.git",
            "path_with_namespace": "team/app", "default_branch": "main"
        },
        "commits": [
            {"id": "b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327", "message": "earlier [skip ci]", "title": "earlier"},
            {"id": after, "message": message, "title": message}
        ],
        "total_commits_count": 2
    })
}

fn bitbucket_cloud(changes: &Value) -> Value {
    json!({
        "push": {"changes": changes},
        "actor": {"display_name": "Emma", "type": "user"},
        "repository": {
            "type": "repository", "full_name": "team/app", "name": "app", "is_private": true,
            "uuid": "{21fa9bf8-b5b2-4891-97ed-d590bad0f871}",
            "links": {
                "self": {"href": "https://api.git.example.com/2.0/repositories/team/app"},
                "html": {"href": "https://git.example.com/team/app"}
            }
        }
    })
}

fn bitbucket_server(name: &str, after: &str) -> Value {
    json!({
        "eventKey": "repo:refs_changed", "date": "2019-06-17T19:37:57+1000",
        "actor": {"name": "john", "id": 500, "type": "NORMAL"},
        "repository": {
            "slug": "app", "id": 656, "name": "app", "scmId": "git", "state": "AVAILABLE",
            "project": {"key": "TEAM", "id": 389, "name": "Team", "public": true, "type": "NORMAL"},
            "links": {
                "clone": [
                    {"href": "ssh://git@git.example.com:7999/team/app.git", "name": "ssh"},
                    {"href": "https://git.example.com/scm/team/app.git", "name": "http"}
                ],
                "self": [{"href": "https://git.example.com/projects/TEAM/repos/app/browse"}]
            }
        },
        "changes": [
            {"ref": {"id": "refs/heads/other", "displayId": "other", "type": "BRANCH"}, "refId": "refs/heads/other",
             "fromHash": "f09c8889a2d234985734958795a31589cd91ffda", "toHash": "f09c8889a2d234985734958795a31589cd91ffdb",
             "type": "UPDATE"},
            {"ref": {"id": name, "displayId": "main", "type": "BRANCH"}, "refId": name,
             "fromHash": "f09c8889a2d234985734958795a31589cd91ffda", "toHash": after,
             "type": if after == GONE { "DELETE" } else { "UPDATE" }}
        ]
    })
}

fn cloud_branch(name: &str, message: &str) -> Value {
    json!([{
        "forced": false, "created": false, "closed": false, "truncated": false,
        "old": {"type": "branch", "name": name, "target": {"type": "commit", "hash": "03f4a7270240708834de475bcf21532d6134777e"}},
        "new": {"type": "branch", "name": name, "target": {"type": "commit", "hash": COMMIT, "message": message}},
        "commits": []
    }])
}

fn read(kind: HookKind, event: &str, body: &Value) -> Event {
    let body = body.to_string();
    let headers = signed(kind, event, SECRET, &body, at(NOW));
    Event::read(kind, &headers, body.as_bytes()).unwrap()
}

fn verdict(kind: HookKind, event: &str, body: &Value, revision: &str) -> Verdict {
    let source =
        json!({"kind": "git", "url": "https://git.example.com/team/app.git", "revision": revision});
    judge(
        &spec("app", &json!({"source": source})),
        &read(kind, event, body),
    )
}

/// The commit that a run is asked to build; empty: what the revision stands for. `None`: there is no run.
fn starts(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Start(commit) => Some(commit.as_ref().map_or("", ObjectId::as_str)),
        Verdict::Nothing(_) => None,
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of all forges")]
fn pushes_of_every_forge_are_judged_for_a_branch() {
    use HookKind::{Bitbucket, Generic, GitHub, GitLab, Gitea};
    let main = "refs/heads/main";
    let pinned = Some(COMMIT);
    let pushes = [
        (GitHub, "push", github(main, COMMIT, "m"), pinned),
        (
            GitHub,
            "push",
            github("refs/heads/other", COMMIT, "m"),
            None,
        ),
        (GitHub, "push", github("refs/tags/main", COMMIT, "m"), None),
        (
            GitHub,
            "push",
            github("refs/pull/1/head", COMMIT, "m"),
            None,
        ),
        (GitHub, "push", github(main, GONE, ""), None),
        (GitHub, "push", github(main, COMMIT, "typo [skip ci]"), None),
        (
            GitHub,
            "push",
            github(main, COMMIT, "[ci skip]\n\ntypo"),
            None,
        ),
        (
            GitHub,
            "ping",
            json!({"zen": "Keep it logically awesome.", "hook_id": 30}),
            None,
        ),
        (GitHub, "issues", json!({"action": "opened"}), None),
        (Gitea, "push", github(main, COMMIT, "m"), pinned),
        (Gitea, "push", github(main, COMMIT, "[skip ci]"), None),
        (Gitea, "push", github(main, GONE, ""), None),
        (Gitea, "release", json!({}), None),
        (GitLab, "Push Hook", gitlab(main, COMMIT, "m"), pinned),
        (GitLab, "Push Hook", gitlab(main, COMMIT, "[skip ci]"), None),
        (GitLab, "Push Hook", gitlab(main, GONE, ""), None),
        (
            GitLab,
            "Push Hook",
            gitlab("refs/heads/dev", COMMIT, "m"),
            None,
        ),
        (
            GitLab,
            "Tag Push Hook",
            gitlab("refs/tags/main", COMMIT, "m"),
            None,
        ),
        (GitLab, "Issue Hook", json!({}), None),
        (
            Bitbucket,
            "repo:push",
            bitbucket_cloud(&cloud_branch("main", "m")),
            pinned,
        ),
        (
            Bitbucket,
            "repo:push",
            bitbucket_cloud(&cloud_branch("main", "[skip ci]")),
            None,
        ),
        (
            Bitbucket,
            "repo:push",
            bitbucket_cloud(&cloud_branch("dev", "m")),
            None,
        ),
        (
            Bitbucket,
            "repo:push",
            bitbucket_cloud(&json!([{"old": {"type": "branch", "name": "main"}, "new": null}])),
            None,
        ),
        (Bitbucket, "repo:push", bitbucket_cloud(&json!([])), None),
        (
            Bitbucket,
            "repo:refs_changed",
            bitbucket_server("refs/heads/dev", COMMIT),
            None,
        ),
        (Bitbucket, "diagnostics:ping", json!({"test": true}), None),
        (Bitbucket, "pr:opened", json!({}), None),
        (Generic, "", json!({}), Some("")),
        (Generic, "", json!({"ref": main}), Some("")),
        (
            Generic,
            "",
            json!({"ref": "main", "repository": "git@git.example.com:team/app"}),
            Some(""),
        ),
        (Generic, "", json!({"ref": "dev"}), None),
        (
            Generic,
            "",
            json!({"repository": "https://git.example.com/team/other"}),
            None,
        ),
        (
            Generic,
            "",
            json!({"ref": "main", "message": "[skip ci]"}),
            None,
        ),
    ];
    for (kind, event, body, wanted) in pushes {
        for revision in ["refs/heads/main", "main"] {
            let tag = body["ref"] == "refs/tags/main";
            if revision == "main" && tag {
                continue;
            }
            let verdict = verdict(kind, event, &body, revision);
            assert_eq!(
                starts(&verdict),
                wanted,
                "{kind:?} {event} {body}: {verdict:?}"
            );
        }
    }
}

#[test]
fn bitbucket_server_names_the_repository_by_its_clone_urls() {
    let source = |url: &str| json!({"source": {"kind": "git", "url": url, "revision": "main"}});
    let event = read(
        HookKind::Bitbucket,
        "repo:refs_changed",
        &bitbucket_server("refs/heads/main", COMMIT),
    );
    for url in [
        "https://git.example.com/scm/team/app.git",
        "https://git.example.com/scm/TEAM/app",
        "ssh://git@git.example.com:7999/team/app.git",
        "git@git.example.com:team/app",
    ] {
        let verdict = judge(&spec("app", &source(url)), &event);
        assert_eq!(starts(&verdict), Some(COMMIT), "{url}: {verdict:?}");
    }
    let other = judge(
        &spec("app", &source("https://git.example.com/scm/team/other")),
        &event,
    );
    assert_eq!(starts(&other), None);
}

#[test]
fn tags_default_branches_and_pinned_commits() {
    let of = |revision: &str, event: &str, body: &Value| {
        let verdict = verdict(HookKind::GitHub, event, body, revision);
        starts(&verdict).map(str::to_owned)
    };
    let created = json!({
        "ref": "v1", "ref_type": "tag", "master_branch": "main", "pusher_type": "user",
        "repository": {"clone_url": "https://git.example.com/team/app.git", "default_branch": "main"}
    });
    let tag = github("refs/tags/v1", COMMIT, "m");
    // What a tag's push names may be the tag's own id.
    assert_eq!(of("refs/tags/v1", "push", &tag), Some(String::new()));
    assert_eq!(of("v1", "push", &tag), Some(String::new()));
    assert_eq!(of("v1", "create", &created), Some(String::new()));
    assert_eq!(of("v2", "create", &created), None);
    assert_eq!(of("refs/heads/v1", "push", &tag), None);
    let main = github("refs/heads/main", COMMIT, "m");
    assert_eq!(of("", "push", &main), Some(COMMIT.to_owned()));
    assert_eq!(of("", "push", &github("refs/heads/dev", COMMIT, "m")), None);
    assert_eq!(of(COMMIT, "push", &main), None);
    // Bitbucket does not say which branch is the default one: no commit of another one is built.
    let body = bitbucket_cloud(&cloud_branch("dev", "m"));
    let verdict = verdict(HookKind::Bitbucket, "repo:push", &body, "");
    assert_eq!(starts(&verdict), Some(""));
}

/// One call tells of all that was pushed at once.
#[test]
fn what_starts_nothing_hides_nothing_that_does() {
    let gone = json!({
        "new": null, "closed": true, "created": false, "forced": false,
        "old": {"type": "branch", "name": "old", "target": {"type": "commit", "hash": GONE}}
    });
    let pushed = &cloud_branch("main", "Begin")[0];
    let skipped = &cloud_branch("next", "wip [skip ci]")[0];
    for changes in [
        json!([gone, pushed]),
        json!([pushed, gone]),
        json!([skipped, pushed]),
        json!([gone, skipped, pushed]),
    ] {
        let verdict = verdict(
            HookKind::Bitbucket,
            "repo:push",
            &bitbucket_cloud(&changes),
            "",
        );
        assert_eq!(verdict, Verdict::Start(None), "{changes}");
    }
    let nothing = bitbucket_cloud(&json!([gone, skipped]));
    let verdict = verdict(HookKind::Bitbucket, "repo:push", &nothing, "");
    assert_eq!(
        verdict,
        Verdict::Nothing("the branch or tag was deleted".to_owned())
    );
}

#[test]
fn another_repository_starts_nothing() {
    let mut body = github("refs/heads/main", COMMIT, "m");
    for (name, url) in [
        ("clone_url", "https://git.example.com/fork/app.git"),
        ("ssh_url", "git@git.example.com:fork/app.git"),
        ("html_url", "https://git.example.com/fork/app"),
    ] {
        body["repository"][name] = json!(url);
    }
    let Verdict::Nothing(why) = verdict(HookKind::GitHub, "push", &body, "main") else {
        panic!("it starts a run");
    };
    assert!(why.contains("another repository"), "{why}");
}

fn keys() -> Keys {
    use std::collections::BTreeMap;
    use zeroize::Zeroizing;
    let files = [
        ("webhook-secret", SECRET),
        ("webhook-secret-next", NEXT),
        ("other", "nothing"),
    ];
    let files = files.map(|(name, key)| {
        (
            name.to_owned(),
            Zeroizing::new(format!("{key}\n").into_bytes()),
        )
    });
    Keys::of(&crate::driver::SecretFiles(BTreeMap::from(files))).unwrap()
}

#[test]
fn githubs_own_example_of_a_signature_holds() {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    let tag = hmac(b"It's a Secret to Everybody", b"Hello, World!");
    let documented = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(hex(&tag), documented);
    let files = [(
        "webhook-secret".to_owned(),
        zeroize::Zeroizing::new(b"It's a Secret to Everybody".to_vec()),
    )];
    let keys = Keys::of(&crate::driver::SecretFiles(files.into())).unwrap();
    let headers = headers(&[("x-hub-signature-256", &format!("sha256={documented}"))]);
    let check = |body: &[u8]| Signed::check(HookKind::GitHub, &keys, &headers, body, at(NOW));
    assert!(check(b"Hello, World!").is_some());
    assert!(check(b"Hello, World.").is_none());
}

#[test]
fn one_bit_of_body_signature_or_secret_is_a_refusal_of_every_kind() {
    let body = r#"{"ref":"refs/heads/main"}"#;
    for kind in HookKind::ALL {
        for secret in [SECRET, NEXT] {
            let good = signed(kind, "push", secret, body, at(NOW));
            assert!(Signed::is_claimed(kind, &good));
            let check = |headers: &HeaderMap, body: &str| {
                Signed::check(kind, &keys(), headers, body.as_bytes(), at(NOW))
            };
            let taken = check(&good, body).unwrap_or_else(|| panic!("{kind:?}"));
            assert_eq!(Some(taken), check(&good, body), "the same call is the same");
            // A token vouches for no body.
            if kind != HookKind::GitLab {
                assert_eq!(
                    check(&good, &body.replace("main", "maim")),
                    None,
                    "{kind:?}"
                );
            }
            let wrong = signed(kind, "push", "canary-of-a-webhook-secre", body, at(NOW));
            assert_eq!(check(&wrong, body), None, "{kind:?}");
            let empty = signed(kind, "push", "", body, at(NOW));
            assert_eq!(check(&empty, body), None, "{kind:?}");
            assert_eq!(check(&HeaderMap::new(), body), None, "{kind:?}");
            assert!(!Signed::is_claimed(kind, &HeaderMap::new()));
            for (name, value) in &good {
                let mut twice = good.clone();
                twice.append(name, value.clone());
                let is_tag = name.as_str().contains("signature") || name.as_str().contains("token");
                assert!(check(&twice, body).is_none() || !is_tag, "{kind:?} {name}");
            }
            let other = Signed::check(kind, &Keys::nobodys(), &good, body.as_bytes(), at(NOW));
            assert_eq!(other, None, "{kind:?}");
        }
    }
}

#[test]
fn a_signed_time_holds_for_five_minutes() {
    let body = "{}";
    for (kind, now, holds) in [
        (HookKind::Generic, NOW + 300, true),
        (HookKind::Generic, NOW - 300, true),
        (HookKind::Generic, NOW + 301, false),
        (HookKind::Generic, NOW - 301, false),
    ] {
        let headers = signed(kind, "", SECRET, body, at(NOW));
        let check = Signed::check(kind, &keys(), &headers, body.as_bytes(), at(now));
        assert_eq!(check.is_some(), holds, "{now}");
        let mut moved = headers.clone();
        let later = HeaderValue::from_str(&now.to_string()).unwrap();
        moved.insert("x-slipway-timestamp", later);
        let moved = Signed::check(kind, &keys(), &moved, body.as_bytes(), at(now));
        assert_eq!(moved, None, "the time is signed");
    }
}

#[test]
fn gitlabs_signing_token_is_one_of_standard_webhooks() {
    let raw = [7_u8; 32];
    let secret = format!("whsec_{}", STANDARD.encode(raw));
    let files = [(
        "webhook-secret".to_owned(),
        zeroize::Zeroizing::new(secret.into_bytes()),
    )];
    let keys = Keys::of(&crate::driver::SecretFiles(files.into())).unwrap();
    let body = gitlab("refs/heads/main", COMMIT, "m").to_string();
    let tag = STANDARD.encode(hmac(&raw, format!("id-1.{NOW}.{body}").as_bytes()));
    let with = |id: &str, time: u64, tag: &str, token: &str| {
        let mut all = headers(&[
            ("webhook-id", id),
            ("webhook-timestamp", &time.to_string()),
            ("webhook-signature", tag),
        ]);
        if !token.is_empty() {
            all.insert("x-gitlab-token", HeaderValue::from_str(token).unwrap());
        }
        Signed::check(HookKind::GitLab, &keys, &all, body.as_bytes(), at(NOW))
    };
    let good = format!("v1,{tag}");
    assert_eq!(
        with("id-1", NOW, &good, "").unwrap().delivery.unwrap(),
        "id-1"
    );
    let several = format!("v1,{} v2,x {good}", STANDARD.encode([0; 32]));
    assert!(with("id-1", NOW, &several, "").is_some());
    assert_eq!(with("id-2", NOW, &good, ""), None);
    assert_eq!(with("id-1", NOW + 1, &good, ""), None);
    assert_eq!(with("id-1", NOW, &format!("v2,{tag}"), ""), None);
    let token = format!("whsec_{}", STANDARD.encode(raw));
    assert_eq!(
        with("id-1", NOW, "v1,AAAA", &token),
        None,
        "no token mends it"
    );
}

#[test]
fn secrets_that_can_be_guessed_are_none() {
    let of = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, key)| {
            (
                (*name).to_owned(),
                zeroize::Zeroizing::new(key.as_bytes().to_vec()),
            )
        });
        Keys::of(&crate::driver::SecretFiles(files.collect())).is_some()
    };
    assert!(!of(&[]));
    assert!(!of(&[("password", SECRET)]));
    assert!(!of(&[("webhook-secret", "")]));
    assert!(!of(&[(
        "webhook-secret",
        "short\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
    )]));
    assert!(!of(&[
        ("webhook-secret", SECRET),
        ("webhook-secret-next", "")
    ]));
    assert!(of(&[("webhook-secret-next", SECRET)]));
    assert!(!format!("{:?}", keys()).contains("canary"));
}

async fn lab() -> (Lab, Hooks) {
    let lab = Lab::new();
    let webhooks: Vec<Value> = ["github", "gitlab", "gitea", "bitbucket", "generic"]
        .iter()
        .map(|kind| json!({"kind": kind, "secret": "hook"}))
        .collect();
    lab.secret(
        "hook",
        SecretUse::Webhook,
        &[("webhook-secret", SECRET), ("webhook-secret-next", NEXT)],
    )
    .await;
    lab.secret(
        "git",
        SecretUse::Git,
        &[
            ("username", "ann"),
            ("password", SECRET),
            ("hosts", "git.example"),
        ],
    )
    .await;
    lab.build("app", &json!({"triggers": {"webhooks": webhooks}}), at(NOW))
        .await;
    let misused = json!({"triggers": {"webhooks": [{"kind": "github", "secret": "git"}, {"kind": "gitea", "secret": "none"}]}});
    lab.build("misused", &misused, at(NOW)).await;
    let hooks = Hooks::new(lab.builds.clone(), std::sync::Arc::clone(&lab.owners) as _);
    (lab, hooks)
}

#[tokio::test]
async fn a_call_starts_one_run_however_often_and_by_how_many_it_is_repeated() {
    let (lab, hooks) = lab().await;
    let body = github("refs/heads/main", COMMIT, "m").to_string();
    let mut headers = signed(HookKind::GitHub, "push", SECRET, &body, at(NOW));
    let call = |headers: HeaderMap, now: u64| {
        let (hooks, body) = (hooks.clone(), body.clone());
        async move {
            let place = (NAMESPACE, "app");
            let call = hooks.call(place, HookKind::GitHub, &headers, body.as_bytes(), at(now));
            call.await.unwrap()
        }
    };
    let calls: Vec<_> = (0..8)
        .map(|_| tokio::spawn(call(headers.clone(), NOW)))
        .collect();
    let mut started = 0;
    for called in calls {
        match called.await.unwrap() {
            Answer::Started {
                run,
                commit,
                owner: by,
            } => {
                started += 1;
                assert_eq!((run.as_str(), commit.as_deref()), ("app-1", Some(COMMIT)));
                assert_eq!(by, owner());
            }
            Answer::Known { run } => assert_eq!(run.as_deref(), Some("app-1")),
            Answer::Nothing { reason } => panic!("{reason}"),
        }
    }
    assert_eq!(started, 1);
    // The delivery's id is not signed: another one makes no other call of it, even much later.
    headers.insert("x-github-delivery", HeaderValue::from_static("another"));
    let again = call(headers, NOW + 86_400).await;
    assert_eq!(again, Answer::Known { run: None });
    let runs = lab.runs().await;
    assert_eq!(runs.len(), 1);
    let Cause::Webhook {
        from,
        delivery,
        commit,
    } = &runs["app-1"].cause
    else {
        panic!("{:?}", runs["app-1"].cause);
    };
    assert_eq!(*from, HookKind::GitHub);
    assert_eq!(
        delivery.as_deref(),
        Some("72d3162e-cc78-11e3-81ab-4c9367dc0958")
    );
    assert_eq!(commit.as_deref(), Some(COMMIT));
    assert_eq!(runs["app-1"].actor, owner());
}

#[tokio::test]
async fn what_a_removed_build_has_taken_keeps_no_new_one_of_its_name_from_starting() {
    let (lab, hooks) = lab().await;
    let body = github("refs/heads/main", COMMIT, "m").to_string();
    let headers = signed(HookKind::GitHub, "push", SECRET, &body, at(NOW));
    let call = async || {
        let place = (NAMESPACE, "app");
        let call = hooks.call(place, HookKind::GitHub, &headers, body.as_bytes(), at(NOW));
        call.await.unwrap()
    };
    assert!(matches!(call().await, Answer::Started { .. }));
    assert!(matches!(call().await, Answer::Known { .. }));
    let run = lab.builds.cancel(NAMESPACE, "app-1", "ann", at(NOW));
    run.await.unwrap();
    let spec = lab.builds.build(NAMESPACE, "app").await.unwrap().value.spec;
    // One whose name begins alike is another.
    let other = taking(taken(NAMESPACE, "app-2", "x"), at(NOW));
    lab.ledger.write(vec![other]).await.unwrap();
    lab.builds.remove(NAMESPACE, "app").await.unwrap();
    let left = lab.ledger.count(Kind::Delivery, NAMESPACE).await.unwrap();
    assert_eq!(left, 1);
    let made = lab.builds.create(NAMESPACE, "app", spec, owner(), at(NOW));
    made.await.unwrap();
    let again = call().await;
    assert!(
        matches!(&again, Answer::Started { run, .. } if run == "app-1"),
        "{again:?}"
    );
}

#[tokio::test]
async fn removing_a_build_leaves_alone_what_a_new_one_of_its_name_has() {
    let (lab, hooks) = lab().await;
    let call = async |message: &str| {
        let body = github("refs/heads/main", COMMIT, message).to_string();
        let headers = signed(HookKind::GitHub, "push", SECRET, &body, at(NOW));
        let place = (NAMESPACE, "app");
        let call = hooks.call(place, HookKind::GitHub, &headers, body.as_bytes(), at(NOW));
        call.await.unwrap()
    };
    call("old").await;
    let run = lab.builds.cancel(NAMESPACE, "app-1", "ann", at(NOW));
    run.await.unwrap();
    let build = lab.builds.build(NAMESPACE, "app").await.unwrap().value;

    let mut removal = std::pin::pin!(lab.builds.remove(NAMESPACE, "app"));
    while lab.builds.build(NAMESPACE, "app").await.is_ok() {
        // One step of it, up to its next write.
        tokio::select! {
            biased;
            removed = &mut removal => removed.unwrap(),
            () = std::future::ready(()) => {}
        }
    }
    let made = lab
        .builds
        .create(NAMESPACE, "app", build.spec, owner(), at(NOW));
    made.await.unwrap();
    let Answer::Started { run, .. } = call("new").await else {
        panic!("the new build takes calls");
    };
    removal.await.unwrap();

    let runs = lab.runs().await;
    assert_eq!(runs.keys().collect::<Vec<_>>(), [&run]);
    assert_eq!(call("new").await, Answer::Known { run: Some(run) });
    assert!(matches!(call("old").await, Answer::Started { .. }));
}

/// Wherever a removal is when a run comes and ends: it goes with the build, or is a new one's.
#[tokio::test]
async fn removing_a_build_leaves_no_run_of_it() {
    for steps in 0.. {
        let (lab, _) = lab().await;
        let mut removal = std::pin::pin!(lab.builds.remove(NAMESPACE, "app"));
        for _ in 0..steps {
            // Up to what it waits for next.
            tokio::select! {
                biased;
                removed = &mut removal => {
                    assert!(steps > 5, "it has more steps");
                    return removed.unwrap();
                }
                () = std::future::ready(()) => {}
            }
        }
        let asked = Asked::new(
            owner(),
            Cause::Asked {
                by: "ann".to_owned(),
            },
        );
        if let Ok(run) = lab.builds.start(NAMESPACE, "app", asked, at(NOW)).await {
            let name = run.value.metadata.name;
            let ended = lab.builds.cancel(NAMESPACE, &name, "ann", at(NOW)).await;
            ended.unwrap();
        }
        removal.await.unwrap();
        let runs = lab.runs().await;
        assert!(runs.is_empty(), "after {steps} steps: {runs:?}");
    }
}

#[tokio::test]
async fn deliveries_of_builds_that_are_gone_are_forgotten() {
    let (lab, _) = lab().await;
    for build in ["app", "gone"] {
        let write = taking(taken(NAMESPACE, build, "x"), at(NOW));
        lab.ledger.write(vec![write]).await.unwrap();
    }
    assert_eq!(prune(&*lab.ledger, at(NOW), 5).await.unwrap(), 1);
    assert_eq!(prune(&*lab.ledger, at(NOW), 5).await.unwrap(), 0);
}

#[tokio::test]
async fn every_kind_starts_runs_with_the_secret_in_use_and_the_next() {
    let (lab, hooks) = lab().await;
    let main = "refs/heads/main";
    let calls = [
        (HookKind::GitHub, "push", github(main, COMMIT, "m")),
        (HookKind::Gitea, "push", github(main, COMMIT, "m")),
        (HookKind::GitLab, "Push Hook", gitlab(main, COMMIT, "m")),
        (
            HookKind::Bitbucket,
            "repo:push",
            bitbucket_cloud(&cloud_branch("main", "m")),
        ),
        (HookKind::Generic, "", json!({"ref": "main"})),
    ];
    let mut expected = 0;
    for (kind, event, body) in calls {
        let body = body.to_string();
        for (secret, later) in [(SECRET, 0), (NEXT, 1)] {
            let now = at(NOW + later);
            let headers = signed(kind, event, secret, &body, now);
            let call = hooks.call((NAMESPACE, "app"), kind, &headers, body.as_bytes(), now);
            let started = matches!(call.await.unwrap(), Answer::Started { .. });
            // Of the others the second call is the first one again, whichever secret vouches for it.
            assert_eq!(
                started,
                later == 0 || kind == HookKind::Generic,
                "{kind:?} {later}"
            );
            expected += usize::from(started);
        }
    }
    assert_eq!(lab.runs().await.len(), expected);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_signed_are_one() {
    let (lab, hooks) = lab().await;
    let body = github("refs/heads/main", COMMIT, "m").to_string();
    let good = signed(HookKind::GitHub, "push", SECRET, &body, at(NOW));
    let bad = signed(
        HookKind::GitHub,
        "push",
        "another-secret-altogether",
        &body,
        at(NOW),
    );
    let mut said = Vec::new();
    for (namespace, build, kind, headers) in [
        (NAMESPACE, "app", HookKind::GitHub, &bad),
        (NAMESPACE, "app", HookKind::Gitea, &good),
        (NAMESPACE, "none", HookKind::GitHub, &good),
        ("none", "app", HookKind::GitHub, &good),
        (NAMESPACE, "", HookKind::GitHub, &good),
        // A secret that was made for something else, and none.
        (NAMESPACE, "misused", HookKind::GitHub, &good),
        (NAMESPACE, "misused", HookKind::Gitea, &good),
    ] {
        let call = hooks.call((namespace, build), kind, headers, body.as_bytes(), at(NOW));
        let error = call.await.unwrap_err();
        assert!(
            matches!(error, HookError::Unknown),
            "{namespace}/{build} {kind:?}: {error}"
        );
        said.push(error.to_string());
    }
    said.dedup();
    assert_eq!(said.len(), 1);
    // Not even what is no JSON is looked at before.
    let call = hooks.call(
        (NAMESPACE, "app"),
        HookKind::GitHub,
        &bad,
        b"no json",
        at(NOW),
    );
    assert!(matches!(call.await, Err(HookError::Unknown)));
    assert!(lab.runs().await.is_empty());
}

#[tokio::test]
async fn a_signed_call_is_told_what_is_wrong_with_it() {
    let (lab, hooks) = lab().await;
    for body in ["no json", "payload=%7B%7D", "{}", r#"{"ref":7}"#] {
        let headers = signed(HookKind::GitHub, "push", SECRET, body, at(NOW));
        let call = hooks.call(
            (NAMESPACE, "app"),
            HookKind::GitHub,
            &headers,
            body.as_bytes(),
            at(NOW),
        );
        let error = call.await.unwrap_err();
        assert!(matches!(error, HookError::Invalid(_)), "{body}: {error}");
    }
    let body = r#"{"branch":"main"}"#;
    let headers = signed(HookKind::Generic, "", SECRET, body, at(NOW));
    let call = hooks.call(
        (NAMESPACE, "app"),
        HookKind::Generic,
        &headers,
        body.as_bytes(),
        at(NOW),
    );
    assert!(call.await.unwrap_err().to_string().contains("branch"));

    lab.owners.gone.store(true, Ordering::SeqCst);
    let headers = signed(HookKind::Generic, "", SECRET, "", at(NOW));
    let call = || {
        hooks.call(
            (NAMESPACE, "app"),
            HookKind::Generic,
            &headers,
            b"",
            at(NOW),
        )
    };
    assert!(matches!(call().await, Err(HookError::Forbidden(_))));
    // It was not taken: it counts once the owner has the right again.
    lab.owners.gone.store(false, Ordering::SeqCst);
    assert!(matches!(call().await, Ok(Answer::Started { .. })));
}

#[tokio::test]
async fn old_deliveries_are_forgotten_and_the_newest_are_kept() {
    let lab = Lab::new();
    let now = at(NOW);
    for build in ["app", "other"] {
        lab.build(build, &json!({}), now).await;
    }
    let remember = |build: &'static str, what: String, seconds: u64| {
        let write = taking(taken(NAMESPACE, build, &what), at(seconds));
        lab.ledger.write(vec![write])
    };
    let day = Duration::from_secs(86_400).as_secs();
    for number in 0..20 {
        remember("app", format!("new {number}"), NOW - number)
            .await
            .unwrap();
        remember("app", format!("old {number}"), NOW - 91 * day - number)
            .await
            .unwrap();
        remember("other", format!("new {number}"), NOW - 89 * day)
            .await
            .unwrap();
    }
    assert_eq!(prune(&*lab.ledger, now, 5).await.unwrap(), 20 + 15 + 15);
    let kept = lab
        .ledger
        .list(Kind::Delivery, NAMESPACE, "app.", None, 100);
    assert_eq!(kept.await.unwrap().len(), 5);
    remember("app", "new 4".to_owned(), NOW)
        .await
        .expect_err("it is among the newest five");
    remember("app", "new 5".to_owned(), NOW)
        .await
        .expect("it was forgotten");
    assert_eq!(prune(&*lab.ledger, now, 100).await.unwrap(), 0);
}

#[test]
fn kinds_have_the_names_of_their_records() {
    for kind in HookKind::ALL {
        assert_eq!(json!(kind), json!(kind.as_str()));
        assert_eq!(HookKind::from_path(kind.as_str()), Some(kind));
    }
    assert_eq!(HookKind::from_path("GitHub"), None);
    assert_eq!(
        HookKind::GitHub.path("team", "app"),
        "/hooks/team/app/github"
    );
}
