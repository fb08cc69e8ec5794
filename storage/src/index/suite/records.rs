//! Records of others.

use std::sync::Arc;

use super::Subject;
use crate::index::{
    InvalidBatch, MAX_BATCH_BYTES, MAX_BRIEF_BYTES, MAX_RECORD_BYTES, Record, RecordBatch,
    RecordKey, RecordWrite, RecordsWritten,
};

fn key(kind: &str, namespace: &str, name: &str) -> RecordKey {
    RecordKey {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn make(key: &RecordKey, open: bool, body: &[u8]) -> RecordWrite {
    RecordWrite::Put {
        key: key.clone(),
        revision: None,
        open,
        brief: None,
        body: body.to_vec(),
    }
}

async fn write(index: &Subject, writes: Vec<RecordWrite>) -> RecordsWritten {
    let batch = RecordBatch::new(writes).unwrap();
    index.write_records(batch).await.unwrap()
}

fn record_names(records: &[Record]) -> Vec<&str> {
    records.iter().map(|one| one.key.name.as_str()).collect()
}

pub async fn a_record_is_written_at_its_revision(index: Subject) {
    let one = key("build", "team", "app");
    assert_eq!(index.record(&one).await.unwrap(), None);
    let body = [0, 255, b'{'];
    let put = |revision, body: &[u8]| RecordWrite::Put {
        key: one.clone(),
        revision,
        open: true,
        brief: None,
        body: body.to_vec(),
    };
    let conflict = RecordsWritten::Conflict(one.clone());
    assert_eq!(write(&index, vec![put(Some(1), b"x")]).await, conflict);
    assert_eq!(
        write(&index, vec![make(&one, false, &body)]).await,
        RecordsWritten::Done
    );
    let kept = index.record(&one).await.unwrap().unwrap();
    assert_eq!(
        (kept.revision, kept.open, kept.body.as_slice()),
        (1, false, &body[..])
    );
    assert_eq!(write(&index, vec![make(&one, true, b"x")]).await, conflict);
    assert_eq!(
        write(&index, vec![put(Some(1), b"two")]).await,
        RecordsWritten::Done
    );
    assert_eq!(write(&index, vec![put(Some(1), b"x")]).await, conflict);
    let kept = index.record(&one).await.unwrap().unwrap();
    assert_eq!(
        (kept.revision, kept.open, kept.body.as_slice()),
        (2, true, &b"two"[..])
    );
    let remove = |revision| RecordWrite::Remove {
        key: one.clone(),
        revision,
    };
    assert_eq!(write(&index, vec![remove(1)]).await, conflict);
    assert_eq!(write(&index, vec![remove(2)]).await, RecordsWritten::Done);
    assert_eq!(index.record(&one).await.unwrap(), None);
    assert_eq!(write(&index, vec![remove(2)]).await, conflict);
    // Others of the same name are others.
    for other in [key("run", "team", "app"), key("build", "", "app")] {
        assert_eq!(
            write(&index, vec![make(&other, false, b"")]).await,
            RecordsWritten::Done
        );
    }
    assert_eq!(index.record(&one).await.unwrap(), None);
}

pub async fn a_batch_of_records_is_all_or_nothing(index: Subject) {
    let [a, b] = ["a", "b"].map(|name| key("run", "team", name));
    let both = || vec![make(&a, true, b"1"), make(&b, true, b"1")];
    write(&index, vec![make(&b, false, b"0")]).await;
    let told = write(&index, both()).await;
    assert_eq!(told, RecordsWritten::Conflict(b.clone()));
    assert_eq!(index.record(&a).await.unwrap(), None);
    let remove = RecordWrite::Remove {
        key: b.clone(),
        revision: 1,
    };
    let told = write(&index, vec![make(&a, true, b"1"), remove]).await;
    assert_eq!(told, RecordsWritten::Done);
    assert_eq!(index.record(&b).await.unwrap(), None);
    assert_eq!(write(&index, Vec::new()).await, RecordsWritten::Done);

    let too_long = RecordBatch::new(vec![make(&a, true, &vec![0; MAX_RECORD_BYTES + 1])]);
    let expected = InvalidBatch::Record {
        key: a.clone(),
        bytes: MAX_RECORD_BYTES + 1,
    };
    assert_eq!(too_long.unwrap_err(), expected);
    let twice = RecordBatch::new(vec![make(&a, true, b""), make(&a, true, b"")]);
    assert_eq!(twice.unwrap_err(), InvalidBatch::Twice(a.clone()));
    let many = (0..1_001).map(|n| make(&key("run", "", &n.to_string()), true, b""));
    let many = RecordBatch::new(many.collect());
    assert_eq!(many.unwrap_err(), InvalidBatch::Records(1_001));
    let nameless = RecordBatch::new(vec![make(&key("run", "team", ""), true, b"")]);
    assert!(matches!(nameless, Err(InvalidBatch::Name(_))));
    let long = RecordBatch::new(vec![make(&key("run", "team", &"x".repeat(256)), true, b"")]);
    assert!(matches!(long, Err(InvalidBatch::Name(_))));
    let heavy = (0..9).map(|n| make(&key("run", "", &n.to_string()), true, &vec![0; 2 << 20]));
    let heavy = RecordBatch::new(heavy.collect());
    assert_eq!(heavy.unwrap_err(), InvalidBatch::Bytes(18 << 20));
}

pub async fn records_are_paged_by_name_and_prefix(index: Subject) {
    let names = ["a", "a-1", "a-10", "a-2", "a.b", "ab", "b", "ü"];
    let mut writes: Vec<_> = names
        .iter()
        .map(|name| make(&key("run", "team", name), false, b"{}"))
        .collect();
    writes.push(make(&key("run", "tean", "a-3"), false, b"{}"));
    writes.push(make(&key("build", "team", "a-4"), false, b"{}"));
    write(&index, writes).await;
    let list = async |prefix: &str, after: Option<&str>, limit| {
        let page = index.records("run", "team", prefix, after, limit).await;
        record_names(&page.unwrap()).join(" ")
    };
    assert_eq!(list("", None, 100).await, names.join(" "));
    assert_eq!(list("", Some("a"), 2).await, "a-1 a-10");
    assert_eq!(list("", Some("a-10"), 2).await, "a-2 a.b");
    assert_eq!(list("", Some("a-11"), 2).await, "a-2 a.b");
    assert_eq!(list("", Some("ü"), 2).await, "");
    assert_eq!(list("a-", None, 100).await, "a-1 a-10 a-2");
    assert_eq!(list("a-", Some("a-1"), 1).await, "a-10");
    assert_eq!(list("a-", Some("a-2"), 1).await, "");
    assert_eq!(list("a-", Some("a"), 1).await, "a-1");
    assert_eq!(list("c", None, 100).await, "");
    assert_eq!(list("", None, 0).await, "");
}

pub async fn a_page_of_records_has_a_weight(index: Subject) {
    let body = vec![7; MAX_RECORD_BYTES];
    let fit = MAX_BATCH_BYTES / MAX_RECORD_BYTES;
    for n in 0..=fit {
        write(
            &index,
            vec![make(
                &key("secret", "team", &format!("{n:02}")),
                false,
                &body,
            )],
        )
        .await;
    }
    let page = index
        .records("secret", "team", "", None, 100)
        .await
        .unwrap();
    assert_eq!(page.len(), fit);
    let last = page.last().map(|last| last.key.name.as_str());
    let rest = index.records("secret", "team", "", last, 100).await;
    assert_eq!(rest.unwrap().len(), 1);
}

pub async fn briefs_are_read_without_their_records(index: Subject) {
    let put = |name: &str, revision, brief: Option<&[u8]>| RecordWrite::Put {
        key: key("run", "team", name),
        revision,
        open: false,
        brief: brief.map(<[u8]>::to_vec),
        body: b"{}".to_vec(),
    };
    let writes = vec![
        put("a-1", None, Some(b"\0one")),
        put("a-2", None, None),
        put("b", None, Some(b"b")),
        make(&key("run", "other", "a-3"), false, b""),
    ];
    write(&index, writes).await;
    let list = async |prefix: &str, after, limit| {
        let found = index.briefs("run", "team", prefix, after, limit).await;
        let found = found.unwrap().into_iter();
        found
            .map(|found| (found.name, found.brief))
            .collect::<Vec<_>>()
    };
    let said = |name: &str, brief: Option<&[u8]>| (name.to_owned(), brief.map(<[u8]>::to_vec));
    let (one, two, b) = (
        said("a-1", Some(b"\0one")),
        said("a-2", None),
        said("b", Some(b"b")),
    );
    assert_eq!(list("", None, 9).await, [one.clone(), two.clone(), b]);
    assert_eq!(list("a-", None, 9).await, [one.clone(), two.clone()]);
    assert_eq!(list("a-", None, 1).await, [one]);
    assert_eq!(list("a-", Some("a-1"), 9).await, [two]);
    let kept = index.record(&key("run", "team", "b")).await;
    assert_eq!(kept.unwrap().unwrap().brief.as_deref(), Some(&b"b"[..]));
    let remove = RecordWrite::Remove {
        key: key("run", "team", "a-2"),
        revision: 1,
    };
    write(&index, vec![put("a-1", Some(1), None), remove]).await;
    assert_eq!(list("a-", None, 9).await, [said("a-1", None)]);
    let long = put("c", None, Some(&[0; MAX_BRIEF_BYTES + 1]));
    assert!(matches!(
        RecordBatch::new(vec![long]),
        Err(InvalidBatch::Brief { .. })
    ));
}

pub async fn open_records_are_found_in_all_namespaces(index: Subject) {
    let one = |namespace: &str, name: &str, open| make(&key("run", namespace, name), open, b"{}");
    let writes = vec![
        one("b", "1", true),
        one("a", "2", true),
        one("a", "1", false),
        one("", "9", true),
        one("a", "3", true),
        make(&key("event", "a", "0"), true, b"{}"),
    ];
    write(&index, writes).await;
    let list = async |after, limit| {
        let page = index.open_records("run", after, limit).await.unwrap();
        let told = page
            .iter()
            .map(|one| format!("{}/{}", one.key.namespace, one.key.name));
        told.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(None, 10).await, "/9 a/2 a/3 b/1");
    assert_eq!(list(Some(("a", "2")), 1).await, "a/3");
    assert_eq!(list(Some(("a", "3")), 10).await, "b/1");
    let close = RecordWrite::Put {
        key: key("run", "a", "2"),
        revision: Some(1),
        open: false,
        brief: None,
        body: b"{}".to_vec(),
    };
    write(&index, vec![close]).await;
    assert_eq!(list(None, 10).await, "/9 a/3 b/1");
}

pub async fn namespaces_of_records_are_paged(index: Subject) {
    let one =
        |kind: &str, namespace: &str, name: &str| make(&key(kind, namespace, name), true, b"");
    let writes = vec![
        one("image", "", "1"),
        one("image", "a", "1"),
        one("image", "a", "2"),
        one("image", "a-b", "1"),
        one("image", "c", "1"),
        one("run", "d", "1"),
    ];
    write(&index, writes).await;
    let list = async |after, limit| {
        let found = index.record_namespaces("image", after, limit).await;
        found.unwrap()
    };
    assert_eq!(list(None, 10).await, ["", "a", "a-b", "c"]);
    assert_eq!(list(None, 1).await, [""]);
    assert_eq!(list(Some(""), 2).await, ["a", "a-b"]);
    assert_eq!(list(Some("c"), 2).await, [""; 0]);
}

pub async fn records_of_a_namespace_are_counted(index: Subject) {
    let writes = [("image", "", "1"), ("image", "a", "1"), ("image", "a", "2")];
    let writes = writes.map(|(kind, namespace, name)| make(&key(kind, namespace, name), true, b""));
    write(&index, writes.to_vec()).await;
    for (kind, namespace, count) in [("image", "", 1), ("image", "a", 2), ("run", "a", 0)] {
        let counted = index.count_records(kind, namespace).await.unwrap();
        assert_eq!(counted, count, "{kind} {namespace}");
    }
}

pub async fn records_are_carried_as_they_were(index: Subject) {
    let was = |kind: &str, name: &str, revision, open| Record {
        key: key(kind, "team", name),
        revision,
        open,
        brief: Some(name.as_bytes().to_vec()),
        body: b"{}".to_vec(),
    };
    let all = vec![was("build", "a", 7, false), was("run", "a", 1, true)];
    index.carry_records(all.clone()).await.unwrap();
    assert_eq!(index.all_records(None, 10).await.unwrap(), all);
    let after = &all[0].key;
    assert_eq!(index.all_records(Some(after), 10).await.unwrap(), all[1..]);
}

pub async fn of_racing_writes_of_a_record_one_wins(index: Subject) {
    let one = key("build", "team", "app");
    write(&index, vec![make(&one, false, b"0")]).await;
    let racers = (1..=8_u8).map(|racer| {
        let (index, key) = (Arc::clone(&index), one.clone());
        tokio::spawn(async move {
            let put = RecordWrite::Put {
                key,
                revision: Some(1),
                open: false,
                brief: None,
                body: vec![racer],
            };
            write(&index, vec![put]).await == RecordsWritten::Done
        })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += usize::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(index.record(&one).await.unwrap().unwrap().revision, 2);
}
