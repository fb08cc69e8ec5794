//! Every route of a namespace's builds, decided by the cluster: by the word of a SubjectAccessReview, which this test asks too.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::cluster::AUDIENCE;
use tests::{Api, Cluster, Lab, OrFail, Server, Settings, until};

use super::{api_as, bind, installed};

/// What each route below `/api/v1/namespaces/{namespace}/` takes. The document of the API has no other.
const NEEDS: &[(&str, &str, &str, &str)] = &[
    ("GET", "builds", "list", "builds"),
    ("POST", "builds", "create", "builds"),
    ("GET", "builds/{name}", "get", "builds"),
    ("PUT", "builds/{name}", "update", "builds"),
    ("DELETE", "builds/{name}", "delete", "builds"),
    ("POST", "builds/{name}/runs", "create", "builds"),
    ("GET", "builds/{name}/references", "create", "builds"),
    ("POST", "references", "create", "builds"),
    ("GET", "buildevents", "get", "builds"),
    ("GET", "buildruns", "list", "builds"),
    ("POST", "buildruns", "create", "builds"),
    ("GET", "buildruns/{name}", "get", "builds"),
    ("DELETE", "buildruns/{name}", "delete", "builds"),
    ("GET", "buildruns/{name}/log", "get", "builds"),
    ("POST", "buildruns/{name}/cancel", "create", "builds"),
    ("POST", "buildruns/{name}/rebuild", "create", "builds"),
    ("GET", "builderimages", "list", "builderimages"),
    ("GET", "builderimages/{name}", "get", "builderimages"),
    ("PUT", "builderimages/{name}", "create", "builderimages"),
    ("DELETE", "builderimages/{name}", "delete", "builderimages"),
    ("POST", "builderimages/{name}/usage", "create", "builds"),
    ("GET", "secrets", "list", "buildsecrets"),
    ("PUT", "secrets/{name}", "create", "buildsecrets"),
    ("DELETE", "secrets/{name}", "delete", "buildsecrets"),
];

/// Who has which ClusterRole in `team`.
const ROLE_OF: [(&str, &str); 7] = [
    ("owner", "admin"),
    ("editor", "edit"),
    ("viewer", "view"),
    ("alice", "system:build-editor"),
    ("bob", "system:build-viewer"),
    ("pusher", "system:image-pusher"),
    ("pruner", "system:image-pruner"),
];

/// Whoever has no credential.
const STRANGER: &str = "system:anonymous";

/// How a caller says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The cluster's token as a password.
    Basic,
    /// The cluster's token as it is.
    Bearer,
    /// A token of the registry, which is issued for images.
    Issued,
    /// An API token for pulling, pushing, deleting and building.
    ApiToken,
}

#[test]
fn every_route_of_builds_asks_the_cluster_whoever_calls_and_however() {
    let lab = Lab::new("k8s-builds");
    let cluster = installed(&lab, &["team", "other"]);
    let _controllers = cluster.controllers(&lab);
    let server = building(&lab, &cluster);
    let api = Api::new(server.endpoint());
    for (name, role) in ROLE_OF {
        bind(&cluster, &lab, "team", role, &format!("user={name}"));
    }
    bind(&cluster, &lab, "other", "admin", "user=outsider");
    until("the ClusterRoles are aggregated", || {
        let may = |who, verb, resource| reviewed(&cluster, &lab, who, verb, resource);
        let all = ["builds", "builderimages", "buildsecrets"];
        all.iter()
            .all(|of| may("owner", "delete", of) && may("editor", "list", of))
            && all[..2].iter().all(|of| may("viewer", "list", of))
    });
    // What was a no while they were not, is one for no longer than this.
    std::thread::sleep(Duration::from_secs(2));

    let routes = routes(&api);
    let names = ROLE_OF.iter().map(|(name, _)| *name);
    let mut allowed = 0;
    for who in names.chain(["outsider", STRANGER]) {
        let mut may = BTreeMap::new();
        for (_, _, verb, resource) in NEEDS {
            let ask = || reviewed(&cluster, &lab, who, verb, resource);
            may.entry((*verb, *resource)).or_insert_with(ask);
        }
        let tokens = (who != STRANGER).then(|| (issued(&api, who), api_token(&api, who)));
        for (method, path, (verb, resource)) in &routes {
            for way in [Way::Basic, Way::Bearer, Way::Issued, Way::ApiToken] {
                let request = api.request(method.clone(), path);
                let request = match (way, &tokens) {
                    (_, None) => request,
                    (Way::Basic, _) => request.basic_auth("whoever", Some(who)),
                    (Way::Bearer, _) => request.bearer_auth(who),
                    (Way::Issued, Some((token, _))) | (Way::ApiToken, Some((_, token))) => {
                        request.bearer_auth(token)
                    }
                };
                let request = request.header("content-type", "application/json");
                let reply = api.send(request.body("{}")).or_fail("send");
                let status = reply.status.as_u16();
                let line = format!("{who} by {way:?}: {method} {path}: {status}");
                let within = match way {
                    Way::Basic | Way::Bearer => true,
                    Way::Issued => false,
                    Way::ApiToken => is_building(verb, resource),
                };
                if may[&(*verb, *resource)] && within {
                    assert!(!matches!(status, 401 | 403 | 429 | 500..), "{line}");
                    allowed += 1;
                } else {
                    // What was issued for images asks for another credential.
                    let unknown = who == STRANGER || way == Way::Issued;
                    let refusal = if unknown { 401 } else { 403 };
                    assert_eq!(status, refusal, "{line}");
                }
            }
        }
    }
    // All would hold as well if nobody might do anything.
    assert!((150..400).contains(&allowed), "{allowed} calls are allowed");
}

