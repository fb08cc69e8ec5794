//! Every namespace's ServiceAccount has a pull secret that works, and nothing else is touched.

use std::io::Write as _;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use tests::{
    Api, Cluster, Daemon, Image, Lab, Node, OrFail, Server, Settings, cluster, eventually, until,
    until_within,
};

use super::kubelet::pod;
use super::{api_as, bind, installed};

mod grants;
mod policy;

/// What an installation grants for it, with one ServiceAccount more than usual.
const GRANTS: &str = include_str!("../../../install/pull-secrets.yaml");
const SECRET: &str = "slipway-pull-default";
const BINDING: &str = "rolebinding slipway-pull";

struct Scene {
    lab: Lab,
    cluster: Cluster,
    _controllers: Option<Daemon>,
}

impl Scene {
    /// A cluster in which the registry's account has the rights of the installation, and no more.
    fn new(name: &str) -> Self {
        let scene = Self::without_controllers(name);
        let controllers = scene.cluster.controllers(&scene.lab);
        Self {
            _controllers: Some(controllers),
            ..scene
        }
    }

    fn without_controllers(name: &str) -> Self {
        let lab = Lab::new(name);
        let cluster = installed(&lab, &["slipway"]);
        cluster.apply(&lab, &grants());
        let scene = Self {
            lab,
            cluster,
            _controllers: None,
        };
        let role =
            "clusterrolebinding registry-pulls --clusterrole=slipway-pull-secrets --user=registry";
        scene.kubectl(&format!("create {role}"));
        let role = "rolebinding registry-lease --role=slipway-pull-secrets --user=registry";
        scene.kubectl(&format!("create {role} --namespace slipway"));
        scene
    }

    /// A registry that keeps pull secrets for itself under two names.
    fn registry(&self, more: &str) -> Server {
        self.registry_in("data", more)
    }

    fn registry_in(&self, data: &str, more: &str) -> Server {
        let mut server = Server::prepare(
            &self.lab,
            &Settings {
                data: Some(self.lab.path(data)),
                memory: true,
                ..Settings::default()
            },
        );
        self.configure(&server, &[], more);
        server.launch_again();
        server.wait_ready();
        server
    }

    /// Writes what the registry is started with next.
    fn configure(&self, server: &Server, hosts: &[&str], more: &str) {
        let text = std::fs::read_to_string(server.config()).or_fail("the configuration");
        let (text, _) = text.split_once("hosts:").unwrap_or((&text, ""));
        let mut names = both_names(server).to_vec();
        names.extend(hosts.iter().map(ToString::to_string));
        let text = format!(
            "{text}hosts: {names:?}
auth:
  kubernetes:
    kubeconfig: {}
    audiences: [{}]
    allowFor: 1s
    denyFor: 1s
    pullSecrets: {{enabled: true, leaseNamespace: slipway{more}}}
",
            self.cluster.kubeconfig("registry").display(),
            cluster::AUDIENCE
        );
        let mut file = std::fs::File::create(server.config()).or_fail("the configuration");
        file.write_all(text.as_bytes()).or_fail("write it");
    }

    #[track_caller]
    fn kubectl(&self, words: &str) -> String {
        self.cluster.kubectl(&self.lab).args(words.split(' ')).ok()
    }

    /// What is there, or nothing.
    fn get(&self, namespace: &str, what: &str) -> Option<Value> {
        let get = ["get", "--namespace", namespace, "--output", "json"];
        let got = self.cluster.kubectl(&self.lab).args(get);
        let got = got.args(what.split(' ')).run();
        serde_json::from_str(&got.stdout).ok()
    }

    /// The names in the ServiceAccount's `imagePullSecrets`.
    fn references(&self, namespace: &str, account: &str) -> Vec<String> {
        let account = self.get(namespace, &format!("serviceaccount {account}"));
        let listed = account.map(|account| account["imagePullSecrets"].clone());
        let listed = listed.unwrap_or_default();
        let name = |reference: &Value| reference["name"].as_str().unwrap_or_default().to_owned();
        listed.as_array().into_iter().flatten().map(name).collect()
    }

