//! `slipway auth explain` says what the cluster and the registry decide, and why.

use serde_json::{Value, json};
use tests::{Cluster, Lab, OrFail, Program, cluster, server};

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
    let said = explain(&lab, &cluster, "alice", &["push", "team/app"]).fails();
    assert!(
        said.contains("not seen here") && !said.contains("no RoleBinding"),
        "{said}"
    );
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
        "kubectl create rolebinding image-pusher-alice --clusterrole=system:image-pusher --user=alice --namespace team",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    // What is told to type helps.
    let remedy = said
        .split("to allow it: kubectl ")
        .nth(1)
        .or_fail("a remedy");
    let remedy = remedy.lines().next().or_fail("a line");
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

/// Rights over the registry are explained, and asked about, as the cluster and the registry decide them.
#[test]
fn rights_over_the_registry_agree_with_the_cluster() {
    let lab = Lab::new("k8s-why-audit");
    let cluster = Cluster::start(&lab);
    cluster.apply(&lab, cluster::ROLES);
    cluster.create_namespace(&lab, "team");
    bind(&cluster, &lab, "team", "system:image-auditor", "user=alice");
    let server = registry(&lab, &cluster.kubeconfig("registry"), "");
    let host = server.endpoint().host.clone();
    let slipway = || lab.program(&server::binary().display().to_string());
    for (name, words, kubectl) in [
        (
            "alice",
            "get audit --namespace team",
            "get audit.registry.alauda.io --namespace team",
        ),
        (
            "alice",
            "get audit --namespace other",
            "get audit.registry.alauda.io --namespace other",
        ),
        (
            "alice",
            "get audit --all-namespaces",
            "get audit.registry.alauda.io --all-namespaces",
        ),
        (
            "root",
            "get audit --all-namespaces",
            "get audit.registry.alauda.io --all-namespaces",
        ),
        (
            "bob",
            "list tokens --all-namespaces",
            "list tokens.registry.alauda.io",
        ),
    ] {
        let words: Vec<_> = words.split(' ').collect();
        let can_i = cluster.kubectl_as(&lab, name).args(["auth", "can-i"]);
        let is_allowed = can_i.args(kubectl.split(' ')).run().status.success();
        let explained = explain(&lab, &cluster, "root", &words).args(["--as", name]);
        // Whoever names no group of root's is not in it.
        let explained = match name {
            "root" => explained.args(["--as-group", "system:masters"]),
            _ => explained,
        };
        let explained = explained.run();
        assert_eq!(
            explained.status.success(),
            is_allowed,
            "{}",
            explained.report
        );
        let login = slipway().args(["login", "--token-stdin", &host]);
        login.stdin(name).ok();
        let asked = slipway().args(["auth", "can-i"]).args(&words).run();
        assert_eq!(asked.status.success(), is_allowed, "{}", asked.report);
        // What is told to do helps.
        if let Some((_, remedy)) = explained.stdout.split_once("to allow it: ")
            && !words.contains(&"other")
        {
            let (head, objects) = remedy.split_once('\n').or_fail("a line");
            match head.strip_prefix("kubectl ") {
                Some(command) => drop(cluster.kubectl(&lab).args(command.split(' ')).ok()),
                None => cluster.apply(&lab, objects),
            }
            explain(&lab, &cluster, "root", &words)
                .args(["--as", name])
                .ok();
        }
    }
}

