//! What went wrong in other registries and their neighbours, tried over the wire: one test for each hole, named by its
//! ids.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use http::{Method, StatusCode};
use oci::{Algorithm, Digest, Operation};
use registry::http::{Limits, TrustedProxies};
use support::{Answer, MANIFEST, Server, Setup, Who, image, request};

/// Headers in which proxies tell who somebody is or what was really asked for, in the spellings that servers have
/// taken for each other.
const FORWARDED: [(&str, &str); 24] = [
    ("x-remote-user", "root"),
    ("x_remote_user", "root"),
    ("x-remote-group", "system:masters"),
    ("x-forwarded-user", "root"),
    ("x_forwarded_user", "root"),
    ("x-auth-request-user", "root"),
    ("x-webauth-user", "root"),
    ("x-authenticated-user", "root"),
    ("x-user", "root"),
    ("remote-user", "root"),
    ("remote_user", "root"),
    ("impersonate-user", "root"),
    ("impersonate-group", "system:masters"),
    ("impersonate-uid", "0"),
    ("impersonate-extra-scopes", "all"),
    ("x-forwarded-access-token", "root"),
    ("proxy-authorization", "Basic cm9vdDpyb290"),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-real-ip", "127.0.0.1"),
    ("forwarded", "for=127.0.0.1;by=127.0.0.1"),
    ("x-original-url", "/v2/public/app/manifests/v1"),
    ("x-rewrite-url", "/v2/public/app/manifests/v1"),
    ("x-http-method-override", "GET"),
    ("x-forwarded-client-cert", "Subject=\"CN=root\""),
];

async fn behind(proxies: &[&str]) -> Server {
    let networks = proxies.iter().map(|network| network.parse().unwrap());
    Server::start(Setup {
        guarded: true,
        limits: Limits {
            trusted_proxies: TrustedProxies::new(networks.collect()),
            ..Limits::default()
        },
        ..Setup::default()
    })
    .await
}

/// T13: nobody becomes somebody by a header, also not behind a proxy that is trusted to tell addresses.
#[tokio::test(flavor = "multi_thread")]
async fn t13_cve_2026_39858_20896_25119_headers_make_nobody_somebody() {
    for proxies in [&[][..], &["127.0.0.0/8"]] {
        let server = behind(proxies).await;
        server
            .push_image("team/app", "v1", b"layer", &Who::User("root"))
            .await;
        let forged = FORWARDED.map(|(name, value)| vec![(name, value)]);
        let twice = FORWARDED.map(|pair| vec![pair, pair]);
        let contrary = FORWARDED.map(|(name, value)| vec![(name, ""), (name, value)]);
        for who in [Who::Nobody, Who::User("other")] {
            for (method, path) in [
                (Method::GET, "/v2/"),
                (Method::GET, "/v2/team/app/manifests/v1"),
                (Method::POST, "/v2/team/app/blobs/uploads/"),
                (Method::DELETE, "/v2/team/app/manifests/v1"),
                (Method::GET, "/v2/_catalog"),
                (
                    Method::GET,
                    "/auth/token?scope=repository:team/app:pull,push",
                ),
            ] {
                let plain = server.ask(method.clone(), path, &who, b"").await;
                for headers in forged.iter().chain(&twice).chain(&contrary) {
                    let asked = request(method.clone(), path, &who, headers, b"");
                    let answer = server.send(asked).await;
                    let line = format!("{who:?} {method} {path} {headers:?}");
                    if path.starts_with("/auth") && answer.status == StatusCode::OK {
                        // Tokens differ; what they open must not.
                        let token = answer.json()["token"].as_str().unwrap().to_owned();
                        let path = "/v2/team/app/manifests/v1";
                        let who = Who::Token(token);
                        let opened = server.ask(Method::GET, path, &who, b"").await;
                        assert!(refused(&opened), "{line}");
                        continue;
                    }
                    assert_eq!(seen(&answer), seen(&plain), "{line}");
                }
            }
        }
    }
}