    /// The token that the secret holds for these hosts, for each the same.
    fn token(&self, namespace: &str, secret: &str, hosts: &[String]) -> Option<String> {
        let secret = self.get(namespace, &format!("secret {secret}"))?;
        let content = secret["data"][".dockerconfigjson"].as_str()?;
        let content = STANDARD.decode(content).or_fail("base64");
        let content: Value = serde_json::from_slice(&content).or_fail("JSON");
        let logins = content["auths"].as_object()?;
        if !logins.keys().eq(hosts.iter()) {
            return None;
        }
        let mut tokens = logins.values().map(|login| login["password"].as_str());
        let token = tokens.next()??.to_owned();
        assert!(tokens.all(|other| other == Some(&token)), "{content}");
        Some(token)
    }

    /// Waits until the ServiceAccount names a secret that opens the registry under both names; its token.
    #[track_caller]
    fn wait_for_login(&self, server: &Server, namespace: &str, account: &str) -> String {
        let secret = format!("slipway-pull-{account}");
        eventually(&format!("a login of {namespace}/{account}"), || {
            let named = self.references(namespace, account).contains(&secret);
            let token = self.token(namespace, &secret, &both_names(server))?;
            (named && opens(server, &token)).then_some(token)
        })
    }

    /// Whether the ServiceAccount `default` of one namespace may pull what is in another, as the cluster says.
    fn may_pull(&self, account_of: &str, from: &str) -> bool {
        let ask = "auth can-i get images.registry.alauda.io --namespace";
        let who = format!("system:serviceaccount:{account_of}:default");
        let ask = self.cluster.kubectl(&self.lab).args(ask.split(' '));
        let said = ask.args([from, "--as", &who]).run().stdout;
        assert!(["yes", "no"].contains(&said.trim()), "{said}");
        said.trim() == "yes"
    }

    fn events(&self, namespace: &str) -> Vec<String> {
        let events = self.get(namespace, "events").unwrap_or_default();
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let text = |event: Value| {
            format!(
                "{} {}",
                event["reason"].as_str().unwrap_or_default(),
                event["message"].as_str().unwrap_or_default()
            )
        };
        events.into_iter().map(text).collect()
    }
}

fn grants() -> String {
    let grants = GRANTS.replace("[default]", "[default, builder]").replace(
        "[slipway-pull-default]",
        "[slipway-pull-default, slipway-pull-builder]",
    );
    assert_eq!(grants.matches("builder]").count(), 3, "{grants}");
    let account = "'system:serviceaccount:slipway:slipway'";
    assert_eq!(grants.matches(account).count(), 2, "{grants}");
    grants.replace(account, "'registry'")
}

/// `127.0.0.1:port` and `localhost:port`, in this order.
fn both_names(server: &Server) -> [String; 2] {
    let host = server.endpoint().host.clone();
    let other = host.replace("127.0.0.1", "localhost");
    [host, other]
}

/// Whether the registry knows the token, whatever it may do.
fn opens(server: &Server, token: &str) -> bool {
    let api = api_as(server.endpoint(), token);
    let status = api.get("/auth/token").or_fail("ask").status.as_u16();
    assert!([200, 401].contains(&status), "{status}");
    status == 200
}

