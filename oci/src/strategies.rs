//! What property tests draw from: valid values, and hostile text near to them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::{Algorithm, Digest, Operation, Page, Reference, RepoName, Tag, UploadId};

pub(crate) fn algorithm() -> impl Strategy<Value = Algorithm> {
    proptest::sample::select(Algorithm::ALL.to_vec())
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    (algorithm(), any::<[u8; 8]>()).prop_map(|(algorithm, seed)| Digest::of(algorithm, &seed))
}

/// Names with the words of paths among their segments, which are the hard ones.
pub(crate) fn repo() -> impl Strategy<Value = RepoName> {
    let segment = prop_oneof![
        "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}",
        proptest::sample::select(vec![
            "blobs",
            "uploads",
            "manifests",
            "tags",
            "list",
            "referrers",
            "v2"
        ])
        .prop_map(str::to_owned),
    ];
    vec(segment, 1..8).prop_map(|segments| RepoName::parse(&segments.join("/")).unwrap())
}

pub(crate) fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof!["[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", "list", "uploads"]
        .prop_map(|text| Tag::parse(&text).unwrap())
}

pub(crate) fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        tag().prop_map(Reference::Tag),
        digest().prop_map(Reference::Digest)
    ]
}

pub(crate) fn upload_id() -> impl Strategy<Value = UploadId> {
    any::<[u8; 16]>().prop_map(UploadId::from_random)
}

pub(crate) fn page() -> impl Strategy<Value = Page> {
    (option::of(0..=Page::MAX_N), option::of("\\PC{0,40}"))
        .prop_map(|(n, last)| Page::new(n, last).unwrap())
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let tags = vec(tag(), 0..12).prop_map(|mut tags| {
        tags.sort();
        tags.dedup();
        tags
    });
    prop_oneof![
        Just(Operation::Base),
        (repo(), digest()).prop_map(|(repo, digest)| Operation::GetBlob { repo, digest }),
        (repo(), digest()).prop_map(|(repo, digest)| Operation::HeadBlob { repo, digest }),
        (repo(), digest()).prop_map(|(repo, digest)| Operation::DeleteBlob { repo, digest }),
        (
            repo(),
            option::of(digest()),
            option::of(digest()),
            option::of(repo()),
            option::of(algorithm())
        )
            .prop_map(|(repo, digest, mount, from, digest_algorithm)| {
                Operation::StartUpload {
                    repo,
                    digest,
                    mount,
                    from,
                    digest_algorithm,
                }
            }),
        (repo(), upload_id()).prop_map(|(repo, id)| Operation::UploadStatus { repo, id }),
        (repo(), upload_id()).prop_map(|(repo, id)| Operation::PatchUpload { repo, id }),
        (repo(), upload_id(), digest()).prop_map(|(repo, id, digest)| Operation::FinishUpload {
            repo,
            id,
            digest
        }),
        (repo(), upload_id()).prop_map(|(repo, id)| Operation::CancelUpload { repo, id }),
        (repo(), reference())
            .prop_map(|(repo, reference)| Operation::GetManifest { repo, reference }),
        (repo(), reference())
            .prop_map(|(repo, reference)| Operation::HeadManifest { repo, reference }),
        (repo(), reference(), tags).prop_map(|(repo, reference, tags)| Operation::PutManifest {
            repo,
            reference,
            tags
        }),
        (repo(), reference())
            .prop_map(|(repo, reference)| Operation::DeleteManifest { repo, reference }),
        (repo(), page()).prop_map(|(repo, page)| Operation::ListTags { repo, page }),
        (repo(), digest(), option::of("[!-~]{0,60}"), page()).prop_map(
            |(repo, digest, artifact_type, page)| {
                Operation::Referrers {
                    repo,
                    digest,
                    artifact_type,
                    page,
                }
            }
        ),
        page().prop_map(|page| Operation::Catalog { page }),
    ]
}

/// Text that is nearly a path, name, digest or query, and now and then anything at all.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "/",
            "//",
            "/v2/",
            "..",
            ".",
            "%",
            "%3A",
            "%2f",
            "%252e",
            ":",
            "@",
            "sha256",
            "sha512",
            "blobs",
            "uploads",
            "manifests",
            "tags",
            "list",
            "referrers",
            "_catalog",
            "a",
            "A",
            "0",
            "-",
            "__",
            "\\",
            "\0",
            "\u{17F}",
            "é",
            "&",
            "=",
            "n=",
            "last=",
            "digest=",
            "tag=",
            "+",
            "?",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
        any::<char>().prop_map(String::from),
    ];
    vec(word, 0..12).prop_map(|words| words.concat())
}
