//! Pods may pull their own namespace's images, by a `RoleBinding` that is kept, and nothing else is granted.

use super::*;

/// A `RoleBinding` for all ServiceAccounts of a namespace.
fn binding(namespace: &str, name: &str, role: &str, of: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: '{role}'}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts:{of}'}}]
"
    )
}

#[test]
fn pods_may_pull_what_is_in_their_namespace_until_it_opts_out() {
    let scene = Scene::new("k8s-pull-own");
    scene.kubectl("create namespace out");
    let label = "label namespace out registry.alauda.io/pull-secrets";
    scene.kubectl(&format!("{label}=disabled"));
    let _server = scene.registry("");
    scene.kubectl("create namespace team");
    for namespace in ["default", "team"] {
        until("it may pull", || scene.may_pull(namespace, namespace));
    }
    assert!(!scene.may_pull("team", "default") && !scene.may_pull("default", "team"));
    assert!(!scene.may_pull("out", "out"));

    scene.kubectl("label namespace team registry.alauda.io/pull-secrets=disabled");
    until("it is taken back", || scene.get("team", BINDING).is_none());
    until("it may not pull", || !scene.may_pull("team", "team"));
    scene.kubectl(&format!("{label}-"));
    until("it may pull", || scene.may_pull("out", "out"));
    // A namespace that goes.
    scene.kubectl("delete namespace out --timeout=100s");
}

#[test]
fn a_binding_of_somebody_elses_is_told_of_and_left() {
    let scene = Scene::new("k8s-pull-taken");
    let (lab, cluster) = (&scene.lab, &scene.cluster);
    scene.kubectl("create namespace taken");
    let wider = binding("taken", "slipway-pull", "view", "default");
    cluster.apply(lab, &wider);
    let their_binding = || scene.get("taken", BINDING).or_fail("the binding");
    let binding_before = their_binding();
    let server = scene.registry("");
    scene.wait_for_login(&server, "taken", "default");
    until("an event of the binding", || {
        let events = scene.events("taken");
        let is_it = |event: &String| {
            event.starts_with("PullGrantNameTaken The RoleBinding slipway-pull was")
        };
        events.iter().any(is_it)
    });
    assert_eq!(their_binding(), binding_before);
    assert!(!scene.may_pull("taken", "taken"));
    // It is not waited for a restart when it goes.
    scene.kubectl(&format!("delete {BINDING} --namespace taken"));
    until("it may pull", || scene.may_pull("taken", "taken"));
}

