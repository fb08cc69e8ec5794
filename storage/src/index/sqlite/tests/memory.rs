//! The suite over an index in memory.

use std::sync::Arc;

use crate::SqliteIndex;
use crate::index::suite::Subject;

fn open() -> (Subject, ()) {
    (Arc::new(SqliteIndex::in_memory().unwrap()), ())
}

crate::index_suite!(open());
