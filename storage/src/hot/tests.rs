use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::{Grouped, Hot};

impl Grouped for u64 {
    type Group = ();

    fn group(&self) -> &() {
        &()
    }
}

#[test]
fn a_reader_that_a_writer_overtook_keeps_nothing() {
    let hot: Hot<u64, u8> = Hot::new(10, |_, _| 1);
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
fn nothing_is_kept_while_a_writer_is_at_work() {
    let hot: Hot<u64, u8> = Hot::new(10, |_, _| 1);
    hot.keep(hot.look(&1), 1, 7);
    let (first, second) = (hot.change(&()), hot.change(&()));
    second.of(&1);
    assert_eq!(hot.get(&1), None);
    hot.keep(hot.look(&1), 1, 7);
    assert_eq!(hot.get(&1), None);
    hot.keep(hot.look(&2), 2, 8);
    assert_eq!(hot.get(&2), None);
    drop(second);
    assert_eq!(hot.get(&1), None);
    let look = hot.look(&2);
    hot.keep(look, 2, 8);
    assert_eq!(hot.get(&2), None, "the first is still at work");
    drop(first);
    hot.keep(look, 2, 8);
    assert_eq!(hot.get(&2), None, "it looked before the first ended");
    hot.keep(hot.look(&2), 2, 8);
    assert_eq!(hot.get(&2), Some(8));
}

#[test]
fn what_is_kept_is_bounded() {
    let hot: Hot<u64, u64> = Hot::new(100, |_, _| 1);
    for key in 0..10_000 {
        hot.keep(hot.look(&key), key, key);
    }
    let kept = (0..10_000).filter(|key| hot.get(key).is_some()).count();
    assert!(0 < kept && kept <= 100, "{kept}");
}

/// Readers and writers of one value, the index being a number that only grows. Nobody may read less than what was
/// acknowledged, nor less than what anybody has read before.
#[test]
fn no_value_goes_back() {
    let hot: Hot<u64, u64> = Hot::new(10, |_, _| 1);
    let index = AtomicU64::new(0);
    let least = AtomicU64::new(0);
    let hits = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let change = hot.change(&());
                    change.of(&0);
                    let written = index.fetch_add(1, Ordering::SeqCst) + 1;
                    thread::yield_now();
                    drop(change);
                    least.fetch_max(written, Ordering::SeqCst);
                    thread::yield_now();
                }
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50_000 {
                    let before = least.load(Ordering::SeqCst);
                    let seen = if let Some(seen) = hot.get(&0) {
                        hits.fetch_add(1, Ordering::Relaxed);
                        seen
                    } else {
                        thread::yield_now();
                        let look = hot.look(&0);
                        let read = index.load(Ordering::SeqCst);
                        thread::yield_now();
                        hot.keep(look, 0, read);
                        read
                    };
                    assert!(seen >= before, "{seen} came after {before}");
                    least.fetch_max(seen, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(hits.into_inner() > 0, "the cache was not tried");
}
