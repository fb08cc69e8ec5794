//! Who may move a tag, and in which order tags are listed.

use std::sync::Arc;

use super::Subject;
use super::material::{hold, image, push, put, repo, tag, tag_names, tagged, then};
use crate::MoveTags;
use crate::index::PutOutcome;

pub async fn a_tag_moves_only_when_it_may(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1, 2]).await;
    let (one, two) = (image(1, &[]), image(2, &[]));
    assert_eq!(
        push(&index, &a, &one, &["v1"], MoveTags::Refused).await,
        PutOutcome::Done
    );
    assert_eq!(
        push(&index, &a, &one, &["v1"], MoveTags::Refused).await,
        PutOutcome::Done
    );
    let refused = push(&index, &a, &two, &["v2", "v1"], MoveTags::Refused).await;
    assert_eq!(refused, PutOutcome::TagExists(tag("v1")));
    assert_eq!(index.manifest(&a, &two.digest()).await.unwrap(), None);
    assert_eq!(tagged(&index, &a, "v2").await, None);
    assert_eq!(tagged(&index, &a, "v1").await, Some(one.digest()));
    assert_eq!(put(&index, &a, &two, &["v1"]).await, PutOutcome::Done);
    assert_eq!(tagged(&index, &a, "v1").await, Some(two.digest()));
    // What a tag no longer points to is still there.
    assert!(index.manifest(&a, &one.digest()).await.unwrap().is_some());
}

pub async fn deleting_a_tag_keeps_the_manifest(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let image = image(1, &[]);
    put(&index, &a, &image, &["v1", "v2"]).await;
    assert!(index.delete_tag(&a, &tag("v1"), then()).await.unwrap());
    assert!(!index.delete_tag(&a, &tag("v1"), then()).await.unwrap());
    assert_eq!(tagged(&index, &a, "v1").await, None);
    assert_eq!(tagged(&index, &a, "v2").await, Some(image.digest()));
    assert!(index.manifest(&a, &image.digest()).await.unwrap().is_some());
}

pub async fn tags_are_paged_in_byte_order(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let names = [
        "_x", "a", "B", "v1.10", "v1.9", "v1-9", "Z", "0", "aa", "v1_9",
    ];
    put(&index, &a, &image(1, &[]), &names).await;
    let mut expected = names.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(tag_names(&index, &a, None, 100).await, expected);
    let mut paged: Vec<String> = Vec::new();
    loop {
        let page = tag_names(&index, &a, paged.last().map(String::as_str), 3).await;
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, expected);
    // `last` need not be a tag that is there, nor one that could be.
    assert_eq!(tag_names(&index, &a, Some("v1.95"), 100).await, ["v1_9"]);
    assert_eq!(
        tag_names(&index, &a, Some("\u{10FFFF}"), 100).await.len(),
        0
    );
    assert_eq!(tag_names(&index, &a, None, 0).await.len(), 0);
    let targets = index.tag_targets(&a, Some(&tag("v1_9")), 10).await.unwrap();
    assert_eq!(targets, []);
    let targets = index.tag_targets(&a, None, 1).await.unwrap();
    assert_eq!(targets, [(tag("0"), image(1, &[]).digest())]);
}

pub async fn of_racing_first_pushes_one_wins(index: Subject) {
    const RACERS: u64 = 64;
    let a = repo("a");
    let numbers: Vec<u64> = (0..RACERS).collect();
    hold(&index, &a, &numbers).await;
    let racers: Vec<_> = numbers
        .iter()
        .map(|number| {
            let (index, a, image) = (Arc::clone(&index), a.clone(), image(*number, &[]));
            tokio::spawn(async move {
                let outcome = push(&index, &a, &image, &["v1"], MoveTags::Refused).await;
                (image.digest(), outcome)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        match racer.await.unwrap() {
            (digest, PutOutcome::Done) => winners.push(digest),
            (_, outcome) => assert_eq!(outcome, PutOutcome::TagExists(tag("v1"))),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(tagged(&index, &a, "v1").await, Some(winners[0]));
    assert_eq!(index.revisions(&a, None, 100).await.unwrap().len(), 1);
}

pub async fn racing_moves_leave_one_of_them(index: Subject) {
    let a = repo("a");
    let numbers: Vec<u64> = (0..16).collect();
    hold(&index, &a, &numbers).await;
    let racers: Vec<_> = numbers
        .iter()
        .map(|number| {
            let (index, a, image) = (Arc::clone(&index), a.clone(), image(*number, &[]));
            tokio::spawn(async move {
                assert_eq!(put(&index, &a, &image, &["v1"]).await, PutOutcome::Done);
                index.delete_tag(&a, &tag("v1"), then()).await.unwrap();
                assert_eq!(put(&index, &a, &image, &["v1"]).await, PutOutcome::Done);
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let digest = tagged(&index, &a, "v1").await.unwrap();
    assert!(
        numbers
            .iter()
            .any(|number| image(*number, &[]).digest() == digest)
    );
    assert_eq!(
        index.revisions(&a, None, 100).await.unwrap().len(),
        numbers.len()
    );
}
