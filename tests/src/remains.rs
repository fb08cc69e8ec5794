//! What builds could leave on this machine: mounts, control groups, processes, files.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{OrFail, eventually_or};

/// What is mounted at or below a folder, or made of it: lines of `/proc/self/mountinfo`.
pub fn mounts(folder: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").or_fail("read the mounts");
    let folder = folder.display().to_string();
    let ours = mounts.lines().filter(|line| line.contains(&folder));
    ours.map(str::to_owned).collect()
}

/// The control groups below those that are called `parent`, in every tree that there is.
pub fn control_groups(parent: &str) -> Vec<String> {
    let output = Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-path"])
        .arg(format!("*/{parent}/*"))
        .output()
        .or_fail("run find");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    found.lines().map(str::to_owned).collect()
}

/// Removes the empty control groups of this name that groups of runs were made in.
pub fn forget_control_groups(parent: &str) {
    let trees = entries(Path::new("/sys/fs/cgroup")).into_iter();
    for tree in trees.chain([String::new()]) {
        // Most are no trees.
        let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(tree).join(parent));
    }
}

/// The processes whose command line has `words` in it.
pub fn processes(words: &str) -> Vec<String> {
    let line = |id: String| {
        // One that has just ended has none.
        let line = fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        let line = line.replace('\0', " ");
        line.contains(words).then(|| format!("{id} {line}"))
    };
    let all = entries(Path::new("/proc")).into_iter();
    all.filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
        .filter_map(line)
        .collect()
}

/// The names in a folder; none if it is not there.
pub fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Waits until nothing is left, which must come about by itself.
#[track_caller]
pub fn until_none(look: impl Fn() -> Vec<String>) {
    eventually_or(
        || look().is_empty().then_some(()),
        || format!("this is left: {:#?}", look()),
    );
}
