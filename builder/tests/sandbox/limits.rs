//! What a run may use, and what is said when it wants more.

use std::fs;
use std::time::Duration;

use builder::sandbox::{Mount, Reason, Source, Stream};
use tests::machine::copy_program;
use tokio_util::sync::CancellationToken;

use super::lab::{Lab, compile, script, script_as};

#[tokio::test]
async fn too_much_memory_is_named() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let mut hog = script("x=0123456789abcdef; while :; do x=$x$x; done");
    hog.limits.memory = Some(64 << 20);
    let said = lab.run(&root, &hog).await.unwrap();
    assert_eq!(
        said.outcome.reason,
        Reason::OutOfMemory,
        "{:?} {:?}",
        said.outcome,
        said.lines
    );
    assert!(said.outcome.usage.memory_kills > 0);
    assert!(said.outcome.usage.memory <= 64 << 20);

    let mut shared = script(
        "dd if=/dev/zero of=/dev/shm/file bs=1M count=60; dd if=/dev/zero of=/t/file bs=1M count=60",
    );
    shared
        .mount(Mount::new("/t", Source::Scratch { bytes: 1 << 30 }).unwrap())
        .unwrap();
    shared.limits.memory = Some(64 << 20);
    let said = lab.run(&root, &shared).await.unwrap();
    assert_eq!(
        said.outcome.reason,
        Reason::OutOfMemory,
        "memory that looks like files counts: {:?}",
        said.lines
    );

    // Java, Node.js and others size themselves by what they see here.
    let mut enough = script(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; ls /sys/fs/cgroup | grep cpuset",
    );
    enough.limits.memory = Some(64 << 20);
    let said = lab.run(&root, &enough).await.unwrap();
    assert!(said.outcome.succeeded());
    assert!(said.out().starts_with("67108864\n"), "{:?}", said.lines);
}

#[tokio::test]
async fn a_fork_bomb_stays_in_its_box() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let mut bomb = script("b() { b | b & b; }; b; sleep 1; exit 1");
    bomb.limits.processes = Some(64);
    bomb.limits.wall = Some(Duration::from_secs(5));
    let said = lab.run(&root, &bomb).await.unwrap();
    assert!(
        matches!(
            said.outcome.reason,
            Reason::TooManyProcesses | Reason::TimedOut
        ),
        "{:?}",
        said.outcome
    );
    assert!(said.outcome.usage.process_refusals > 0);
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let lab = Lab::new().await;
    let fillers = [
        "i=0; while :; do i=$((i+1)); dd if=/dev/zero of=/work/$i bs=1M count=4 2>/dev/null; done",
        "i=0; while :; do i=$((i+1)); dd if=/dev/zero of=/cache/$i bs=1M count=4 2>/dev/null; done",
        "i=0; while :; do i=$((i+1)); : > /work/empty$i; done",
        // Deleted files that stay open.
        "n=3; while [ $n -lt 9 ]; do eval \"exec $n>/work/f\"; rm /work/f; dd if=/dev/zero bs=1M count=15 >&$n; n=$((n+1)); done; sleep 60",
    ];
    for (number, filler) in fillers.into_iter().enumerate() {
        let root = lab.root(&format!("root{number}"));
        let cache = lab.folder.path().join(format!("cache{number}"));
        fs::create_dir(&cache).unwrap();
        let mut process = script(filler);
        process
            .mount(Mount::new("/cache", Source::Cache(cache.clone())).unwrap())
            .unwrap();
        process.limits.disk = Some(16 << 20);
        process.limits.wall = Some(Duration::from_secs(120));
        let said = lab.run(&root, &process).await.unwrap();
        assert_eq!(
            said.outcome.reason,
            Reason::DiskFull,
            "{filler} {:?}",
            said.outcome
        );
    }
    let root = lab.root("root");
    // Of holes: what takes room may be seen to be too much before the program says how far it came.
    let mut one = script(
        "truncate -s 16M /work/one && stat -c %s /work/one; truncate -s 17M /work/one || stat -c %s /work/one",
    );
    one.limits.disk = Some(16 << 20);
    let said = lab.run(&root, &one).await.unwrap();
    assert_eq!(
        said.out(),
        format!("{0}\n{0}\n", 16 << 20),
        "no file beyond the limit: {:?}",
        said.lines
    );
}

