//! T58: an API server that is down, slow, or talks nonsense. What is not known is refused; nothing is let in.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tests::api::Reply;
use tests::{Api, Cluster, Lab, OrFail, Proxy, Server, Weather, daemon, server, until};

use super::{access_of, api_as, bind, registry, staffed};

const BAD: [Weather; 6] = [
    Weather::Down,
    Weather::Slow(Duration::from_secs(3)),
    Weather::Garbage(200),
    Weather::Garbage(500),
    Weather::Forbidden,
    Weather::Endless,
];

struct Scene {
    lab: Lab,
    cluster: Cluster,
    proxy: Proxy,
    server: Server,
}

/// A registry with an image in `team/app` that bob may pull, and a proxy on its way to the cluster.
fn scene(name: &str, more: &str) -> Scene {
    let lab = Lab::new(name);
    let cluster = staffed(&lab);
    let proxy = cluster.proxy();
    let mut server = registry(&lab, &cluster.kubeconfig_by(&lab, &proxy), more);
    let alice = api_as(server.endpoint(), "alice");
    // Where it is given little time, a cluster that has much to do may be late with its first answers: all begins anew then.
    until("alice may push", || {
        let path = "/auth/token?scope=repository:team/app:pull,push";
        let reply = alice.get(path).or_fail("ask for a token");
        let may_push = |access: &serde_json::Value| access["actions"].to_string().contains("push");
        let is_answered = reply.status == 200 && access_of(&reply).iter().any(may_push);
        if !is_answered {
            server.stop();
            server.start_again();
        }
        is_answered
    });
    alice.push_image("team/app", "v1", &[b"layer".to_vec()]);
    Scene {
        lab,
        cluster,
        proxy,
        server,
    }
}

impl Scene {
    /// A counter of the registry.
    fn count(&self, name: &str) -> u64 {
        let reply = Api::new(self.server.endpoint()).get("/metrics");
        let text = reply.or_fail("ask for the metrics").expect(200).text();
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(sample, _)| *sample == name).or_fail(name);
        let whole = found.1.strip_suffix(".0").unwrap_or(found.1);
        whole.parse().or_fail("a whole number")
    }

    fn pull(&self, who: &str) -> Reply {
        let api = api_as(self.server.endpoint(), who);
        api.manifest("team/app", "v1").or_fail("pull")
    }
}

