//! Every route: who may, what it refuses, and what the document says of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use api::{Administrator, Builder, Caller, Permission, Reply, Route};
use auth::{AdminRight, BuildRight};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Server, request, user};

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
];

/// The path with something for its parameters.
fn filled(route: &Route) -> String {
    let segments = route.path().split('/');
    let segments = segments.map(|part| if part.starts_with('{') { "x" } else { part });
    segments.collect::<Vec<_>>().join("/")
}

/// T22: there is no way to a handler that does not pass its permission. The router is made of these routes, and of
/// nothing else.
#[tokio::test]
async fn t22_every_route_has_a_permission_and_holds_to_it() {
    let server = Server::guarded(false).await;
    for route in server.routes() {
        let path = filled(&route);
        let stranger = server.ask(route.method().clone(), &path, "", "{}").await;
        // No password: those are counted, and there are more routes than guesses.
        let wrong = format!("Bearer {}.e30.AAAA", "eyJhbGciOiJub25lIn0");
        let liar = server
            .ask(route.method().clone(), &path, &wrong, "{}")
            .await;
        if route.permission() == Permission::Open {
            assert_eq!(stranger.status, StatusCode::OK, "{route:?}");
            continue;
        }
        for answer in [stranger, liar] {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{route:?}");
            let challenge = answer.header("www-authenticate");
            let realm = "Bearer realm=\"http://registry.example.com/auth/token\"";
            assert!(challenge.starts_with(realm), "{route:?}: {challenge}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        if let Permission::Admin(_) | Permission::Build(_) = route.permission() {
            for name in ["puller", "pusher", "other", "builder"] {
                let refused = server
                    .ask(route.method().clone(), &path, &user(name), "{}")
                    .await;
                assert_eq!(refused.status, StatusCode::FORBIDDEN, "{route:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let server = Server::guarded(false).await;
    let answer = server.get("/api/openapi.json", "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.1");
    let mut said = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            said.push((method.to_ascii_uppercase(), path.clone()));
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path}");
            let parameters = operation["parameters"].as_array().unwrap();
            let named = parameters.iter().filter(|one| one["in"] == "path").count();
            assert_eq!(named, path.matches('{').count(), "{path}");
        }
    }
    let mut there: Vec<_> = server
        .routes()
        .iter()
        .map(|route| (route.method().to_string(), route.path().to_owned()))
        .collect();
    there.push(("GET".to_owned(), "/api/openapi.json".to_owned()));
    said.sort();
    there.sort();
    assert_eq!(said, there);
    // Every method that the document does not have is refused, and says which there are.
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let known = methods.get(method.as_str().to_ascii_lowercase()).is_some();
            let path = path.replace(['{', '}'], "");
            let answer = server.ask(method.clone(), &path, &user("root"), "").await;
            let refused = answer.status == StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(refused, !known, "{method} {path}: {}", answer.status);
            assert_eq!(refused, !answer.header("allow").is_empty());
        }
    }
    no_dangling_references(&document, &document);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let named: Vec<&str> = schemas.keys().map(String::as_str).collect();
    for name in ["Token", "TokenList", "NewToken", "Whoami", "Problem"] {
        assert!(named.contains(&name), "{named:?}");
    }
    assert!(
        !named.iter().any(|name| name.ends_with('2')),
        "two of one name: {named:?}"
    );
}

fn no_dangling_references(document: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{target}");
            }
            members
                .values()
                .for_each(|part| no_dangling_references(document, part));
        }
        Value::Array(parts) => parts
            .iter()
            .for_each(|part| no_dangling_references(document, part)),
        _ => {}
    }
}

