use super::*;

const HYBRID: &str = "\
30 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:10 - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
34 30 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
35 30 0:29 / /somewhere/else rw,relatime - cgroup cgroup rw,memory";

#[test]
fn a_hybrid_machine_has_both() {
    let found = Hierarchies::parse(HYBRID);
    assert_eq!(
        found.v2,
        Some((PathBuf::from("/sys/fs/cgroup/unified"), vec![]))
    );
    let v1: Vec<_> = found
        .v1
        .iter()
        .map(|(name, path)| (name.as_str(), path.to_str().unwrap()))
        .collect();
    let cpu = "/sys/fs/cgroup/cpu,cpuacct";
    assert_eq!(
        v1,
        [
            ("cpu", cpu),
            ("cpuacct", cpu),
            ("memory", "/sys/fs/cgroup/memory")
        ]
    );
    assert!(!found.in_v2("memory"));
}

#[test]
fn a_machine_of_version_2_has_one() {
    let found = Hierarchies::parse("1 0 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw");
    assert_eq!(found.v2, Some((PathBuf::from("/sys/fs/cgroup"), vec![])));
    assert!(found.v1.is_empty());
}
