//! The registry decides as the cluster does, for whoever the cluster knows.

use std::time::{Duration, Instant};

use tests::{Api, Cluster, Lab, OrFail, until};

use super::{api_as, bind, granted, hire_ci, installed, registry};

/// Deeds as the registry's tokens name them, and as Kubernetes does.
const DEEDS: [(&str, &str); 4] = [
    ("pull", "get"),
    ("push", "create"),
    ("retag", "update"),
    ("delete", "delete"),
];

/// The answer of `kubectl auth can-i` for the same deed.
fn can_i(cluster: &Cluster, lab: &Lab, who: &Who, verb: &str, repository: &str) -> bool {
    let (namespace, name) = repository.split_once('/').unwrap_or((repository, ""));
    let mut resource = "images.registry.alauda.io".to_owned();
    if !name.is_empty() {
        resource = format!("{resource}/{name}");
    }
    let mut ask = cluster
        .kubectl(lab)
        .args(["auth", "can-i", verb, &resource, "--namespace", namespace])
        .args(["--as", &who.name]);
    for group in &who.groups {
        ask = ask.args(["--as-group", group]);
    }
    let said = ask.run();
    match said.stdout.split_whitespace().next() {
        Some("yes") => true,
        Some("no") => false,
        _ => tests::fail(said.report),
    }
}

struct Who {
    name: String,
    groups: Vec<String>,
    token: String,
}

impl Who {
    fn person(name: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            groups: groups.iter().map(ToString::to_string).collect(),
            token: name.to_owned(),
        }
    }

    fn service_account(cluster: &Cluster, lab: &Lab, namespace: &str, name: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            token: cluster.service_account_token(lab, namespace, name),
        }
    }
}

#[test]
fn the_registry_agrees_with_kubectl_auth_can_i() {
    let lab = Lab::new("k8s-rights");
    let cluster = installed(&lab, &["team", "other"]);
    let _controllers = cluster.controllers(&lab);
    hire_ci(&lab, &cluster);
    cluster.create_service_account(&lab, "team", "idle");
    bind(&cluster, &lab, "team", "edit", "user=alice");
    bind(&cluster, &lab, "team", "system:image-pruner", "group=ops");
    bind(
        &cluster,
        &lab,
        "other",
        "system:image-puller",
        "serviceaccount=team:ci",
    );
    bind(
        &cluster,
        &lab,
        "other",
        "view",
        "group=system:serviceaccounts:team",
    );
    cluster.apply(&lab, NAMED);

    let server = registry(&lab, &cluster.kubeconfig("registry"), "");
    let everybody = [
        Who::person("alice", &["devs", "system:authenticated"]),
        Who::person("bob", &["system:authenticated"]),
        Who::person("carol", &["devs", "ops", "system:authenticated"]),
        Who::person("root", &["system:masters", "system:authenticated"]),
        Who::service_account(&cluster, &lab, "team", "ci"),
        Who::service_account(&cluster, &lab, "team", "idle"),
    ];
    until("the roles are aggregated", || {
        can_i(&cluster, &lab, &everybody[0], "create", "team/app")
    });
    let mut allowed = 0;
    for who in &everybody {
        let api = api_as(server.endpoint(), &who.token);
        for repository in [
            "team/app",
            "team/app/deep",
            "other/app",
            "other/named",
            "team",
            "nowhere/x",
        ] {
            let granted = granted(&api, repository);
            for (deed, verb) in DEEDS {
                let here = granted.iter().any(|granted| granted == deed);
                let there = can_i(&cluster, &lab, who, verb, repository);
                assert_eq!(here, there, "{} {verb} {repository}", who.name);
                allowed += usize::from(here);
            }
        }
    }
    // Both would agree as well if nobody might do anything.
    assert!((30..80).contains(&allowed), "{allowed} of 144 are allowed");
}

/// A Role that names repositories, as only `resourceNames` can.
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
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]
";

#[test]
fn real_clients_push_and_pull_with_the_clusters_tokens() {
    let lab = Lab::new("k8s-clients");
    let cluster = installed(&lab, &["team"]);
    hire_ci(&lab, &cluster);
    bind(&cluster, &lab, "team", "system:image-puller", "user=bob");
    let server = registry(&lab, &cluster.kubeconfig("registry"), "");
    let host = &server.endpoint().host;
    let image = format!("{host}/team/app:v1");

    let token = cluster.service_account_token(&lab, "team", "ci");
    let api = api_as(server.endpoint(), &token);
    let manifest = api.push_image("team/app", "v1", &[b"layer".to_vec()]);

    let login = |user: &str, token: &str| {
        lab.program("crane")
            .args([
                "auth",
                "login",
                host,
                "--username",
                user,
                "--password",
                token,
            ])
            .ok();
    };
    login("bob", "bob");
    let digest = lab.program("crane").args(["digest", &image]).ok();
    assert_eq!(digest.trim(), tests::api::digest_of(&manifest));
    let refused = lab
        .program("crane")
        .args(["copy", &image, &format!("{host}/team/app:v2")])
        .fails();
    assert!(
        refused.contains("DENIED") || refused.contains("UNAUTHORIZED"),
        "{refused}"
    );
    login("serviceaccount", &token);
    lab.program("crane")
        .args(["copy", &image, &format!("{host}/team/app:v2")])
        .ok();
    let listed = lab
        .program("skopeo")
        .args(["list-tags", "--tls-verify=false", "--creds"])
        .arg(format!("any:{token}"))
        .arg(format!("docker://{host}/team/app"))
        .ok();
    assert!(listed.contains("v1") && listed.contains("v2"), "{listed}");
}