/// Guesses of passwords are counted by the address that no stranger can choose: neither by a header of one's own, nor
/// by an entry before the proxy's, in the same header, in one more, or in one that is spelt alike.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2026_39858_20896_25119_forged_addresses_escape_no_throttle() {
    type Forge = fn(&str) -> Vec<(&'static str, String)>;
    let cases: [(&[&str], Forge); 5] = [
        (&[], |n| vec![("x-forwarded-for", n.to_owned())]),
        (&["10.0.0.0/8"], |n| vec![("x-forwarded-for", n.to_owned())]),
        (&["127.0.0.0/8"], |n| {
            vec![("x-forwarded-for", format!("{n}, 203.0.113.9"))]
        }),
        (&["127.0.0.0/8"], |n| {
            let own = ("x-forwarded-for", n.to_owned());
            vec![own, ("x-forwarded-for", "203.0.113.9".to_owned())]
        }),
        (&["127.0.0.0/8"], |n| {
            let alike = ["x_forwarded_for", "x-real-ip", "x-client-ip", "forwarded"];
            alike.map(|name| (name, n.to_owned())).to_vec()
        }),
    ];
    for (proxies, headers) in cases {
        let server = behind(proxies).await;
        let mut statuses = Vec::new();
        for number in 0..30 {
            let headers = headers(&format!("198.51.100.{number}"));
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let guess = request(Method::GET, "/v2/", &Who::Wrong("root"), &headers, b"");
            statuses.push(server.send(guess).await.status.as_u16());
        }
        let (wrong, late) = statuses.split_at(15);
        assert_eq!(wrong[0], 401, "{proxies:?}");
        assert!(late.contains(&429), "{proxies:?}: {statuses:?}");
    }
}

/// The answer without its length, which the number in its request id changes.
fn seen(answer: &Answer) -> String {
    let masked = answer.masked();
    let lines = masked
        .lines()
        .filter(|line| !line.starts_with("content-length"));
    lines.collect::<Vec<_>>().join("\n")
}

fn refused(answer: &Answer) -> bool {
    matches!(
        answer.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}

/// No path outside the API tells what is in the registry; those of operations are held by
/// `every_operation_asks_for_its_verb`.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2020_29662_cve_2016_1906_cve_2015_7561_no_side_door_is_open() {
    let server = Server::guarded().await;
    let name = "team/canary-repository";
    let manifest = server
        .push_image(name, "canary-tag", b"canary-layer", &Who::User("root"))
        .await;
    let digest = Digest::of(Algorithm::Sha256, &manifest).to_string();
    let digest = digest.trim_start_matches("sha256:");
    for path in [
        "/",
        "/v1/_catalog",
        "/v1/search",
        "/v2",
        "/v2/",
        "/v2/_catalog",
        "/v2/_catalog/",
        "/v2//_catalog",
        "/v2/_catalog?n=1000",
        "/_catalog",
        "/v2/team/canary-repository",
        "/v2/team/canary-repository/",
        "/v2/team/canary-repository/_trust/tuf/root.json",
        "/v2/team/canary-repository/tags",
        "/v2/team/canary-repository/tags/list/",
        "/v2/_search",
        "/v2/_zot/ext/search",
        "/api",
        "/apis",
        "/api/v2.0/projects",
        "/api/chartrepo/charts",
        "/chartrepo/charts",
        "/oapi/v1/images",
        "/extensions/v2/",
        "/extensions/v2/team/canary-repository/signatures/x",
        "/service/token",
        "/service/notifications",
        "/auth",
        "/auth/",
        "/auth/token",
        "/auth/tokens",
        "/auth/keys",
        "/admin",
        "/config",
        "/debug/pprof/",
        "/debug/vars",
        "/healthz",
        "/readyz",
        "/metrics",
        "/swagger.json",
        "/.well-known/openid-configuration",
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = server.ask(method.clone(), path, &Who::Nobody, b"").await;
            let open = matches!(path, "/healthz" | "/readyz" | "/metrics") && method == Method::GET;
            let line = format!("{method} {path}: {answer:?}");
            assert_eq!(answer.status.is_success(), open, "{line}");
            let body = String::from_utf8_lossy(&answer.body);
            for secret in ["canary-repository", "canary-tag", digest] {
                // What was asked for may be named in the refusal; what is there may not.
                let told = body.contains(secret) && !path.contains(secret);
                assert!(!told, "{secret}: {line}");
            }
        }
    }
}