#[test]
fn the_role_lets_nothing_else_be_granted() {
    let scene = Scene::new("k8s-pull-narrow");
    scene.kubectl("create namespace team");
    // A controller fills it, and whoever grants a role without rules grants nothing.
    until("the role has rules", || {
        let admin = scene.get("team", "clusterrole admin").or_fail("it");
        !admin["rules"].as_array().is_none_or(Vec::is_empty)
    });
    for (wanted, words) in [
        ("yes", "get rolebindings/slipway-pull --namespace team"),
        ("no", "get rolebindings/other --namespace team"),
        ("no", "create rolebindings --namespace team"),
        ("no", "list rolebindings --namespace team"),
        ("no", "bind clusterroles/admin"),
        ("no", "bind clusterroles/system:image-pusher"),
        ("no", "bind roles/mine --namespace team"),
        ("no", "escalate clusterroles/system:image-puller"),
        ("no", "update clusterroles/system:image-puller"),
        // What it grants it has not itself.
        ("no", "get images.registry.alauda.io --namespace team"),
    ] {
        let ask = ["auth", "can-i", "--as", "registry"];
        let ask = scene.cluster.kubectl(&scene.lab).args(ask);
        let said = ask.args(words.split(' ')).run();
        assert_eq!(said.stdout.trim(), wanted, "{words}");
    }
    for (name, role, allowed) in [
        ("slipway-pull", "admin", false),
        ("slipway-pull", "cluster-admin", false),
        ("slipway-pull", "system:image-pusher", false),
        ("other", "system:image-puller", false),
        ("slipway-pull", "system:image-puller", true),
    ] {
        let apply = "apply --server-side --as registry --filename -".split(' ');
        let applied = scene.cluster.kubectl(&scene.lab).args(apply);
        let manifest = binding("team", name, role, "team");
        let said = applied.stdin(manifest).run();
        assert_eq!(said.status.success(), allowed, "{role}: {}", said.stderr);
        assert!(
            allowed || said.stderr.contains("orbidden"),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn what_is_done_to_the_binding_is_undone() {
    let scene = Scene::new("k8s-pull-bound");
    let _server = scene.registry("");
    scene.kubectl("create namespace team");
    let at = "--namespace team";
    // The binding: deleted, for others too, and of another role.
    let is_as_made = || {
        let binding = scene.get("team", BINDING)?;
        let subjects = binding["subjects"].as_array()?;
        (binding["roleRef"]["name"] == "system:image-puller"
            && subjects.len() == 1
            && subjects[0]["kind"] == "Group"
            && subjects[0]["name"] == "system:serviceaccounts:team")
            .then(|| binding["metadata"]["uid"].to_string())
    };
    let made = eventually("the binding", is_as_made);
    scene.kubectl(&format!("delete {BINDING} {at}"));
    let made = eventually("it is made again", || {
        is_as_made().filter(|uid| *uid != made)
    });
    scene.kubectl(&format!("label {BINDING} {at} theirs=kept"));
    let add = r#"[{"op":"add","path":"/subjects/-","value":{"kind":"ServiceAccount","name":"default","namespace":"default"}}]"#;
    let patched = [
        "patch",
        "rolebinding",
        "slipway-pull",
        "--namespace",
        "team",
    ];
    let patched = scene.cluster.kubectl(&scene.lab).args(patched);
    patched.args(["--type", "json", "--patch", add]).ok();
    until("nobody else may", || {
        is_as_made().as_ref() == Some(&made) && !scene.may_pull("default", "team")
    });
    let labels = scene.get("team", BINDING).or_fail("the binding")["metadata"]["labels"].clone();
    assert_eq!(labels["theirs"], "kept");
    let other = binding("team", "slipway-pull", "view", "team").replace(
        "namespace: team}",
        "namespace: team, labels: {registry.alauda.io/pull-secret: slipway-pull}}",
    );
    let replace = "replace --force --timeout 5s --filename -".split(' ');
    let replaced = scene.cluster.kubectl(&scene.lab).args(replace);
    // Ours may be made again between its delete and its create: then it waits for it to go, in vain.
    let replaced = replaced.stdin(other).run();
    println!("{}{}", replaced.stdout, replaced.stderr);
    until("it is made anew", || {
        is_as_made().is_some_and(|uid| uid != made) && scene.may_pull("team", "team")
    });
}

#[test]
fn who_may_not_grant_keeps_the_secrets_and_says_what_to_apply() {
    let scene = Scene::new("k8s-pull-grant");
    let (lab, cluster) = (&scene.lab, &scene.cluster);
    let is_grant = |line: &&str| {
        [
            "rolebindings",
            "[slipway-pull]",
            "[get, list, watch, create, patch, delete]",
            "bind",
        ]
        .iter()
        .any(|word| line.contains(word))
    };
    let (roles, _) = GRANTS.split_once("---").or_fail("more than a role");
    let mut lines: Vec<&str> = roles.lines().collect();
    let first = lines
        .iter()
        .position(|line| line.contains("apiGroups: [rbac.authorization.k8s.io]"));
    let first = first.or_fail("the rule of bindings");
    assert!(
        lines[first + 1..first + 5].iter().all(is_grant),
        "{lines:?}"
    );
    let bind = lines.remove(first + 4);
    assert!(bind.contains("[bind]"), "{bind}");
    let without_bind = lines.join("\n");
    lines.drain(first..first + 4);
    let without_any = lines.join("\n");

    // A role as it was before there were bindings to keep.
    cluster.apply(lab, &without_any);
    let mut server = scene.registry("");
    scene.kubectl("create namespace team");
    scene.wait_for_login(&server, "team", "default");
    let complaint = "the right to pull is not kept";
    let says = |server: &Server, words: &[&str]| {
        let log = server.log();
        let mut lines = log.lines().filter(|line| line.contains(complaint));
        lines.any(|line| words.iter().all(|word| line.contains(word)))
    };
    until("it says what to apply", || {
        says(&server, &["install/pull-secrets.yaml", "grantPull", "list"])
    });
    assert!(scene.get("team", BINDING).is_none());

    // It sees them and may make none.
    cluster.apply(lab, &without_bind);
    until("it says what it may not", || {
        says(
            &server,
            &["install/pull-secrets.yaml", "attempting to grant"],
        )
    });
    scene.kubectl("create namespace next");
    scene.wait_for_login(&server, "next", "default");
    assert!(scene.get("next", BINDING).is_none() && !scene.may_pull("next", "next"));

    // With what it said, it goes on by itself.
    cluster.apply(lab, GRANTS);
    for namespace in ["team", "next"] {
        until("it may pull", || scene.may_pull(namespace, namespace));
    }

    // Whoever grants otherwise has ours taken back, and theirs left.
    cluster.apply(
        lab,
        &binding("next", "by-hand", "system:image-puller", "next"),
    );
    server.stop();
    scene.configure(&server, &[], ", grantPull: false");
    server.start_again();
    until("they are removed", || {
        ["team", "next"]
            .iter()
            .all(|namespace| scene.get(namespace, BINDING).is_none())
    });
    assert!(!scene.may_pull("team", "team") && scene.may_pull("next", "next"));
    scene.kubectl("create namespace last");
    scene.wait_for_login(&server, "last", "default");
    assert!(scene.get("last", BINDING).is_none());

    // Then the right to see them is not needed.
    server.stop();
    let failures = |server: &Server| metric(server, "_failures_total");
    cluster.apply(lab, &without_any);
    server.start_again();
    scene.kubectl("create namespace later");
    scene.wait_for_login(&server, "later", "default");
    assert!(failures(&server) < 0.5, "{}", server.log());
}
