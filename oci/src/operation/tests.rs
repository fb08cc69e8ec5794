use std::collections::HashSet;

use http::{Method, StatusCode};
use proptest::prelude::*;

use super::{Operation, OperationError, Request};
use crate::{Algorithm, Digest, ErrorCode, Page, strategies};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ID: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

fn get(target: &str) -> Result<Operation, OperationError> {
    send(&Method::GET, target)
}

fn send(method: &Method, target: &str) -> Result<Operation, OperationError> {
    match target.split_once('?') {
        Some((path, query)) => Operation::parse(method, path, Some(query)),
        None => Operation::parse(method, target, None),
    }
}

#[test]
fn examples_cover_every_operation_and_come_back() {
    let names: HashSet<_> = Operation::examples().iter().map(Operation::name).collect();
    assert_eq!(names.len(), 16);
    for operation in Operation::examples() {
        let (method, target) = operation.request_line();
        assert_eq!(send(&method, &target), Ok(operation), "{method} {target}");
    }
}

/// A repository may have any of the path's own words in its name; the last one decides.
#[test]
fn paths_are_read_from_the_right() {
    let cases = [
        (
            format!("/v2/a/blobs/b/blobs/{DIGEST}"),
            "get_blob",
            "a/blobs/b",
        ),
        (
            "/v2/x/tags/list/tags/list".to_owned(),
            "list_tags",
            "x/tags/list",
        ),
        (
            "/v2/x/tags/list/manifests/v1".to_owned(),
            "get_manifest",
            "x/tags/list",
        ),
        ("/v2/x/manifests/list".to_owned(), "get_manifest", "x"),
        (
            "/v2/a/manifests/tags/list".to_owned(),
            "list_tags",
            "a/manifests",
        ),
        (
            "/v2/a/blobs/uploads/manifests/uploads".to_owned(),
            "get_manifest",
            "a/blobs/uploads",
        ),
        (
            format!("/v2/a/blobs/uploads/blobs/uploads/{ID}"),
            "upload_status",
            "a/blobs/uploads",
        ),
        (
            format!("/v2/blobs/blobs/uploads/{ID}"),
            "upload_status",
            "blobs",
        ),
        (
            format!("/v2/a/referrers/b/referrers/{DIGEST}"),
            "referrers",
            "a/referrers/b",
        ),
        (format!("/v2/v2/blobs/{DIGEST}"), "get_blob", "v2"),
        (
            "/v2/manifests/manifests/manifests".to_owned(),
            "get_manifest",
            "manifests",
        ),
    ];
    for (path, name, repo) in cases {
        let operation = get(&path).unwrap();
        assert_eq!(
            (operation.name(), operation.repo().unwrap().as_str()),
            (name, repo),
            "{path}"
        );
    }
    let start = send(&Method::POST, "/v2/a/blobs/uploads/blobs/uploads/").unwrap();
    assert_eq!(start.repo().unwrap().as_str(), "a/blobs/uploads");
}

#[test]
fn the_base_is_found_with_and_without_its_slash() {
    assert_eq!(get("/v2/"), Ok(Operation::Base));
    assert_eq!(get("/v2"), Ok(Operation::Base));
}