/// A figure of the server's metrics.
fn metric(server: &Server, name: &str) -> f64 {
    let text = Api::new(server.endpoint())
        .get("/metrics")
        .or_fail("metrics");
    let text = text.text();
    let begin = format!("slipway_pull_secrets{name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&begin));
    line.and_then(|value| value.parse().ok())
        .or_fail(format!("{name} in {text}"))
}

#[test]
fn a_pod_starts_by_the_pull_secret_that_it_was_given_under_either_name() {
    let scene = Scene::without_controllers("k8s-pull-pod");
    let (lab, cluster) = (&scene.lab, &scene.cluster);
    let server = scene.registry("");
    let [internal, external] = both_names(&server);
    lab.write(
        format!("certs.d/{external}/hosts.toml"),
        format!("server = \"http://{external}\"\n[host.\"http://{external}\"]\n"),
    );
    let _node = Node::start_without_plugin(lab, cluster, server.endpoint());
    for namespace in ["team", "bare"] {
        scene.kubectl(&format!("create namespace {namespace}"));
    }
    scene.kubectl("label namespace bare registry.alauda.io/pull-secrets=disabled");
    bind(cluster, lab, "team", "system:image-pusher", "user=alice");
    // Its own namespace's images a pod may pull; from another it needs the right.
    let bare = "serviceaccount=bare:default";
    bind(cluster, lab, "team", "system:image-puller", bare);
    let image = Image::busybox(lab, "app");
    image.push_as(lab, "alice", &format!("{internal}/team/app:v1"));
    scene.wait_for_login(&server, "team", "default");

    cluster.apply(
        lab,
        &pod("inside", "default", &format!("{internal}/team/app:v1")),
    );
    cluster.apply(
        lab,
        &pod("outside", "default", &format!("{external}/team/app:v1")),
    );
    let bare = pod("bare", "default", &format!("{internal}/team/app:v1"));
    let bare = bare.replace("namespace: team", "namespace: bare");
    eventually("a ServiceAccount", || {
        scene.get("bare", "serviceaccount default")
    });
    until("the opted-out namespace has nothing", || {
        scene.references("bare", "default").is_empty()
            && scene.get("bare", &format!("secret {SECRET}")).is_none()
    });
    cluster.apply(lab, &bare);
    let phase = |pod: &str| {
        let pod = scene.get("team", &format!("pod {pod}")).or_fail("the pod");
        pod["status"]["phase"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    for pod in ["inside", "outside"] {
        until(&format!("{pod} ran"), || phase(pod) == "Succeeded");
    }
    // Who may pull and has nothing to show for it does not.
    until("the pod without a secret waits", || {
        let pod = scene.get("bare", "pod bare").or_fail("the pod");
        let waits = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
        waits == "ImagePullBackOff"
    });
}

#[test]
fn every_namespace_has_one_but_those_that_opted_out_and_what_is_others_stays() {
    let scene = Scene::new("k8s-pull-all");
    let (lab, cluster) = (&scene.lab, &scene.cluster);
    // Before the registry runs: a secret of somebody else's with our name, and a namespace that wants none.
    for namespace in ["taken", "out"] {
        scene.kubectl(&format!("create namespace {namespace}"));
        eventually("a ServiceAccount", || {
            scene.get(namespace, "serviceaccount default")
        });
    }
    scene.kubectl("label namespace out registry.alauda.io/pull-secrets=disabled");
    scene.kubectl(&format!(
        "create secret generic {SECRET} --namespace taken --from-literal=mine=1"
    ));
    let theirs = || {
        scene
            .get("taken", &format!("secret {SECRET}"))
            .or_fail("the secret")
    };
    let before = theirs();
    let server = scene.registry(", serviceAccounts: [default, builder]");

    // One that was there before, a new one, and ServiceAccounts that come later.
    scene.wait_for_login(&server, "default", "default");
    scene.kubectl("create namespace team");
    scene.wait_for_login(&server, "team", "default");
    assert!(scene.get("team", "secret slipway-pull-builder").is_none());
    scene.kubectl("create serviceaccount builder --namespace team");
    let builder = scene.wait_for_login(&server, "team", "builder");
    assert_eq!(
        claims(&builder)["sub"],
        "system:serviceaccount:team:builder"
    );
    scene.kubectl("create serviceaccount other --namespace team");

    // The one that is somebody else's is told of, where its people look, and is left as it was.
    until("an event", || {
        let events = scene.events("taken");
        events
            .iter()
            .any(|event| event.starts_with("PullSecretNameTaken") && event.contains(SECRET))
    });
    assert_eq!(theirs(), before);
    assert!(scene.references("taken", "default").is_empty());
    assert!(
        server.log().contains("was not made by Slipway"),
        "{}",
        server.log()
    );
    // It is not waited for a restart when it goes.
    scene.kubectl(&format!("delete secret {SECRET} --namespace taken"));
    scene.wait_for_login(&server, "taken", "default");

    // References of others stay where they are, ours goes beside them and comes back.
    let own = "apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: team}
imagePullSecrets: [{name: mine}, {name: ours}]
";
    cluster.apply(lab, own);
    until("all three", || {
        scene.references("team", "default") == ["mine", "ours", SECRET]
    });

    // Opting out takes back what was made, and nothing else.
    assert!(scene.references("out", "default").is_empty());
    assert!(scene.get("out", &format!("secret {SECRET}")).is_none());
    scene.kubectl("create secret generic mine --namespace team");
    let token = scene.wait_for_login(&server, "team", "default");
    scene.kubectl("label namespace team registry.alauda.io/pull-secrets=disabled");
    until("it is taken back", || {
        scene.get("team", &format!("secret {SECRET}")).is_none()
            && scene.get("team", "secret slipway-pull-builder").is_none()
    });
    assert_eq!(scene.references("team", "default"), ["mine", "ours"]);
    assert!(scene.references("team", "builder").is_empty());
    let account = scene.get("team", "serviceaccount default").or_fail("it");
    let annotations = account["metadata"]["annotations"].to_string();
    assert!(
        !annotations.contains("pull-secret.registry"),
        "{annotations}"
    );
    assert!(scene.get("team", "secret mine").is_some());
    // The token ends with its secret, long before its time.
    until("its token ends", || !opens(&server, &token));
    // And back in again, both.
    for namespace in ["team", "out"] {
        let label = "registry.alauda.io/pull-secrets-";
        scene.kubectl(&format!("label namespace {namespace} {label}"));
        scene.wait_for_login(&server, namespace, "default");
    }
    assert!(scene.references("team", "other").is_empty());

    // The rights that this took let nobody look at anything else.
    for (wanted, words) in [
        ("yes", "get secret/slipway-pull-default --namespace team"),
        ("no", "get secret/mine --namespace team"),
        ("no", "list secrets --namespace team"),
        ("no", "update secret/mine --namespace team"),
        ("no", "patch serviceaccount/other --namespace team"),
        (
            "no",
            "create serviceaccounts/other --subresource=token --namespace team",
        ),
        ("no", "create pods --namespace team"),
    ] {
        let ask = ["auth", "can-i", "--as", "registry"];
        let said = cluster.kubectl(lab).args(ask).args(words.split(' ')).run();
        assert_eq!(said.stdout.trim(), wanted, "{words}");
    }
    let log = server.log();
    let mut told = log.lines().filter(|line| line.contains("are not kept"));
    // An API server that has much to do is late now and then: what it did not answer was asked again.
    assert!(told.all(|line| line.contains("no answer within")), "{log}");
}

/// What a token says about itself.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).or_fail("a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).or_fail("base64url");
    serde_json::from_slice(&payload).or_fail("claims")
}

#[test]
fn what_is_done_to_them_is_undone() {
    let scene = Scene::new("k8s-pull-mend");
    let mut server = scene.registry("");
    scene.kubectl("create namespace team");
    let first = scene.wait_for_login(&server, "team", "default");
    let at = "--namespace team";
    let is_new = |before: &String| {
        let token = scene.token("team", SECRET, &both_names(&server))?;
        (token != *before && opens(&server, &token)).then_some(token)
    };

    // Deleted: the token with it.
    scene.kubectl(&format!("delete secret {SECRET} {at}"));
    let second = eventually("it is made again", || is_new(&first));
    until("the deleted one's token ends", || !opens(&server, &first));

    // Altered: emptied, replaced by a login of somebody's, made unchangeable.
    for patch in [
        r#"{"data":{".dockerconfigjson":"e30="}}"#,
        r#"{"data":{".dockerconfigjson":"eyJhdXRocyI6eyJldmlsLmV4YW1wbGUiOnsiYXV0aCI6ImE6YiJ9fX0="}}"#,
        r#"{"immutable":true}"#,
    ] {
        let before = scene.token("team", SECRET, &both_names(&server));
        let patched = [
            "patch",
            "secret",
            SECRET,
            "--namespace",
            "team",
            "--patch",
            patch,
        ];
        scene.cluster.kubectl(&scene.lab).args(patched).ok();
        let before = before.or_fail("a token");
        eventually(&format!("it is mended after {patch}"), || is_new(&before));
    }
    until("the token of the one that was replaced ends", || {
        !opens(&server, &second)
    });

    // The reference taken out.
    let patch = r#"{"imagePullSecrets":[]}"#;
    let patched = ["patch", "serviceaccount", "default", "--namespace", "team"];
    let patched = scene.cluster.kubectl(&scene.lab).args(patched);
    patched.args(["--patch", patch]).ok();
    scene.wait_for_login(&server, "team", "default");

    // The ServiceAccount made anew, by the cluster's own controller: the old one's tokens are worth nothing.
    let before = scene
        .token("team", SECRET, &both_names(&server))
        .or_fail("a token");
    scene.kubectl(&format!("delete serviceaccount default {at}"));
    eventually("it has a token of the new one", || is_new(&before));
    scene.wait_for_login(&server, "team", "default");
    until("the old one's token ends", || !opens(&server, &before));

    // Another address in the configuration.
    server.stop();
    scene.configure(&server, &["registry.example"], "");
    server.start_again();
    let mut hosts = both_names(&server).to_vec();
    hosts.push("registry.example".to_owned());
    for namespace in ["team", "default"] {
        until("it is for the new address too", || {
            scene.token(namespace, SECRET, &hosts).is_some()
        });
    }

    // A namespace that goes.
    scene.kubectl("delete namespace team --timeout=100s");
    // Without a server nothing is taken back, unless it is told to. Whoever is next need not wait for it.
    server.stop();
    let holder =
        "get lease slipway-pull --namespace slipway --output jsonpath={.spec.holderIdentity}";
    assert_eq!(scene.kubectl(holder), "");
    assert!(scene.token("default", SECRET, &hosts).is_some());
    scene.configure(&server, &[], ", withdraw: true");
    server.start_again();
    until("all are taken back", || {
        let left = scene.kubectl("get secrets --all-namespaces --output name");
        let bindings = scene.kubectl(
            "get rolebindings --all-namespaces --field-selector metadata.name=slipway-pull --output name",
        );
        left.is_empty() && bindings.is_empty() && scene.references("default", "default").is_empty()
    });
}

#[test]
fn tokens_are_renewed_before_their_end_and_by_one_server_after_another() {
    let scene = Scene::new("k8s-pull-renew");
    // Due for renewal seconds after it was issued. The API server issues none for less than ten minutes.
    let quick = ", lifetime: 10m, renewBefore: 590s";
    let mut server = scene.registry(quick);
    let mut second = scene.registry_in("data-of-second", quick);
    scene.kubectl("create namespace team");
    second.stop();
    let old = scene.wait_for_login(&server, "team", "default");
    let new = eventually("a renewal", || {
        let token = scene.token("team", SECRET, &both_names(&server))?;
        (token != old).then_some(token)
    });
    let end = |token: &str| claims(token)["exp"].as_u64().or_fail("an end");
    assert!(end(&new) > end(&old));
    let secret = |token: &str| claims(token)["kubernetes.io"]["secret"]["uid"].clone();
    assert_eq!(secret(&old), secret(&new), "the secret is the same");
    // A pull that began with the old one goes on: it holds to its own end.
    assert!(opens(&server, &old) && opens(&server, &new));
    until("the renewals are counted", || {
        metric(&server, "_renewals_total") >= 1.0
    });
    assert!(metric(&server, "") >= 5.0);
    assert!(metric(&server, "_first_expiry_timestamp_seconds") > 1e9);
    assert!(metric(&server, "_leading") > 0.5);

    // One does the work at a time, and the other goes on when it is gone, cleanly or not.
    second.start_again();
    assert!(metric(&second, "_leading") < 0.5);
    server.stop();
    until("the other leads", || metric(&second, "_leading") > 0.5);
    scene.kubectl("create namespace next");
    scene.wait_for_login(&second, "next", "default");
    server.start_again();
    assert!(metric(&server, "_leading") < 0.5);
    second.kill();
    until("the first leads again", || {
        metric(&server, "_leading") > 0.5
    });
    scene.wait_for_login(&server, "next", "default");
}

#[test]
fn without_an_api_server_it_waits_and_goes_on() {
    let mut scene = Scene::new("k8s-pull-away");
    let server = scene.registry("");
    scene.kubectl("create namespace team");
    scene.wait_for_login(&server, "team", "default");
    let status = |path: &str| Api::new(server.endpoint()).get(path).or_fail("ask").status;
    scene.cluster.api().kill();
    until("it is noticed", || {
        server.log().contains("pull secrets are not kept")
    });
    // Where and what was asked stands in the line, and no other line says it without.
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("are not kept"));
    for line in told {
        let address = format!("https://{}: the ", scene.cluster.address());
        assert!(line.contains(&address), "{line}");
    }
    for never in ["failed with", "client error", "watcher error"] {
        assert!(!log.contains(never), "{never}\n{log}");
    }
    // The registry serves on, and knows nobody new.
    assert_eq!(status("/readyz"), 200);
    assert_eq!(status("/v2/"), 401);
    let lab = &scene.lab;
    scene.cluster.start_again(lab);
    scene.kubectl("create namespace next");
    for namespace in ["team", "next"] {
        scene.wait_for_login(&server, namespace, "default");
    }
    assert_eq!(server.log().matches("panicked").count(), 0);
}

/// Namespaces that come all at once.
const MANY: usize = 500;

#[test]
fn five_hundred_namespaces_at_once_all_get_one_with_few_requests() {
    let scene = Scene::new("k8s-pull-many");
    let mut server = scene.registry("");
    scene.wait_for_login(&server, "default", "default");
    let made = |what: &str, verb: &str| requests(&scene, what, verb);
    let lists = made("secrets", "LIST");
    let namespaces: Vec<_> = (0..MANY)
        .map(|n| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: many-{n}}}\n"))
        .collect();
    let file = scene.lab.write("many.yaml", namespaces.join("---\n"));
    let begun = Instant::now();
    scene.kubectl(&format!("create --filename {}", file.display()));
    let names = "jsonpath={range .items[*]}{.imagePullSecrets[*].name}{\"\\n\"}{end}";
    until_within(Duration::from_secs(600), "all have one", || {
        let get = [
            "get",
            "serviceaccounts",
            "--all-namespaces",
            "--field-selector",
        ];
        let get = scene.cluster.kubectl(&scene.lab).args(get);
        let got = get.args(["metadata.name=default", "--output", names]).ok();
        got.lines().count() > MANY && got.lines().all(|line| line == SECRET)
    });
    println!("{MANY} namespaces after {:?}", begun.elapsed());
    scene.wait_for_login(&server, &format!("many-{}", MANY - 1), "default");
    let listed = scene.kubectl(
        "get rolebindings --all-namespaces --field-selector metadata.name=slipway-pull --output name",
    );
    assert!(listed.lines().count() > MANY, "{}", listed.lines().count());
    // Five requests for each, no list for any. A write may be overtaken by another controller's and sent again.
    let own = 10;
    let writes = || {
        [
            made("secrets", "APPLY"),
            made("serviceaccounts/token", "POST"),
            made("secrets", "PATCH"),
            made("serviceaccounts", "PATCH"),
            made("rolebindings", "APPLY"),
        ]
    };
    let pages = MANY / 50 + 1;
    let first = writes();
    let listed = made("secrets", "LIST");
    let broken = Broken::of(&server);
    let usual = MANY..MANY + MANY / 10 + own + broken.writes();
    assert!(
        first.iter().all(|made| usual.contains(made)),
        "{first:?} {broken:?}"
    );
    let most = lists + pages * broken.watches();
    assert!((lists..=most).contains(&listed), "{listed} {broken:?}");

    // A server that begins finds all as it should be: a list in pages, and nothing to write.
    server.stop();
    server.start_again();
    until("it knows them again", || {
        metric(&server, "_leading") > 0.5 && metric(&server, "") > 499.0
    });
    scene.kubectl("create namespace last");
    scene.wait_for_login(&server, "last", "default");
    let (then, relisted) = (writes(), made("secrets", "LIST"));
    let broken = Broken::of(&server).since(&broken);
    for (first, then) in first.into_iter().zip(then) {
        let usual = first + 1..=first + 3 + broken.writes();
        assert!(usual.contains(&then), "{first} {then} {broken:?}");
    }
    let most = listed + pages * (1 + broken.watches());
    assert!(relisted <= most, "{relisted} {broken:?}");
}

