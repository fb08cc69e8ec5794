use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::Hot;

#[test]
fn a_reader_that_a_writer_overtook_keeps_nothing() {
    let hot: Hot<u64, u8> = Hot::new(10, |_, _| 1);
    let look = hot.look();
    hot.invalidate(&1);
    hot.keep(look, 1, 7);
    assert_eq!(hot.get(&1), None);
    hot.keep(hot.look(), 1, 8);
    assert_eq!(hot.get(&1), Some(8));
    hot.invalidate(&1);
    assert_eq!(hot.get(&1), None);
}

#[test]
fn nothing_is_kept_while_a_writer_is_at_work() {
    let hot: Hot<u64, u8> = Hot::new(10, |_, _| 1);
    hot.keep(hot.look(), 1, 7);
    let before = hot.look();
    assert!(hot.is_unchanged(before, &1));
    let (first, second) = (hot.change(&1), hot.change(&1));
    assert_eq!(hot.get(&1), None);
    assert!(!hot.is_unchanged(before, &1));
    hot.keep(hot.look(), 1, 7);
    assert_eq!(hot.get(&1), None);
    drop(second);
    let look = hot.look();
    hot.keep(look, 1, 8);
    assert_eq!(hot.get(&1), None, "the first is still at work");
    assert!(!hot.is_unchanged(look, &1));
    drop(first);
    hot.keep(look, 1, 8);
    assert_eq!(hot.get(&1), None, "it looked before the first ended");
    assert!(!hot.is_unchanged(look, &1));
    hot.keep(hot.look(), 1, 8);
    assert_eq!(hot.get(&1), Some(8));
}

/// A push to a repository is no reason to forget, or not to keep, what else is in it.
#[test]
fn a_writer_disturbs_nobody_but_who_reads_the_same() {
    let hot: Hot<u64, u64> = Hot::new(1_000, |_, _| 1);
    let look = hot.look();
    let change = hot.change(&0);
    for key in 1..=100 {
        hot.keep(look, key, key);
    }
    drop(change);
    let kept = (1..=100).filter(|key| hot.get(key).is_some()).count();
    // Some share the writer's shard, by chance.
    assert!(kept > 90, "{kept}");
}

#[test]
fn what_is_kept_is_bounded() {
    let hot: Hot<u64, u64> = Hot::new(100, |_, _| 1);
    for key in 0..10_000 {
        hot.keep(hot.look(), key, key);
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
                    let change = hot.change(&0);
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
                        let look = hot.look();
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
