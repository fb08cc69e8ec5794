use super::super::process::Limits;
use super::count::Counted;
use super::*;

/// A folder tree that looks like version 2 on disk: what is written and read is held against the kernel's documentation.
fn unified() -> (tempfile::TempDir, Hierarchies) {
    let mount = tempfile::tempdir().unwrap();
    let controllers = ["cpu", "memory", "pids"].map(str::to_owned).to_vec();
    let hierarchies = Hierarchies {
        v2: Some((mount.path().to_owned(), controllers)),
        ..Hierarchies::default()
    };
    (mount, hierarchies)
}

#[test]
fn version_2_is_limited_in_its_own_words() {
    let (mount, hierarchies) = unified();
    let cgroup = Cgroup::plan(&hierarchies, Path::new("/slipway"), "run");
    let folder = mount.path().join("slipway/run");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("memory.swap.max"), "max").unwrap();
    let limits = Limits {
        memory: Some((64 << 20) + 5),
        millicpus: Some(1500),
        processes: Some(100),
        ..Limits::default()
    };
    cgroup.make(&limits).unwrap();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("memory.max"), (64 << 20).to_string());
    assert_eq!(read("memory.swap.max"), "0");
    assert_eq!(read("cpu.max"), "150000 100000");
    assert_eq!(read("pids.max"), "100");

    fs::write(
        folder.join("memory.events"),
        "low 0\noom 3\noom_kill 2\noom_group_kill 1\n",
    )
    .unwrap();
    fs::write(folder.join("memory.peak"), "1234\n").unwrap();
    fs::write(folder.join("cpu.stat"), "usage_usec 2500000\nuser_usec 1\n").unwrap();
    fs::write(folder.join("pids.events"), "max 7\n").unwrap();
    let counted = Counted {
        cpu: Duration::from_millis(2500),
        memory: 1234,
        memory_kills: 2,
        process_refusals: 7,
    };
    assert_eq!(cgroup.counted(), counted);
}

#[test]
fn controllers_are_handed_down_once() {
    let (mount, hierarchies) = unified();
    fs::write(
        mount.path().join("cgroup.subtree_control"),
        "cpu memory pids\n",
    )
    .unwrap();
    delegate(&hierarchies, Path::new("/slipway")).unwrap();
    let top = fs::read_to_string(mount.path().join("cgroup.subtree_control")).unwrap();
    assert_eq!(top, "cpu memory pids\n");
    let parent = fs::read_to_string(mount.path().join("slipway/cgroup.subtree_control")).unwrap();
    assert_eq!(
        parent, "+pids",
        "a plain file keeps the last word that was written"
    );
}

#[test]
fn a_limit_without_a_controller_is_an_error() {
    let cgroup = Cgroup::plan(&Hierarchies::default(), Path::new("/slipway"), "run");
    cgroup.make(&Limits::default()).unwrap();
    let limits = Limits {
        processes: Some(100),
        ..Limits::default()
    };
    assert!(matches!(
        cgroup.make(&limits),
        Err(SandboxError::Unsupported(_))
    ));
}
