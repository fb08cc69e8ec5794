//! Users and rights of a real Kubernetes API server.

mod builds;
mod explain;
mod faults;
mod install;
mod kubelet;
mod people;
mod pull_secrets;
mod rights;
mod table;
mod tokens;
mod walk;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tests::api::Reply;
use tests::cluster::{AUDIENCE, ROLES};
use tests::{Api, Cluster, Endpoint, Lab, OrFail, Server, Settings};

/// A cluster with the ClusterRoles that an installation brings, and these namespaces.
fn installed(lab: &Lab, namespaces: &[&str]) -> Cluster {
    let cluster = Cluster::start(lab);
    cluster.apply(lab, ROLES);
    for namespace in namespaces {
        cluster.create_namespace(lab, namespace);
    }
    cluster
}

/// The same with the namespace `team`, where alice pushes and bob pulls.
fn staffed(lab: &Lab) -> Cluster {
    let cluster = installed(lab, &["team"]);
    bind(&cluster, lab, "team", "system:image-pusher", "user=alice");
    bind(&cluster, lab, "team", "system:image-puller", "user=bob");
    cluster
}

/// Makes the ServiceAccount `ci` of `team`, which pushes there.
fn hire_ci(lab: &Lab, cluster: &Cluster) {
    cluster.create_service_account(lab, "team", "ci");
    let ci = "serviceaccount=team:ci";
    bind(cluster, lab, "team", "system:image-pusher", ci);
}

/// A registry that asks the cluster of a kubeconfig.
fn registry(lab: &Lab, kubeconfig: &Path, more: &str) -> Server {
    let settings = Settings {
        more: format!(
            "auth: {{anonymous: true, kubernetes: {{kubeconfig: {}, audiences: [{}]{more}}}}}\n",
            kubeconfig.display(),
            AUDIENCE
        ),
        memory: true,
        ..Settings::default()
    };
    Server::start(lab, &settings)
}

/// The API of the registry for whoever has this token.
fn api_as(at: &Endpoint, token: &str) -> Api {
    Api::new(&at.with_token(token))
}

/// What `/auth/token` grants of everything in a repository: names of actions as tokens have them, in order.
fn granted(api: &Api, repository: &str) -> Vec<String> {
    let path = format!("/auth/token?scope=repository:{repository}:pull,push,retag,delete");
    let reply = api.get(&path).or_fail("ask for a token").expect(200);
    let mut actions = Vec::new();
    for entry in access_of(&reply) {
        if entry["name"] == repository {
            let named = entry["actions"].as_array().or_fail("actions");
            actions.extend(
                named
                    .iter()
                    .map(|action| action.as_str().or_fail("a word").to_owned()),
            );
        }
    }
    actions.sort();
    actions
}

fn access_of(reply: &Reply) -> Vec<serde_json::Value> {
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).or_fail("JSON");
    let token = answer["token"].as_str().or_fail("a token");
    let payload = token.split('.').nth(1).or_fail("a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).or_fail("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&payload).or_fail("claims");
    claims["access"].as_array().cloned().unwrap_or_default()
}

/// A binding of a ClusterRole in a namespace.
fn bind(cluster: &Cluster, lab: &Lab, namespace: &str, role: &str, subject: &str) {
    cluster
        .kubectl(lab)
        .args(["create", "rolebinding", "--namespace", namespace])
        .arg(
            format!("{role}-{subject}")
                .replace("system:", "")
                .replace([':', '='], "-"),
        )
        .arg(format!("--clusterrole={role}"))
        .arg(format!("--{subject}"))
        .ok();
}
