//! Every operation for every kind of caller by every kind of credential, decided by the cluster.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oci::Operation;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::Reply;
use tests::{Api, Cluster, Lab, OrFail, Server, until};

use super::{api_as, bind, installed, registry};

/// Who has which ClusterRole in `team`, and the verbs that it amounts to.
const ROLE_OF: [(&str, &str, &[&str]); 7] = [
    ("owner", "admin", &["get", "create", "update", "delete"]),
    ("editor", "edit", &["get", "create", "update"]),
    ("viewer", "view", &["get"]),
    ("puller", "system:image-puller", &["get"]),
    (
        "pusher",
        "system:image-pusher",
        &["get", "create", "update"],
    ),
    ("pruner", "system:image-pruner", &["get", "delete"]),
    // Had a role, which was taken away.
    ("revoked", "admin", &[]),
];

/// What an operation needs. Exhaustive: a new operation does not compile without a line here.
fn needs(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Base | Operation::Catalog { .. } => None,
        Operation::GetBlob { .. }
        | Operation::HeadBlob { .. }
        | Operation::GetManifest { .. }
        | Operation::HeadManifest { .. }
        | Operation::ListTags { .. }
        | Operation::Referrers { .. } => Some("get"),
        Operation::StartUpload { .. }
        | Operation::UploadStatus { .. }
        | Operation::PatchUpload { .. }
        | Operation::FinishUpload { .. }
        | Operation::CancelUpload { .. }
        | Operation::PutManifest { .. } => Some("create"),
        Operation::DeleteBlob { .. } | Operation::DeleteManifest { .. } => Some("delete"),
    }
}

/// How a caller says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The cluster's token as a password.
    Basic,
    /// The cluster's token as it is.
    Bearer,
    /// A token of the registry, issued for all that is asked for below.
    Issued,
    /// An API token that may all that its owner may.
    ApiToken,
}

const WAYS: [Way; 4] = [Way::Basic, Way::Bearer, Way::Issued, Way::ApiToken];

/// A caller: what it may do in `team`, and its credentials. A stranger has none.
struct Caller {
    name: &'static str,
    verbs: &'static [&'static str],
    credentials: BTreeMap<&'static str, String>,
}

impl Caller {
    fn send(&self, api: &Api, way: Way, method: &Method, path: &str) -> Reply {
        let request = api.request(method.clone(), path);
        let kind = match way {
            Way::Basic | Way::Bearer => "cluster",
            Way::Issued => "issued",
            Way::ApiToken => "api",
        };
        let request = match (way, self.credentials.get(kind)) {
            (_, None) => request,
            (Way::Basic, Some(token)) => request.basic_auth("whoever", Some(token)),
            (_, Some(token)) => request.bearer_auth(token),
        };
        api.send(request).or_fail("send")
    }

    /// The status of a refusal, or `None` where it must get through.
    fn refusal(&self, way: Way, operation: &Operation) -> Option<u16> {
        let allowed = needs(operation).is_none_or(|verb| self.verbs.contains(&verb));
        match self.name {
            "expired" => Some(401),
            // The base asks whoever brings nothing for a credential: clients learn so that there are any.
            "stranger" if *operation == Operation::Base && way != Way::Issued => Some(401),
            _ if allowed => None,
            "stranger" => Some(401),
            // Rights that went after the token was issued for them.
            "revoked" => Some(403),
            _ if way == Way::Issued => Some(401),
            _ => Some(403),
        }
    }
}

