//! What the audit record keeps of a change, and for how long.

use std::sync::Arc;
use std::time::Duration;

use oci::{Algorithm, Digest, Manifest, Tag};

use super::Subject;
use super::material::{BLOB_SIZE, at, blob, hold, image, put, repo, tag, then};
use crate::audit::{
    Audit, Cause, Class, Entry, Groups, Origin, Outcome, Place, Proof, Retention, Row, Verb,
};
use crate::index::{NewManifest, PutOutcome, Unlink};
use crate::{Durability, MoveTags, Sparse};

pub async fn a_change_leaves_its_rows_and_a_refused_one_none(index: Subject) {
    let (a, b) = (repo("a/x"), repo("b"));
    let (one, two) = (image(1, &[2]), image(1, &[2, 3]));
    let cause = by("ada", 5);
    for number in [1, 2, 3] {
        let digest = blob(number);
        let linked = index.link_blob(&a, &digest, BLOB_SIZE, None, &cause);
        linked.await.unwrap();
    }
    assert_eq!(
        index.mount_blob(&b, &a, &blob(3), &cause).await.unwrap(),
        Some(BLOB_SIZE)
    );
    let absent = index.mount_blob(&b, &a, &blob(9), &cause).await.unwrap();
    assert_eq!(absent, None);
    let push = async |manifest: &Manifest, tags: &[&str], moves, sparse| {
        let tags: Vec<Tag> = tags.iter().map(|name| tag(name)).collect();
        let new = NewManifest {
            repo: &a,
            manifest,
            tags: &tags,
            moves,
            sparse,
            cause: &cause,
        };
        index.put_manifest(&new).await.unwrap()
    };
    let (may, whole) = (MoveTags::Allowed, Sparse::Refused);
    assert_eq!(push(&one, &[], may, whole).await, PutOutcome::Done);
    assert_eq!(
        push(&one, &["v1", "v2"], may, whole).await,
        PutOutcome::Done
    );
    assert_eq!(
        push(&two, &["v1", "v3"], may, whole).await,
        PutOutcome::Done
    );
    let refused = push(&one, &["v1"], MoveTags::Refused, whole).await;
    assert_eq!(refused, PutOutcome::TagExists(tag("v1")));
    let refused = push(&image(8, &[9]), &["v9"], may, whole).await;
    assert!(matches!(refused, PutOutcome::MissingBlobs(_)));
    assert!(index.delete_tag(&a, &tag("v3"), &cause).await.unwrap());
    assert!(!index.delete_tag(&a, &tag("v3"), &cause).await.unwrap());
    let freed = index.delete_manifest(&a, &two.digest(), &cause).await;
    assert_eq!(freed.unwrap(), Some(vec![tag("v1")]));
    let gone = index.delete_manifest(&a, &two.digest(), &cause).await;
    assert_eq!(gone.unwrap(), None);
    let needed = index.unlink_blob(&a, &blob(2), &cause).await.unwrap();
    assert_eq!(needed, Unlink::Referenced);
    let out = index.unlink_blob(&a, &blob(3), &cause).await.unwrap();
    assert_eq!(out, Unlink::Done);

    let rows = rows(&index).await;
    let (first, second) = (Some(one.digest()), Some(two.digest()));
    let word = |text: &str| Some(text.to_owned());
    let expected: Vec<Told> = vec![
        (Verb::Upload, None, Some(blob(1)), None, None),
        (Verb::Upload, None, Some(blob(2)), None, None),
        (Verb::Upload, None, Some(blob(3)), None, None),
        (Verb::Mount, None, Some(blob(3)), None, word("from a/x")),
        (Verb::Push, None, first, None, None),
        (Verb::Push, word("v1"), first, None, None),
        (Verb::Push, word("v2"), first, None, None),
        (Verb::Retag, word("v1"), second, first, None),
        (Verb::Push, word("v3"), second, None, None),
        (Verb::Delete, word("v3"), second, None, None),
        (Verb::Delete, None, second, None, word("with its tags v1")),
        (Verb::Delete, None, Some(blob(3)), None, word("blob")),
    ];
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
    for row in &rows {
        assert_eq!(*row.entry.origin, origin("ada", 5));
        assert_eq!(row.entry.outcome, Outcome::Allowed);
        let into = if row.entry.verb == Verb::Mount {
            &b
        } else {
            &a
        };
        assert_eq!(row.entry.place, Place::Repository(into.clone()));
    }
}

pub async fn a_change_of_nobody_leaves_no_row(index: Subject) {
    let a = repo("a");
    hold(&index, &a, &[1]).await;
    put(&index, &a, &image(1, &[]), &["v1"]).await;
    index.delete_tag(&a, &tag("v1"), then()).await.unwrap();
    assert_eq!(rows(&index).await, []);
    assert_eq!(index.audit_last().await.unwrap(), 0);
}