/// T25: what one reader normalises and another does not never reaches authorization.
#[test]
fn t25_paths_that_could_be_read_in_two_ways_are_refused() {
    let bad_request = [
        "/v2//a/tags/list",
        "/v2/a//b/tags/list",
        "/v2/a/b//tags/list",
        "/v2/a/tags//list",
        "/v2/./a/tags/list",
        "/v2/a/./b/tags/list",
        "/v2/a/../b/tags/list",
        "/v2/../v2/a/tags/list",
        "/v2/a/manifests/..",
        "/v2/a/manifests/.",
        "/v2/a/blobs/../manifests/v1",
        "/v2/a%2fb/tags/list",
        "/v2/a%2Fb/tags/list",
        "/v2/a/%2e%2e/b/tags/list",
        "/v2/a/%252e%252e/b/tags/list",
        "/v2/a%00/tags/list",
        "/v2/a/tags/list%",
        "/v2/a/tags/list%2",
        "/v2/%61/tags/list",
        "/v2/a%3Ab/tags/list",
        "/v2/a/tags/list/",
        "/v2/a/manifests/v1/",
        "/v2/_catalog/",
        "/v2/A/tags/list",
        "/v2/a;x=y/tags/list",
        "/v2/a/tags/list;x",
        "/v2/a\\b/tags/list",
        "/v2/a b/tags/list",
        "/v2/a\u{7f}/tags/list",
        "/v2/a\n/tags/list",
        "/v2/é/tags/list",
        "/v2/a@b/tags/list",
        "/v2/a:b/tags/list",
        "/v2/tags/list",
        "/v2/manifests/latest",
        "/v2/a/manifests/sha256%3A%3Ax",
        "/v2/a/manifests/sha256:x%3Ay",
    ];
    for path in bad_request {
        let error = get(path).unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            (ErrorCode::NameInvalid, StatusCode::BAD_REQUEST),
            "{path}: {error:?}"
        );
    }
}

#[test]
fn what_is_no_endpoint_is_not_found() {
    for path in [
        "",
        "/",
        "v2/",
        "/V2/",
        "/v1/",
        "/v2x/",
        "//v2/",
        "/v2/a",
        "/v2/a/b",
        "/v2/a/tags",
        "/v2/a/tags/other",
        "/v2/a/Tags/list",
        "/v2/a/tags/List",
        "/v2/a/_catalog",
        "/v2/_oci/ext/discover",
        "/v2/a/uploads/x",
        "http://host/v2/",
        "/v2/_Catalog",
        "*",
    ] {
        let error = get(path).unwrap_err();
        assert_eq!(
            (&error, error.status()),
            (&OperationError::NotFound, StatusCode::NOT_FOUND),
            "{path}"
        );
    }
}

#[test]
fn an_escaped_colon_in_a_digest_is_the_only_escape() {
    for colon in ["%3A", "%3a"] {
        let path = format!("/v2/a/blobs/{}", DIGEST.replace(':', colon));
        assert_eq!(get(&path), get(&format!("/v2/a/blobs/{DIGEST}")));
    }
    let path = format!("/v2/a/manifests/{}", DIGEST.replace(':', "%3A"));
    assert_eq!(get(&path), get(&format!("/v2/a/manifests/{DIGEST}")));
}

#[test]
fn wrong_methods_are_told_the_right_ones() {
    let cases = [
        (Method::POST, "/v2/".to_owned(), "GET, HEAD"),
        (Method::DELETE, "/v2/_catalog".to_owned(), "GET, HEAD"),
        (
            Method::PUT,
            format!("/v2/a/blobs/{DIGEST}"),
            "GET, HEAD, DELETE",
        ),
        (Method::GET, "/v2/a/blobs/uploads/".to_owned(), "POST"),
        (
            Method::POST,
            format!("/v2/a/blobs/uploads/{ID}"),
            "GET, HEAD, PATCH, PUT, DELETE",
        ),
        (
            Method::POST,
            "/v2/a/manifests/v1".to_owned(),
            "GET, HEAD, PUT, DELETE",
        ),
        (Method::OPTIONS, "/v2/a/tags/list".to_owned(), "GET, HEAD"),
        (
            Method::from_bytes(b"get").unwrap(),
            "/v2/".to_owned(),
            "GET, HEAD",
        ),
        (
            Method::CONNECT,
            format!("/v2/a/referrers/{DIGEST}"),
            "GET, HEAD",
        ),
    ];
    for (method, path, allow) in cases {
        let error = send(&method, &path).unwrap_err();
        assert_eq!(error.allow(), Some(allow), "{method} {path}");
        assert_eq!(error.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(error.code(), ErrorCode::Unsupported);
    }
}

/// T42: conformance allows 400 or 404 for such digests; never 500.
#[test]
fn t42_bad_digests_are_refused() {
    let hex = &DIGEST[7..];
    for digest in [
        "sha256:baddigeststring",
        "sha256:",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        hex,
        "latest",
    ] {
        for path in [
            format!("/v2/a/blobs/{digest}"),
            format!("/v2/a/referrers/{digest}"),
        ] {
            let error = get(&path).unwrap_err();
            assert_eq!(
                (error.code(), error.status()),
                (ErrorCode::DigestInvalid, StatusCode::BAD_REQUEST)
            );
        }
    }
    for method in [Method::GET, Method::PUT] {
        let error = send(&method, "/v2/a/manifests/sha256:baddigeststring").unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            (ErrorCode::DigestInvalid, StatusCode::BAD_REQUEST)
        );
    }
    for query in [
        "digest=sha256:../../x",
        "mount=sha256:x",
        "digest-algorithm=md5",
        "digest=",
    ] {
        let error = send(&Method::POST, &format!("/v2/a/blobs/uploads/?{query}")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::DigestInvalid, "{query}");
    }
    let target = format!("/v2/a/blobs/uploads/{ID}");
    assert_eq!(
        send(&Method::PUT, &target),
        Err(OperationError::DigestMissing)
    );
}