#[tokio::test]
async fn processor_time_is_shared_out_and_counted() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let mut busy = script(
        "for i in 1 2 3 4; do (while :; do :; done) & done; sleep 2; cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null",
    );
    busy.limits.millicpus = Some(200);
    let said = lab.run(&root, &busy).await.unwrap();
    assert!(
        said.out().starts_with("20000"),
        "the limit is in force, and visible inside: {:?}",
        said.lines
    );
    let usage = said.outcome.usage;
    assert!(
        usage.cpu < usage.wall,
        "four busy loops on a fifth of a processor: {usage:?}"
    );
}

#[tokio::test]
async fn endless_output_is_cut_and_harmless() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let mut process =
        script("printf 'a\\033[2Jb\\rc\\n'; yes 0123456789 | head -c 3000000; echo end >&2");
    process.limits.wall = Some(Duration::from_secs(60));
    let said = lab
        .run_with(&root, &process, 10_000, &CancellationToken::new())
        .await
        .unwrap();
    assert!(said.out().starts_with("ab\nc\n0123456789\n"));
    assert!(said.out().len() <= 10_001 + (64 << 10));
    assert!(said.out().ends_with("0123456789\n012\n"), "its end");
    assert_eq!(said.text(Stream::Err), "end\n");
    assert!(
        said.text(Stream::Sandbox)
            .contains("bytes of output are left out here")
    );
    assert!(said.outcome.usage.output > 3_000_000);
    assert!(said.outcome.usage.output_dropped > 2_900_000);
    assert!(said.outcome.succeeded());
}

/// What is counted for the server's user is everybody's: one run has a part of it.
#[tokio::test]
async fn a_run_does_not_take_all_that_watches_files() {
    let lab = Lab::new().await;
    let program = compile(WATCHES);
    let root = lab.root("root");
    copy_program(&program.path().join("program"), &root.join("bin/watches"));
    let all = |what| {
        let all = fs::read_to_string(format!("/proc/sys/fs/inotify/max_user_{what}"));
        all.unwrap().trim().parse::<u64>().unwrap()
    };
    let bound = |what, least| (all(what) / 8).max(least).min(all(what));
    let wanted = format!("{}\n{}\n", bound("instances", 8), bound("watches", 4096));
    // Twice, as what the first took is free again.
    for _ in 0..2 {
        let watches = script("/bin/watches; cat /proc/sys/user/max_inotify_watches");
        let said = lab.run(&root, &watches).await.unwrap();
        assert_eq!(said.out(), wanted, "{:?}", said.lines);
    }
}

/// How many instances there are.
const WATCHES: &str = r#"
#include <stdio.h>
#include <sys/inotify.h>
int main(void) {
    int instances = 0;
    while (inotify_init() >= 0) instances++;
    printf("%d\n", instances);
    return 0;
}
"#;

/// Files that have no name, each held in another way.
#[tokio::test]
async fn what_is_held_without_a_name_counts() {
    let lab = Lab::new().await;
    let program = compile(HOLDS);
    for how in [
        "mapped", "low", "thread", "named", "executed", "sent", "moving",
    ] {
        let root = lab.root(how);
        copy_program(&program.path().join("program"), &root.join("bin/holds"));
        let mut process = script_as("root", &format!("exec /bin/holds {how}"));
        process.limits.disk = Some(16 << 20);
        process.limits.wall = Some(Duration::from_secs(60));
        let is_sent = ["sent", "moving"].contains(&how);
        let reason = if is_sent {
            Reason::DiskUnmeasured
        } else {
            Reason::DiskFull
        };
        // A busy machine may find what is to be sent while it is written.
        let mut tries = if is_sent { 20 } else { 1 };
        let said = loop {
            let said = lab.run(&root, &process).await.unwrap();
            tries -= 1;
            if said.outcome.reason != Reason::DiskFull || tries == 0 {
                break said;
            }
        };
        assert_eq!(said.outcome.reason, reason, "{how} {:?}", said.outcome);
        let is_said = said.text(Stream::Sandbox).contains("under way");
        assert_eq!(is_said, is_sent, "{:?}", said.lines);
    }
}

const HOLDS: &str = include_str!("holds.c");
