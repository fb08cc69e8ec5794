//! Which repository holds a blob, and until when.

use std::collections::BTreeSet;

use oci::RepoName;

use super::Subject;
use super::material::{BLOB_SIZE, blob, hold, image, put, repo, then};
use crate::index::{PutOutcome, Unlink};

pub async fn a_blob_is_seen_only_where_it_is_held(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1]).await;
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), Some(BLOB_SIZE));
    assert_eq!(index.blob(&b, &blob(1)).await.unwrap(), None);
    assert_eq!(index.blob(&a, &blob(2)).await.unwrap(), None);
    let asked = [blob(2), blob(1), blob(2)];
    assert_eq!(index.missing_blobs(&a, &asked).await.unwrap(), [blob(2)]);
    assert_eq!(
        index.missing_blobs(&b, &asked).await.unwrap(),
        [blob(2), blob(1)]
    );
    assert_eq!(
        index.unlink_blob(&a, &blob(1), then()).await.unwrap(),
        Unlink::Done
    );
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), None);
    assert_eq!(
        index.unlink_blob(&a, &blob(1), then()).await.unwrap(),
        Unlink::Unknown
    );
    assert_eq!(index.blob_size(&blob(1)).await.unwrap(), Some(BLOB_SIZE));
}

pub async fn linking_again_counts_once(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1, 1, 2]).await;
    assert_eq!(index.layers(&a, None, 10).await.unwrap().len(), 2);
    // A push that replaces damaged bytes also replaces what was known of them.
    index
        .link_blob(&a, &blob(1), 99, None, then())
        .await
        .unwrap();
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), Some(99));
}

pub async fn mounting_needs_a_holder(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1]).await;
    assert_eq!(
        index.mount_blob(&b, &a, &blob(2), then()).await.unwrap(),
        None
    );
    assert_eq!(
        index
            .mount_blob(&b, &repo("c"), &blob(1), then())
            .await
            .unwrap(),
        None
    );
    assert_eq!(index.blob(&b, &blob(1)).await.unwrap(), None);
    assert_eq!(
        index.mount_blob(&b, &a, &blob(1), then()).await.unwrap(),
        Some(BLOB_SIZE)
    );
    assert_eq!(index.blob(&b, &blob(1)).await.unwrap(), Some(BLOB_SIZE));
    assert_eq!(
        index.unlink_blob(&a, &blob(1), then()).await.unwrap(),
        Unlink::Done
    );
    assert_eq!(index.blob(&b, &blob(1)).await.unwrap(), Some(BLOB_SIZE));
}

pub async fn a_blob_that_a_manifest_needs_stays(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1, 2]).await;
    hold(&index, &b, &[1, 2]).await;
    let image = image(1, &[2]);
    assert_eq!(put(&index, &a, &image, &[]).await, PutOutcome::Done);
    for number in [1, 2] {
        assert_eq!(
            index.unlink_blob(&a, &blob(number), then()).await.unwrap(),
            Unlink::Referenced
        );
        assert_eq!(
            index.unlink_blob(&b, &blob(number), then()).await.unwrap(),
            Unlink::Done
        );
    }
    index
        .delete_manifest(&a, &image.digest(), then())
        .await
        .unwrap();
    assert_eq!(
        index.unlink_blob(&a, &blob(2), then()).await.unwrap(),
        Unlink::Done
    );
}

pub async fn holders_are_paged(index: Subject) {
    let names: BTreeSet<RepoName> = (0..7).map(|n| repo(&format!("r{n}"))).collect();
    for name in &names {
        hold(&index, name, &[1]).await;
    }
    hold(&index, &repo("other"), &[2]).await;
    let mut seen = BTreeSet::new();
    let mut last: Option<RepoName> = None;
    loop {
        let page = index.holders(&blob(1), last.as_ref(), 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        for name in page {
            assert!(seen.insert(name), "listed twice");
        }
    }
    assert_eq!(seen, names);
}
