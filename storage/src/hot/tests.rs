use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::Hot;

#[test]
fn a_reader_that_a_writer_overtook_keeps_nothing() {
    let hot: Hot<u8, u8> = Hot::new(10, |_, _| 1);
    let look = hot.look(&1);
    hot.invalidate(&1);
    hot.keep(look, 1, 7);
    assert_eq!(hot.get(&1), None);
    hot.keep(hot.look(&1), 1, 8);
    assert_eq!(hot.get(&1), Some(8));
    hot.invalidate(&1);
    assert_eq!(hot.get(&1), None);
}

#[test]
fn what_is_kept_is_bounded() {
    let hot: Hot<u32, u32> = Hot::new(100, |_, _| 1);
    for key in 0..10_000 {
        hot.keep(hot.look(&key), key, key);
    }
    let kept = (0..10_000).filter(|key| hot.get(key).is_some()).count();
    assert!(kept <= 100, "{kept}");
}

/// Readers and writers of one value, the index being an atomic number that only grows. A value
/// read after a write was acknowledged must never be older than it.
#[test]
fn no_reader_sees_less_than_what_was_acknowledged() {
    let hot: Hot<u8, u64> = Hot::new(10, |_, _| 1);
    let index = AtomicU64::new(0);
    let acknowledged = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let written = index.fetch_add(1, Ordering::SeqCst) + 1;
                    hot.invalidate(&0);
                    acknowledged.fetch_max(written, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50_000 {
                    let least = acknowledged.load(Ordering::SeqCst);
                    let seen = hot.get(&0).unwrap_or_else(|| {
                        let look = hot.look(&0);
                        let read = index.load(Ordering::SeqCst);
                        thread::yield_now();
                        hot.keep(look, 0, read);
                        read
                    });
                    assert!(seen >= least, "{seen} is older than {least}");
                }
            });
        }
    });
}
