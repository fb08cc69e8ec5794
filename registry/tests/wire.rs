//! What goes over the wire: paths, limits, framing, headers, errors.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use oci::{Algorithm, Digest};
use registry::http::{Admissions, Limits};
use support::{Answer, MANIFEST, Server, Setup, Who, image, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An OCI error body with the request's id, which is in the header too.
fn assert_oci_error(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.code(), code, "{answer:?}");
    let error = &answer.json()["errors"][0];
    assert!(!error["message"].as_str().unwrap().is_empty());
    let id = error["detail"]["requestId"].as_str().unwrap();
    assert_eq!(id, answer.header("x-request-id"));
}

#[tokio::test]
async fn every_error_has_the_oci_body_and_the_request_id() {
    let server = Server::open().await;
    let missing = Digest::of(Algorithm::Sha256, b"missing");
    let upload = "07070707-0707-4707-8707-070707070707";
    for (method, path, status, code) in [
        (
            Method::GET,
            "/v2/a/manifests/v1".to_owned(),
            404,
            "MANIFEST_UNKNOWN",
        ),
        (
            Method::GET,
            format!("/v2/a/manifests/{missing}"),
            404,
            "MANIFEST_UNKNOWN",
        ),
        (
            Method::GET,
            format!("/v2/a/blobs/{missing}"),
            404,
            "BLOB_UNKNOWN",
        ),
        (
            Method::GET,
            "/v2/a/tags/list".to_owned(),
            404,
            "NAME_UNKNOWN",
        ),
        (
            Method::GET,
            format!("/v2/a/blobs/uploads/{upload}"),
            404,
            "BLOB_UPLOAD_UNKNOWN",
        ),
        (
            Method::GET,
            "/v2/a/blobs/sha256:x".to_owned(),
            400,
            "DIGEST_INVALID",
        ),
        (
            Method::GET,
            "/v2/A/manifests/v1".to_owned(),
            400,
            "NAME_INVALID",
        ),
        (Method::GET, "/v2/a/nonsense".to_owned(), 404, "UNSUPPORTED"),
        (
            Method::POST,
            "/v2/a/manifests/v1".to_owned(),
            405,
            "UNSUPPORTED",
        ),
        (
            Method::DELETE,
            "/v2/a/manifests/v1".to_owned(),
            404,
            "NAME_UNKNOWN",
        ),
        (
            Method::DELETE,
            format!("/v2/a/blobs/{missing}"),
            404,
            "BLOB_UNKNOWN",
        ),
        (
            Method::PUT,
            "/v2/a/manifests/v1".to_owned(),
            400,
            "MANIFEST_INVALID",
        ),
        (
            Method::GET,
            "/v2/a/tags/list?n=x".to_owned(),
            400,
            "PAGINATION_NUMBER_INVALID",
        ),
    ] {
        let answer = server.ask(method, &path, &Who::Nobody, b"").await;
        assert_oci_error(&answer, StatusCode::from_u16(status).unwrap(), code);
        assert_eq!(
            answer.headers.contains_key("allow"),
            status == 405,
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_named_with_its_repository() {
    let server = Server::open().await;
    server
        .push_image("team/app", "v1", b"layer", &Who::Nobody)
        .await;
    let missing = Digest::of(Algorithm::Sha256, b"missing");
    for (path, message) in [
        ("manifests/v9".to_owned(), "tag v9 is".to_owned()),
        (
            format!("manifests/{missing}"),
            format!("manifest {missing} is"),
        ),
        (format!("blobs/{missing}"), format!("blob {missing} is")),
    ] {
        for method in [Method::GET, Method::DELETE] {
            let path = format!("/v2/team/app/{path}");
            let answer = server.ask(method, &path, &Who::Nobody, b"").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
            assert_ne!(answer.code(), "NAME_UNKNOWN");
            let said = answer.json()["errors"][0]["message"].clone();
            assert_eq!(said, format!("{message} not in repository team/app"));
        }
    }
}

#[tokio::test]
async fn referrers_of_nothing_are_an_empty_index() {
    let server = Server::open().await;
    let digest = Digest::of(Algorithm::Sha256, b"nothing");
    let answer = server.get(&format!("/v2/a/referrers/{digest}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("content-type"),
        "application/vnd.oci.image.index.v1+json"
    );
    assert_eq!(answer.json()["manifests"], serde_json::json!([]));
}

/// CVE-2026-33186, CVE-2025-66490 and their family: nothing is normalised, so nobody sees another repository than
/// the one that was authorized.
#[tokio::test(flavor = "multi_thread")]
async fn t25_smuggled_paths_reach_no_repository() {
    let server = Server::open().await;
    server
        .push_image("team/app", "v1", b"x", &Who::Nobody)
        .await;
    for path in [
        "/v2//team/app/manifests/v1",
        "/v2/team//app/manifests/v1",
        "/v2/./team/app/manifests/v1",
        "/v2/x/../team/app/manifests/v1",
        "/v2/team%2fapp/manifests/v1",
        "/v2/team%252fapp/manifests/v1",
        "/v2/team/app/manifests/v1/",
        "/v2/team/app/manifests/%76%31",
        "/v2/team/app/manifests/v1;x=y",
        "/v2/Team/App/manifests/v1",
        "/v2/team\\app/manifests/v1",
        "/v2/team/app/manifests/v1%00",
        "//v2/team/app/manifests/v1",
        "/V2/team/app/manifests/v1",
        "/%76%32/team/app/manifests/v1",
        "/v2/team/app/manifests/v1%20",
        "/../v2/team/app/manifests/v1",
    ] {
        let raw = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = server.raw(raw.as_bytes()).await;
        let status = answer.get(9..12).unwrap_or_default();
        assert!(matches!(status, "400" | "404"), "{path}: {answer}");
    }
    // Absolute form is the same request.
    let raw = b"GET http://evil/v2/team/app/manifests/v1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(server.raw(raw).await.starts_with("HTTP/1.1 200"));
}

/// CVE-2023-2253: a number is only a number.
#[tokio::test]
async fn cve_2023_2253_huge_pages_cost_nothing() {
    let server = Server::open().await;
    server.push_image("a", "v1", b"x", &Who::Nobody).await;
    for list in ["/v2/_catalog", "/v2/a/tags/list"] {
        for n in [
            "2147483648",
            "9223372036854775808",
            "99999999999999999999999",
        ] {
            let answer = server.get(&format!("{list}?n={n}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{list} {n}");
        }
        for n in ["-1", "abc", "", "1e9", "0x10", "+1"] {
            let answer = server.get(&format!("{list}?n={n}")).await;
            assert_oci_error(
                &answer,
                StatusCode::BAD_REQUEST,
                "PAGINATION_NUMBER_INVALID",
            );
        }
        let answer = server.get(&format!("{list}?n=0")).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

/// CVE-2017-11468: a manifest has a size, announced or not.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2017_11468_manifests_are_bounded() {
    let server = Server::open().await;
    let large = vec![b' '; oci::MAX_MANIFEST_BYTES + 1];
    let announced = server.put_manifest("a", "v1", &large, &Who::Nobody).await;
    assert_oci_error(
        &announced,
        StatusCode::PAYLOAD_TOO_LARGE,
        "MANIFEST_INVALID",
    );
    let mut chunked = format!(
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: x\r\ncontent-type: {MANIFEST}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..9 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.extend(std::iter::repeat_n(b' ', 1 << 20));
        chunked.extend_from_slice(b"\r\n");
    }
    let answer = server.raw(&chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:.80}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    let header = format!(
        "GET /v2/ HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    let answer = server.raw(header.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
}

/// RUSTSEC-2021-0020, -0078, -0079, CVE-2025-22871: one request or none, never two.
#[tokio::test(flavor = "multi_thread")]
async fn t32_requests_do_not_hide_in_requests() {
    let server = Server::open().await;
    let hidden = "GET /v2/_catalog HTTP/1.1\r\nhost: x\r\n\r\n";
    let length = hidden.len();
    let post = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nhost: x\r\n";
    for vector in [
        format!(
            "{post}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "{post}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{post}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{post}content-length: 0\r\ncontent-length: {length}\r\n\r\n{hidden}"),
        format!("{post}content-length: +{length}\r\n\r\n{hidden}"),
        format!("{post}content-length: 0x0\r\n\r\n{hidden}"),
        format!("{post}content-length: 99999999999999999999\r\n\r\n{hidden}"),
        format!("{post}x: y\r\n z: folded\r\n\r\n{hidden}"),
        format!("{post}transfer-encoding: chunked\r\n\r\n0\n\n{hidden}"),
        format!("{post}transfer-encoding: chunked\r\n\r\nfffffffffffffffff1\r\n\r\n{hidden}"),
        format!("POST /v2/a/blobs/uploads/ HTTP/1.1\rhost: x\r\n\r\n{hidden}"),
    ] {
        let answer = server.raw(vector.as_bytes()).await;
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(!answer.contains("repositories"), "{vector:?} gave {answer}");
        assert!(answers <= 1, "{vector:?} gave {answer}");
    }
}

/// A refusal that comes before the body was read must not leave the body as the next request.
#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_refused_request_is_no_request() {
    let server = Server::guarded().await;
    let hidden = "GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n".repeat(4096);
    let vector = format!(
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let answer = server.raw(vector.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1);
}

/// RFC 9112 §9.6: a connection that will be closed, because the request's body was not read, is said to be. A client
/// that keeps its connections would send its next request into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_leaves_the_body_unread_announces_the_close() {
    let server = Server::guarded().await;
    let upload = "/v2/team/app/blobs/uploads/07070707-0707-4707-8707-070707070707";
    let body = "x".repeat(300_000);
    for (method, path) in [
        ("PATCH", upload.to_owned()),
        ("PUT", format!("{upload}?digest=sha256:{}", "0".repeat(64))),
        ("PUT", "/v2/team/app/manifests/v1".to_owned()),
        ("GET", "/v2/team/app/tags/list".to_owned()),
        ("POST", "/v2/team/app/nonsense".to_owned()),
    ] {
        let length = body.len();
        let raw = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let answer = server.raw(raw.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 4"),
            "{method} {path}: {answer}"
        );
        assert!(
            answer.contains("connection: close"),
            "{method} {path}: {answer}"
        );
    }
    // Without a body there is nothing that could be left.
    let twice = "GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
    let answer = server.raw_for(twice.as_bytes(), 2).await;
    assert_eq!(answer.matches("HTTP/1.1 401").count(), 2, "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
}

/// CVE-2021-41190: one reading of the bytes.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2021_41190_manifests_that_can_be_read_two_ways_are_refused() {
    let server = Server::open().await;
    let good = server.push_image("a", "v1", b"x", &Who::Nobody).await;
    let text = String::from_utf8(good.clone()).unwrap();
    for bad in [
        text.replacen("\"layers\"", "\"manifests\":[],\"layers\"", 1),
        text.replacen(
            '{',
            "{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",",
            1,
        ),
        text.replacen(MANIFEST, "application/vnd.oci.image.index.v1+json", 1),
        text.replacen("\"config\"", "\"Config\":{},\"config\"", 1),
        format!("\u{feff}{text}"),
        format!("{text}{{}}"),
        "[]".to_owned(),
        String::new(),
    ] {
        let answer = server
            .put_manifest("a", "v2", bad.as_bytes(), &Who::Nobody)
            .await;
        assert_oci_error(&answer, StatusCode::BAD_REQUEST, "MANIFEST_INVALID");
    }
    // White space is content too: exactly what was pushed comes back.
    let spaced = format!("\n {}", text.replace(',', " ,\n"));
    let answer = server
        .put_manifest("a", "v2", spaced.as_bytes(), &Who::Nobody)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let answer = server.get("/v2/a/manifests/v2").await;
    assert_eq!(answer.body, spaced.as_bytes());
    assert_eq!(answer.header("content-type"), MANIFEST);
    let digest = Digest::of(Algorithm::Sha256, spaced.as_bytes()).to_string();
    assert_eq!(answer.header("docker-content-digest"), digest);
    // By digest it must be that digest.
    let other = Digest::of(Algorithm::Sha256, b"other");
    let answer = server
        .put_manifest("a", &other.to_string(), &good, &Who::Nobody)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_says_what_get_says() {
    let server = Server::open().await;
    let manifest = server.push_image("a", "v1", b"layer", &Who::Nobody).await;
    let digest = Digest::of(Algorithm::Sha256, &manifest);
    let layer = Digest::of(Algorithm::Sha256, b"layer");
    for path in [
        "/v2/".to_owned(),
        "/v2/a/manifests/v1".to_owned(),
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{layer}"),
        "/v2/a/tags/list".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/a/manifests/none".to_owned(),
        format!("/v2/b/blobs/{layer}"),
    ] {
        let get = server.get(&path).await;
        let head = server.ask(Method::HEAD, &path, &Who::Nobody, b"").await;
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty());
        for name in [
            "content-type",
            "content-length",
            "docker-content-digest",
            "etag",
        ] {
            // Errors differ by the request id inside, not in length.
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_served_in_parts_and_not_twice() {
    let server = Server::open().await;
    let content: Vec<u8> = (0..=255).collect();
    let digest = server.push_blob("a", &content, &Who::Nobody).await;
    let path = format!("/v2/a/blobs/{digest}");
    let tag = format!("\"{digest}\"");
    let ask = async |headers: &[(&str, &str)]| {
        let request = request(Method::GET, &path, &Who::Nobody, headers, b"");
        server.send(request).await
    };
    for (range, status, body, told) in [
        ("bytes=0-9", 206, &content[0..10], "bytes 0-9/256"),
        ("bytes=250-", 206, &content[250..], "bytes 250-255/256"),
        ("bytes=-6", 206, &content[250..], "bytes 250-255/256"),
        ("bytes=0-999", 206, &content[..], "bytes 0-255/256"),
        ("bytes=0-1,5-6", 200, &content[..], ""),
        ("lines=1-2", 200, &content[..], ""),
    ] {
        let answer = ask(&[("range", range)]).await;
        assert_eq!(answer.status.as_u16(), status, "{range}");
        assert_eq!(answer.body, body, "{range}");
        assert_eq!(answer.header("content-range"), told);
        assert_eq!(answer.header("accept-ranges"), "bytes");
    }
    for range in ["bytes=256-", "bytes=500-0", "bytes=-0", "bytes=x-y"] {
        let answer = ask(&[("range", range)]).await;
        assert_oci_error(&answer, StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID");
        assert_eq!(answer.header("content-range"), "bytes */256", "{range}");
    }
    let other = "\"sha256:0000\"";
    let answer = ask(&[("range", "bytes=0-9"), ("if-range", other)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = ask(&[("range", "bytes=0-9"), ("if-range", &tag)]).await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    for known in [tag.as_str(), "*", &format!("{other}, W/{tag}")] {
        let answer = ask(&[("if-none-match", known)]).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{known}");
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), tag);
    }
    assert_eq!(
        ask(&[("if-none-match", other)]).await.status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_are_confirmed_in_headers() {
    let server = Server::open().await;
    let config = server.push_blob("a", b"{}", &Who::Nobody).await;
    let layer = server.push_blob("a", b"x", &Who::Nobody).await;
    let plain = image(&config, 2, &layer, 1);
    let subject = Digest::of(Algorithm::Sha256, b"subject");
    let with_subject = String::from_utf8(plain).unwrap().replacen(
        "\"layers\"",
        &format!("\"subject\":{{\"mediaType\":\"{MANIFEST}\",\"digest\":\"{subject}\",\"size\":7}},\"layers\""),
        1,
    );
    let digest = Digest::of(Algorithm::Sha256, with_subject.as_bytes());
    let answer = server
        .put_manifest(
            "a",
            &format!("{digest}?tag=v1&tag=v2"),
            with_subject.as_bytes(),
            &Who::Nobody,
        )
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(answer.header("oci-subject"), subject.to_string());
    let tags: Vec<_> = answer.headers.get_all("oci-tag").iter().collect();
    assert_eq!(tags, ["v1", "v2"]);
    assert_eq!(
        answer.header("location"),
        format!("/v2/a/manifests/{digest}")
    );
    let path = format!("/v2/a/referrers/{subject}");
    assert_eq!(
        server.get(&path).await.json()["manifests"][0]["digest"],
        digest.to_string()
    );
    let filtered = server.get(&format!("{path}?artifactType=none/such")).await;
    assert_eq!(filtered.json()["manifests"], serde_json::json!([]));
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    let proxied = server.get("/v2/a/manifests/v1?ns=docker.io").await;
    assert_eq!(proxied.header("oci-namespace"), "docker.io");
}

/// Clients read a page of referrers as they read a manifest: many of them at most 4 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn referrers_with_long_annotations_come_in_pages_that_clients_read() {
    let server = Server::open().await;
    let config = server.push_blob("a", b"{}", &Who::Nobody).await;
    let layer = server.push_blob("a", b"x", &Who::Nobody).await;
    let plain = String::from_utf8(image(&config, 2, &layer, 1)).unwrap();
    let subject = Digest::of(Algorithm::Sha256, b"subject");
    let long = "x".repeat(1 << 20);
    let mut wanted = Vec::new();
    for number in 0..5 {
        let fields = format!(
            "\"subject\":{{\"mediaType\":\"{MANIFEST}\",\"digest\":\"{subject}\",\"size\":7}},\"annotations\":{{\"n\":\"{number}{long}\"}},\"layers\""
        );
        let manifest = plain.replacen("\"layers\"", &fields, 1);
        let digest = Digest::of(Algorithm::Sha256, manifest.as_bytes()).to_string();
        let answer = server
            .put_manifest("a", &digest, manifest.as_bytes(), &Who::Nobody)
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        wanted.push(digest);
    }
    wanted.sort();
    let mut path = format!("/v2/a/referrers/{subject}");
    let mut paged = Vec::new();
    loop {
        let page = server.get(&path).await;
        assert!(page.body.len() < 4 << 20, "{} bytes", page.body.len());
        let entries = page.json()["manifests"].as_array().unwrap().clone();
        paged.extend(
            entries
                .iter()
                .map(|entry| entry["digest"].as_str().unwrap().to_owned()),
        );
        let Some((next, _)) = page.header("link").split_once('>') else {
            break;
        };
        path = next.trim_start_matches('<').to_owned();
    }
    assert_eq!(paged, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_to_the_whole_list() {
    let server = Server::open().await;
    let config = server.push_blob("a", b"{}", &Who::Nobody).await;
    let layer = server.push_blob("a", b"x", &Who::Nobody).await;
    let manifest = image(&config, 2, &layer, 1);
    let mut wanted: Vec<String> = ["z", "A", "a", "a1", "a.1", "a-1", "_", "10", "9"]
        .map(str::to_owned)
        .to_vec();
    for tag in &wanted {
        server.put_manifest("a", tag, &manifest, &Who::Nobody).await;
    }
    wanted.sort();
    let whole = server.get("/v2/a/tags/list").await;
    assert_eq!(whole.json()["tags"], serde_json::json!(wanted));
    assert_eq!(whole.header("link"), "");
    for n in 1..4 {
        let mut paged = Vec::new();
        let mut path = format!("/v2/a/tags/list?n={n}");
        loop {
            let page = server.get(&path).await;
            let tags = page.json()["tags"].as_array().unwrap().clone();
            assert!(tags.len() <= n);
            paged.extend(tags);
            match page.header("link").split_once('>') {
                Some((next, rel)) => {
                    assert_eq!(rel, "; rel=\"next\"");
                    path = next.trim_start_matches('<').to_owned();
                }
                None => break,
            }
        }
        assert_eq!(serde_json::Value::from(paged), serde_json::json!(wanted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_it_broke_off() {
    let server = Server::start(Setup {
        limits: Limits {
            body_stall: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Setup::default()
    })
    .await;
    let start = server
        .ask(Method::POST, "/v2/a/blobs/uploads/", &Who::Nobody, b"")
        .await;
    let location = start.header("location").to_owned();
    assert!(location.starts_with("/v2/a/blobs/uploads/"), "relative");
    // One client goes silent, the next hangs up; each has sent five bytes of ten.
    for hang_up in [false, true] {
        let head =
            format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhello");
        if hang_up {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        } else {
            let answer = server.raw(head.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
            assert!(answer.contains("connection: close"), "{answer}");
        }
    }
    // What came is kept, in order; out of order is told where to go on.
    let mut have = String::new();
    for _ in 0..1200 {
        let state = server.get(&location).await;
        have = state.header("range").to_owned();
        if have == "0-9" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(have, "0-9");
    let early = [
        ("content-range", "3-4"),
        ("content-type", "application/octet-stream"),
    ];
    let answer = server
        .send(request(
            Method::PATCH,
            &location,
            &Who::Nobody,
            &early,
            b"xx",
        ))
        .await;
    assert_oci_error(
        &answer,
        StatusCode::RANGE_NOT_SATISFIABLE,
        "BLOB_UPLOAD_INVALID",
    );
    assert_eq!(answer.header("range"), "0-9");
    let digest = Digest::of(Algorithm::Sha256, b"hellohello!");
    let right = [("content-range", "10-10")];
    let finish = format!("{location}?digest={digest}");
    let answer = server
        .send(request(Method::PUT, &finish, &Who::Nobody, &right, b"!"))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let blob = server.get(&format!("/v2/a/blobs/{digest}")).await;
    assert_eq!(blob.body, "hellohello!");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_leaves_the_upload_alive() {
    let server = Server::open().await;
    let start = server
        .ask(Method::POST, "/v2/a/blobs/uploads/", &Who::Nobody, b"")
        .await;
    let location = start.header("location").to_owned();
    server
        .ask(Method::PATCH, &location, &Who::Nobody, b"bytes")
        .await;
    let (wrong, right) = (
        Digest::of(Algorithm::Sha256, b"other"),
        Digest::of(Algorithm::Sha512, b"bytes"),
    );
    let put = async |digest: &Digest| {
        let path = format!("{location}?digest={digest}");
        server.ask(Method::PUT, &path, &Who::Nobody, b"").await
    };
    assert_oci_error(
        &put(&wrong).await,
        StatusCode::BAD_REQUEST,
        "DIGEST_INVALID",
    );
    // An algorithm that nobody announced is found out at the end.
    assert_eq!(put(&right).await.status, StatusCode::CREATED);
    assert_eq!(
        put(&right).await.status,
        StatusCode::NOT_FOUND,
        "finished is finished"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_in_use_stays() {
    let server = Server::open().await;
    server.push_image("a", "v1", b"layer", &Who::Nobody).await;
    let layer = Digest::of(Algorithm::Sha256, b"layer");
    let path = format!("/v2/a/blobs/{layer}");
    let answer = server.ask(Method::DELETE, &path, &Who::Nobody, b"").await;
    assert_oci_error(&answer, StatusCode::CONFLICT, "UNSUPPORTED");
    assert_eq!(server.get(&path).await.body, "layer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_class_answers_429() {
    let server = Server::start(Setup {
        limits: Limits {
            admissions: Admissions {
                lists: 0,
                others: 0,
                ..Admissions::default()
            },
            ..Limits::default()
        },
        ..Setup::default()
    })
    .await;
    let answer = server.get("/v2/_catalog").await;
    assert_oci_error(&answer, StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(server.get("/v2/").await.status, StatusCode::OK);
}

/// A client that sends first and reads then is not reset before it has read why it was refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_can_be_sent_to_its_end() {
    let server = Server::guarded().await;
    for size in [1 << 10, 1 << 20, 3 << 20] {
        let head = format!(
            "PUT /v2/team/app/manifests/v HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n"
        );
        let mut tries = 0..5;
        let answer = loop {
            let begun = Instant::now();
            match sent_first(&server, head.as_bytes(), size).await {
                Ok(answer) => break answer,
                // The body is taken for two seconds, and on a machine that stands still they are soon over.
                Err(_) if begun.elapsed() >= Duration::from_secs(2) && tries.next().is_some() => {}
                Err(error) => panic!("{size}: {error}"),
            }
        };
        assert!(answer.starts_with("HTTP/1.1 401 "), "{size}: {answer}");
        assert!(answer.contains("connection: close"), "{size}: {answer}");
    }
}

/// What a client reads that sends all first.
async fn sent_first(server: &Server, head: &[u8], size: usize) -> std::io::Result<String> {
    let mut stream = server.hold(head, size).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// T85: manifests that are sent together cannot take more memory than there is for them.
#[tokio::test(flavor = "multi_thread")]
async fn t85_large_manifests_at_once_are_turned_away() {
    const SENT: usize = 8_000_000;
    let server = Server::open().await;
    let head = format!(
        "PUT /v2/a/manifests/v HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        SENT + 1
    );
    let mut stalled = Vec::new();
    for _ in 0..8 {
        stalled.push(server.hold(head.as_bytes(), SENT).await.unwrap());
    }
    // What the eight have sent is counted as it is read, so the last of it may still be on its way.
    let mut refused = String::new();
    while !refused.contains(" 429 ") {
        let mut whole = head.clone().into_bytes();
        whole.resize(head.len() + SENT + 1, b' ');
        refused = server.raw(&whole).await;
    }
    assert!(refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains("TOOMANYREQUESTS"), "{refused}");

    drop(stalled);
    let small = b"{}";
    let mut answer = server.put_manifest("a", "v", small, &Who::Nobody).await;
    while answer.status == StatusCode::TOO_MANY_REQUESTS {
        answer = server.put_manifest("a", "v", small, &Who::Nobody).await;
    }
    assert_oci_error(&answer, StatusCode::BAD_REQUEST, "MANIFEST_INVALID");
}

/// Manifests that are pushed, moved and deleted while they are read: a reader never sees what is
/// older than the last push that was acknowledged before it asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_never_older_than_an_acknowledged_push() {
    let server = std::sync::Arc::new(Server::open().await);
    let config = server.push_blob("a", b"{}", &Who::Nobody).await;
    let mut manifests = Vec::new();
    for number in 0..30 {
        let layer = server
            .push_blob("a", format!("{number}").as_bytes(), &Who::Nobody)
            .await;
        manifests.push(image(&config, 2, &layer, 2));
    }
    let acknowledged = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    server
        .put_manifest("a", "v", &manifests[0], &Who::Nobody)
        .await;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (server, manifests) = (std::sync::Arc::clone(&server), manifests.clone());
        let acknowledged = std::sync::Arc::clone(&acknowledged);
        readers.spawn(async move {
            loop {
                let least = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
                let body = server.get("/v2/a/manifests/v").await.body;
                let seen = manifests.iter().position(|m| *m == body).unwrap();
                assert!(seen >= least, "{seen} is older than {least}");
                if least == manifests.len() - 1 {
                    return;
                }
            }
        });
    }
    for (number, manifest) in manifests.iter().enumerate() {
        server.put_manifest("a", "v", manifest, &Who::Nobody).await;
        acknowledged.store(number, std::sync::atomic::Ordering::SeqCst);
    }
    readers.join_all().await;
}

#[tokio::test]
async fn health_and_metrics_are_open_and_plain() {
    let server = Server::guarded().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).await.status, StatusCode::OK, "{path}");
    }
    server.get("/v2/a/manifests/v1").await;
    let text = String::from_utf8(server.get("/metrics").await.body.to_vec()).unwrap();
    assert!(text.contains(r#"slipway_http_requests_total{operation="get_manifest",code="401"} 1"#));
    assert!(text.contains("slipway_http_request_duration_seconds_bucket"));
    for path in ["/", "/nothing"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(text.contains("/v2/"), "{path}: {text:?}");
    }
}