#[test]
fn t58_what_is_not_known_is_refused_and_what_is_known_holds_to_its_end() {
    let scene = scene("k8s-weather", ", allowFor: 3s, denyFor: 1s, timeout: 1s");
    for weather in BAD {
        scene.proxy.set(Weather::Fair);
        until(&format!("recovery before {weather:?}"), || {
            scene.pull("bob").status == 200
        });
        let known_since = Instant::now();
        scene.proxy.set(weather);
        // Somebody who is not known yet.
        let reply = scene.pull("carol").expect(503);
        let retry_after: u32 = reply.header("retry-after").parse().or_fail("Retry-After");
        assert!(
            (1..=10).contains(&retry_after),
            "{weather:?}: {retry_after}"
        );
        // Bob was asked about at most three seconds ago, and is refused when that is over: never let in, never "no".
        loop {
            let status = scene.pull("bob").status.as_u16();
            if status == 503 {
                break;
            }
            assert_eq!(status, 200, "{weather:?}");
            let known_for = known_since.elapsed();
            assert!(
                known_for < daemon::PATIENCE,
                "{weather:?}: still known after {known_for:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    scene.proxy.set(Weather::Fair);
    until("recovery", || scene.pull("bob").status == 200);
    // The stranger is answered as ever: it is known what they may not, though perhaps not within a second.
    until("the stranger is known", || {
        let status = scene.pull("carol").status;
        assert!(status == 403 || status == 503, "carol gets {status}");
        status == 403
    });
    let log = scene.server.log();
    for part in [" decides\n", " does not decide: ", " decides again\n"] {
        assert!(log.contains(part), "{part}\n{log}");
    }
    // With where and what was asked, and nothing of what is in it; and nobody else says the same without that.
    let address = format!("http://{}", scene.proxy.address());
    let told = log.lines().filter(|line| line.contains("does not decide"));
    for line in told {
        assert!(line.contains(&address), "{line}");
        let kinds = ["TokenReview: ", "SubjectAccessReview: "];
        assert!(kinds.iter().any(|kind| line.contains(kind)), "{line}");
    }
    for never in ["uid-bob", "\"spec\"", "failed with", "client error"] {
        assert!(!log.contains(never), "{never}\n{log}");
    }
    assert!(scene.count("slipway_kubernetes_reviews_unanswered_total") > 0);
    drop(scene.lab);
}

/// Whoever uses the commands while the API server is away learns it from each of them, by the server's words and soon.
#[test]
fn commands_say_that_the_api_server_is_away() {
    let scene = scene("k8s-away", ", allowFor: 1s, denyFor: 1s, timeout: 1s");
    let host = scene.server.endpoint().host.clone();
    let slipway = || {
        scene
            .lab
            .program(&server::binary().display().to_string())
            .env("KUBECONFIG", scene.lab.path("cluster/proxied.kubeconfig"))
    };
    let login = || slipway().args(["login", "--token-stdin", &host]);
    // The cluster has a second for each answer.
    until("bob is known", || {
        login().stdin("bob").run().status.success()
    });
    scene.proxy.set(Weather::Down);
    let image = format!("{host}/team/app:v1");
    // Who bob is, is known for as long as the cluster's answer holds.
    let begun = Instant::now();
    let said = loop {
        let said = login().stdin("bob").run();
        if !said.status.success() {
            break said;
        }
        assert!(begun.elapsed() < daemon::PATIENCE, "still known");
    };
    assert_eq!(said.stderr.lines().count(), 1, "{}", said.report);
    for part in [
        "rights cannot be checked at the moment: the Kubernetes API server does not answer",
        "try again",
        "(request ",
    ] {
        assert!(said.stderr.contains(part), "{part}\n{}", said.report);
    }
    let archive = scene.lab.path("away.tar").display().to_string();
    let archive = format!("oci-archive:{archive}:v1");
    for words in [
        &["ls", &host][..],
        &["ls", &format!("{host}/team/app")],
        &["copy", &image, &archive],
        &["pull", "--engine", "podman", &image],
    ] {
        let said = slipway().args(words).run();
        assert!(!said.status.success(), "{}", said.report);
        let mut lines: Vec<_> = said.stderr.lines().collect();
        let last = lines.pop().or_fail("a line");
        assert!(
            last.contains("rights cannot be checked at the moment") && last.contains("(request "),
            "{}",
            said.report
        );
        assert!(!last.contains("waiting"), "{}", said.report);
        // While it goes on trying it says so.
        assert!((1..=4).contains(&lines.len()), "{}", said.report);
        let says = |line: &&str| line.contains("(request ") && line.contains("waiting 2s before");
        assert!(lines.iter().all(says), "{}", said.report);
    }
    let said = slipway()
        .args(["auth", "explain", "pull", "team/app"])
        .run();
    assert!(!said.status.success(), "{}", said.report);
    assert_eq!(said.stderr.lines().count(), 1, "{}", said.report);
    let address = format!(
        "the API server http://{} cannot be asked: ",
        scene.proxy.address()
    );
    assert!(said.stderr.contains(&address), "{}", said.report);
    assert!(!said.stderr.contains("ServiceError"), "{}", said.report);
    drop(scene.cluster);
}

/// T58: a thousand clients of one identity, all at once and nobody known.
#[test]
fn t58_a_thousand_cold_clients_ask_once() {
    let scene = scene("k8s-storm", ", allowFor: 60s");
    scene.proxy.take("");
    let before = scene.count("slipway_kubernetes_reviews_total");
    // Slow enough that all of them come while the first question is under way.
    scene.proxy.set(Weather::Slow(Duration::from_millis(1500)));
    let api = api_as(scene.server.endpoint(), "bob");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..1000)
            .map(|_| {
                let api = api.clone();
                std::thread::Builder::new()
                    .stack_size(256 << 10)
                    .spawn_scoped(scope, move || {
                        api.manifest("team/app", "v1")
                            .or_fail("pull")
                            .status
                            .as_u16()
                    })
                    .or_fail("start a thread")
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().or_fail("a client"))
            .collect()
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let asked = scene.proxy.take("reviews");
    let tokens = asked
        .iter()
        .filter(|body| body.contains("TokenReview"))
        .count();
    let rights = asked
        .iter()
        .filter(|body| body.contains("SubjectAccessReview"))
        .count();
    assert_eq!((tokens, rights), (1, 1), "{asked:?}");
    let counted = scene.count("slipway_kubernetes_reviews_total") - before;
    assert_eq!(counted, 2, "the metric differs from what was sent");
}

/// T58: every other question is lost. Whoever is answered is answered rightly, and in the end everybody is.
#[test]
fn t58_an_api_server_that_flaps_makes_no_wrong_answer() {
    let scene = scene("k8s-flapping", ", allowFor: 1s, denyFor: 1s, timeout: 1s");
    scene.proxy.set(Weather::Flapping);
    let (mut answers, mut refused) = (0, 0);
    let begun = Instant::now();
    while answers < 20 || refused < 5 {
        for (who, right) in [("bob", 200), ("carol", 403)] {
            match scene.pull(who).status.as_u16() {
                503 => refused += 1,
                status => {
                    assert_eq!(status, right, "{who}");
                    answers += 1;
                }
            }
        }
        let so_far = format!("{answers} answers, {refused} refusals");
        assert!(begun.elapsed() < daemon::PATIENCE, "{so_far}");
        std::thread::sleep(Duration::from_millis(100));
    }
    scene.proxy.set(Weather::Fair);
    for (who, right) in [("bob", 200), ("carol", 403)] {
        until(&format!("recovery for {who}"), || {
            scene.pull(who).status == right
        });
    }
}

/// Most questions that one request for the catalog may ask about rights.
const BUDGET: usize = 200;

impl Scene {
    /// All pages of somebody's catalog of `n` entries each, in order, and the most questions that a page took.
    fn catalog(&self, who: &str, n: u32) -> (Vec<String>, usize) {
        let api = api_as(self.server.endpoint(), who);
        let (mut listed, mut most) = (Vec::new(), 0);
        let mut next = Some(format!("/v2/_catalog?n={n}"));
        for _ in 0..400 {
            let Some(path) = next.take() else {
                return (listed, most);
            };
            self.proxy.take("");
            let reply = api.get(&path).or_fail("list").expect(200);
            let asked = self.proxy.take("subjectaccessreviews");
            most = most.max(asked.len());
            let page: serde_json::Value = serde_json::from_slice(&reply.body).or_fail("JSON");
            let names = page["repositories"].as_array().or_fail("repositories");
            let names = names.iter().map(|name| name.as_str().or_fail("a name"));
            listed.extend(names.map(str::to_owned));
            let link = reply.header("link");
            assert!(
                !link.contains("hidden"),
                "the link names what {who} may not see: {link}"
            );
            next = link
                .split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'))
                .map(|(path, _)| path.to_owned());
        }
        tests::fail("the catalog does not end")
    }
}

#[test]
fn a_catalog_is_exact_over_its_pages_and_asks_little_for_each() {
    let mut scene = scene("k8s-catalog", ", allowFor: 60s, denyFor: 10s");
    let admin = api_as(scene.server.endpoint(), "root");
    let manifest = admin.push_image("hidden/r000", "v1", &[]);
    let config: serde_json::Value = serde_json::from_slice(&manifest).or_fail("JSON");
    let config = config["config"]["digest"].as_str().or_fail("a digest");
    let mut expected = BTreeSet::from(["named/r050".to_owned()]);
    for namespace in ["hidden", "mine", "named"] {
        for number in 0..100 {
            let repository = format!("{namespace}/r{number:03}");
            let mount = format!("/v2/{repository}/blobs/uploads/?mount={config}&from=hidden/r000");
            let mount = admin.request(reqwest::Method::POST, &mount);
            admin.send(mount).or_fail("mount").expect(201);
            admin
                .push_manifest(&repository, "v1", &manifest)
                .or_fail("push")
                .expect(201);
            if namespace == "mine" {
                expected.insert(repository);
            }
        }
    }
    for namespace in ["mine", "named"] {
        scene.cluster.create_namespace(&scene.lab, namespace);
    }
    bind(
        &scene.cluster,
        &scene.lab,
        "mine",
        "system:image-puller",
        "user=puller",
    );
    scene.cluster.apply(&scene.lab, ONE_BY_NAME);
    let may_all = || {
        let kubectl = scene.cluster.kubectl_as(&scene.lab, "puller");
        let named = "auth can-i get images.registry.alauda.io/r050 --namespace named";
        let all = "auth can-i get images.registry.alauda.io --namespace mine";
        kubectl.args(named.split(' ')).run().status.success()
            && scene
                .cluster
                .kubectl_as(&scene.lab, "puller")
                .args(all.split(' '))
                .run()
                .status
                .success()
    };
    until("the rights are known", may_all);

    let expected: Vec<String> = expected.into_iter().collect();
    for n in [1000, 7] {
        let (listed, most) = scene.catalog("puller", n);
        assert_eq!(listed, expected, "{n} a page");
        assert!(most <= BUDGET, "{n} a page: {most} questions in one");
    }
    // All in a namespace by one question, and not asked again while it is known.
    let mine = "/v2/_catalog?n=60&last=mine/r000";
    let puller = api_as(scene.server.endpoint(), "puller");
    scene.proxy.take("");
    puller.get(mine).or_fail("list").expect(200);
    assert_eq!(scene.proxy.take("subjectaccessreviews"), [""; 0]);

    let (listed, most) = scene.catalog("outsider", 1000);
    assert_eq!(listed, [""; 0]);
    assert!((100..=BUDGET).contains(&most), "{most} questions");
    // What is sealed for one is of no use to another.
    let outsider = api_as(scene.server.endpoint(), "outsider");
    let link = outsider.get("/v2/_catalog").or_fail("list").expect(200);
    let link = link.header("link").to_owned();
    let next = link
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    let (next, _) = next.or_fail("a link");
    puller.get(next).or_fail("list").expect(400);
    // Another program over the same storage and keys goes on where the first one ended.
    scene.server.stop();
    scene.server.start_again();
    outsider.get(next).or_fail("list").expect(200);
}

/// A right to one repository of a namespace.
const ONE_BY_NAME: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: one, namespace: named}
rules:
  - {apiGroups: [registry.alauda.io], resources: [images], resourceNames: [r050], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: one, namespace: named}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: one}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: puller}]
";

/// Pods have the address of their node, whose kubelet must not be shut out by what one of them makes up.
#[test]
fn made_up_tokens_shut_nobody_out_at_their_address() {
    let scene = scene("k8s-made-up", "");
    for number in 0..150 {
        assert_eq!(scene.pull(&format!("made-up-{number}")).status, 401);
    }
    // Known to the cluster, and not yet here.
    assert_eq!(scene.pull("bob").status, 200);
}
