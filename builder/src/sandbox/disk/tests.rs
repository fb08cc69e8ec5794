use super::*;

#[tokio::test]
async fn growth_is_counted_once_and_without_following() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("big"), vec![1; 1 << 20]).unwrap();
    fs::write(folder.path().join("before"), vec![1; 1 << 20]).unwrap();
    let disk = Disk::start(vec![folder.path().to_owned()]).await.unwrap();
    assert_eq!(disk.grown(BTreeSet::new()).await.unwrap(), 0);

    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::write(folder.path().join("a/b/file"), vec![1; 256 << 10]).unwrap();
    fs::hard_link(folder.path().join("a/b/file"), folder.path().join("again")).unwrap();
    let grown = disk.grown(BTreeSet::new()).await.unwrap();
    assert!((256 << 10..300 << 10).contains(&grown), "{grown}");
}

#[tokio::test]
async fn a_deleted_file_that_is_open_counts() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::start(vec![folder.path().to_owned()]).await.unwrap();
    let path = folder.path().join("file");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let held = fs::File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let own = BTreeSet::from([std::process::id()]);
    assert!(disk.grown(own).await.unwrap() >= 1 << 20);
    drop(held);
    assert_eq!(disk.grown(BTreeSet::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_tree_too_deep_to_measure_is_beyond_any_limit() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::start(vec![folder.path().to_owned()]).await.unwrap();
    let mut deep = folder.path().to_owned();
    for _ in 0..=MAX_DEPTH {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    assert_eq!(disk.grown(BTreeSet::new()).await.unwrap(), u64::MAX);
}
