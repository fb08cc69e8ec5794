use oci::{Algorithm, Digest, RepoName, Tag, UploadId};
use proptest::prelude::*;

use super::*;

fn repo(text: &str) -> RepoName {
    RepoName::parse(text).unwrap()
}

fn tag_named(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// The keys as Distribution's `registry/storage/paths.go` draws them, written out.
#[test]
fn keys_are_those_of_distribution() {
    let digest = Digest::of(Algorithm::Sha256, b"hello");
    let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let (repo, tag) = (repo("team/app"), tag_named("v1"));
    let id = UploadId::parse("0f0e0d0c-0b0a-4908-8706-050403020100").unwrap();
    let below = "docker/registry/v2/repositories/team/app";
    for (key, expected) in [
        (
            blob(&digest),
            format!("docker/registry/v2/blobs/sha256/2c/{hex}/data"),
        ),
        (
            layer(&repo, &digest),
            format!("{below}/_layers/sha256/{hex}/link"),
        ),
        (
            revision(&repo, &digest),
            format!("{below}/_manifests/revisions/sha256/{hex}/link"),
        ),
        (
            media_type(&repo, &digest),
            format!("{below}/_manifests/revisions/sha256/{hex}/mediatype"),
        ),
        (
            tag_current(&repo, &tag),
            format!("{below}/_manifests/tags/v1/current/link"),
        ),
        (
            tag_index(&repo, &tag, &digest),
            format!("{below}/_manifests/tags/v1/index/sha256/{hex}/link"),
        ),
        (
            staged(&repo, &id),
            format!("{below}/_uploads/0f0e0d0c-0b0a-4908-8706-050403020100/data"),
        ),
    ] {
        assert_eq!(key.as_str(), expected);
    }
}

#[test]
fn sha512_has_a_tree_of_its_own() {
    let digest = Digest::of(Algorithm::Sha512, b"hello");
    let key = blob(&digest);
    let expected = format!("docker/registry/v2/blobs/sha512/9b/{}/data", digest.hex());
    assert_eq!(key.as_str(), expected);
    assert_eq!(parse(key.as_str()), Some(Place::Blob(digest)));
}

#[test]
fn what_distribution_keeps_beside_an_upload_belongs_to_it() {
    let id = "0f0e0d0c-0b0a-4908-8706-050403020100";
    for file in ["data", "startedat", "hashstates/sha256/4096"] {
        let key = format!("docker/registry/v2/repositories/a/_uploads/{id}/{file}");
        let expected = Place::Upload(repo("a"), UploadId::parse(id).unwrap());
        assert_eq!(parse(&key), Some(expected), "{key}");
    }
}

#[test]
fn a_repository_may_be_called_like_a_part_of_the_layout() {
    let digest = Digest::of(Algorithm::Sha256, b"hello");
    for name in [
        "blobs",
        "link",
        "data",
        "a/layers",
        "a/manifests/tags",
        "sha256/current",
    ] {
        let repo = repo(name);
        assert_eq!(
            parse(layer(&repo, &digest).as_str()),
            Some(Place::Layer(repo, digest))
        );
    }
}

#[test]
fn what_is_not_of_the_layout_is_nothing() {
    let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let root = "docker/registry/v2";
    for key in [
        String::new(),
        root.to_owned(),
        format!("{root}/blobs"),
        format!("{root}/blobs/sha256/2c/{hex}"),
        format!("{root}/blobs/sha256/2c/{hex}/data/more"),
        format!("{root}/blobs/sha256/2c/{hex}/link"),
        // In the wrong folder, where nobody would look for it.
        format!("{root}/blobs/sha256/ff/{hex}/data"),
        format!("{root}/blobs/sha256/2/{hex}/data"),
        format!("{root}/blobs/md5/2c/{hex}/data"),
        format!("{root}/blobs/sha256/2C/{}/data", hex.to_uppercase()),
        format!("{root}/repositories/UPPER/_layers/sha256/{hex}/link"),
        format!("{root}/repositories/_layers/sha256/{hex}/link"),
        format!("{root}/repositories/a/_layers/sha256/{hex}/link~"),
        format!("{root}/repositories/a/_layers/sha256/{hex}"),
        format!("{root}/repositories/a/_manifests/tags/v1/current"),
        format!("{root}/repositories/a/_manifests/tags/.v1/current/link"),
        format!("{root}/repositories/a/_manifests/tags/v1/index/sha256/{hex}/data"),
        format!(
            "{root}/repositories/a/_manifests/revisions/sha256/{hex}/signatures/sha256/{hex}/link"
        ),
        format!("{root}/repositories/a/_uploads/data"),
        format!("{root}/repositories/a/_uploads/not-an-id/data"),
        format!("{root}/repositories/a/_other/sha256/{hex}/link"),
        format!("/{root}/blobs/sha256/2c/{hex}/data"),
        format!("{root}2/blobs/sha256/2c/{hex}/data"),
    ] {
        assert_eq!(parse(&key), None, "{key}");
    }
}

fn names() -> impl Strategy<Value = RepoName> {
    "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,4})?(/[a-z0-9]{1,6}(-[a-z0-9]{1,3})?){0,6}"
        .prop_map(|text| RepoName::parse(&text).unwrap())
}

fn tags() -> impl Strategy<Value = Tag> {
    "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}".prop_map(|text| Tag::parse(&text).unwrap())
}

fn digests() -> impl Strategy<Value = Digest> {
    (any::<bool>(), any::<[u8; 8]>()).prop_map(|(long, content)| {
        let algorithm = if long {
            Algorithm::Sha512
        } else {
            Algorithm::Sha256
        };
        Digest::of(algorithm, &content)
    })
}

proptest! {
    #[test]
    fn every_key_is_read_back(repo in names(), name in tags(), digest in digests(), random in any::<[u8; 16]>()) {
        let id = UploadId::from_random(random);
        for (key, place) in [
            (blob(&digest), Place::Blob(digest)),
            (layer(&repo, &digest), Place::Layer(repo.clone(), digest)),
            (revision(&repo, &digest), Place::Revision(repo.clone(), digest)),
            (media_type(&repo, &digest), Place::MediaType(repo.clone(), digest)),
            (tag_current(&repo, &name), Place::TagCurrent(repo.clone(), name.clone())),
            (tag_index(&repo, &name, &digest), Place::TagIndex(repo.clone(), name.clone(), digest)),
            (staged(&repo, &id), Place::Upload(repo.clone(), id)),
        ] {
            prop_assert_eq!(parse(key.as_str()), Some(place), "{}", key);
        }
    }

    #[test]
    fn no_text_makes_it_panic(key in "\\PC{0,200}", tail in "[a-z0-9_/.:-]{0,120}") {
        parse(&key);
        parse(&format!("docker/registry/v2/{tail}"));
        parse(&format!("docker/registry/v2/repositories/{tail}"));
    }

    /// What fsck and reindex lean on: blobs lie in the order of their digests.
    #[test]
    fn blobs_lie_in_the_order_of_digests(one in digests(), other in digests()) {
        prop_assert_eq!(blob(&one).cmp(&blob(&other)), one.cmp(&other));
    }

    /// … and a repository's links come before its manifests, those before its tags.
    #[test]
    fn leaves_lie_before_roots(repo in names(), name in tags(), one in digests(), other in digests()) {
        prop_assert!(layer(&repo, &one) < revision(&repo, &other));
        prop_assert!(revision(&repo, &one) < media_type(&repo, &one));
        prop_assert!(media_type(&repo, &one) < tag_current(&repo, &name));
        prop_assert!(tag_current(&repo, &name) < tag_index(&repo, &name, &one));
    }
}
