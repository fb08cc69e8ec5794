use std::sync::Arc;

use builder::ledger::{Key, Kind, Ledger as _, LedgerError, Write};
use storage::SqliteIndex;

use super::IndexedLedger;

mod in_a_file {
    use super::*;

    builder::ledger_suite!({
        let folder = tempfile::tempdir().unwrap();
        let index = SqliteIndex::open(&folder.path().join("index.db")).unwrap();
        (Arc::new(IndexedLedger::new(Arc::new(index))), folder)
    });
}

mod in_memory {
    use super::*;

    builder::ledger_suite!({
        let index = SqliteIndex::in_memory().unwrap();
        (Arc::new(IndexedLedger::new(Arc::new(index))), ())
    });
}

#[tokio::test]
async fn records_outlive_the_server_and_are_not_written_where_that_may_only_look() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let key = Key {
        kind: Kind::Build,
        namespace: "team".to_owned(),
        name: "app".to_owned(),
    };
    let put = |revision| Write::Put {
        key: key.clone(),
        revision,
        open: false,
        brief: None,
        body: b"{}".to_vec(),
    };
    let ledger = IndexedLedger::new(Arc::new(SqliteIndex::open(&path).unwrap()));
    ledger.write(vec![put(None)]).await.unwrap();
    drop(ledger);
    let index = SqliteIndex::open_beside_server(&path).unwrap();
    let ledger = IndexedLedger::new(Arc::new(index));
    assert_eq!(ledger.get(&key).await.unwrap().unwrap().revision, 1);
    let refused = ledger.write(vec![put(Some(1))]).await;
    assert!(matches!(refused, Err(LedgerError::Unavailable(_))));
}