#[test]
fn every_operation_asks_the_cluster_whoever_calls_and_however() {
    let lab = Lab::new("k8s-table");
    let cluster = installed(&lab, &["team", "other"]);
    let _controllers = cluster.controllers(&lab);
    // Its signing key, made where this test can sign with it too.
    let key = lab.dir("data").join("token-keys.pem");
    lab.program("openssl")
        .args(["genpkey", "-algorithm", "ed25519", "-out"])
        .arg(key)
        .ok();
    let server = registry(
        &lab,
        &cluster.kubeconfig("registry"),
        ", allowFor: 2s, denyFor: 1s",
    );
    let api = Api::new(server.endpoint());
    let callers = callers(&lab, &cluster, &server, &api);
    content(&server, &callers[0]);

    let mut seen = 0;
    for operation in Operation::examples() {
        let (method, path) = operation.request_line();
        for caller in &callers {
            for way in WAYS {
                let status = caller.send(&api, way, &method, &path).status.as_u16();
                let line = format!("{} by {way:?}: {method} {path}: {status}", caller.name);
                match caller.refusal(way, &operation) {
                    Some(refusal) => assert_eq!(status, refusal, "{line}"),
                    None => assert!(!matches!(status, 401 | 403 | 429 | 500..), "{line}"),
                }
                seen += 1;
            }
        }
    }
    assert_eq!(
        seen,
        Operation::examples().len() * callers.len() * WAYS.len()
    );
    strangers_learn_nothing(&api, &callers);
}

/// What there is and what there is not, the same bytes to whoever has no right in the namespace.
fn strangers_learn_nothing(api: &Api, callers: &[Caller]) {
    for operation in Operation::examples() {
        let (method, path) = operation.request_line();
        let (Some(repo), Some(_)) = (operation.repo(), needs(&operation)) else {
            continue;
        };
        let path_in = |name: &str| path.replacen(repo.as_str(), name, 1);
        let unknowing = callers.iter().filter(|caller| caller.verbs.is_empty());
        for caller in unknowing {
            for way in WAYS {
                let absent = caller.send(api, way, &method, &path_in("team/fake"));
                let there = caller.send(api, way, &method, &path_in("team/real"));
                assert_eq!(
                    told(&there).replace("team/real", "team/fake"),
                    told(&absent),
                    "{} by {way:?}: {method} {path}",
                    caller.name
                );
            }
        }
    }
}

/// All of a reply but what is the request's own.
fn told(reply: &Reply) -> String {
    let id = reply.header("x-request-id").to_owned();
    let mut text = reply.status.to_string();
    for (name, value) in &reply.headers {
        if name != "date" && name != "x-request-id" {
            text = format!("{text}\n{name}: {}", value.to_str().or_fail("a header"));
        }
    }
    format!("{text}\n\n{}", reply.text()).replace(&id, "ID")
}

/// An image in `team/real` with the tag and a blob that the examples ask for.
fn content(server: &Server, owner: &Caller) {
    let owner = api_as(server.endpoint(), &owner.credentials["cluster"]);
    owner.push_image("team/real", "v1.0", &[b"{}".to_vec()]);
}

fn callers(lab: &Lab, cluster: &Cluster, server: &Server, api: &Api) -> Vec<Caller> {
    let mut callers = Vec::new();
    for (name, role, verbs) in ROLE_OF {
        bind(cluster, lab, "team", role, &format!("user={name}"));
        callers.push(person(name, verbs));
    }
    bind(cluster, lab, "other", "admin", "user=outsider");
    callers.push(person("outsider", &[]));
    callers.push(Caller {
        name: "stranger",
        verbs: &[],
        credentials: BTreeMap::new(),
    });
    // What view, edit and admin amount to is known once the controllers have put them together.
    until("the ClusterRoles are aggregated", || {
        pushes(api, &callers[1]) && deletes(api, &callers[0])
    });
    for caller in &mut callers {
        let issued = issue(api, caller);
        caller.credentials.insert("issued", issued);
        if caller.name != "stranger" {
            let made = api_token(api, caller, Duration::from_secs(3600));
            caller.credentials.insert("api", made);
        }
    }
    let revoked = &callers[6];
    assert!(deletes(api, revoked), "it has no right to lose");
    let delete = "delete rolebinding admin-user-revoked --namespace team";
    cluster.kubectl(lab).args(delete.split(' ')).ok();
    until("what was taken away holds no more", || {
        !deletes(api, revoked)
    });
    let expired = expired(lab, cluster, server, api, &callers[0]);
    callers.push(expired);
    callers
}

