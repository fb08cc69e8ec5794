//! What every [`Ledger`] must do, one function a clause. [`ledger_suite!`](crate::ledger_suite) makes a test of each.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "clauses of tests: their names say what they demand, and they fail by panicking"
)]

use std::sync::Arc;

use super::{
    Brief, Kept, Key, Kind, Ledger, LedgerError, MAX_BATCH_BYTES, MAX_BODY_BYTES, MAX_BRIEF_BYTES,
    MAX_WRITES, Write,
};

/// A ledger under test.
pub type Subject = Arc<dyn Ledger>;

/// One test per clause for the ledger that `$open` opens; it returns the ledger and whatever must live as long.
#[macro_export]
macro_rules! ledger_suite {
    ($open:expr) => {
        $crate::ledger_suite!($open;
            a_record_comes_back_as_it_was_written,
            a_record_is_written_at_its_revision,
            kinds_and_namespaces_are_apart,
            a_batch_is_all_or_nothing,
            a_record_has_a_bound,
            a_batch_has_bounds,
            lists_are_paged_by_name_and_prefix,
            what_is_said_of_records_is_listed_without_them,
            what_is_open_is_found_in_all_namespaces,
            namespaces_are_paged,
            records_of_a_namespace_are_counted,
            of_racing_writes_one_wins,
        );
    };
    ($open:expr; $($clause:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $clause() {
                let (ledger, _keep) = $open;
                $crate::ledger::suite::$clause(ledger).await;
            }
        )+
    };
}

fn key(kind: Kind, namespace: &str, name: &str) -> Key {
    Key {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn put(key: &Key, revision: Option<u64>, open: bool, body: &str) -> Write {
    Write::Put {
        key: key.clone(),
        revision,
        open,
        brief: None,
        body: body.as_bytes().to_vec(),
    }
}

fn make(key: &Key) -> Write {
    put(key, None, true, "{}")
}

fn remove(key: &Key, revision: u64) -> Write {
    Write::Remove {
        key: key.clone(),
        revision,
    }
}

/// Whether a write found another revision of this record.
async fn conflicts(ledger: &Subject, writes: Vec<Write>, with: &Key) -> bool {
    match ledger.write(writes).await {
        Ok(()) => false,
        Err(LedgerError::Conflict(key)) => key == *with,
        Err(error) => panic!("{error}"),
    }
}

fn told(kept: &[Kept]) -> String {
    let told = kept.iter().map(|Kept { key, .. }| {
        let Key {
            namespace, name, ..
        } = key;
        format!("{namespace}/{name}")
    });
    told.collect::<Vec<_>>().join(" ")
}

pub async fn a_record_comes_back_as_it_was_written(ledger: Subject) {
    let one = key(Kind::Build, "team", "app");
    assert_eq!(ledger.get(&one).await.unwrap(), None);
    let body = r#"{"ü": 1}"#;
    ledger
        .write(vec![put(&one, None, false, body)])
        .await
        .unwrap();
    let expected = Kept {
        key: one.clone(),
        revision: 1,
        open: false,
        body: body.as_bytes().to_vec(),
    };
    assert_eq!(ledger.get(&one).await.unwrap(), Some(expected.clone()));
    let listed = ledger.list(Kind::Build, "team", "", None, 10).await;
    assert_eq!(listed.unwrap(), [expected]);
    ledger
        .write(vec![put(&one, Some(1), true, "2")])
        .await
        .unwrap();
    let kept = ledger.get(&one).await.unwrap().unwrap();
    assert_eq!((kept.revision, kept.open, kept.body), (2, true, vec![b'2']));
}

pub async fn a_record_is_written_at_its_revision(ledger: Subject) {
    let one = key(Kind::Run, "team", "app-1");
    assert!(conflicts(&ledger, vec![put(&one, Some(1), true, "")], &one).await);
    assert!(conflicts(&ledger, vec![remove(&one, 1)], &one).await);
    ledger.write(vec![make(&one)]).await.unwrap();
    assert!(conflicts(&ledger, vec![make(&one)], &one).await);
    assert!(conflicts(&ledger, vec![remove(&one, 2)], &one).await);
    ledger.write(vec![remove(&one, 1)]).await.unwrap();
    assert_eq!(ledger.get(&one).await.unwrap(), None);
    ledger.write(vec![make(&one)]).await.unwrap();
    assert_eq!(ledger.get(&one).await.unwrap().unwrap().revision, 1);
}

pub async fn kinds_and_namespaces_are_apart(ledger: Subject) {
    let all = [
        key(Kind::Build, "team", "app"),
        key(Kind::Build, "", "app"),
        key(Kind::Run, "team", "app"),
        key(Kind::BuilderImage, "team", "app"),
        key(Kind::Secret, "team", "app"),
        key(Kind::Delivery, "team", "app"),
        key(Kind::Event, "team", "app"),
    ];
    for one in &all {
        assert_eq!(ledger.get(one).await.unwrap(), None);
        ledger.write(vec![make(one)]).await.unwrap();
    }
    for one in &all {
        assert_eq!(ledger.get(one).await.unwrap().unwrap().key, *one);
    }
    ledger.write(vec![remove(&all[0], 1)]).await.unwrap();
    assert_eq!(ledger.get(&all[0]).await.unwrap(), None);
    assert!(ledger.get(&all[1]).await.unwrap().is_some());
    assert!(ledger.get(&all[2]).await.unwrap().is_some());
}

pub async fn a_batch_is_all_or_nothing(ledger: Subject) {
    let [a, b] = ["a", "b"].map(|name| key(Kind::Run, "team", name));
    ledger.write(vec![make(&b)]).await.unwrap();
    assert!(conflicts(&ledger, vec![make(&a), make(&b)], &b).await);
    assert_eq!(ledger.get(&a).await.unwrap(), None);
    ledger.write(vec![make(&a), remove(&b, 1)]).await.unwrap();
    assert!(ledger.get(&a).await.unwrap().is_some());
    assert_eq!(ledger.get(&b).await.unwrap(), None);
    ledger.write(Vec::new()).await.unwrap();
    let twice = ledger.write(vec![make(&b), put(&b, Some(1), true, "")]);
    assert!(matches!(twice.await, Err(LedgerError::Refused(_))));
    assert_eq!(ledger.get(&b).await.unwrap(), None);
}

pub async fn a_record_has_a_bound(ledger: Subject) {
    let one = key(Kind::Secret, "team", "app");
    let most = " ".repeat(MAX_BODY_BYTES);
    let more = ledger.write(vec![put(&one, None, true, &format!("{most} "))]);
    assert!(matches!(more.await, Err(LedgerError::Refused(_))));
    assert_eq!(ledger.get(&one).await.unwrap(), None);
    ledger
        .write(vec![put(&one, None, true, &most)])
        .await
        .unwrap();
    let long = Write::Put {
        key: key(Kind::Run, "team", "app"),
        revision: None,
        open: true,
        brief: Some(vec![b'x'; MAX_BRIEF_BYTES + 1]),
        body: b"{}".to_vec(),
    };
    let refused = ledger.write(vec![long]).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))));
}

