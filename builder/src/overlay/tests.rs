use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};

use super::mount::{Writable, all_at_once, one_by_one, options};
use super::{Marks, detach_below};
use crate::tree::{Tree, TreePath, names};

type Way<'a> = &'a dyn Fn(&[(&str, Option<String>)]) -> std::io::Result<Option<OwnedFd>>;

/// Both ways to name a hundred layers, the newer one and the one of kernels before 6.7, show the same and can be written to.
#[test]
fn both_ways_to_mount_are_the_same_and_stay_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let layer = |number: usize| {
        let path = at(&format!("layer {number}:,\\"));
        fs::write(path.join(format!("f{number}")), "").unwrap();
        Tree::open(&path).unwrap()
    };
    let layers: Vec<_> = (0..100).map(layer).collect();
    let lower: Vec<_> = layers.iter().map(Tree::fd).collect();
    let place = at("place");
    let new: Way<'_> = &|options| one_by_one(&lower, options);
    let old: Way<'_> = &|options| all_at_once(&lower, options, &place).map(Some);
    for (name, way) in [("new", new), ("old", old)] {
        let upper = Tree::open(&at(&format!("{name} upper"))).unwrap();
        let work = Tree::open(&at(&format!("{name} work"))).unwrap();
        let writable = Writable {
            upper: upper.fd(),
            work: work.fd(),
        };
        let marks = Marks::of_this_process().unwrap();
        let mounted = match way(&options(Some(writable), marks)) {
            Ok(Some(mounted)) => mounted,
            Ok(None) => {
                assert!(kernel() < (6, 7), "this kernel names layers one by one");
                continue;
            }
            Err(error) => panic!("only root can mount an overlay: {error}"),
        };
        // The descriptor of a mount stands for a path; to read, it is opened.
        let root = Tree::of(mounted).directory(&TreePath::root()).unwrap();
        assert_eq!(names(root.as_fd()).unwrap().len(), 100);
        rustix::fs::mkdirat(&root, "made", rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(names(upper.fd()).unwrap(), [b"made"]);
    }
    // Others mount on this machine, too: only what is below our folder is ours.
    let mounts = fs::read("/proc/self/mountinfo").unwrap();
    let mounts = mounts.escape_ascii().to_string();
    assert!(
        !mounts.contains(folder.path().to_str().unwrap()),
        "{mounts}"
    );
}

/// The kernel's version: major, minor.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn what_a_killed_process_left_mounted_is_found_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let point = folder.path().join("a b\\c\nd");
    let beside = folder.path().join("a b\\c\nd beside");
    for path in [&point, &beside] {
        fs::create_dir(path).unwrap();
    }
    let inner = point.join("inner");
    fs::create_dir(&inner).unwrap();
    let mount = |at: &std::path::Path| {
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", at, "tmpfs", flags, None::<&std::ffi::CStr>)
    };
    tests::machine::needs_root();
    mount(&beside).unwrap();
    mount(&inner).unwrap();
    fs::create_dir(inner.join("deeper")).unwrap();
    mount(&inner.join("deeper")).unwrap();
    assert_eq!(detach_below(&point).unwrap(), 2);
    assert_eq!(detach_below(&point).unwrap(), 0);
    assert_eq!(
        detach_below(folder.path()).unwrap(),
        1,
        "the one beside was left"
    );
}