/// One of the cluster's people, whose token is their name.
fn person(name: &'static str, verbs: &'static [&'static str]) -> Caller {
    Caller {
        name,
        verbs,
        credentials: BTreeMap::from([("cluster", name.to_owned())]),
    }
}

fn api_token(api: &Api, owner: &Caller, lifetime: Duration) -> String {
    let wanted = json!({"verbs": ["pull", "push", "delete"], "expiresIn": lifetime.as_secs()});
    let request = api
        .request(Method::POST, "/api/v1/tokens")
        .bearer_auth(&owner.credentials["cluster"])
        .header("content-type", "application/json")
        .body(wanted.to_string());
    let reply = api.send(request).or_fail("ask for a token").expect(201);
    let made: Value = serde_json::from_slice(&reply.body).or_fail("JSON");
    made["token"].as_str().or_fail("a token").to_owned()
}

fn issue(api: &Api, caller: &Caller) -> String {
    let path = "/auth/token?scope=repository:team/app:pull,push,retag,delete\
                &scope=repository:team/real:pull,push,retag,delete\
                &scope=repository:team/fake:pull,push,retag,delete\
                &scope=repository:team/base:pull&scope=registry:catalog:*";
    let reply = caller
        .send(api, Way::Bearer, &Method::GET, path)
        .expect(200);
    let answer: Value = serde_json::from_slice(&reply.body).or_fail("JSON");
    answer["token"].as_str().or_fail("a token").to_owned()
}

fn pushes(api: &Api, caller: &Caller) -> bool {
    let path = "/v2/team/app/blobs/uploads/";
    caller.send(api, Way::Bearer, &Method::POST, path).status == 202
}

fn deletes(api: &Api, caller: &Caller) -> bool {
    let path = "/v2/team/app/manifests/none";
    caller.send(api, Way::Bearer, &Method::DELETE, path).status == 404
}

/// Credentials of owners after their end: the same claims, signed by the same keys; and an API token that has ended.
fn expired(lab: &Lab, cluster: &Cluster, server: &Server, api: &Api, owner: &Caller) -> Caller {
    cluster.create_service_account(lab, "team", "late");
    bind(cluster, lab, "team", "admin", "serviceaccount=team:late");
    let late = cluster.service_account_token(lab, "team", "late");
    let api_token = api_token(api, owner, Duration::from_secs(1));

    let cluster_key = cluster.root().join("sa.key");
    let sign_rs256 = |input: &str| {
        let file = lab.write("signing-input", input);
        lab.program("openssl")
            .args(["dgst", "-sha256", "-binary", "-out", "signature", "-sign"])
            .arg(&cluster_key)
            .arg(file)
            .ok();
    };
    let server_key = server.data().join("token-keys.pem");
    let sign_ed25519 = |input: &str| {
        let file = lab.write("signing-input", input);
        lab.program("openssl")
            .args(["pkeyutl", "-sign", "-rawin", "-out", "signature", "-inkey"])
            .arg(&server_key)
            .arg("-in")
            .arg(file)
            .ok();
    };
    let signature = lab.path("signature");
    // To the second.
    std::thread::sleep(Duration::from_secs(2));
    Caller {
        name: "expired",
        verbs: &[],
        credentials: BTreeMap::from([
            ("cluster", past(&late, sign_rs256, &signature)),
            (
                "issued",
                past(&owner.credentials["issued"], sign_ed25519, &signature),
            ),
            ("api", api_token),
        ]),
    }
}

/// A token as it would be a minute after its end.
fn past(token: &str, sign: impl Fn(&str), signature: &Path) -> String {
    let mut parts = token.split('.');
    let header = parts.next().or_fail("a header");
    let payload = parts.next().or_fail("a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).or_fail("base64url");
    let mut claims: Value = serde_json::from_slice(&payload).or_fail("claims");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .or_fail("a clock")
        .as_secs();
    claims["iat"] = json!(now - 660);
    claims["nbf"] = json!(now - 660);
    claims["exp"] = json!(now - 60);
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    sign(&input);
    let signature = std::fs::read(signature).or_fail("read the signature");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
