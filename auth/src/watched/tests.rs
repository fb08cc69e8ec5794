use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn one(path: &Path) -> Result<Vec<Source>, LoadError> {
    Ok(vec![Source {
        path: path.to_owned(),
        text: read_text(path, 100)?,
    }])
}

fn number(sources: &[Source]) -> Result<u32, LoadError> {
    sources[0]
        .text
        .trim()
        .parse()
        .map_err(|_| LoadError::file(&sources[0].path, "no number"))
}

fn load(path: &Path) -> Watched<u32> {
    Watched::load(path, one, number).unwrap()
}

#[test]
fn a_change_comes_into_force_and_no_change_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    fs::write(&path, "1").unwrap();
    let watched = load(&path);
    let before = Arc::clone(&watched.current());
    assert!(!watched.reload().unwrap());
    assert!(Arc::ptr_eq(&before, &watched.current()));
    // Of the same length, and within one tick of the file system's clock.
    fs::write(&path, "2").unwrap();
    assert!(watched.reload().unwrap());
    assert_eq!(**watched.current(), 2);
    assert!(!watched.reload().unwrap());
}

#[test]
fn what_is_broken_gone_or_too_large_leaves_the_old_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    fs::write(&path, "1").unwrap();
    let watched = load(&path);
    fs::write(&path, "x").unwrap();
    assert!(
        watched
            .reload()
            .unwrap_err()
            .to_string()
            .contains("no number")
    );
    // It stays an error, so that a watcher that starts later still says so.
    assert!(watched.reload().is_err());
    fs::write(&path, "1".repeat(101)).unwrap();
    assert!(
        watched
            .reload()
            .unwrap_err()
            .to_string()
            .contains("larger than 100 bytes")
    );
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        watched.reload().unwrap_err(),
        LoadError::Io { .. }
    ));
    assert_eq!(**watched.current(), 1);
    fs::write(&path, "3").unwrap();
    assert!(watched.reload().unwrap());
    assert_eq!(**watched.current(), 3);
}

#[test]
fn a_start_without_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Watched::load(&dir.path().join("n"), one, number).unwrap_err();
    assert!(error.to_string().contains("n: No such file"), "{error}");
}

/// As the kubelet updates a Secret: a new folder, and `..data` swapped to it by rename.
#[test]
fn a_swapped_symlink_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (folder, text) in [("..1", "1"), ("..2", "2")] {
        fs::create_dir(at(folder)).unwrap();
        fs::write(at(folder).join("n"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/n", at("n")).unwrap();
    let watched = load(&at("n"));
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    assert!(watched.reload().unwrap());
    assert_eq!(**watched.current(), 2);
}

#[tokio::test(start_paused = true)]
async fn watching_needs_no_call() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    fs::write(&path, "1").unwrap();
    let watched = Arc::new(load(&path));
    let task = tokio::spawn(Arc::clone(&watched).watch(Duration::from_secs(2)));
    for text in ["2", "broken", "3"] {
        fs::write(&path, text).unwrap();
        if text != "broken" {
            while watched.current().to_string() != text {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    task.abort();
}

#[test]
fn a_file_that_is_being_written_is_left_for_the_next_time() {
    /// Grows with every look.
    fn growing(path: &Path) -> Result<Vec<Source>, LoadError> {
        let sources = one(path)?;
        fs::write(path, format!("{}1", sources[0].text)).unwrap();
        Ok(sources)
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n");
    fs::write(&path, "1").unwrap();
    let growing = Watched::load(&path, growing, number).unwrap();
    assert!(!growing.reload_settled(Duration::from_millis(1)).unwrap());
    assert_eq!(**growing.current(), 1);
    let still = load(&path);
    fs::write(&path, "7").unwrap();
    assert!(still.reload_settled(Duration::from_millis(1)).unwrap());
    assert_eq!(**still.current(), 7);
}

/// Rights that somebody took away and that are still there must not be forgotten.
#[test]
fn what_is_broken_is_said_again_and_so_is_that_it_is_mended() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let (bad, worse) = (|| Some("bad".to_owned()), || Some("worse".to_owned()));
    let mut failing = Failing::default();
    assert_eq!(failing.note(None, at(0)), None);
    assert_eq!(failing.note(bad(), at(2)), Some(News::Broken("bad".into())));
    assert_eq!(failing.note(bad(), at(4)), None);
    assert_eq!(
        failing.note(worse(), at(6)),
        Some(News::Broken("worse".into()))
    );
    assert_eq!(failing.note(worse(), at(605)), None);
    let still = News::StillBroken("worse".into(), Duration::from_secs(604));
    assert_eq!(failing.note(worse(), at(606)), Some(still));
    assert_eq!(failing.note(worse(), at(608)), None);
    assert_eq!(failing.note(None, at(610)), Some(News::Mended));
    assert_eq!(failing.note(None, at(612)), None);
}
