//! API tokens of people whom the cluster knows, and the rights over the whole registry that it gives.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Api, Lab, OrFail, until};

use super::{api_as, bind, granted, installed, registry};

const ADMINISTRATORS: &str = r"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: registry-administrator}
rules:
- {apiGroups: [registry.alauda.io], resources: [tokens], verbs: [list, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: registry-administrators}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: registry-administrator}
subjects: [{kind: User, name: bob}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: in-one-namespace, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: registry-administrator}
subjects: [{kind: User, name: alice}]
";

fn create(api: &Api, verbs: &[&str]) -> tests::api::Reply {
    let wanted = json!({"description": "CI", "namespaces": ["team"], "verbs": verbs});
    let request = api.request(Method::POST, "/api/v1/tokens");
    let request = request.header("content-type", "application/json");
    api.send(request.body(wanted.to_string()))
        .or_fail("ask for a token")
}

fn json_of(reply: &tests::api::Reply) -> Value {
    serde_json::from_slice(&reply.body).or_fail("JSON")
}

#[test]
fn a_token_has_the_rights_that_the_cluster_gives_its_owner_within_its_limits() {
    let lab = Lab::new("k8s-tokens");
    let cluster = installed(&lab, &["team", "other"]);
    let _controllers = cluster.controllers(&lab);
    cluster.create_service_account(&lab, "team", "ci");
    bind(&cluster, &lab, "team", "system:image-pusher", "user=alice");
    bind(&cluster, &lab, "other", "system:image-pusher", "user=alice");
    cluster.apply(&lab, ADMINISTRATORS);
    let lifetimes = ", allowFor: 0s, denyFor: 0s";
    let server = registry(&lab, &cluster.kubeconfig("registry"), lifetimes);
    let at = server.endpoint();
    let alice = api_as(at, "alice");

    let made = json_of(&create(&alice, &["pull", "push"]).expect(201));
    let text = made["token"].as_str().or_fail("a token");
    let id = made["id"].as_str().or_fail("an id");
    let robot = api_as(at, text);
    // The API server takes a moment to know of bindings.
    let all = ["pull", "push", "retag"];
    until("alice's rights", || granted(&alice, "other/app") == all);
    until("her token's rights", || granted(&robot, "team/app") == all);
    assert_eq!(
        granted(&robot, "other/app"),
        [""; 0],
        "alice may, the token may not"
    );
    let unbind = [
        "delete",
        "rolebinding",
        "image-pusher-user-alice",
        "--namespace",
        "team",
    ];
    cluster.kubectl(&lab).args(unbind).ok();
    until("they end", || granted(&robot, "team/app").is_empty());

    let account = cluster.service_account_token(&lab, "team", "ci");
    create(&api_as(at, &account), &["pull"]).expect(403);

    // Whoever has the right in one namespace has it over none of what has no namespace.
    alice
        .get("/api/v1/tokens?all=true")
        .or_fail("list")
        .expect(403);
    let bob = api_as(at, "bob");
    let list = || bob.get("/api/v1/tokens?all=true").or_fail("list");
    until("bob may list", || list().status == 200);
    let all = json_of(&list());
    assert_eq!(all["items"][0]["id"], id);
    assert_eq!(all["items"][0]["user"], "alice");
    let revoke = bob.request(Method::DELETE, &format!("/api/v1/tokens/{id}"));
    bob.send(revoke).or_fail("revoke").expect(204);
    robot.get("/api/v1/whoami").or_fail("ask").expect(401);
}