/// The first official suite reads a manifest of this name and wants 404.
#[test]
fn an_impossible_tag_is_unknown_to_readers_and_invalid_to_writers() {
    let path = "/v2/a/manifests/.INVALID_MANIFEST_NAME";
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let error = send(&method, path).unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            (ErrorCode::ManifestUnknown, StatusCode::NOT_FOUND)
        );
    }
    let error = send(&Method::PUT, path).unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        (ErrorCode::TagInvalid, StatusCode::BAD_REQUEST)
    );
}

#[test]
fn only_canonical_upload_ids_are_known() {
    for id in [
        "x".to_owned(),
        DIGEST.to_owned(),
        ID.to_uppercase(),
        ID.replace('-', ""),
        ID.replace("-4", "-1"),
        ID.replace("-b", "-0"),
        format!("{ID}0"),
    ] {
        let error = get(&format!("/v2/a/blobs/uploads/{id}")).unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            (ErrorCode::BlobUploadUnknown, StatusCode::NOT_FOUND),
            "{id}"
        );
    }
    assert!(get(&format!("/v2/a/blobs/uploads/{ID}")).is_ok());
}

/// T30, CVE-2023-2253: a number alone must cost nothing.
#[test]
fn t30_page_sizes_are_clamped_or_refused() {
    let n = |query: &str| match get(&format!("/v2/_catalog?{query}")) {
        Ok(Operation::Catalog { page }) => Ok(page.n()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code()),
    };
    assert_eq!(n(""), Ok(None));
    assert_eq!(n("n=0"), Ok(Some(0)));
    assert_eq!(n("n=7"), Ok(Some(7)));
    assert_eq!(n("n=0007"), Ok(Some(7)));
    for huge in [
        "2147483648",
        "4294967296",
        "9223372036854775808",
        &"9".repeat(10_000),
    ] {
        assert_eq!(n(&format!("n={huge}")), Ok(Some(Page::MAX_N)));
    }
    for bad in [
        "n=", "n", "n=abc", "n=-1", "n=+1", "n=1.0", "n=0x1", "n=%31%00", "n= 1", "n=1&n=1",
    ] {
        let error = get(&format!("/v2/a/tags/list?{bad}")).unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(n("n=abc"), Err(ErrorCode::PaginationNumberInvalid));
    assert_eq!(
        n(&format!("last={}", "a".repeat(513))),
        Err(ErrorCode::PaginationNumberInvalid)
    );
    assert_eq!(n("last=a%00"), Err(ErrorCode::PaginationNumberInvalid));
}

#[test]
fn last_works_without_n() {
    let Ok(Operation::ListTags { page, .. }) = get("/v2/a/tags/list?last=v1") else {
        panic!("no list");
    };
    assert_eq!((page.n(), page.last()), (None, Some("v1")));
}

#[test]
fn a_parameter_with_one_meaning_comes_once() {
    for name in [
        "digest",
        "mount",
        "from",
        "digest-algorithm",
        "n",
        "last",
        "artifactType",
        "ns",
    ] {
        for query in [
            format!("{name}=a&{name}=a"),
            format!("{name}=a&x=y&%{:02X}{}=b", name.as_bytes()[0], &name[1..]),
        ] {
            let error = get(&format!("/v2/a/tags/list?{query}")).unwrap_err();
            assert_eq!(
                (&error, error.status()),
                (
                    &OperationError::Duplicate { parameter: name },
                    StatusCode::BAD_REQUEST
                )
            );
        }
    }
    assert!(get("/v2/a/tags/list?x=1&x=2&&_state=%2B").is_ok());
}

#[test]
fn queries_are_decoded_strictly() {
    for query in ["x=%", "x=%2", "x=%zz", "%=x", "last=%ff", "last=%C3"] {
        let error = get(&format!("/v2/a/tags/list?{query}")).unwrap_err();
        assert!(
            matches!(error, OperationError::Query(_)),
            "{query}: {error:?}"
        );
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    }
    let target = format!("/v2/a/blobs/uploads/?digest={}", DIGEST.replace(':', "%3A"));
    assert!(matches!(
        send(&Method::POST, &target),
        Ok(Operation::StartUpload { digest: Some(digest), .. }) if digest.to_string() == DIGEST
    ));
}

/// Clients write the `+` of media types both ways.
#[test]
fn a_plus_is_a_plus() {
    for query in [
        "artifactType=application/spdx+json",
        "artifactType=application%2Fspdx%2Bjson",
    ] {
        let Ok(Operation::Referrers { artifact_type, .. }) =
            get(&format!("/v2/a/referrers/{DIGEST}?{query}"))
        else {
            panic!("{query}");
        };
        assert_eq!(artifact_type.as_deref(), Some("application/spdx+json"));
    }
    assert!(get(&format!("/v2/a/referrers/{DIGEST}?artifactType=a%0d%0ab")).is_err());
}

#[test]
fn mounts_say_what_and_from_where() {
    let target = format!("/v2/a/blobs/uploads/?mount={DIGEST}&from=b%2Fc");
    let Ok(Operation::StartUpload {
        digest: None,
        mount,
        from,
        digest_algorithm: None,
        ..
    }) = send(&Method::POST, &target)
    else {
        panic!("no upload");
    };
    assert_eq!(mount.unwrap().to_string(), DIGEST);
    assert_eq!(from.unwrap().as_str(), "b/c");
    let anonymous = send(
        &Method::POST,
        &format!("/v2/a/blobs/uploads/?mount={DIGEST}"),
    );
    assert!(matches!(
        anonymous,
        Ok(Operation::StartUpload {
            mount: Some(_),
            from: None,
            ..
        })
    ));
    let error = send(&Method::POST, "/v2/a/blobs/uploads/?from=../b").unwrap_err();
    assert_eq!(error.code(), ErrorCode::NameInvalid);
}

#[test]
fn a_digest_algorithm_may_be_announced() {
    let start = send(
        &Method::POST,
        "/v2/a/blobs/uploads/?digest-algorithm=sha512",
    );
    assert!(matches!(
        start,
        Ok(Operation::StartUpload {
            digest_algorithm: Some(Algorithm::Sha512),
            ..
        })
    ));
}

#[test]
fn a_manifest_may_be_pushed_under_several_tags() {
    let tags = |count: usize| {
        let query: Vec<String> = (0..count).map(|i| format!("tag=v{i}")).collect();
        send(
            &Method::PUT,
            &format!("/v2/a/manifests/{DIGEST}?{}", query.join("&")),
        )
    };
    for count in [0, 1, 10, super::MAX_TAG_PARAMETERS] {
        let Ok(Operation::PutManifest { tags, .. }) = tags(count) else {
            panic!("{count}")
        };
        assert_eq!(tags.len(), count);
    }
    let error = tags(super::MAX_TAG_PARAMETERS + 1).unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        (ErrorCode::TagInvalid, StatusCode::URI_TOO_LONG)
    );
    let twice = send(
        &Method::PUT,
        &format!("/v2/a/manifests/{DIGEST}?tag=x&tag=y&tag=x"),
    );
    assert!(matches!(twice, Ok(Operation::PutManifest { tags, .. }) if tags.len() == 2));
    assert!(send(&Method::PUT, &format!("/v2/a/manifests/{DIGEST}?tag=.x")).is_err());
}

