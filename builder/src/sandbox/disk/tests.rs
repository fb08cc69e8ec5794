use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::process::{Child, Command};

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
    of(folder, std::process::id())
}

fn of(folder: &Path, process: u32) -> Cgroup {
    fs::write(folder.join("cgroup.procs"), process.to_string()).unwrap();
    Cgroup::of(vec![folder.to_owned()])
}

/// A process with a socket that a file is under way to.
pub(in crate::sandbox) struct Hides {
    child: Child,
    cgroup: Cgroup,
    _folder: tempfile::TempDir,
}

impl Hides {
    pub(in crate::sandbox) fn start() -> Self {
        let (one, two) = sockets();
        send(&one, &tempfile::tempfile().unwrap());
        Self::holding(two)
    }

    /// This process would have open what other tests have open in it.
    fn holding(socket: OwnedFd) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep");
        let child = child.arg("600").stdin(socket).spawn().unwrap();
        let cgroup = of(folder.path(), child.id());
        Self {
            child,
            cgroup,
            _folder: folder,
        }
    }

    pub(in crate::sandbox) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }
}

impl Drop for Hides {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sockets() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
}

/// Sends a file to where the other socket is.
fn send(socket: &OwnedFd, file: &fs::File) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    assert!(message.push(SendAncillaryMessage::ScmRights(&files)));
    let data = [IoSlice::new(b".")];
    sendmsg(socket, &data, &mut message, SendFlags::empty()).unwrap();
}

#[tokio::test]
async fn what_is_under_way_between_sockets_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::start(vec![folder.path().to_owned()]).await.unwrap();
    let (one, two) = sockets();
    let holder = Hides::holding(two.try_clone().unwrap());
    let path = folder.path().join("file");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let soon = || Some(Instant::now() + Duration::from_secs(60));
    let look = disk.look(holder.cgroup(), soon()).await.unwrap();
    assert!(matches!(look, Look::All(bytes) if bytes >= 1 << 20));
    assert_eq!(disk.last().unwrap().look, look);

    let held = fs::File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    send(&one, &held);
    drop(held);
    let look = disk.look(holder.cgroup(), soon()).await.unwrap();
    assert_eq!(look, Look::AtLeast(0));
    assert_eq!(disk.last().unwrap().look, look);
    // What arrives unasked for is closed.
    recv(&two, &mut [0; 1], rustix::net::RecvFlags::empty()).unwrap();
    let look = disk.look(holder.cgroup(), soon()).await.unwrap();
    assert_eq!(look, Look::All(0));
}
