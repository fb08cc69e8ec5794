//! The journal of link objects, and the load that an index is built anew by.

use oci::{MediaType, RepoName};

use super::Subject;
use super::material::{
    BLOB_SIZE, at, blob, clear, hold, image, links, put, repo, tag, tag_names, then,
};
use crate::index::{Fact, Link, LinkState};

pub async fn every_change_is_in_the_journal(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    let layer = |repo: &RepoName| Link::Layer(repo.clone(), blob(1));
    let current = |name| Link::Tag(a.clone(), tag(name));
    let image = image(1, &[]);
    let revision = Link::Revision(a.clone(), image.digest());

    hold(&index, &a, &[1]).await;
    assert_eq!(links(&index).await, [layer(&a)]);
    let (state, rows) = index.link(&layer(&a)).await.unwrap();
    assert_eq!((state, rows.len()), (LinkState::Present, 1));
    index.clear_journal(&rows).await.unwrap();
    assert_eq!(links(&index).await, []);

    index.mount_blob(&b, &a, &blob(1), then()).await.unwrap();
    assert_eq!(links(&index).await, [layer(&b)]);
    clear(&index).await;

    put(&index, &a, &image, &["v1", "v2"]).await;
    assert_eq!(
        links(&index).await,
        [revision.clone(), current("v1"), current("v2")]
    );
    let state = index.link(&revision).await.unwrap().0;
    assert_eq!(state, LinkState::Revision(MediaType::OCI_MANIFEST));
    let state = index.link(&current("v1")).await.unwrap().0;
    assert_eq!(state, LinkState::Tag(image.digest()));
    clear(&index).await;

    index.delete_tag(&a, &tag("v1"), then()).await.unwrap();
    assert_eq!(links(&index).await, [current("v1")]);
    assert_eq!(
        index.link(&current("v1")).await.unwrap().0,
        LinkState::Absent
    );
    clear(&index).await;

    index
        .delete_manifest(&a, &image.digest(), then())
        .await
        .unwrap();
    assert_eq!(links(&index).await, [current("v2"), revision.clone()]);
    assert_eq!(index.link(&revision).await.unwrap().0, LinkState::Absent);
    clear(&index).await;

    index.unlink_blob(&a, &blob(1), then()).await.unwrap();
    assert_eq!(links(&index).await, [layer(&a)]);
    assert_eq!(index.link(&layer(&a)).await.unwrap().0, LinkState::Absent);
}

pub async fn clearing_the_journal_leaves_what_came_since(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let link = Link::Layer(a.clone(), blob(1));
    let (_, rows) = index.link(&link).await.unwrap();
    index.clear_journal(&rows).await.unwrap();
    // The number of a cleared row is not given again.
    hold(&index, &a, &[1]).await;
    index.clear_journal(&rows).await.unwrap();
    assert_eq!(links(&index).await, [link]);
}

pub async fn what_has_no_ground_is_not_loaded(index: Subject) {
    let a = repo("a");
    let image = image(1, &[2]);
    let facts = vec![
        Fact::Blob {
            digest: blob(1),
            size: BLOB_SIZE,
        },
        Fact::Layer {
            repo: a.clone(),
            digest: blob(1),
        },
        Fact::Layer {
            repo: a.clone(),
            digest: blob(2),
        },
        Fact::Tag {
            repo: a.clone(),
            tag: tag("early"),
            digest: image.digest(),
        },
        Fact::Manifest {
            repo: a.clone(),
            manifest: Box::new(image.clone()),
        },
        Fact::Tag {
            repo: a.clone(),
            tag: tag("v1"),
            digest: image.digest(),
        },
        Fact::Stale(Link::Layer(a.clone(), blob(1))),
    ];
    assert_eq!(index.load(facts).await.unwrap(), [2, 3]);
    index.finish_load(at(1)).await.unwrap();
    assert!(!index.is_new().await.unwrap());
    assert_eq!(index.layers(&a, None, 10).await.unwrap(), [blob(1)]);
    assert_eq!(tag_names(&index, &a, None, 10).await, ["v1"]);
    assert_eq!(links(&index).await, [Link::Layer(a, blob(1))]);
}
