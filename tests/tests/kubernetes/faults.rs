//! T58: an API server that is down, slow, or talks nonsense. What is not known is refused; nothing is let in.

use std::time::{Duration, Instant};

use tests::api::Reply;
use tests::{Api, Cluster, Lab, OrFail, Proxy, Server, Weather, daemon};

use super::{ROLES, bind, registry, with_token};

const BAD: [Weather; 5] = [
    Weather::Down,
    Weather::Slow(Duration::from_secs(3)),
    Weather::Garbage(200),
    Weather::Garbage(500),
    Weather::Endless,
];

struct Scene {
    lab: Lab,
    _cluster: Cluster,
    proxy: Proxy,
    server: Server,
}

/// A registry with an image in `team/app` that bob may pull, and a proxy on its way to the cluster.
fn scene(name: &str, more: &str) -> Scene {
    let lab = Lab::new(name);
    let cluster = Cluster::start(&lab);
    cluster.apply(&lab, ROLES);
    cluster
        .kubectl(&lab)
        .args(["create", "namespace", "team"])
        .ok();
    bind(&cluster, &lab, "team", "system:image-pusher", "user=alice");
    bind(&cluster, &lab, "team", "system:image-puller", "user=bob");
    let proxy = cluster.proxy();
    let server = registry(&lab, &cluster.kubeconfig_by(&lab, &proxy), more);
    Api::new(&with_token(server.endpoint(), "alice")).push_image(
        "team/app",
        "v1",
        &[b"layer".to_vec()],
    );
    Scene {
        lab,
        _cluster: cluster,
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
        let api = Api::new(&with_token(self.server.endpoint(), who));
        api.manifest("team/app", "v1").or_fail("pull")
    }
}

#[test]
fn t58_what_is_not_known_is_refused_and_what_is_known_holds_to_its_end() {
    let scene = scene("k8s-weather", ", allowFor: 3s, denyFor: 1s, timeout: 1s");
    for weather in BAD {
        scene.proxy.set(Weather::Fair);
        let begun = Instant::now();
        while scene.pull("bob").status != 200 {
            assert!(
                begun.elapsed() < daemon::PATIENCE,
                "no recovery before {weather:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
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
    let begun = Instant::now();
    while scene.pull("bob").status != 200 {
        assert!(begun.elapsed() < daemon::PATIENCE, "no recovery");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The stranger is answered as ever: it is known what they may not.
    assert_eq!(scene.pull("carol").status, 403);
    let log = scene.server.log();
    assert!(
        log.contains("the Kubernetes API server does not decide"),
        "{log}"
    );
    assert!(
        !log.contains("TokenReview") && !log.contains("uid-bob"),
        "{log}"
    );
    assert!(scene.count("slipway_kubernetes_reviews_unanswered_total") > 0);
    drop(scene.lab);
}

/// T58: a thousand clients of one identity, all at once and nobody known.
#[test]
fn t58_a_thousand_cold_clients_ask_once() {
    let scene = scene("k8s-storm", ", allowFor: 60s");
    scene.proxy.take("");
    let before = scene.count("slipway_kubernetes_reviews_total");
    // Slow enough that all of them come while the first question is under way.
    scene.proxy.set(Weather::Slow(Duration::from_millis(1500)));
    let api = Api::new(&with_token(scene.server.endpoint(), "bob"));
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
