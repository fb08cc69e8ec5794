use std::sync::Arc;

use super::MemoryStore;
use crate::suite::Store;

fn open() -> (Store, ()) {
    (Arc::new(MemoryStore::new()), ())
}

crate::object_store_suite!(open());
