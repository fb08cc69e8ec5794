use std::path::Path;

use oci::{Algorithm, Digest};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::sandbox::Gauge;

const LACKING: NoRoom = NoRoom { free: 1, keep: 2 };

/// A run that has written next to nothing.
fn enter(writers: &Writers, limit: Option<u64>) -> Writing {
    let writing = Writing::new(CancellationToken::new());
    writing.limit(limit);
    writers.enter(&writing);
    // Whoever fetches has, and so does whoever builds.
    writers.enter(&writing);
    writing.ours().add(1);
    writing
}

/// A run with a program at work that has written so many bytes to a folder.
async fn writing(writers: &Writers, folder: &Path, bytes: usize) -> Writing {
    let writing = enter(writers, Some(8 << 20));
    std::fs::create_dir(folder).unwrap();
    writing.begins(&Gauge::of(folder).await);
    std::fs::write(folder.join("file"), vec![1; bytes]).unwrap();
    writing
}

fn are_stopped<const N: usize>(all: [&Writing; N]) -> [bool; N] {
    all.map(|writing| {
        let is_stopped = writing.evicted().is_some();
        assert_eq!(is_stopped, writing.cancel().is_cancelled());
        is_stopped
    })
}

#[tokio::test]
async fn who_has_written_the_most_is_stopped_and_then_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::default();
    let one = writing(&writers, &folder.path().join("one"), 100_000).await;
    let two = writing(&writers, &folder.path().join("two"), 1_000_000).await;
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped([&one, &two]), [false, true]);
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped([&one, &two]), [true, true]);
    assert!(!writers.stop_largest(LACKING).await);
}

#[tokio::test]
async fn what_was_unpacked_for_a_run_and_what_its_programs_wrote_before_count() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::default();
    let one = writing(&writers, &folder.path().join("one"), 1_000_000).await;
    let two = enter(&writers, None);
    let three = enter(&writers, None);
    two.ours().add(1_200_000);
    three.ended(700_000);
    three.ours().add(700_000);
    for stopped in [
        [false, false, true],
        [false, true, true],
        [true, true, true],
    ] {
        assert!(writers.stop_largest(LACKING).await);
        assert_eq!(are_stopped([&one, &two, &three]), stopped);
    }
}

#[tokio::test]
async fn what_stays_for_another_does_not_count() {
    let writers = Writers::default();
    let layer = Digest::of(Algorithm::Sha256, b"layer");
    let one = enter(&writers, None);
    one.ours().add(1_000_000);
    one.stands_on([(layer, 900_000)]);
    let two = enter(&writers, None);
    two.ours().add(500_000);
    let also = enter(&writers, None);
    also.stands_on([(layer, 0)]);
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped([&one, &two, &also]), [false, true, false]);
    // It is its own again.
    drop((two, also));
    let three = enter(&writers, None);
    three.ours().add(500_000);
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped([&one, &three]), [true, false]);
}

#[tokio::test]
async fn who_cannot_be_measured_counts_as_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::default();
    let lost = folder.path().join("lost");
    let hidden = writing(&writers, &lost, 0).await;
    let modest = writing(&writers, &folder.path().join("modest"), 7 << 20).await;
    std::fs::remove_dir_all(&lost).unwrap();
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped([&hidden, &modest]), [true, false]);
    // Not if its program has ended.
    let ended = enter(&writers, None);
    let gauge = Gauge::of(folder.path()).await;
    ended.begins(&gauge);
    ended.ended(1 << 20);
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped([&ended, &modest]), [false, true]);
}

#[tokio::test]
async fn who_hides_what_it_has_written_goes_first_whatever_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::default();
    let hidden = enter(&writers, Some(1 << 20));
    let (gauge, _hides) = Gauge::hiding(folder.path()).await;
    hidden.begins(&gauge);
    let honest = writing(&writers, &folder.path().join("honest"), 7 << 20).await;
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped([&hidden, &honest]), [true, false]);
}

#[tokio::test]
async fn nobody_else_is_stopped_while_one_that_was_is_there() {
    let writers = Writers::default();
    let one = enter(&writers, None);
    let now = Instant::now();
    assert!(!writers.waits(LACKING, now));
    assert!(writers.stop_largest(LACKING).await);
    assert!(writers.waits(LACKING, now));
    assert!(writers.waits(LACKING, now + Duration::from_secs(200)));
    // It hangs.
    assert!(!writers.waits(LACKING, now + Duration::from_secs(600)));
    // A thread of it is still at it.
    let counts = one.ours().clone();
    drop(one);
    assert!(writers.waits(LACKING, now));
    drop(counts);
    assert!(!writers.waits(LACKING, now));
    assert!(writers.is_empty());
}

#[tokio::test]
async fn others_are_stopped_all_the_same_when_half_of_what_was_free_is_gone() {
    let writers = Writers::default();
    let lacking = |free| NoRoom { free, keep: 1000 };
    let _all = [(); 3].map(|()| enter(&writers, None));
    let now = Instant::now();
    for (stopped_at, waits_at, next_at) in [(990, 495, 494), (494, 247, 246), (246, 123, 122)] {
        assert!(writers.stop_largest(lacking(stopped_at)).await);
        assert!(writers.waits(lacking(waits_at), now));
        assert!(!writers.waits(lacking(next_at), now));
    }
}

#[tokio::test]
async fn who_has_written_nothing_is_not_stopped() {
    let writers = Writers::default();
    let nothing = Writing::new(CancellationToken::new());
    writers.enter(&nothing);
    assert!(!writers.stop_largest(LACKING).await);
    nothing.ours().add(1);
    assert!(writers.stop_largest(LACKING).await);
}

#[tokio::test]
async fn who_publishes_is_not_stopped() {
    let writers = Writers::default();
    let [publishes, builds] = [(); 2].map(|()| enter(&writers, None));
    publishes.ours().add(1 << 20);
    publishes.finish().unwrap();
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped([&publishes, &builds]), [false, true]);
    assert!(!writers.stop_largest(LACKING).await);
    let failure = builds.finish().unwrap_err();
    assert_eq!(failure.reason.as_str(), "Evicted");
}
