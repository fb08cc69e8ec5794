//! Beside a Kubernetes cluster: ID tokens name the people, the cluster's rules decide.

use tests::{Api, Cluster, OrFail, Server, Settings, cluster, eventually_or};

use super::{Scene, pull};

fn bind(cluster: &Cluster, scene: &Scene, role: &str, subject: &str) {
    cluster
        .kubectl(&scene.lab)
        .args(["create", "rolebinding", role, "--namespace=team"])
        .arg(format!("--clusterrole=system:image-{role}"))
        .arg(subject)
        .ok();
}

#[test]
fn the_clusters_rules_decide_for_the_providers_users_and_groups() {
    let scene = Scene::new("oidc-cluster");
    let cluster = Cluster::start(&scene.lab);
    cluster.apply(&scene.lab, cluster::ROLES);
    cluster.create_namespace(&scene.lab, "team");
    cluster.create_service_account(&scene.lab, "team", "ci");
    let subject = format!("--user={}#ada", scene.provider.issuer());
    bind(&cluster, &scene, "pusher", &subject);
    bind(&cluster, &scene, "puller", "--group=idp:ops");
    let htpasswd = tests::access::htpasswd_line(&scene.lab, "carol", "password");
    let settings = Settings {
        more: format!(
            "auth: {{{}, htpasswd: {{file: {}}}, kubernetes: {{kubeconfig: {}, audiences: [{}]}}}}\n",
            scene.oidc(),
            scene.lab.write("users", htpasswd).display(),
            cluster.kubeconfig("registry").display(),
            cluster::AUDIENCE
        ),
        memory: true,
        ..Settings::default()
    };
    let server = Server::start(&scene.lab, &settings);
    let at = server.endpoint();
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| scene.provider.id_token(name));
    let api = Api::new(&at.with_token(&ada));
    api.push_image("team/app", "v1", &[b"layer".to_vec()]);
    pull(at, &ada).expect(200);
    pull(at, &bob).expect(200);
    pull(at, &eve).expect(403);
    let may_push = Api::new(&at.with_token(&bob)).push_blob("team/app", b"x");
    may_push.or_fail("push").expect(403);
    // The others that can say who they are do so still: a cluster's token, a password.
    let token = cluster.service_account_token(&scene.lab, "team", "ci");
    pull(at, &token).expect(403);
    pull(at, "password").expect(401);
    let mut carol = at.clone();
    carol.login = Some(("carol".to_owned(), "password".to_owned()));
    let reply = Api::new(&carol).manifest("team/app", "v1").or_fail("pull");
    reply.expect(403);
}

/// The registry calls people what kube-apiserver calls them, which has the same settings as flags.
#[test]
fn names_are_those_that_kube_apiserver_gives() {
    for (claim, prefix, flags) in [
        ("sub", None, &["--oidc-groups-prefix=idp:"][..]),
        (
            "email",
            None,
            &["--oidc-groups-prefix=idp:", "--oidc-username-claim=email"],
        ),
        (
            "preferred_username",
            Some("-"),
            &[
                "--oidc-groups-prefix=idp:",
                "--oidc-username-claim=preferred_username",
                "--oidc-username-prefix=-",
            ],
        ),
    ] {
        let scene = Scene::new("oidc-names");
        let (issuer, ca) = (scene.provider.issuer(), scene.provider.ca().display());
        let mut more = vec![
            format!("--oidc-issuer-url={issuer}"),
            format!("--oidc-ca-file={ca}"),
            "--oidc-client-id=slipway".to_owned(),
            "--oidc-groups-claim=groups".to_owned(),
        ];
        more.extend(flags.iter().map(ToString::to_string));
        let cluster = Cluster::start_with(&scene.lab, &more);
        let token = scene.provider.id_token("ada");
        let whoami = || {
            cluster
                .kubectl(&scene.lab)
                .args(["--token", &token, "auth", "whoami", "--output=json"])
                .run()
        };
        // It fetches the provider's configuration in its own time.
        let said = eventually_or(
            || Some(whoami()).filter(|said| said.status.success()),
            || whoami().report,
        );
        let said: serde_json::Value = serde_json::from_str(&said.stdout).or_fail("JSON");
        let there = &said["status"]["userInfo"];

        let prefix = prefix.map_or(String::new(), |prefix| {
            format!(", usernamePrefix: '{prefix}'")
        });
        let settings = Settings {
            more: format!(
                "auth: {{oidc: [{{issuer: '{issuer}', clientId: slipway, usernameClaim: {claim}{prefix}, \
                 groupsClaim: groups, groupsPrefix: 'idp:', caFile: {ca}}}]}}\n",
            ),
            memory: true,
            ..Settings::default()
        };
        let server = Server::start(&scene.lab, &settings);
        let api = Api::new(&server.endpoint().with_token(&token));
        let reply = api.get("/auth/token").or_fail("ask").expect(200);
        let granted: serde_json::Value = serde_json::from_slice(&reply.body).or_fail("JSON");
        let here = super::clients::claims(granted["token"].as_str().or_fail("a token"));
        assert_eq!(here["sub"], there["username"], "{claim}");
        assert_eq!(here["groups"], there["groups"], "{claim}");
        assert_eq!(here["groups"][0], "idp:devs");
    }
}
