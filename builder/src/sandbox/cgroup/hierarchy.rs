//! Which control groups this machine has, and where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// The trees of this machine: version 2, version 1, or both beside each other ("hybrid").
///
/// Source: `cgroups(7)`, `proc_pid_mountinfo(5)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    /// Version 1: where each controller is mounted.
    pub(super) v1: BTreeMap<String, PathBuf>,
    /// Version 2: where the tree is mounted, and which controllers are in it.
    pub(super) v2: Option<(PathBuf, Vec<String>)>,
}

impl Hierarchies {
    /// Reads `/proc/self/mountinfo` and the tree's `cgroup.controllers`.
    pub(crate) fn find() -> std::io::Result<Self> {
        let mut found = Self::parse(&std::fs::read_to_string("/proc/self/mountinfo")?);
        if let Some((path, controllers)) = &mut found.v2 {
            let text = std::fs::read_to_string(path.join("cgroup.controllers"))?;
            controllers.extend(text.split_whitespace().map(str::to_owned));
        }
        Ok(found)
    }

    fn parse(mountinfo: &str) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((mount, file_system)) = line.split_once(" - ") else {
                continue;
            };
            let Some(path) = mount.split(' ').nth(4).map(Path::new) else {
                continue;
            };
            let mut fields = file_system.split(' ');
            match fields.next() {
                Some("cgroup2") if found.v2.is_none() => {
                    found.v2 = Some((path.to_owned(), Vec::new()));
                }
                Some("cgroup") => {
                    let options = fields.nth(1).unwrap_or("");
                    for controller in options.split(',').filter(|option| is_controller(option)) {
                        let place = found.v1.entry(controller.to_owned());
                        place.or_insert_with(|| path.to_owned());
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Controllers that limits need and that are in no tree.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let mut needed = vec!["memory", "pids", "cpu"];
        needed.retain(|controller| !self.in_v2(controller) && !self.v1.contains_key(*controller));
        needed
    }

    /// Whether a controller is in the version 2 tree.
    pub(super) fn in_v2(&self, controller: &str) -> bool {
        let has = |(_, controllers): &(PathBuf, Vec<String>)| {
            controllers.iter().any(|found| found == controller)
        };
        self.v2.as_ref().is_some_and(has)
    }
}

/// The version 1 controllers that a run needs, or that programs inside look for (Java heeds no limit unless it finds
/// `cpuset` beside the others); the same mount's options also have words such as `rw`.
pub(super) const V1: [&str; 6] = ["memory", "pids", "cpu", "cpuacct", "cpuset", "freezer"];

fn is_controller(option: &str) -> bool {
    V1.contains(&option)
}
