//! A repository as a whole: when there is one, in which order they are listed, what is counted of them.

use super::Subject;
use super::material::{BLOB_SIZE, blob, hold, image, links, put, repo, session, tag, then};
use crate::index::{Referrers, Session};

pub async fn a_new_index_knows_nothing(index: Subject) {
    let a = repo("a");
    index.ping().await.unwrap();
    assert!(index.is_new().await.unwrap());
    assert_eq!(index.blob(&a, &blob(1)).await.unwrap(), None);
    assert_eq!(index.manifest(&a, &blob(1)).await.unwrap(), None);
    assert_eq!(index.tag(&a, &tag("v1")).await.unwrap(), None);
    assert_eq!(index.tags(&a, None, 10).await.unwrap(), None);
    assert_eq!(index.repositories(None, 10).await.unwrap(), []);
    assert_eq!(
        index.referrers(&a, &blob(1), None, None, 10).await.unwrap(),
        Referrers::default()
    );
    assert_eq!(
        index.delete_manifest(&a, &blob(1), then()).await.unwrap(),
        None
    );
    assert!(!index.delete_tag(&a, &tag("v1"), then()).await.unwrap());
    assert_eq!(links(&index).await, []);
    hold(&index, &a, &[1]).await;
    assert!(!index.is_new().await.unwrap());
}

pub async fn a_repository_lives_as_long_as_its_manifests(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1, 2]).await;
    assert_eq!(index.repositories(None, 10).await.unwrap(), []);
    assert_eq!(index.tags(&a, None, 10).await.unwrap(), None);
    let (one, two) = (image(1, &[]), image(2, &[]));
    put(&index, &a, &one, &[]).await;
    put(&index, &a, &two, &[]).await;
    assert_eq!(
        index.repositories(None, 10).await.unwrap(),
        std::slice::from_ref(&a)
    );
    assert_eq!(index.tags(&a, None, 10).await.unwrap(), Some(vec![]));
    index
        .delete_manifest(&a, &one.digest(), then())
        .await
        .unwrap();
    assert_eq!(
        index.repositories(None, 10).await.unwrap(),
        std::slice::from_ref(&a)
    );
    index
        .delete_manifest(&a, &two.digest(), then())
        .await
        .unwrap();
    assert_eq!(index.repositories(None, 10).await.unwrap(), []);
    assert_eq!(index.tags(&a, None, 10).await.unwrap(), None);
    assert_eq!(index.all_repositories(None, 10).await.unwrap(), [a]);
    assert!(!index.is_new().await.unwrap());
}

pub async fn repositories_are_paged_in_byte_order(index: Subject) {
    let mut names = ["b", "a/b", "a", "a-b", "a/b/c", "a.b", "a0"].map(repo);
    for name in &names {
        hold(&index, name, &[1]).await;
        put(&index, name, &image(1, &[]), &[]).await;
    }
    hold(&index, &repo("only/blobs"), &[1]).await;
    names.sort();
    assert_eq!(index.repositories(None, 100).await.unwrap(), names);
    assert_eq!(index.repositories(None, 2).await.unwrap(), names[..2]);
    let last = names[1].as_str();
    assert_eq!(
        index.repositories(Some(last), 100).await.unwrap(),
        names[2..]
    );
    assert_eq!(
        index.all_repositories(None, 100).await.unwrap().len(),
        names.len() + 1
    );
}

pub async fn everything_is_counted(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    hold(&index, &a, &[1, 2, 3]).await;
    hold(&index, &b, &[1]).await;
    let image = image(1, &[2]);
    put(&index, &a, &image, &["v1", "v2"]).await;
    index.unlink_blob(&a, &blob(3), then()).await.unwrap();
    index
        .create_upload(
            &Session {
                offset: 5,
                ..session(1, 1)
            },
            1,
        )
        .await
        .unwrap();
    let size = image.bytes().len() as u64;
    let census = index.census(1).await.unwrap();
    assert_eq!(census.repositories, 1);
    assert_eq!((census.manifests, census.tags), (1, 2));
    assert_eq!(
        (census.blobs, census.stored_bytes),
        (4, 3 * BLOB_SIZE + size)
    );
    assert_eq!(census.logical_bytes, 3 * BLOB_SIZE + size);
    assert_eq!((census.unheld_blobs, census.unheld_bytes), (1, BLOB_SIZE));
    assert_eq!((census.uploads, census.upload_bytes), (1, 5));
    assert_eq!(census.largest.len(), 1);
    let largest = &census.largest[0];
    assert_eq!((&largest.name, largest.bytes), (&a, 2 * BLOB_SIZE + size));
    assert_eq!((largest.manifests, largest.tags, largest.blobs), (1, 2, 2));
    assert_eq!(index.damage().await.unwrap(), [""; 0]);
}