#[test]
fn what_is_not_there_and_what_is_misnamed_is_said() {
    let lab = Lab::new("k8s-missing");
    let cluster = Cluster::start(&lab);
    cluster.create_namespace(&lab, "team");
    let ask = |words: &[&str]| explain(&lab, &cluster, "root", words).fails();
    let account = "system:serviceaccount:team:ci";
    let said = ask(&["pull", "nowhere/app", "--as", account]);
    for part in [
        "there is no namespace nowhere in the cluster",
        "there is no ServiceAccount team/ci in the cluster",
        "to allow it, first: kubectl create namespace nowhere",
        // No roles were applied yet.
        "to allow it, first: the ClusterRole system:image-puller, which is not there",
        "to allow it: kubectl create rolebinding image-puller-team-ci --clusterrole=system:image-puller \
         --serviceaccount=team:ci --namespace nowhere",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    cluster.apply(&lab, cluster::ROLES);
    cluster
        .kubectl(&lab)
        .args(["create", "serviceaccount", "ci", "--namespace", "team"])
        .ok();
    let said = ask(&["pull", "team/app", "--as", account]);
    assert!(!said.contains("there is no "), "{said}");
    assert!(!said.contains("first: "), "{said}");
    for misnamed in ["team:ci", "team/ci"] {
        let said = ask(&["pull", "team/app", "--as", misnamed]);
        let hint = format!("if {misnamed} is a ServiceAccount, it is called {account}");
        assert!(said.contains(&hint), "{said}");
    }
    // Whoever may not look does not learn what is there, nor that it is not.
    let said = explain(&lab, &cluster, "alice", &["pull", "nowhere/app"]).fails();
    assert!(!said.contains("there is no "), "{said}");
}

/// A server's rules may have other words: it says which, and its own answer counts.
#[test]
fn a_server_says_its_words_and_what_it_would_do() {
    let lab = Lab::new("k8s-words");
    let cluster = Cluster::start(&lab);
    cluster.apply(&lab, OTHER_WORDS);
    cluster.create_namespace(&lab, "team");
    bind(&cluster, &lab, "team", "pics", "user=alice");
    bind(&cluster, &lab, "team", "layers", "user=bob");
    let kubeconfig = cluster.kubeconfig("registry");
    for (words, me, preset) in [
        (", group: example.com, resource: pics", "alice", "acp"),
        (", preset: openshift", "bob", "openshift"),
    ] {
        let server = registry(&lab, &kubeconfig, words);
        let host = server.endpoint().host.clone();
        lab.program(&server::binary().display().to_string())
            .args(["login", "--token-stdin", &host])
            .stdin(me)
            .ok();
        let api = api_as(server.endpoint(), me);
        let rules = api.get("/api/v1/rules").or_fail("ask").expect(200);
        let rules: Value = serde_json::from_slice(&rules.body).or_fail("JSON");
        assert_eq!(
            (&rules["kept"], &rules["preset"]),
            (&json!("kubernetes"), &json!(preset))
        );

        let words = ["push", "team/app"];
        explain(&lab, &cluster, me, &words).fails();
        let with_server = [&words[..], &["--server", &host]].concat();
        let said = explain(&lab, &cluster, me, &with_server).ok();
        assert!(said.contains("says the same"), "{said}");
        // By other words the cluster says no, and the registry does not agree.
        let forced = [&with_server[..], &["--group", "nobody.example.com"]].concat();
        let said = explain(&lab, &cluster, me, &forced).fails();
        assert!(
            said.contains(&format!("{host} says yes: it may ask another cluster")),
            "{said}"
        );
        // For somebody else the words count, and the registry is not asked.
        let other = [&with_server[..], &["--as", me]].concat();
        let said = explain(&lab, &cluster, "root", &other).ok();
        assert!(said.contains(&format!("{host} was not asked")), "{said}");
        // The context is root's, who may, and the login is somebody's who may not delete.
        let delete = ["delete", "team/app", "--server", &host];
        let ended = explain(&lab, &cluster, "root", &delete).run();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.report);
        let said = ended.stdout;
        assert!(said.starts_with("root may delete team/app\n"), "{said}");
        let differs = format!("{host} says no, but to {me}, who is logged in there");
        assert!(said.contains(&differs), "{said}");
    }
}

/// Roles that give what neither preset's usual words name.
const OTHER_WORDS: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: pics}
rules:
  - {apiGroups: [example.com], resources: [pics], verbs: [get, create, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: layers}
rules:
  - {apiGroups: [image.openshift.io], resources: [imagestreams/layers], verbs: [get, update]}
";