#[tokio::test]
async fn whoami_says_who_one_is() {
    let server = Server::guarded(true).await;
    let known = server.get("/api/v1/whoami", &user("pusher")).await;
    let mut said = known.json();
    let uid = said.as_object_mut().unwrap().remove("uid");
    assert!(uid.unwrap().is_string(), "of this password");
    assert_eq!(
        said,
        json!({"name": "pusher", "groups": ["system:authenticated"], "provider": "htpasswd"})
    );
    assert_eq!(known.header("cache-control"), "no-store");
    let stranger = server.get("/api/v1/whoami", "").await;
    assert_eq!(
        stranger.json(),
        json!({"name": "system:anonymous", "groups": ["system:unauthenticated"]})
    );
    let path = "/auth/token?service=slipway&scope=repository:team/app:pull,push,delete";
    let token = server.get(path, &user("puller")).await.json()["token"].clone();
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let by_token = server.get("/api/v1/whoami", &bearer).await.json();
    assert_eq!(by_token["name"], "puller");
    assert_eq!(
        by_token["limitedTo"],
        json!({"repositories": [{"name": "team/app", "verbs": ["get"]}], "catalog": false, "account": false})
    );
    assert!(by_token["expiresAt"].as_str().unwrap().ends_with('Z'));
    assert!(server.counted("whoami", 200).await);
}