/// A tenant's token for a repository of its own.
async fn tenant(server: &Server) -> Who {
    let path = "/auth/token?scope=repository:other/app:pull,push,delete";
    let answer = server.ask(Method::GET, path, &Who::User("root"), b"").await;
    Who::Token(answer.json()["token"].as_str().unwrap().to_owned())
}

/// The family of CVE-2022-31666 to -31671, CVE-2024-22278 and CVE-2019-3990: the ids of another tenant's things, used
/// in a repository of one's own, name nothing there, and touch nothing here.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2022_31666_ids_of_another_tenant_name_nothing() {
    let server = Server::guarded().await;
    let root = Who::User("root");
    let manifest = server.push_image("team/app", "v1", b"layer", &root).await;
    let layer = Digest::of(Algorithm::Sha256, b"layer");
    let subject = Digest::of(Algorithm::Sha256, &manifest);
    let referrer = String::from_utf8(manifest.clone()).unwrap().replacen(
        "\"layers\"",
        &format!("\"subject\":{{\"mediaType\":\"{MANIFEST}\",\"digest\":\"{subject}\",\"size\":{}}},\"layers\"", manifest.len()),
        1,
    );
    let referrer_digest = Digest::of(Algorithm::Sha256, referrer.as_bytes());
    let pushed = server
        .put_manifest(
            "team/app",
            &referrer_digest.to_string(),
            referrer.as_bytes(),
            &root,
        )
        .await;
    assert_eq!(pushed.status, StatusCode::CREATED);
    let opened = server
        .ask(Method::POST, "/v2/team/app/blobs/uploads/", &root, b"")
        .await;
    let upload = opened.header("location").to_owned();
    let id = upload.rsplit('/').next().unwrap().to_owned();

    let who = tenant(&server).await;
    server.push_image("other/app", "mine", b"mine", &who).await;
    for operation in Operation::examples() {
        let (method, path) = operation.request_line();
        let Some(repo) = operation.repo() else {
            continue;
        };
        let rest = path.strip_prefix(&format!("/v2/{repo}/")).unwrap();
        let rest = rest.split('?').next().unwrap();
        // The same operation with every id that it takes exchanged for one of the other tenant's.
        let ids: Vec<String> = match rest.split('/').next().unwrap() {
            "manifests" => vec![
                format!("manifests/{subject}"),
                format!("manifests/{referrer_digest}"),
                "manifests/v1".into(),
            ],
            "blobs"
                if rest.starts_with("blobs/uploads/") && rest.len() > "blobs/uploads/".len() =>
            {
                vec![format!("blobs/uploads/{id}")]
            }
            "blobs" if rest.starts_with("blobs/sha") => vec![format!("blobs/{layer}")],
            "referrers" => {
                let path = format!("/v2/other/app/referrers/{subject}");
                let answer = server.ask(method, &path, &who, b"").await;
                assert_eq!(answer.json()["manifests"], serde_json::json!([]));
                continue;
            }
            // They take no id: the list of tags, the start of an upload.
            _ => continue,
        };
        // What is pushed by its own bytes needs no one else's.
        if matches!(operation, Operation::PutManifest { .. }) {
            continue;
        }
        let query = if matches!(operation, Operation::FinishUpload { .. }) {
            format!("?digest={}", Digest::of(Algorithm::Sha256, b"x"))
        } else {
            String::new()
        };
        for id in ids {
            let path = format!("/v2/other/app/{id}{query}");
            let answer = server.ask(method.clone(), &path, &who, b"x").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        }
    }
    // A manifest of one's own that names the other's things opens none of them.
    let mut naming = image(&Digest::of(Algorithm::Sha256, b"{}"), 2, &layer, 5);
    naming.push(b'\n');
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"{MANIFEST}","digest":"{subject}","size":{}}}]}}"#,
        manifest.len()
    );
    server
        .put_manifest("other/app", "naming", &naming, &who)
        .await;
    let kind = [("content-type", "application/vnd.oci.image.index.v1+json")];
    let path = "/v2/other/app/manifests/index";
    server
        .send(request(Method::PUT, path, &who, &kind, index.as_bytes()))
        .await;
    for path in [format!("blobs/{layer}"), format!("manifests/{subject}")] {
        let path = format!("/v2/other/app/{path}");
        let answer = server.ask(Method::GET, &path, &who, b"").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    // Everything is still where it was.
    for path in [
        "/v2/team/app/manifests/v1".to_owned(),
        format!("/v2/team/app/manifests/{referrer_digest}"),
        format!("/v2/team/app/blobs/{layer}"),
    ] {
        let answer = server.ask(Method::GET, &path, &root, b"").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    let answer = server.ask(Method::GET, &upload, &root, b"").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

/// Content is kept once for all, and that shows nowhere: whoever names a digest that another tenant has must still
/// bring the bytes, and other bytes replace nothing.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2026_52812_cve_2026_28740_cve_2026_25921_shared_content_is_neither_given_nor_overwritten()
 {
    let server = Server::guarded().await;
    let root = Who::User("root");
    let manifest = server.push_image("team/app", "v1", b"layer", &root).await;
    let layer = Digest::of(Algorithm::Sha256, b"layer");
    let pinned = Digest::of(Algorithm::Sha256, &manifest);
    let who = tenant(&server).await;
    let is_refused = |answer: &Answer, line: &str| {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{line}: {answer:?}");
        assert!(
            matches!(&*answer.code(), "DIGEST_INVALID" | "MANIFEST_INVALID"),
            "{line}: {answer:?}"
        );
    };
    // Other bytes of the same length, none at all, a part of them.
    for bytes in [&b"reyal"[..], b"", b"laye", b"layerx"] {
        let line = String::from_utf8_lossy(bytes);
        let at_once = format!("/v2/other/app/blobs/uploads/?digest={layer}");
        is_refused(
            &server.ask(Method::POST, &at_once, &who, bytes).await,
            &line,
        );
        let start = "/v2/other/app/blobs/uploads/";
        let opened = server.ask(Method::POST, start, &who, b"").await;
        let finish = format!("{}?digest={layer}", opened.header("location"));
        is_refused(&server.ask(Method::PUT, &finish, &who, bytes).await, &line);
    }
    let mut other = manifest.clone();
    other.push(b' ');
    let pushed = server
        .put_manifest("other/app", &pinned.to_string(), &other, &who)
        .await;
    is_refused(&pushed, "manifest");
    for path in [format!("blobs/{layer}"), format!("manifests/{pinned}")] {
        for method in [Method::GET, Method::HEAD] {
            let path = format!("/v2/other/app/{path}");
            let answer = server.ask(method, &path, &who, b"").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    let path = format!("/v2/team/app/blobs/{layer}");
    assert_eq!(
        server.ask(Method::GET, &path, &root, b"").await.body,
        "layer"
    );
    let path = format!("/v2/team/app/manifests/{pinned}");
    assert_eq!(
        server.ask(Method::GET, &path, &root, b"").await.body,
        manifest
    );
}

/// Who may do what is decided by the request's line and its credential. No body, whole, cut, late or oversized,
/// changes that, and none is acted on before.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2026_34040_cve_2024_41110_rights_never_depend_on_a_body() {
    let server = Server::guarded().await;
    let root = Who::User("root");
    let manifest = server.push_image("team/app", "v1", b"layer", &root).await;
    let large = [manifest.clone(), vec![b' '; 2 << 20]].concat();
    let bodies = [&b""[..], b"{}", &manifest, &large];
    for operation in Operation::examples() {
        let (method, path) = operation.request_line();
        let Some(repo) = operation.repo() else {
            continue;
        };
        let path = path.replacen(&format!("/v2/{repo}/"), "/v2/team/app/", 1);
        for body in bodies {
            let kind = [("content-type", MANIFEST)];
            let asked = request(method.clone(), &path, &Who::User("other"), &kind, body);
            let answer = server.send(asked).await;
            let line = format!("{method} {path} with {} bytes", body.len());
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{line}");
        }
        // Announced and never sent, announced as nothing and sent, in chunks of which the first is the last.
        for framing in [
            "content-length: 5000000\r\n\r\n".to_owned(),
            format!("content-length: 0\r\n\r\n{}", "x".repeat(1000)),
            "transfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "transfer-encoding: chunked\r\n\r\n5\r\nhello".to_owned(),
        ] {
            let raw =
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{framing}");
            let answer = server.raw(raw.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{raw:.200}: {answer}");
        }
    }
    let there = server
        .ask(Method::GET, "/v2/team/app/manifests/v1", &root, b"")
        .await;
    assert_eq!(there.body, manifest);

    // A form for a token is read whole or not at all, and says each thing once.
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let form = format!(
        "grant_type=password&username=puller&password={}",
        support::PASSWORD
    );
    for spoilt in [
        format!(
            "{form}&x={}&scope=repository%3Ateam%2Fapp%3Apush",
            "x".repeat(16 << 10)
        ),
        format!("{form}&username=root"),
        format!("username=root&{form}"),
    ] {
        let asked = request(
            Method::POST,
            "/auth/token",
            &Who::Nobody,
            &kind,
            spoilt.as_bytes(),
        );
        let answer = server.send(asked).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{spoilt:.120}");
    }
}

/// What is pinned by a digest is that content: for whoever pushes by it, whoever pulls by it after the tag has moved,
/// and whoever writes tag and digest in one.
#[tokio::test(flavor = "multi_thread")]
async fn ghsa_qv35_3gw6_8q4j_cve_2026_50195_a_pinned_digest_is_held_to() {
    let server = Server::open().await;
    let nobody = Who::Nobody;
    let first = server.push_image("a", "v1", b"one", &nobody).await;
    let pinned = Digest::of(Algorithm::Sha256, &first);
    let second = server.push_image("a", "v2", b"two", &nobody).await;
    // By digest, with a tag beside it: other bytes move nothing.
    for reference in [
        format!("{pinned}"),
        format!("{pinned}?tag=v1"),
        format!("{pinned}?tag=v3"),
    ] {
        let answer = server.put_manifest("a", &reference, &second, &nobody).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{reference}");
    }
    assert_eq!(server.get("/v2/a/manifests/v1").await.body, first);
    assert_eq!(
        server.get("/v2/a/manifests/v3").await.status,
        StatusCode::NOT_FOUND
    );
    // The tag moves; the digest does not.
    let answer = server.put_manifest("a", "v1", &second, &nobody).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(server.get("/v2/a/manifests/v1").await.body, second);
    let by_digest = server.get(&format!("/v2/a/manifests/{pinned}")).await;
    assert_eq!(by_digest.body, first);
    assert_eq!(
        by_digest.header("docker-content-digest"),
        pinned.to_string()
    );
    // Tag and digest in one are no reference: what would be taken of it is not left to guess.
    for at in ["@", "%40", "%40%40"] {
        let path = format!("/v2/a/manifests/v1{at}{pinned}");
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            let answer = server.ask(method.clone(), &path, &nobody, &second).await;
            assert!(
                matches!(answer.status.as_u16(), 400 | 404),
                "{method} {path}: {answer:?}"
            );
        }
    }
}