/// A source is seen by who may see builds, not by whoever may pull.
#[test]
fn sources_take_a_right_with_builds_as_the_cluster_gives_it() {
    let lab = Lab::new("k8s-sources");
    let cluster = installed(&lab, &["team"]);
    let _controllers = cluster.controllers(&lab);
    let server = building(&lab, &cluster);
    for (name, role) in [
        ("owner", "admin"),
        ("viewer", "view"),
        ("puller", "system:image-puller"),
    ] {
        bind(&cluster, &lab, "team", role, &format!("user={name}"));
    }
    let status = |who: &str, repository: &str| {
        let reply = api_as(server.endpoint(), who).manifest(repository, "v1");
        reply.or_fail("ask").status.as_u16()
    };
    until("the ClusterRoles are aggregated", || {
        let may = |who, verb| reviewed(&cluster, &lab, who, verb, "builds");
        may("owner", "create") && may("viewer", "get")
    });
    let owner = api_as(server.endpoint(), "owner");
    for repository in ["team/app", "team/sources/app"] {
        owner.push_image(repository, "v1", &[b"layer".to_vec()]);
        assert_eq!(status("viewer", repository), 200, "{repository}");
    }
    assert_eq!(status("puller", "team/app"), 200);
    assert_eq!(status("puller", "team/sources/app"), 403);
}

/// A registry that builds, and asks the cluster.
fn building(lab: &Lab, cluster: &Cluster) -> Server {
    let settings = Settings {
        more: format!(
            "builder: {{enabled: true}}\nauth: {{anonymous: true, kubernetes: {{kubeconfig: {}, audiences: [{AUDIENCE}], denyFor: 1s}}}}\n",
            cluster.kubeconfig("registry").display(),
        ),
        ..Settings::default()
    };
    Server::start(lab, &settings)
}

/// Whether a person may, by the cluster's own word. Not `kubectl auth can-i`, which says no of a resource that no definition
/// makes known.
fn reviewed(cluster: &Cluster, lab: &Lab, who: &str, verb: &str, resource: &str) -> bool {
    let group = if who == STRANGER {
        "system:unauthenticated"
    } else {
        "system:authenticated"
    };
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": who,
            "groups": [group],
            "resourceAttributes": {
                "group": "registry.alauda.io", "namespace": "team", "verb": verb, "resource": resource,
            },
        },
    });
    let said = cluster
        .kubectl(lab)
        .args(["create", "-f", "-", "-o", "jsonpath={.status.allowed}"])
        .stdin(review.to_string())
        .ok();
    said.trim() == "true"
}

/// The routes of the API's document that are a namespace's, with a name that nothing has, and what each takes.
fn routes(api: &Api) -> Vec<(Method, String, (&'static str, &'static str))> {
    let document = api.get("/api/openapi.json").or_fail("ask").expect(200);
    let document: Value = serde_json::from_slice(&document.body).or_fail("JSON");
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().or_fail("paths") {
        let Some(below) = path.strip_prefix("/api/v1/namespaces/{namespace}/") else {
            continue;
        };
        for method in methods.as_object().or_fail("methods").keys() {
            let method = method.to_ascii_uppercase();
            let mut known = NEEDS.iter();
            let needs = known.find(|(of, at, ..)| (*of, *at) == (&*method, below));
            let (.., verb, resource) = needs.or_fail(format!("{method} {path} in NEEDS"));
            routes.push((
                method.parse().or_fail("a method"),
                format!(
                    "/api/v1/namespaces/team/{}",
                    below.replace("{name}", "none")
                ),
                (*verb, *resource),
            ));
        }
    }
    assert_eq!(routes.len(), NEEDS.len(), "NEEDS has more");
    routes
}

/// What a token that is for building is for. People set secrets and remove things.
fn is_building(verb: &str, resource: &str) -> bool {
    match resource {
        "builds" => verb != "delete",
        "builderimages" => matches!(verb, "get" | "list"),
        _ => false,
    }
}

fn issued(api: &Api, who: &str) -> String {
    let path = "/auth/token?scope=repository:team/app:pull,push,retag,delete";
    let request = api.request(Method::GET, path).bearer_auth(who);
    let answer = api.send(request).or_fail("ask for a token").expect(200);
    let answer: Value = serde_json::from_slice(&answer.body).or_fail("JSON");
    answer["token"].as_str().or_fail("a token").to_owned()
}

fn api_token(api: &Api, who: &str) -> String {
    let wanted = json!({"verbs": ["pull", "push", "delete", "build"], "expiresIn": 3600});
    let request = api
        .request(Method::POST, "/api/v1/tokens")
        .bearer_auth(who)
        .header("content-type", "application/json")
        .body(wanted.to_string());
    let made = api.send(request).or_fail("ask for a token").expect(201);
    let made: Value = serde_json::from_slice(&made.body).or_fail("JSON");
    made["token"].as_str().or_fail("a token").to_owned()
}