pub async fn what_is_noted_comes_back_as_it_was(index: Subject) {
    let odd = "a\u{0}\n\"\u{202e}\u{1f600}' OR 1=1 --";
    let places = [
        Place::Registry,
        Place::Namespace("team".to_owned()),
        Place::Repository(repo("team/app")),
    ];
    let mut entries = Vec::new();
    for verb in Verb::ALL {
        for outcome in Outcome::ALL {
            let place = places[entries.len() % places.len()].clone();
            let entry = noted(odd, 7, verb, place, outcome).because(Some(odd));
            entries.push(Entry {
                reference: Some(odd.to_owned()),
                digest: Some(blob(1)),
                previous: Some(Digest::of(Algorithm::Sha512, b"")),
                ..entry
            });
        }
    }
    entries.push(Entry::new(
        &Arc::new(Origin::own(at(0))),
        Verb::Omitted,
        Place::Registry,
        Outcome::Denied,
        0,
    ));
    note(&index, entries.clone()).await;
    let rows = rows(&index).await;
    assert_eq!(
        rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        (1..=31).collect::<Vec<i64>>()
    );
    let back: Vec<Entry> = rows.into_iter().map(|row| row.entry).collect();
    assert_eq!(back, entries);
}

pub async fn rows_expire_by_class(index: Subject) {
    let denied = |time| noted("ada", time, Verb::Pull, Place::Registry, Outcome::Denied);
    let pulled = |time| noted("ada", time, Verb::Pull, Place::Registry, Outcome::Allowed);
    let pushed = |time| noted("ada", time, Verb::Push, Place::Registry, Outcome::Allowed);
    let all: Vec<Entry> = (1..=700)
        .flat_map(|time| [denied(time), pulled(time)])
        .chain([pushed(1), pushed(699)])
        .collect();
    note(&index, all).await;
    let audit = Audit::of(&index);
    let kept = |age, rows| Retention {
        age: Duration::from_secs(age),
        rows,
    };
    assert_eq!(audit.expire(kept(1_000, 1_000), at(700)).await.unwrap(), 0);
    // A flood of refusals and pulls does not push out what was changed.
    assert_eq!(
        audit.expire(kept(1_000, 10), at(700)).await.unwrap(),
        2 * 690
    );
    let left = rows(&index).await;
    let of = |class| left.iter().filter(|row| row.entry.class() == class).count();
    assert_eq!(
        [Class::Change, Class::Refusal, Class::Access].map(of),
        [2, 10, 10]
    );
    assert!(
        left.iter()
            .all(|row| row.entry.verb == Verb::Push || row.entry.origin.time > at(690))
    );
    assert_eq!(
        audit.expire(kept(5, 1_000), at(700)).await.unwrap(),
        1 + 2 * 4
    );
    assert_eq!(audit.expire(kept(0, 1_000), at(800)).await.unwrap(), 13);
    assert_eq!(rows(&index).await, []);
}

pub async fn numbers_are_never_given_twice(index: Subject) {
    let entry = noted("ada", 1, Verb::Pull, Place::Registry, Outcome::Denied);
    note(&index, vec![entry.clone(); 3]).await;
    assert_eq!(
        index.expire_audit(Class::Refusal, at(2), 10).await.unwrap(),
        3
    );
    note(&index, vec![entry]).await;
    assert_eq!(index.audit_last().await.unwrap(), 4);
    assert_eq!(rows(&index).await[0].id, 4);
}

pub async fn rows_are_carried_with_their_numbers(index: Subject) {
    let entry = noted("ada", 1, Verb::Pull, Place::Registry, Outcome::Denied);
    let carried = [3, 8].map(|id| Row {
        id,
        entry: entry.clone(),
    });
    index.carry_audit(carried.to_vec()).await.unwrap();
    assert_eq!(rows(&index).await, carried);
    note(&index, vec![entry]).await;
    assert_eq!(index.audit_last().await.unwrap(), 9);
}

pub fn noted(user: &str, seconds: u64, verb: Verb, place: Place, outcome: Outcome) -> Entry {
    Entry::new(&Arc::new(origin(user, seconds)), verb, place, outcome, 403)
}

pub async fn note(index: &Subject, entries: Vec<Entry>) {
    index.note(entries, Durability::AtFlush).await.unwrap();
}

async fn rows(index: &Subject) -> Vec<Row> {
    index.audit_since(0, 10_000).await.unwrap()
}

fn origin(user: &str, seconds: u64) -> Origin {
    Origin {
        request_id: "0123-4".to_owned(),
        user: user.to_owned(),
        provider: "htpasswd".to_owned(),
        uid: Some("7".to_owned()),
        groups: Groups::of(["devs", "a \"b\", c"]),
        credential: Proof::Token,
        credential_id: Some("robot".to_owned()),
        client: Some("2001:db8::1".parse().unwrap()),
        ..Origin::own(at(seconds)).with_agent(Some("curl/8"))
    }
}

fn by(user: &str, seconds: u64) -> Cause {
    Cause::of(origin(user, seconds), at(seconds))
}

/// Verb, reference, digest, previous digest and reason of a row.
type Told = (
    Verb,
    Option<String>,
    Option<Digest>,
    Option<Digest>,
    Option<String>,
);

fn told(row: &Row) -> Told {
    let entry = row.entry.clone();
    (
        entry.verb,
        entry.reference,
        entry.digest,
        entry.previous,
        entry.reason,
    )
}