#[test]
fn tokens_for_others_and_made_up_ones_open_nothing() {
    let lab = Lab::new("k8s-tokens");
    let cluster = installed(&lab, &["team"]);
    hire_ci(&lab, &cluster);
    let server = registry(&lab, &cluster.kubeconfig("registry"), "");
    let status = |token: &str| {
        let api = api_as(server.endpoint(), token);
        api.get("/auth/token").or_fail("ask").status.as_u16()
    };

    let good = cluster.service_account_token(&lab, "team", "ci");
    assert_eq!(status(&good), 200);
    // For the vault of the same cluster, not for the registry.
    let other = cluster
        .kubectl(&lab)
        .args("create token ci --namespace team --audience vault".split(' '))
        .ok();
    assert_eq!(status(other.trim()), 401);
    assert_eq!(status("nobody"), 401);
    let (signed, signature) = good.rsplit_once('.').or_fail("a JWT");
    let forged: String = signature.chars().rev().collect();
    assert_eq!(status(&format!("{signed}.{forged}")), 401);
    // A ServiceAccount that is deleted takes its tokens along.
    let delete = ["delete", "serviceaccount", "ci", "--namespace", "team"];
    cluster.kubectl(&lab).args(delete).ok();
    until("its tokens hold no more", || status(&good) == 401);
}

/// T59: what is taken away in the cluster is refused here once the answers that are remembered have run out.
#[test]
fn t59_what_is_taken_away_is_refused_within_the_lifetime_of_an_answer() {
    const ALLOWED_FOR: Duration = Duration::from_secs(2);
    let lab = Lab::new("k8s-revoked");
    let cluster = installed(&lab, &["team"]);
    bind(&cluster, &lab, "team", "system:image-pusher", "user=bob");
    let server = registry(
        &lab,
        &cluster.kubeconfig("registry"),
        ", allowFor: 2s, denyFor: 1s",
    );
    let api = api_as(server.endpoint(), "bob");
    api.push_image("team/app", "v1", &[b"layer".to_vec()]);
    // Issued while the right was there: it names who it is, and the right is asked for each time.
    let issued = api
        .get("/auth/token?scope=repository:team/app:pull")
        .or_fail("ask for a token")
        .expect(200);
    let issued: serde_json::Value = serde_json::from_slice(&issued.body).or_fail("JSON");
    let bearer = issued["token"].as_str().or_fail("a token");
    let strangers = Api::new(server.endpoint());
    let pulls = |by_bearer: bool| {
        if !by_bearer {
            return api
                .manifest("team/app", "v1")
                .or_fail("pull")
                .status
                .as_u16();
        }
        let path = "/v2/team/app/manifests/v1";
        let request = strangers
            .request(reqwest::Method::GET, path)
            .bearer_auth(bearer);
        strangers.send(request).or_fail("pull").status.as_u16()
    };
    assert_eq!((pulls(true), pulls(false)), (200, 200));

    let delete = "delete rolebinding image-pusher-user-bob --namespace team";
    cluster.kubectl(&lab).args(delete.split(' ')).ok();
    let begun = Instant::now();
    while (pulls(true), pulls(false)) != (403, 403) {
        let within = ALLOWED_FOR + Duration::from_secs(30);
        assert!(begun.elapsed() < within, "still allowed after {within:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("refused {:?} after it was taken away", begun.elapsed());
}

/// A cluster whose bindings were made for OpenShift's registry: they hold as they are, and its clients find their
/// tokens where they look for them.
#[test]
fn bindings_made_for_openshift_hold() {
    let lab = Lab::new("k8s-openshift");
    let cluster = Cluster::start(&lab);
    cluster.apply(&lab, OPENSHIFT_ROLES);
    cluster.create_namespace(&lab, "team");
    bind(&cluster, &lab, "team", "system:image-puller", "user=bob");
    bind(&cluster, &lab, "team", "system:image-builder", "user=alice");
    let prune = "create clusterrolebinding prunes --clusterrole=system:image-pruner --user=carol";
    cluster.kubectl(&lab).args(prune.split(' ')).ok();

    let server = registry(&lab, &cluster.kubeconfig("registry"), ", preset: openshift");
    let as_person = |name: &str| api_as(server.endpoint(), name);
    let expected: [(&str, &[&str]); 3] = [
        ("alice", &["pull", "push", "retag"]),
        ("bob", &["pull"]),
        ("carol", &["delete"]),
    ];
    for (name, actions) in expected {
        assert_eq!(granted(&as_person(name), "team/app"), actions, "{name}");
    }
    // Pushing and pulling is a right in the namespace; deleting one in the whole cluster.
    assert!(granted(&as_person("alice"), "other/app").is_empty());
    assert_eq!(granted(&as_person("carol"), "other/app"), ["delete"]);

    let token = as_person("alice")
        .get("/openshift/token?account=alice&scope=repository:team/app:pull,push")
        .or_fail("ask for a token")
        .expect(200);
    let token: serde_json::Value = serde_json::from_slice(&token.body).or_fail("JSON");
    let token = token["access_token"].as_str().or_fail("a token");
    let strangers = Api::new(server.endpoint());
    let request = strangers
        .request(reqwest::Method::POST, "/v2/team/app/blobs/uploads/")
        .bearer_auth(token);
    strangers.send(request).or_fail("push").expect(202);
}

/// As OpenShift's API server makes them.
const OPENSHIFT_ROLES: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:image-puller'}
rules: [{apiGroups: ['', image.openshift.io], resources: [imagestreams/layers], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:image-builder'}
rules: [{apiGroups: ['', image.openshift.io], resources: [imagestreams/layers], verbs: [get, update]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'system:image-pruner'}
rules: [{apiGroups: ['', image.openshift.io], resources: [images], verbs: [delete, get, list]}]
";