#[test]
fn the_proxied_registry_is_kept_beside_the_operation() {
    let parse = |query| Request::parse(&Method::GET, "/v2/a/tags/list", query);
    assert_eq!(parse(None).unwrap().ns(), None);
    let request = parse(Some("ns=docker.io:443")).unwrap();
    assert_eq!(request.ns(), Some("docker.io:443"));
    assert_eq!(request.into_operation(), get("/v2/a/tags/list").unwrap());
    assert!(parse(Some("ns=a%0d%0ab: c")).is_err());
}

#[test]
fn head_is_get_where_only_the_body_differs() {
    for target in [
        "/v2/",
        "/v2/_catalog",
        "/v2/a/tags/list",
        &format!("/v2/a/referrers/{DIGEST}"),
    ] {
        assert_eq!(send(&Method::HEAD, target), get(target));
    }
}

fn method() -> impl Strategy<Value = Method> {
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    proptest::sample::select(methods.to_vec())
}

proptest! {
    #[test]
    fn every_operation_comes_back_from_its_request_line(operation in strategies::operation()) {
        let (method, target) = operation.request_line();
        prop_assert!(http::Uri::try_from(&target).is_ok(), "{}", target);
        prop_assert_eq!(send(&method, &target), Ok(operation));
    }

    #[test]
    fn any_text_is_read_or_refused(
        method in method(),
        path in strategies::hostile(),
        query in proptest::option::of(strategies::hostile()),
    ) {
        for path in [path.clone(), format!("/v2/{path}"), format!("/v2/a/{path}")] {
            if let Err(error) = Operation::parse(&method, &path, query.as_deref()) {
                prop_assert!(error.status().is_client_error());
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    /// What authorization sees is what stands in the path, letter by letter.
    #[test]
    fn the_repository_is_the_path_between_prefix_and_keyword(
        method in method(),
        path in strategies::hostile(),
    ) {
        let path = format!("/v2/{path}");
        if let Ok(operation) = Operation::parse(&method, &path, None)
            && let Some(repo) = operation.repo()
        {
            let expected = operation.request_line().1;
            let decoded = path.replace("%3A", ":").replace("%3a", ":");
            let prefix = format!("/v2/{repo}/");
            prop_assert!(path.starts_with(&prefix));
            prop_assert_eq!(decoded.trim_end_matches('/'), expected.trim_end_matches('/'));
        }
    }

    /// Near misses of real requests: one character changed, added or taken away.
    #[test]
    fn mutants_never_name_a_repository_that_is_not_there(
        operation in strategies::operation(),
        at in any::<proptest::sample::Index>(),
        put in "[/.%a-zA-Z0-9:_;\\\\-]{0,3}",
        cut in 0_usize..3,
    ) {
        let (method, mut target) = operation.request_line();
        let target_len = target.len();
        let at = at.index(target_len);
        let end = (at + cut).min(target_len);
        target.replace_range(at..end, &put);
        if let Ok(operation) = send(&method, &target)
            && let Some(repo) = operation.repo()
        {
            prop_assert!(target.starts_with(&format!("/v2/{repo}/")), "{} {}", target, repo);
        }
    }
}

#[test]
fn digests_of_both_algorithms_have_blobs() {
    for algorithm in Algorithm::ALL {
        let digest = Digest::of(algorithm, b"x");
        let operation = get(&format!("/v2/a/blobs/{digest}")).unwrap();
        assert!(matches!(operation, Operation::GetBlob { digest: found, .. } if found == digest));
    }
}
