use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, sendmsg, socketpair,
};

use super::*;

#[tokio::test]
async fn growth_is_counted_once_and_without_following() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("big"), vec![1; 1 << 20]).unwrap();
    fs::write(folder.path().join("before"), vec![1; 1 << 20]).unwrap();
    let disk = Disk::start(vec![folder.path().to_owned()]).await.unwrap();
    assert_eq!(disk.grown(&Cgroup::default()).await.unwrap(), 0);

    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::write(folder.path().join("a/b/file"), vec![1; 256 << 10]).unwrap();
    fs::hard_link(folder.path().join("a/b/file"), folder.path().join("again")).unwrap();
    let grown = disk.grown(&Cgroup::default()).await.unwrap();
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
    let processes = tempfile::tempdir().unwrap();
    let own = own(processes.path());
    assert!(disk.grown(&own).await.unwrap() >= 1 << 20);
    drop(held);
    assert_eq!(disk.grown(&Cgroup::default()).await.unwrap(), 0);
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
    assert_eq!(disk.grown(&Cgroup::default()).await.unwrap(), u64::MAX);
}

/// A group that this process is all of.
fn own(folder: &Path) -> Cgroup {
    fs::write(folder.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    Cgroup::of(vec![folder.to_owned()])
}

#[tokio::test]
async fn what_is_under_way_between_sockets_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::start(vec![folder.path().to_owned()]).await.unwrap();
    let processes = tempfile::tempdir().unwrap();
    let own = own(processes.path());
    let path = folder.path().join("file");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let soon = || Instant::now() + Duration::from_secs(60);
    assert!(disk.grown_by(soon(), &own).await.unwrap() >= Some(1 << 20));
    assert!(disk.last().is_some());

    let held = fs::File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let flags = SocketFlags::CLOEXEC;
    let (one, two) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut sent = SendAncillaryBuffer::new(&mut space);
    let files = [held.as_fd()];
    assert!(sent.push(SendAncillaryMessage::ScmRights(&files)));
    sendmsg(&one, &[IoSlice::new(b".")], &mut sent, SendFlags::empty()).unwrap();
    drop(held);
    assert_eq!(disk.grown_by(soon(), &own).await.unwrap(), None);
    assert!(disk.last().is_none());
    // What arrives unasked for is closed.
    recv(&two, &mut [0; 1], rustix::net::RecvFlags::empty()).unwrap();
    assert_eq!(disk.grown_by(soon(), &own).await.unwrap(), Some(0));
}
