//! How many files a run may watch.
//!
//! The kernel counts who watches files (`inotify(7)`) for whoever made the namespace as well, who is the same for all runs: without bounds of its
//! own one would take what the server's user, often the host's root, and all other runs have together.

use std::ffi::OsString;
use std::fs;

/// So many runs take all that there is.
const RUNS: u64 = 8;

/// What is bounded, as it is called for a user and within a namespace, and what a run has at least: a program that watches takes one
/// instance, and one of the watches for each folder or file.
const BOUNDS: [(&str, u64); 2] = [("instances", 8), ("watches", 4096)];

/// What the namespace's first process writes, and where.
pub(super) fn bounds() -> Vec<OsString> {
    let bound = |(what, least)| {
        let all = fs::read_to_string(format!("/proc/sys/fs/inotify/max_user_{what}")).ok()?;
        let all: u64 = all.trim().parse().ok()?;
        let most = (all / RUNS).max(least).min(all);
        Some([format!("max_inotify_{what}"), most.to_string()])
    };
    // A kernel that does not say how many there are does not count them for users.
    let bounds = BOUNDS.into_iter().filter_map(bound).flatten();
    bounds.map(OsString::from).collect()
}