pub async fn a_batch_has_bounds(ledger: Subject) {
    let one = |number: usize| key(Kind::Run, "team", &format!("app-{number}"));
    let many = |count: usize| (0..count).map(|number| make(&one(number))).collect();
    let refused = ledger.write(many(MAX_WRITES + 1)).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))));
    let body = " ".repeat(MAX_BODY_BYTES);
    let heavy = (0..=MAX_BATCH_BYTES / MAX_BODY_BYTES).map(|n| put(&one(n), None, true, &body));
    let refused = ledger.write(heavy.collect()).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))));
    assert_eq!(ledger.get(&one(0)).await.unwrap(), None);
    ledger.write(many(MAX_WRITES)).await.unwrap();
}

pub async fn lists_are_paged_by_name_and_prefix(ledger: Subject) {
    let names = ["a", "a-1", "a-10", "a-2", "ab", "b"];
    for name in names.iter().rev() {
        let one = key(Kind::Run, "team", name);
        ledger.write(vec![make(&one)]).await.unwrap();
    }
    let other = key(Kind::Run, "tean", "a-3");
    ledger.write(vec![make(&other)]).await.unwrap();
    let list = async |prefix: &str, after: Option<&str>, limit| {
        let page = ledger.list(Kind::Run, "team", prefix, after, limit).await;
        told(&page.unwrap()).replace("team/", "")
    };
    assert_eq!(list("", None, 10).await, names.join(" "));
    assert_eq!(list("", Some("a"), 2).await, "a-1 a-10");
    assert_eq!(list("", Some("a-100"), 2).await, "a-2 ab");
    assert_eq!(list("a-", None, 10).await, "a-1 a-10 a-2");
    assert_eq!(list("a-", Some("a-1"), 1).await, "a-10");
    assert_eq!(list("a-", Some("a-2"), 1).await, "");
    assert_eq!(list("c", None, 1).await, "");
}