/// What broke off since a server was started, because the API server was late; it is done once more.
#[derive(Debug)]
struct Broken {
    failures: usize,
    leases: usize,
}

impl Broken {
    fn of(server: &Server) -> Self {
        let failures = metric(server, "_failures_total").to_string();
        Self {
            failures: failures.parse().or_fail("a whole number"),
            leases: server.log().matches("lost its lease").count(),
        }
    }

    /// The log goes on when a server is started again, and the figures do not.
    fn since(self, before: &Self) -> Self {
        let leases = self.leases - before.leases;
        Self { leases, ..self }
    }

    /// Most requests of a kind that were sent again: with a lease, all that were under way break off.
    fn writes(&self) -> usize {
        self.failures + 16 * self.leases
    }

    /// Most watches that began again.
    fn watches(&self) -> usize {
        self.failures + self.leases
    }
}

/// How many requests the API server has answered.
fn requests(scene: &Scene, what: &str, verb: &str) -> usize {
    let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
    let labels = [
        format!("resource=\"{resource}\""),
        format!("subresource=\"{subresource}\""),
        format!("verb=\"{verb}\""),
    ];
    let text = scene.kubectl("get --raw /metrics");
    let lines = text.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && labels.iter().all(|label| line.contains(label))
    });
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
    values.sum()
}
