use std::path::Path;

use super::*;

const LACKING: NoRoom = NoRoom { free: 1, keep: 2 };

/// A run with a program at work that has written so many bytes to a folder.
async fn writing<'w>(writers: &'w Writers, folder: &Path, bytes: usize) -> Writing<'w> {
    let writing = writers.enter(CancellationToken::new(), Some(8 << 20));
    std::fs::create_dir(folder).unwrap();
    writing.begins(&Gauge::of(folder).await);
    std::fs::write(folder.join("file"), vec![1; bytes]).unwrap();
    writing
}

fn are_stopped(all: &[&Writing<'_>]) -> Vec<bool> {
    let is_stopped = |writing: &&Writing<'_>| {
        assert_eq!(
            writing.stopped().is_some(),
            writing.own.cancel.is_cancelled()
        );
        writing.stopped().is_some()
    };
    all.iter().map(is_stopped).collect()
}

#[tokio::test]
async fn who_has_written_the_most_is_stopped_and_then_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::default();
    let one = writing(&writers, &folder.path().join("one"), 100_000).await;
    let two = writing(&writers, &folder.path().join("two"), 1_000_000).await;
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped(&[&one, &two]), [false, true]);
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped(&[&one, &two]), [true, true]);
    assert!(!writers.stop_largest(LACKING).await);
}

#[tokio::test]
async fn what_was_unpacked_for_a_run_and_what_its_programs_wrote_before_count() {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::default();
    let one = writing(&writers, &folder.path().join("one"), 1_000_000).await;
    let two = writers.enter(CancellationToken::new(), None);
    let three = writers.enter(CancellationToken::new(), None);
    two.ours().add(1_200_000);
    three.ended(700_000);
    three.ours().add(700_000);
    for stopped in [
        [false, false, true],
        [false, true, true],
        [true, true, true],
    ] {
        assert!(writers.stop_largest(LACKING).await);
        assert_eq!(are_stopped(&[&one, &two, &three]), stopped);
    }
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
    assert_eq!(are_stopped(&[&hidden, &modest]), [true, false]);
    // Not if its program has ended.
    let ended = writers.enter(CancellationToken::new(), None);
    ended.begins(&hidden.own.programs().at_work.clone().unwrap());
    ended.ended(1 << 20);
    assert!(writers.stop_largest(LACKING).await);
    assert_eq!(are_stopped(&[&ended, &modest]), [false, true]);
}

#[tokio::test]
async fn nobody_else_is_stopped_while_one_that_was_is_there() {
    let writers = Writers::default();
    let one = writers.enter(CancellationToken::new(), None);
    let now = Instant::now();
    assert!(!writers.is_ending(now));
    assert!(writers.stop_largest(LACKING).await);
    assert!(writers.is_ending(now));
    assert!(writers.is_ending(now + Duration::from_secs(200)));
    // It hangs.
    assert!(!writers.is_ending(now + Duration::from_secs(600)));
    drop(one);
    assert!(!writers.is_ending(now));
    assert!(writers.is_empty());
}
