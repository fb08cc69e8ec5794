//! Referrers of a subject.

use oci::{Descriptor, RepoName};

use super::Subject;
use super::material::{artifact, blob, hold, put, repo, then};
use crate::index::{MAX_REFERRERS_BYTES, Referrers};

pub async fn referrers_are_filtered_and_paged(index: Subject) {
    let (a, b) = (repo("a"), repo("b"));
    for repo in [&a, &b] {
        hold(&index, repo, &[1, 2]).await;
    }
    let subject = blob(100);
    let mut all = Vec::new();
    for n in 0..9u64 {
        let kind = if n % 3 == 0 { "kind/one" } else { "kind/two" };
        let number = n.to_string();
        let referrer = artifact(1, &[], Some(subject), Some(kind), &[("n", &number)]);
        put(&index, &a, &referrer, &[]).await;
        all.push(referrer.descriptor());
    }
    put(
        &index,
        &a,
        &artifact(1, &[], Some(blob(101)), Some("kind/one"), &[]),
        &[],
    )
    .await;
    put(
        &index,
        &b,
        &artifact(2, &[], Some(subject), Some("kind/one"), &[]),
        &[],
    )
    .await;
    all.sort_by_key(|descriptor| descriptor.digest);
    let listed = async |repo: &RepoName, kind, after, limit| -> Referrers {
        let listed = index.referrers(repo, &subject, kind, after, limit);
        listed.await.unwrap()
    };
    assert_eq!(listed(&a, None, None, 100).await.entries, all);
    let kind = Some("kind/one");
    let of_kind = |descriptor: &&Descriptor| descriptor.artifact_type.as_deref() == kind;
    let ones: Vec<Descriptor> = all.iter().filter(of_kind).cloned().collect();
    assert_eq!(ones.len(), 3);
    assert_eq!(listed(&a, kind, None, 100).await.entries, ones);
    let page = listed(&a, None, None, 4).await;
    assert_eq!(page.entries, all[..4]);
    assert!(page.more);
    let rest = listed(&a, None, Some(&all[3].digest), 100).await;
    assert_eq!(rest.entries, all[4..]);
    assert!(!rest.more);
    let rest = listed(&a, kind, Some(&ones[0].digest), 1).await;
    assert_eq!(rest.entries, ones[1..2]);
    assert!(rest.more);
    let exact = listed(&a, kind, None, 3).await;
    assert_eq!((exact.entries.len(), exact.more), (3, false));
    assert_eq!(
        listed(&a, Some("kind"), None, 9).await,
        Referrers::default()
    );
    assert_eq!(listed(&b, None, None, 9).await.entries.len(), 1);
    let deleted = index.delete_manifest(&a, &all[0].digest, then());
    deleted.await.unwrap();
    assert_eq!(listed(&a, None, None, 100).await.entries, all[1..]);
}

pub async fn a_page_of_referrers_has_a_weight(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    let mut all = Vec::new();
    for n in 0..5 {
        let long = format!("{n}{}", "x".repeat(MAX_REFERRERS_BYTES / 3));
        let referrer = artifact(1, &[], Some(blob(9)), Some("a/b"), &[("long", &long)]);
        put(&index, &a, &referrer, &[]).await;
        all.push(referrer.descriptor());
    }
    let longest = "x".repeat(MAX_REFERRERS_BYTES + 1);
    let referrer = artifact(1, &[], Some(blob(9)), Some("a/b"), &[("long", &longest)]);
    put(&index, &a, &referrer, &[]).await;
    all.push(referrer.descriptor());
    all.sort_by_key(|descriptor| descriptor.digest);
    let mut paged: Vec<Descriptor> = Vec::new();
    loop {
        let after = paged.last().map(|last| last.digest);
        let page = index
            .referrers(&a, &blob(9), None, after.as_ref(), 10)
            .await;
        let page = page.unwrap();
        assert!(
            (1..3).contains(&page.entries.len()),
            "{}",
            page.entries.len()
        );
        paged.extend(page.entries);
        if !page.more {
            break;
        }
    }
    // Whole, however long they are: distribution-spec §Listing Referrers wants the manifest's annotations.
    assert_eq!(paged, all);
}