pub async fn what_is_said_of_records_is_listed_without_them(ledger: Subject) {
    let said = |name: &str, revision, brief: Option<&str>| Write::Put {
        key: key(Kind::Run, "team", name),
        revision,
        open: false,
        brief: brief.map(|brief| brief.as_bytes().to_vec()),
        body: b"{}".to_vec(),
    };
    let writes = vec![
        said("app-1", None, Some("one")),
        said("app-2", None, None),
        said("app-3", None, Some("three")),
        said("b-1", None, Some("other")),
    ];
    ledger.write(writes).await.unwrap();
    let list = async |prefix, after, limit| {
        let found = ledger.briefs(Kind::Run, "team", prefix, after, limit).await;
        let told = found.unwrap().into_iter().map(|Brief { name, brief }| {
            let brief = brief.map(|brief| String::from_utf8(brief).unwrap());
            format!("{name}={}", brief.unwrap_or_default())
        });
        told.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        list("", None, 9).await,
        "app-1=one app-2= app-3=three b-1=other"
    );
    assert_eq!(list("app-", None, 9).await, "app-1=one app-2= app-3=three");
    assert_eq!(list("app-", Some("app-1"), 1).await, "app-2=");
    // It is of the newest write, and of no other.
    let writes = vec![
        said("app-1", Some(1), None),
        said("app-2", Some(1), Some("two")),
        remove(&key(Kind::Run, "team", "app-3"), 1),
    ];
    ledger.write(writes).await.unwrap();
    assert_eq!(list("app-", None, 9).await, "app-1= app-2=two");
    let other = ledger.briefs(Kind::Build, "team", "", None, 9).await;
    assert_eq!(other.unwrap(), []);
}

pub async fn what_is_open_is_found_in_all_namespaces(ledger: Subject) {
    let one = |namespace: &str, name: &str| key(Kind::Run, namespace, name);
    for (key, open) in [
        (one("b", "1"), true),
        (one("a", "1"), false),
        (one("a", "2"), true),
        (one("a", "3"), true),
        (one("", "4"), true),
        (key(Kind::Event, "a", "4"), true),
    ] {
        let written = ledger.write(vec![put(&key, None, open, "{}")]).await;
        written.unwrap();
    }
    let list = async |after, limit| {
        let page = ledger.open(Kind::Run, after, limit).await;
        told(&page.unwrap())
    };
    assert_eq!(list(None, 10).await, "/4 a/2 a/3 b/1");
    assert_eq!(list(Some(("a", "2")), 1).await, "a/3");
    assert_eq!(list(Some(("a", "9")), 1).await, "b/1");
    let close = put(&one("a", "2"), Some(1), false, "{}");
    ledger.write(vec![close]).await.unwrap();
    assert_eq!(list(None, 10).await, "/4 a/3 b/1");
}

pub async fn namespaces_are_paged(ledger: Subject) {
    for (kind, namespace, name) in [
        (Kind::BuilderImage, "", "1"),
        (Kind::BuilderImage, "a", "1"),
        (Kind::BuilderImage, "a", "2"),
        (Kind::BuilderImage, "b", "1"),
        (Kind::Build, "c", "1"),
    ] {
        let one = key(kind, namespace, name);
        ledger.write(vec![make(&one)]).await.unwrap();
    }
    let list = async |after, limit| {
        let found = ledger.namespaces(Kind::BuilderImage, after, limit).await;
        found.unwrap()
    };
    assert_eq!(list(None, 10).await, ["", "a", "b"]);
    assert_eq!(list(None, 1).await, [""]);
    assert_eq!(list(Some(""), 1).await, ["a"]);
    assert_eq!(list(Some("b"), 1).await, [""; 0]);
}

pub async fn records_of_a_namespace_are_counted(ledger: Subject) {
    for (kind, namespace, name) in [
        (Kind::Build, "a", "1"),
        (Kind::Build, "a", "2"),
        (Kind::Build, "b", "1"),
        (Kind::Secret, "a", "1"),
    ] {
        let one = key(kind, namespace, name);
        ledger.write(vec![make(&one)]).await.unwrap();
    }
    for (kind, namespace, count) in [
        (Kind::Build, "a", 2),
        (Kind::Build, "", 0),
        (Kind::Secret, "a", 1),
    ] {
        assert_eq!(ledger.count(kind, namespace).await.unwrap(), count);
    }
}

pub async fn of_racing_writes_one_wins(ledger: Subject) {
    let one = key(Kind::Build, "team", "app");
    ledger.write(vec![make(&one)]).await.unwrap();
    let racers = (0..8).map(|racer| {
        let (ledger, key) = (Arc::clone(&ledger), one.clone());
        tokio::spawn(async move {
            let put = put(&key, Some(1), false, &racer.to_string());
            ledger.write(vec![put]).await.is_ok()
        })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += usize::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(ledger.get(&one).await.unwrap().unwrap().revision, 2);
}
