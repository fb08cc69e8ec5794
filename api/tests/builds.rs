//! Builds, their secrets and the catalogue of builder images, from the wire. Runs and logs are tested where something runs.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use builder::builds::Quota;
use builder::ledger::{Key, Kind, Ledger as _, Write};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Answer, PASSWORD, Server, basic, request, user};

const BUILDS: &str = "/api/v1/namespaces/team/builds";
const SECRETS: &str = "/api/v1/namespaces/team/secrets";
const CANARY: &str = "canary-of-a-secret";

fn spec(output: &str) -> Value {
    json!({
        "source": {"kind": "git", "url": "https://git.example.com/team/app.git", "revision": "main"},
        "builder": "team/go:1",
        "output": {"image": output},
    })
}

impl Server {
    async fn put(&self, path: &str, who: &str, if_match: &str, body: &Value) -> Answer {
        let mut request = request(Method::PUT, path, who, &body.to_string());
        if !if_match.is_empty() {
            let headers = request.headers_mut();
            headers.insert("if-match", if_match.parse().unwrap());
        }
        self.send(request).await
    }

    async fn remove(&self, path: &str, who: &str) -> StatusCode {
        self.ask(Method::DELETE, path, who, "").await.status
    }
}

#[tokio::test]
async fn a_build_is_made_changed_listed_and_removed() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let new = json!({"name": "app", "spec": spec("team/app:v1")});
    let made = server.post(BUILDS, &who, &new.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    assert_eq!(made.header("location"), format!("{BUILDS}/app"));
    assert_eq!(made.header("etag"), "\"1\"");
    let made = made.json();
    assert_eq!(made["owner"], "builder");
    assert_eq!(made["metadata"]["namespace"], "team");
    assert_eq!(made["spec"]["source"]["revision"], "main");
    assert!(
        made.get("proof").is_none() && made["owner"].is_string(),
        "{made}"
    );
    let again = server.post(BUILDS, &who, &new.to_string()).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.header("content-type"), "application/problem+json");
    assert_eq!(again.json()["requestId"], again.header("x-request-id"));

    let app = format!("{BUILDS}/app");
    let changed = json!({"spec": spec("team/app:v2")});
    for (if_match, status) in [
        ("\"7\"", StatusCode::PRECONDITION_FAILED),
        ("7", StatusCode::BAD_REQUEST),
        ("W/\"1\"", StatusCode::BAD_REQUEST),
        ("\"1\"", StatusCode::OK),
        ("\"1\"", StatusCode::PRECONDITION_FAILED),
        ("", StatusCode::OK),
        ("*", StatusCode::OK),
    ] {
        let answer = server.put(&app, &user("root"), if_match, &changed).await;
        assert_eq!(answer.status, status, "{if_match}: {:?}", answer.body);
    }
    let now = server.get(&app, &who).await;
    assert_eq!(now.header("etag"), "\"4\"");
    let now = now.json();
    assert_eq!(now["spec"]["output"]["image"], "team/app:v2");
    assert_eq!(
        now["owner"], "root",
        "who changes it stands for what runs by itself"
    );

    for number in 1..4 {
        let new = json!({"name": format!("other-{number}"), "spec": spec("team/other:v1")});
        let made = server.post(BUILDS, &who, &new.to_string()).await;
        assert_eq!(made.status, StatusCode::CREATED);
    }
    let (mut names, mut from) = (Vec::new(), String::new());
    loop {
        let page = server
            .get(&format!("{BUILDS}?limit=2&continue={from}"), &who)
            .await;
        let page = page.json();
        for item in page["items"].as_array().unwrap() {
            names.push(item["metadata"]["name"].as_str().unwrap().to_owned());
        }
        match page["continue"].as_str() {
            Some(next) => next.clone_into(&mut from),
            None => break,
        }
    }
    assert_eq!(names, ["app", "other-1", "other-2", "other-3"]);
    assert_eq!(server.remove(&app, &who).await, StatusCode::NO_CONTENT);
    assert_eq!(server.remove(&app, &who).await, StatusCode::NOT_FOUND);
    assert_eq!(server.get(&app, &who).await.status, StatusCode::NOT_FOUND);
    let put = server.put(&app, &who, "", &changed).await;
    assert_eq!(put.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_makes_no_build_is_refused_by_its_field() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let with = |path: &str, value: Value| {
        let mut new = json!({"name": "app", "spec": spec("team/app:v1")});
        *new.pointer_mut(path).unwrap() = value;
        new
    };
    for (new, said) in [
        (with("/name", json!("App")), "App"),
        (with("/name", json!("a/../b")), "name"),
        (with("/spec/output/image", json!("other/app:v1")), "output"),
        (with("/spec/source/url", json!("file:///etc")), "source"),
        (with("/spec/source/url", json!("--upload-pack=x")), "source"),
        (
            with("/spec/source", json!({"kind": "ftp"})),
            "spec.source.kind",
        ),
        (json!({"name": "app"}), "spec"),
        (
            json!({"name": "app", "spec": spec("team/app:v1"), "owner": "root"}),
            "owner",
        ),
    ] {
        let answer = server.post(BUILDS, &who, &new.to_string()).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{new}: {:?}",
            answer.body
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(said), "{new}: {detail}");
    }
    let long = with("/name", json!("a".repeat(300 << 10)));
    let answer = server.post(BUILDS, &who, &long.to_string()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// A namespace that one may not see and one that is not there: the same bytes, whatever is asked.
#[tokio::test]
async fn a_namespace_without_rights_is_as_one_that_is_not_there() {
    let server = Server::guarded(false).await;
    let root = user("root");
    let new = json!({"name": "app", "spec": spec("hidden/app:v1")});
    let hidden = "/api/v1/namespaces/hidden/builds";
    let made = server.post(hidden, &root, &new.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    for route in server.routes() {
        if !route.path().contains("{namespace}") {
            continue;
        }
        let mut answers = Vec::new();
        for namespace in ["hidden", "absent"] {
            let path = route.path().replace("{namespace}", namespace);
            let path = path.replace("{name}", "app");
            let answer = server
                .ask(route.method().clone(), &path, &user("builder"), "{}")
                .await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{route:?}");
            let id = answer.header("x-request-id").to_owned();
            let body = String::from_utf8_lossy(&answer.body).replace(&id, "");
            answers.push(body.replace(namespace, ""));
        }
        assert_eq!(answers[0], answers[1], "{route:?}");
    }
}

#[tokio::test]
async fn a_secret_goes_in_and_never_out() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let npmrc = format!("{SECRETS}/npmrc");
    let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, CANARY);
    let set = json!({"usedFor": "git", "files": {"username": "YW5u", "password": content, "hosts": "Z2l0LmV4YW1wbGU="}});
    let first = server.put(&npmrc, &who, "", &set).await;
    assert_eq!(first.status, StatusCode::CREATED, "{:?}", first.body);
    assert_eq!(first.header("location"), npmrc);
    let second = server.put(&npmrc, &who, "", &set).await;
    assert_eq!(second.status, StatusCode::OK);
    assert_ne!(first.json()["revision"], second.json()["revision"]);
    let listed = server.get(SECRETS, &who).await;
    assert_eq!(listed.json()["items"], json!([second.json()]));
    assert_eq!(
        (
            &listed.json()["items"][0]["files"],
            &listed.json()["items"][0]["usedFor"]
        ),
        (&json!(["hosts", "password", "username"]), &json!("git"))
    );
    let hosts = &listed.json()["items"][0]["hosts"];
    assert_eq!(hosts, &json!(["git.example"]), "they are no secret");
    for answer in [&first, &second, &listed] {
        let body = String::from_utf8_lossy(&answer.body);
        assert!(!body.contains(&content) && !body.contains(CANARY), "{body}");
    }
    assert_eq!(
        server.get(&npmrc, &who).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    // What is wrong with it is told without what is in it.
    for files in [
        json!({"password": CANARY}),
        json!({"../a": content}),
        json!({}),
        json!({"a": 5}),
        json!(CANARY),
        json!({"password": {"value": CANARY}}),
        json!({"password": [CANARY]}),
    ] {
        let answer = server
            .put(&npmrc, &who, "", &json!({ "files": files }))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{files}");
        let body = String::from_utf8_lossy(&answer.body);
        assert!(!body.contains(CANARY) && !body.contains(&content), "{body}");
    }
    // Whoever may save a build could send it to any server.
    let anywhere = json!({"usedFor": "git", "files": {"password": content}});
    let anywhere = server.put(&npmrc, &who, "", &anywhere).await;
    assert_eq!(anywhere.status, StatusCode::BAD_REQUEST);
    let body = String::from_utf8_lossy(&anywhere.body);
    assert!(body.contains("hosts"), "{body}");
    // What no server would take is refused when it is set.
    let alone =
        json!({"usedFor": "git", "files": {"password": content, "hosts": "Z2l0LmV4YW1wbGU="}});
    let short = json!({"usedFor": "webhook", "files": {"webhook-secret": "c2hvcnQ="}});
    for (wanted, named) in [(alone, "user"), (short, "16 bytes")] {
        let refused = server.put(&npmrc, &who, "", &wanted).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let body = String::from_utf8_lossy(&refused.body);
        assert!(body.contains(named) && !body.contains(CANARY), "{body}");
    }
    let large = "A".repeat(1_600 << 10);
    let large = server
        .put(&npmrc, &who, "", &json!({"files": {"a": large}}))
        .await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(server.remove(&npmrc, &who).await, StatusCode::NO_CONTENT);
    assert_eq!(server.get(SECRETS, &who).await.json()["items"], json!([]));
}

#[tokio::test]
async fn the_catalogue_is_the_namespaces_and_then_everybodys() {
    let server = Server::guarded(false).await;
    let (who, root) = (user("builder"), user("root"));
    let own = "/api/v1/namespaces/team/builderimages";
    let all = "/api/v1/builderimages";
    let entry = |image: &str| json!({"image": image, "language": "go", "version": "1"});
    for (path, who, image) in [
        (format!("{own}/go"), &who, "team/go:1"),
        (format!("{own}/zig"), &who, "team/zig:1"),
        (format!("{all}/go"), &root, "slipway/go:1"),
        (format!("{all}/python"), &root, "slipway/python:3"),
    ] {
        let answer = server.put(&path, who, "", &entry(image)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        assert_eq!(answer.header("location"), path);
        assert_eq!(answer.json()["image"], image);
        let again = server.put(&path, who, "", &entry(image)).await;
        assert_eq!(again.status, StatusCode::OK, "{path}");
    }
    let refused = server
        .put(&format!("{all}/go"), &who, "", &entry("team/go:2"))
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let everybodys = server.get(&format!("{all}/python"), &root).await;
    assert_eq!(everybodys.json()["image"], "slipway/python:3");
    for limit in 1..6 {
        let (mut images, mut from) = (Vec::new(), String::new());
        loop {
            let path = format!("{own}?limit={limit}&continue={from}");
            let page = server.get(&path, &who).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            images.extend(
                items
                    .iter()
                    .map(|item| item["image"].as_str().unwrap().to_owned()),
            );
            match page["continue"].as_str() {
                Some(next) => next.clone_into(&mut from),
                None => break,
            }
        }
        let expected = [
            "team/go:1",
            "team/zig:1",
            "slipway/go:1",
            "slipway/python:3",
        ];
        assert_eq!(images, expected, "{limit} at a time");
    }
    let image =
        async |name: &str| server.get(&format!("{own}/{name}"), &who).await.json()["image"].clone();
    assert_eq!(
        (image("go").await, image("python").await),
        (json!("team/go:1"), json!("slipway/python:3"))
    );
    assert_eq!(
        server.remove(&format!("{own}/go"), &who).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(image("go").await, "slipway/go:1");
    assert_eq!(
        server.remove(&format!("{all}/go"), &who).await,
        StatusCode::FORBIDDEN
    );
    let missing = server.get(&format!("{own}/rust"), &who).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

/// T26 for builds: a token builds where and as its limits say, by either scheme, and no token for images does.
#[tokio::test]
async fn t26_a_tokens_limits_hold_for_builds() {
    let server = Server::guarded(false).await;
    let token = async |namespaces: &[&str], verbs: &[&str]| {
        let wanted = json!({"namespaces": namespaces, "verbs": verbs}).to_string();
        let made = server
            .post("/api/v1/tokens", &user("root"), &wanted)
            .await
            .json();
        made["token"].as_str().unwrap().to_owned()
    };
    let building = token(&["team", "other/app"], &["build", "push"]).await;
    let pushing = token(&["team"], &["push", "delete"]).await;
    let issued = async |from: &str, scope: &str| {
        let path = format!("/auth/token?scope={scope}");
        let issued = server.get(&path, &basic("root", from)).await.json();
        format!("Bearer {}", issued["token"].as_str().unwrap())
    };
    let account = "registry:account:*";
    let ways = [
        ("building", format!("Bearer {building}")),
        ("building", basic("ci", &building)),
        ("pushing", format!("Bearer {pushing}")),
        ("pushing", issued(&building, account).await),
        ("pushing", issued(PASSWORD, "repository:team/app:*").await),
        ("root", issued(PASSWORD, account).await),
        ("root", user("root")),
    ];
    for (number, (who, authorization)) in ways.into_iter().enumerate() {
        for namespace in ["team", "other"] {
            let builds = format!("/api/v1/namespaces/{namespace}/builds");
            let name = format!("app-{number}");
            let spec = spec(&format!("{namespace}/app:v1"));
            let new = json!({"name": name, "spec": spec}).to_string();
            let app = format!("{builds}/{name}");
            let changed = json!({ "spec": spec });
            let created = server.post(&builds, &authorization, &new).await.status;
            let replaced = server.put(&app, &authorization, "", &changed).await.status;
            let listed = server.get(&builds, &authorization).await.status;
            // Which secrets there are, those are told who may list them.
            let lacking = json!({"spec": {"secrets": [{"name": "nosuch"}], "source": spec["source"], "builder": "b", "output": spec["output"]}});
            let lacking = server.put(&app, &authorization, "", &lacking).await;
            let told =
                lacking.status == StatusCode::OK && !lacking.json()["missingSecrets"].is_null();
            assert_eq!(told, who == "root", "{number}: {who} in {namespace}");
            let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
            let secrets = server.get(&secrets, &authorization).await.status;
            let removed = server.remove(&app, &authorization).await;
            let may = |status: StatusCode| {
                let refused = [StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED];
                assert!(status.is_success() || refused.contains(&status), "{status}");
                status.is_success()
            };
            let builds = who == "root" || (who == "building" && namespace == "team");
            let what = format!("{number}: {who} in {namespace}");
            assert_eq!([created, replaced, listed].map(may), [builds; 3], "{what}");
            assert_eq!([removed, secrets].map(may), [who == "root"; 2], "{what}");
        }
    }
}

#[tokio::test]
async fn builds_of_all_namespaces_are_those_that_one_may_list() {
    let server = Server::guarded(false).await;
    for (namespace, name) in [("more", "a"), ("other", "a"), ("team", "a"), ("team", "b")] {
        let new = json!({"name": name, "spec": spec(&format!("{namespace}/app:v1"))});
        let path = format!("/api/v1/namespaces/{namespace}/builds");
        let made = server.post(&path, &user("root"), &new.to_string()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    }
    for (who, limit, expected) in [
        ("root", 1, &["more/a", "other/a", "team/a", "team/b"][..]),
        ("root", 100, &["more/a", "other/a", "team/a", "team/b"]),
        ("builder", 1, &["team/a", "team/b"]),
        ("puller", 100, &[]),
    ] {
        let (mut found, mut from) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/builds?limit={limit}&continue={from}");
            let page = server.get(&path, &user(who)).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            found.extend(items.iter().map(|build| {
                let name = |field: &str| build["metadata"][field].as_str().unwrap();
                format!("{}/{}", name("namespace"), name("name"))
            }));
            match page["continue"].as_str() {
                Some(next) => next.clone_into(&mut from),
                None => break,
            }
        }
        assert_eq!(found, expected, "{who}, {limit} at a time");
    }
}

#[tokio::test]
async fn no_page_names_a_namespace_that_one_may_not_see() {
    let server = Server::guarded(false).await;
    // More than one request asks about, in front of what they may see.
    let hidden = (0..220).map(|number| format!("hidden-{number:03}"));
    for namespace in hidden.chain(["team".to_owned()]) {
        let new = json!({"name": "app", "spec": spec(&format!("{namespace}/app:v1"))});
        let path = format!("/api/v1/namespaces/{namespace}/builds");
        let made = server.post(&path, &user("root"), &new.to_string()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    }
    let page = async |who: &str, from: &str| {
        let path = format!("/api/v1/builds?continue={from}");
        server.get(&path, &user(who)).await
    };
    let first = page("builder", "").await.json();
    assert_eq!(first["items"], json!([]));
    let next = first["continue"].as_str().unwrap();
    assert!(next.starts_with('~') && !next.contains("hidden"), "{next}");
    let second = page("builder", next).await.json();
    assert_eq!(second["items"][0]["metadata"]["namespace"], "team");
    assert_eq!(second.get("continue"), None);
    // It is theirs alone, and nobody chooses another.
    for (who, from) in [
        ("other", next),
        ("builder", "hidden-005/"),
        ("builder", "team/app"),
        ("builder", "~AAAA"),
        ("root", "A/b"),
    ] {
        let wrong = page(who, from).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{who}: {from}");
        assert!(wrong.json()["detail"].to_string().contains("first page"));
    }
}

/// What git servers answer is tested where there are some.
#[tokio::test]
async fn who_may_make_builds_may_ask_what_a_repository_offers() {
    let server = Server::guarded(false).await;
    let probe = |source: Value| json!({ "source": source }).to_string();
    let ask = async |who: &str, source: Value| {
        let path = "/api/v1/namespaces/team/references";
        server.post(path, &user(who), &probe(source)).await
    };
    let git = |url: &str| json!({"kind": "git", "url": url});
    let refused = ask("puller", git("https://git.example.com/a.git")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    for (source, status, said) in [
        (
            git("git.example.com"),
            StatusCode::BAD_REQUEST,
            "source.url",
        ),
        (
            json!({"kind": "image", "reference": "team/sources/a:1"}),
            StatusCode::BAD_REQUEST,
            "only a git repository",
        ),
        (
            json!({"kind": "git", "url": "https://git.example.com/a.git", "secret": "none"}),
            StatusCode::NOT_FOUND,
            "none",
        ),
        (
            git("https://127.0.0.1:1/a.git"),
            StatusCode::UNPROCESSABLE_ENTITY,
            "AddressForbidden: ",
        ),
    ] {
        let answer = ask("builder", source).await;
        assert_eq!(answer.status, status, "{:?}", answer.body);
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(said), "{detail}");
    }
    let of_build = "/api/v1/namespaces/team/builds/none/references";
    let absent = server.get(of_build, &user("builder")).await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_a_fault_of_its_own() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let new = json!({"name": "app", "spec": spec("team/app:v1")});
    let made = server.post(BUILDS, &who, &new.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let bad = Write::Put {
        key: Key {
            kind: Kind::Build,
            namespace: "team".to_owned(),
            name: "newer".to_owned(),
        },
        revision: None,
        open: true,
        brief: None,
        body: format!(r#"{{"metadata": {{"{CANARY}": 1}}}}"#).into_bytes(),
    };
    server.ledger.write(vec![bad]).await.unwrap();
    let listed = server.get(BUILDS, &who).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let newer = format!("{BUILDS}/newer");
    let answer = server.get(&newer, &who).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("build newer") && detail.contains("remove it"),
        "{detail}"
    );
    assert!(!detail.contains(CANARY), "{detail}");
    assert_eq!(server.remove(&newer, &who).await, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&newer, &who).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_runs_of_no_build_are_not_found() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let runs = "/api/v1/namespaces/team/buildruns";
    let answer = server.get(&format!("{runs}?build=app"), &who).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let new = json!({"name": "app", "spec": spec("team/app:v1")});
    server.post(BUILDS, &who, &new.to_string()).await;
    let answer = server.get(&format!("{runs}?build=app"), &who).await;
    assert_eq!(answer.json()["items"], json!([]));
}

#[tokio::test]
async fn a_run_that_waits_says_for_what() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let mut serial = spec("team/app:v1");
    serial["policy"] = json!("serial");
    let new = json!({"name": "app", "spec": serial});
    server.post(BUILDS, &who, &new.to_string()).await;
    let runs = "/api/v1/namespaces/team/buildruns";
    let start = format!("{BUILDS}/app/runs");
    let first = server.post(&start, &who, "{}").await.json();
    assert_eq!(first["waits"], json!(null), "it is next: {first}");
    let second = server.post(&start, &who, "{}").await.json();
    let waits =
        json!({"reason": "EarlierRun", "message": "for app-1, an earlier run of this build"});
    assert_eq!(second["waits"], waits);
    let shown = server.get(&format!("{runs}/app-2"), &who).await.json();
    assert_eq!(shown["waits"], waits);
    let listed = server.get(runs, &who).await.json();
    assert_eq!(listed["items"][0]["waits"], waits, "{listed}");
    server
        .post(&format!("{runs}/app-1/cancel"), &who, "{}")
        .await;
    let shown = server.get(&format!("{runs}/app-2"), &who).await.json();
    assert_eq!(shown["waits"], json!(null), "{shown}");
}

#[tokio::test]
async fn runs_are_listed_page_by_page_the_newest_first() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let runs = "/api/v1/namespaces/team/buildruns";
    for name in ["m", "z", "a"] {
        let new = json!({"name": name, "spec": spec("team/app:v1")});
        let answer = server.post(runs, &who, &new.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let (mut names, mut from) = (String::new(), String::new());
    loop {
        let path = format!("{runs}?limit=1&continue={from}");
        let page = server.get(&path, &who).await.json();
        names += page["items"][0]["metadata"]["name"].as_str().unwrap();
        match page["continue"].as_str() {
            Some(next) => next.clone_into(&mut from),
            None => break,
        }
    }
    assert_eq!(names, "azm");
    let answer = server.get(&format!("{runs}?state=failed"), &who).await;
    assert_eq!(answer.json()["items"], json!([]));
    for query in ["state=lost", "continue=x", "continue=1/2.a"] {
        let answer = server.get(&format!("{runs}?{query}"), &who).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn who_has_as_many_as_they_may_is_told_what_to_do() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let put = |name: usize| {
        let (server, who) = (&server, &who);
        async move {
            let new = json!({"name": format!("b{name}"), "spec": spec("team/app:v1")});
            server.post(BUILDS, who, &new.to_string()).await
        }
    };
    let most = Quota::default().builds;
    for name in 0..most {
        assert_eq!(put(name).await.status, StatusCode::CREATED);
    }
    let answer = put(most).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("builder.namespaceBuilds"), "{detail}");
    assert_eq!(
        server.remove(&format!("{BUILDS}/b7"), &who).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(put(most).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_was_published_is_told_page_by_page() {
    let server = Server::guarded(false).await;
    let who = user("builder");
    let events = "/api/v1/namespaces/team/buildevents";
    let nothing = server.get(events, &who).await.json();
    assert_eq!(nothing, json!({"items": []}));
    let event = |number: u64| {
        json!({
            "id": format!("{number:032x}"), "kind": "build.succeeded", "namespace": "team", "build": "app",
            "run": format!("app-{number}"), "repository": "team/app", "digest": format!("sha256:{number:064}"), "tags": ["v1"],
            "at": 1_800_000_000_000 - number,
        })
    };
    let put = |kind: Kind, namespace: &str, name: &str, revision: Option<u64>, body: String| {
        let key = Key {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Write::Put {
            key,
            revision,
            open: false,
            brief: None,
            body: body.into_bytes(),
        }
    };
    let at = |namespace: &str, number: u64, body: String| {
        put(Kind::Event, namespace, &format!("{number:016}"), None, body)
    };
    let mut writes: Vec<_> = (1..=3)
        .map(|number| at("team", number, event(number).to_string()))
        .collect();
    // Of a newer version, and of somebody else.
    writes.push(at("team", 4, "{}".to_owned()));
    writes.push(at("other", 5, event(5).to_string()));
    server.ledger.write(writes).await.unwrap();
    for revision in 0..4 {
        let before = (revision > 0).then_some(revision);
        let count = put(Kind::EventCount, "team", "events", before, "{}".to_owned());
        server.ledger.write(vec![count]).await.unwrap();
    }

    let page = server.get(&format!("{events}?limit=2"), &who).await.json();
    let runs = |page: &Value| -> Vec<Value> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["run"].clone()).collect()
    };
    assert_eq!(runs(&page), ["app-1", "app-2"]);
    let mut first = event(1);
    first["position"] = 1.into();
    assert_eq!(page["items"][0], first);
    assert_eq!(page["continue"], "2");
    for rest in [
        "limit=2&continue=2",
        "after=2",
        "after=0&continue=2",
        "after=2&continue=",
    ] {
        let rest = server.get(&format!("{events}?{rest}"), &who).await.json();
        assert_eq!(runs(&rest), ["app-3"]);
        assert!(rest.get("continue").is_none(), "{rest}");
    }
    // Who says which event they have read is told if it is another by now; of one that cannot be read nobody knows.
    let known = format!("after=2&id={:032x}", 2);
    for rest in [&*known, "limit=2&continue=2&after=2&id=other"] {
        let rest = server.get(&format!("{events}?{rest}"), &who).await.json();
        assert_eq!(runs(&rest), ["app-3"]);
    }
    let unknown = server.get(&format!("{events}?after=4&id=x"), &who).await;
    assert_eq!(unknown.json(), json!({"items": []}));
    // Whoever has read all asks for what comes behind it.
    for behind in [3, 4] {
        let behind = server.get(&format!("{events}?after={behind}"), &who).await;
        assert_eq!(behind.json(), json!({"items": []}));
    }
    for wrong in [
        "after=5",
        "after=2&id=other",
        "after=0&id=other",
        "id=other",
        "continue=x",
        "continue=1800000000003-x",
    ] {
        let answer = server.get(&format!("{events}?{wrong}"), &who).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("position"), "{detail}");
    }

    let bad = server.get(&format!("{events}?limit=0"), &who).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert_eq!(bad.header("content-type"), "application/problem+json");
    for (name, status) in [
        ("puller", StatusCode::FORBIDDEN),
        ("other", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(
            server.get(events, &user(name)).await.status,
            status,
            "{name}"
        );
    }
}