#[tokio::test]
async fn can_i_answers_as_the_registry_does() {
    let server = Server::guarded(true).await;
    let verbs = r#"["pull","push","delete","get","create","update","retag"]"#;
    for (authorization, repository, expected) in [
        (
            user("puller"),
            "team/app",
            [true, false, false, true, false, false, false],
        ),
        (
            user("pusher"),
            "team/app",
            [true, true, false, true, true, true, true],
        ),
        (user("pusher"), "other/app", [false; 7]),
        (user("root"), "any/thing/at/all", [true; 7]),
        (String::new(), "team/app", [false; 7]),
    ] {
        let body = format!(r#"{{"repository":"{repository}","verbs":{verbs}}}"#);
        let answer = server
            .post("/api/v1/can-i", &authorization, &body)
            .await
            .json();
        let said = answer["verbs"].as_array().unwrap().iter();
        let said: Vec<_> = said
            .map(|verb| verb["allowed"].as_bool().unwrap())
            .collect();
        assert_eq!(said, expected, "{repository}");
        assert_eq!(answer["allowed"], expected.iter().all(|one| *one));
    }
    let rights = json!({"resource": "builds", "namespace": "team", "verbs": ["create", "get", "list", "update", "delete"]});
    let may = async |name: &str, namespace: &str| {
        let mut question = rights.clone();
        question["namespace"] = namespace.into();
        let body = question.to_string();
        let answer = server
            .post("/api/v1/can-i", &user(name), &body)
            .await
            .json();
        answer["allowed"].as_bool().unwrap()
    };
    for (name, namespace, allowed) in [
        ("builder", "team", true),
        ("builder", "other", false),
        ("pusher", "team", false),
        ("root", "other", true),
    ] {
        assert_eq!(may(name, namespace).await, allowed, "{name} {namespace}");
    }
    let open = Server::open().await;
    let body = r#"{"repository":"a/b","verbs":["delete"]}"#;
    assert_eq!(
        open.post("/api/v1/can-i", "", body).await.json()["allowed"],
        true
    );
}

#[tokio::test]
async fn rights_over_the_registry_are_asked_about_by_resource_and_namespace() {
    let server = Server::guarded(true).await;
    for (who, about, verb, allowed) in [
        (
            "puller",
            r#""resource":"audit","namespace":"team""#,
            "get",
            true,
        ),
        (
            "puller",
            r#""resource":"audit","namespace":"other""#,
            "get",
            false,
        ),
        ("puller", r#""resource":"audit""#, "get", false),
        (
            "pusher",
            r#""resource":"audit","namespace":"team""#,
            "get",
            false,
        ),
        // A repository of that name is something else.
        ("puller", r#""repository":"team/audit""#, "get", true),
        ("puller", r#""repository":"audit""#, "get", false),
        ("root", r#""resource":"audit""#, "get", true),
        ("root", r#""resource":"tokens""#, "delete", true),
        ("pusher", r#""resource":"tokens""#, "list", false),
    ] {
        let body = format!(r#"{{{about},"verbs":["{verb}"]}}"#);
        let answer = server.post("/api/v1/can-i", &user(who), &body).await;
        assert_eq!(answer.json()["allowed"], allowed, "{who}: {body}");
        // What is asked is repeated, and the handlers that take the permit decide the same.
        let about: Value = serde_json::from_str(&format!("{{{about}}}")).unwrap();
        for (field, value) in about.as_object().unwrap() {
            assert_eq!(answer.json()[field], *value);
        }
        if about["resource"] == "audit" {
            let place = about["namespace"].as_str();
            let query = place.map_or(String::new(), |place| format!("?namespace={place}"));
            let read = server
                .get(&format!("/api/v1/audit{query}"), &user(who))
                .await;
            assert_eq!(read.status == StatusCode::OK, allowed, "{who}: {body}");
        }
    }
    let stranger = r#"{"resource":"audit","verbs":["get"]}"#;
    let answer = server.post("/api/v1/can-i", "", stranger).await;
    assert_eq!(answer.json()["allowed"], false);
    for (body, said) in [
        (r#"{"verbs":["get"]}"#, "name a repository"),
        (
            r#"{"repository":"a/b","resource":"audit","verbs":["get"]}"#,
            "name a repository",
        ),
        (
            r#"{"repository":"a/b","namespace":"a","verbs":["get"]}"#,
            "name a repository",
        ),
        (
            r#"{"resource":"audit","verbs":["list"]}"#,
            "there are get audit",
        ),
        (
            r#"{"resource":"images","verbs":["get"]}"#,
            "get audit, list tokens",
        ),
        (
            r#"{"resource":"tokens","namespace":"a","verbs":["list"]}"#,
            "whole registry",
        ),
        (
            r#"{"resource":"audit","namespace":"a/b","verbs":["get"]}"#,
            "namespace: ",
        ),
        (
            r#"{"resource":"audit","verbs":["get"],"as":"root"}"#,
            "as: there is no such field",
        ),
    ] {
        let answer = server.post("/api/v1/can-i", &user("root"), body).await;
        assert_eq!(answer.status, 400, "{body}");
        let problem = answer.json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{body}: {detail}");
    }
}

#[tokio::test]
async fn where_the_rules_are_is_told_to_whoever_comes_in() {
    let server = Server::guarded(false).await;
    let answer = server.get("/api/v1/rules", &user("other")).await;
    assert_eq!(
        answer.json(),
        json!({"kept": "files", "group": "registry.alauda.io", "resource": "images"})
    );
    let open = Server::open().await;
    let answer = open.get("/api/v1/rules", "").await;
    assert_eq!(answer.json(), json!({"kept": "nowhere"}));
}

/// T17: what is not asked for is not taken, and what is too large is not read.
#[tokio::test]
async fn t17_bodies_are_bounded_and_unknown_fields_are_refused() {
    let server = Server::guarded(false).await;
    let who = user("puller");
    let padded = format!(
        r#"{{"repository":"a/b","verbs":["pull"]{}}}"#,
        " ".repeat(api::MAX_BODY)
    );
    let many = format!(
        r#"{{"repository":"a/b","verbs":[{}"pull"]}}"#,
        r#""pull","#.repeat(8)
    );
    for (body, status) in [
        (r#"{"repository":"a/b","verbs":["pull"],"as":"root"}"#, 400),
        (
            r#"{"repository":"a/b","verbs":["pull"],"verbs":["get"]}"#,
            400,
        ),
        (r#"{"repository":"../b","verbs":["pull"]}"#, 400),
        (r#"{"repository":"a/b","verbs":[]}"#, 400),
        (r#"{"repository":"a/b","verbs":["*"]}"#, 400),
        (r#"{"repository":"a/b"}"#, 400),
        (r#"{"verbs":["pull"]}"#, 400),
        (
            r#"{"repository":"a/b","resource":"builds","verbs":["get"]}"#,
            400,
        ),
        (
            r#"{"repository":"a/b","namespace":"a","verbs":["get"]}"#,
            400,
        ),
        (r#"{"namespace":"a","verbs":["get"]}"#, 400),
        (
            r#"{"resource":"builds","namespace":"a/b","verbs":["get"]}"#,
            400,
        ),
        (
            r#"{"resource":"builds","namespace":"a","verbs":["pull"]}"#,
            400,
        ),
        (
            r#"{"resource":"buildsecrets","namespace":"a","verbs":["get"]}"#,
            400,
        ),
        ("[]", 400),
        ("{", 400),
        (&many, 400),
        (&"[".repeat(50_000), 400),
        (&padded, 413),
    ] {
        let answer = server.post("/api/v1/can-i", &who, body).await;
        assert_eq!(answer.status, status, "{body:.80}");
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["requestId"], answer.header("x-request-id"));
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    let mut form = request(
        Method::POST,
        "/api/v1/can-i",
        &who,
        r#"{"repository":"a/b"}"#,
    );
    form.headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(
        server.send(form).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let mut two = request(Method::GET, "/api/v1/whoami", &who, "");
    two.headers_mut()
        .append("authorization", user("root").parse().unwrap());
    assert_eq!(server.send(two).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let server = Server::guarded(false).await;
    for path in [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/whoami/",
        "/api/v2/whoami",
        "/api/v1//whoami",
    ] {
        let answer = server.get(path, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

/// What an administrator's route is for, as the rooms that have one use it.
#[tokio::test]
async fn a_right_over_the_registry_is_asked_of_policy() {
    let handler = async |caller: Caller, Administrator(permit): Administrator| {
        assert_eq!(permit.who().name(), caller.who.name());
        Reply(StatusCode::OK, permit.right().to_string())
    };
    let permission = Permission::Admin(AdminRight::ReadAudit);
    let route = Route::get("/api/v1/probe", "probe", permission, handler, ());
    let route = route.summary("A probe").reply::<String>(StatusCode::OK);
    let server = Server::with(true, vec![route]).await;
    let root = server.get("/api/v1/probe", &user("root")).await;
    assert_eq!(root.json(), "get audit");
    let other = server.get("/api/v1/probe", &user("pusher")).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    assert_eq!(
        other.json()["detail"],
        "user \"pusher\" may not get audit of this registry"
    );
    let stranger = server.get("/api/v1/probe", "").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(server.counted("probe", 403).await && server.counted("probe", 401).await);
}

/// What is done with builds needs its right in the path's namespace, and a namespace that nobody knows is answered as one
/// that one may not see.
#[tokio::test]
async fn a_right_with_builds_is_asked_for_the_namespace_of_the_path() {
    let handler = async |caller: Caller, builder: Builder| {
        assert_eq!(builder.0.who().name(), caller.who.name());
        Reply(StatusCode::OK, builder.namespace().to_owned())
    };
    let right = Permission::Build(BuildRight::CreateBuilds);
    let here = "/api/v1/namespaces/{namespace}/probe";
    let routes = vec![
        Route::post(here, "probe", right, handler, ()),
        Route::post("/api/v1/probe", "probe-all", right, handler, ()),
    ];
    let routes = routes
        .into_iter()
        .map(|route| route.summary("A probe").reply::<String>(StatusCode::OK))
        .collect();
    let server = Server::with(false, routes).await;
    let ask = async |who: &str, path: &str| server.post(path, &user(who), "").await;
    let team = "/api/v1/namespaces/team/probe";
    assert_eq!(ask("builder", team).await.json(), "team");
    assert_eq!(ask("root", "/api/v1/probe").await.json(), "");
    for (who, path, said) in [
        (
            "pusher",
            team,
            "user \"pusher\" may not create builds in namespace \"team\"",
        ),
        (
            "builder",
            "/api/v1/namespaces/other/probe",
            "user \"builder\" may not create builds in namespace \"other\"",
        ),
        (
            "builder",
            "/api/v1/probe",
            "user \"builder\" may not create builds of this registry",
        ),
    ] {
        let answer = ask(who, path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(answer.json()["detail"], said);
    }
    for namespace in ["team%2Fapp", "..", "Team", "%FF", "-"] {
        let path = format!("/api/v1/namespaces/{namespace}/probe");
        let answer = ask("root", &path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{namespace}");
    }
}
