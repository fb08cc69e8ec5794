//! `slipway auth explain` says what the cluster and the registry decide, and why.

use serde_json::{Value, json};
use tests::{Cluster, Lab, OrFail, Program, server};

use super::{api_as, bind, installed, registry};

/// Verbs with the ClusterRole that gives them.
const DEEDS: [&str; 4] = ["get", "create", "update", "delete"];

fn explain(lab: &Lab, cluster: &Cluster, me: &str, words: &[&str]) -> Program {
    lab.program(&server::binary().display().to_string())
        .env("KUBECONFIG", cluster.kubeconfig(me))
        .args(["auth", "explain"])
        .args(words)
}

#[test]
fn explanations_agree_with_the_cluster_and_the_registry() {
    let lab = Lab::new("k8s-explain");
    let cluster = installed(&lab, &["team", "other"]);
    bind(&cluster, &lab, "team", "system:image-pusher", "user=alice");
    bind(&cluster, &lab, "team", "system:image-puller", "group=devs");
    bind(&cluster, &lab, "team", "system:image-pruner", "group=ops");
    bind(
        &cluster,
        &lab,
        "other",
        "system:image-puller",
        "serviceaccount=team:ci",
    );
    bind(&cluster, &lab, "team", "nowhere", "user=bob");
    cluster.apply(&lab, NAMED);
    let server = registry(&lab, &cluster.kubeconfig("registry"), "");

    let everybody: [(&str, &[&str]); 5] = [
        ("alice", &["devs"]),
        ("bob", &[]),
        ("carol", &["devs", "ops"]),
        ("root", &["system:masters"]),
        (
            "system:serviceaccount:team:ci",
            &["system:serviceaccounts", "system:serviceaccounts:team"],
        ),
    ];
    let mut allowed = 0;
    for (name, groups) in everybody {
        for repository in ["team/app", "other/app", "other/named", "team"] {
            for verb in DEEDS {
                let mut asked = explain(&lab, &cluster, "root", &[verb, repository, "--json"])
                    .args(["--as", name]);
                let (namespace, rest) = repository.split_once('/').unwrap_or((repository, ""));
                let mut resource = "images.registry.alauda.io".to_owned();
                if !rest.is_empty() {
                    resource = format!("{resource}/{rest}");
                }
                let mut can_i = cluster
                    .kubectl(&lab)
                    .args(["auth", "can-i", verb, &resource, "--namespace", namespace])
                    .args(["--as", name]);
                for group in groups {
                    asked = asked.args(["--as-group", group]);
                    can_i = can_i.args(["--as-group", group]);
                }
                let asked = asked.run();
                let said: Value = serde_json::from_str(&asked.stdout).or_fail(&asked.report);
                let is_allowed = can_i.run().stdout.starts_with("yes");
                let case = format!("{name} {verb} {repository}: {said}");
                assert_eq!(said["allowed"], is_allowed, "{case}");
                assert_eq!(asked.status.success(), is_allowed, "{case}");
                // The rules themselves, read and evaluated here, say the same.
                let by = said["allowedBy"].as_array().or_fail("a list").len();
                assert_eq!(by > 0, is_allowed, "{case}");
                allowed += usize::from(is_allowed);
                if name.starts_with("system:") {
                    continue;
                }
                let question = json!({"repository": repository, "verbs": [verb]});
                let api = api_as(server.endpoint(), name);
                let post = api
                    .request(reqwest::Method::POST, "/api/v1/can-i")
                    .json(&question);
                let answer = api.send(post).or_fail("ask the registry").expect(200);
                let answer: Value = serde_json::from_slice(&answer.body).or_fail("JSON");
                assert_eq!(answer["allowed"], is_allowed, "the registry: {case}");
            }
        }
    }
    assert!((20..60).contains(&allowed), "{allowed} of 80 are allowed");
}

/// A Role that names a repository.
const NAMED: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: named, namespace: other}
rules:
  - {apiGroups: [registry.alauda.io], resources: [images], resourceNames: [named], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: named, namespace: other}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: named}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob, namespace: a-mistake-that-clusters-take}]
";

#[test]
fn people_learn_what_concerns_them_and_what_is_missing() {
    let lab = Lab::new("k8s-why");
    let cluster = installed(&lab, &["team", "other"]);
    bind(&cluster, &lab, "team", "system:image-puller", "user=alice");
    bind(&cluster, &lab, "other", "system:image-pusher", "user=alice");

    // alice may read no rules: the cluster says why she may, and what stays unseen is said.
    let said = explain(&lab, &cluster, "alice", &["pull", "team/app"]).ok();
    assert!(said.starts_with("alice may pull team/app\n"), "{said}");
    assert!(
        said.contains("RoleBinding") && said.contains("image-puller"),
        "{said}"
    );
    assert!(said.contains("you may not list ClusterRoles"), "{said}");
    let said = explain(
        &lab,
        &cluster,
        "alice",
        &["push", "team/app", "--as", "bob"],
    )
    .fails();
    assert!(said.contains("cannot impersonate"), "{said}");

    let said = explain(
        &lab,
        &cluster,
        "root",
        &["push", "team/app", "--as", "alice"],
    )
    .fails();
    for part in [
        "alice may not push team/app",
        "RoleBinding team/image-puller-user-alice gives User alice the ClusterRole system:image-puller: that gives get, not create",
        "RoleBinding other/image-pusher-user-alice gives User alice the ClusterRole system:image-pusher: that is another namespace",
        "kubectl create rolebinding NAME --clusterrole=system:image-pusher --user=alice --namespace team",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    // What is told to type helps.
    let remedy = said
        .split("to allow it: kubectl ")
        .nth(1)
        .or_fail("a remedy");
    let remedy = remedy
        .lines()
        .next()
        .or_fail("a line")
        .replace("NAME", "remedy");
    cluster.kubectl(&lab).args(remedy.split(' ')).ok();
    explain(
        &lab,
        &cluster,
        "root",
        &["push", "team/app", "--as", "alice"],
    )
    .ok();

    // The same of a folder, without any cluster.
    let folder = lab.dir("rules");
    let exported = cluster
        .kubectl(&lab)
        .args([
            "get",
            "rolebindings",
            "--all-namespaces",
            "--output",
            "yaml",
        ])
        .ok();
    lab.write("rules/exported.yaml", exported);
    let offline = |words: &[&str]| {
        lab.program(&server::binary().display().to_string())
            .args(["auth", "explain"])
            .args(words)
            .arg("--rbac")
            .arg(&folder)
    };
    let said = offline(&["pull", "team/app", "--as", "alice"]).ok();
    assert!(said.contains("exported.yaml:"), "{said}");
    let said = offline(&["delete", "team/app", "--as", "alice"]).fails();
    assert!(said.contains("that gives get, not delete"), "{said}");
}
