//! Builds that want out.

use std::fs;

use builder::sandbox::{Capabilities, Mount, Source};
use tests::machine::copy_program;

use super::lab::{Lab, compile, script, script_as};

/// Each must fail, as `app` and as root inside with all that root may ever have.
const ESCAPES: &[(&str, &str)] = &[
    ("mount", "mount -t tmpfs x /tmp"),
    ("bind", "mount --bind /bin /tmp"),
    ("remount of /proc/sys", "mount -o remount,rw /proc/sys"),
    ("unmount of a mask", "umount /proc/kcore"),
    (
        "core pattern",
        "echo '|/bin/sh' > /proc/sys/kernel/core_pattern",
    ),
    ("sysrq", "echo b > /proc/sysrq-trigger"),
    ("kernel memory", "head -c 1 /proc/kcore | grep ."),
    ("uevent helper", "echo x > /sys/kernel/uevent_helper"),
    (
        "cgroup release agent",
        "echo /bin/sh > /sys/fs/cgroup/memory/release_agent || echo x > /sys/fs/cgroup/release_agent",
    ),
    (
        "own limit",
        "echo 1000000000 > /sys/fs/cgroup/pids/pids.max",
    ),
    ("disk", "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk"),
    (
        "memory device",
        "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem",
    ),
    ("fuse device", "mknod /tmp/fuse c 10 229 && : < /tmp/fuse"),
    ("user namespace", "unshare -U true"),
    ("mount namespace", "unshare -m true"),
    ("network namespace", "unshare -n true"),
    ("namespace of the first process", "nsenter -t 1 -m true"),
    ("pivot", "pivot_root /tmp /tmp"),
    ("host name", "hostname evil"),
    ("clock", "date -s 2000-01-01; date +%Y | grep 2000"),
    ("log of the kernel", "dmesg"),
    ("module", "insmod /bin/busybox"),
    ("reboot", "reboot -f"),
    ("swap", "swapon /bin/busybox"),
    (
        "raw packet",
        "ping -c 1 127.0.0.1 && arping -c 1 -I lo 127.0.0.1",
    ),
    ("address", "ip address add 10.9.9.9/8 dev lo"),
    ("route", "ip route add default dev lo"),
    ("interface", "ip link add x type dummy"),
    ("loop device", "losetup /dev/loop0 /bin/busybox"),
    ("priority", "nice -n -10 true"),
    ("fewer kills", "echo -1000 > /proc/self/oom_score_adj"),
    ("id map", "echo '0 0 1' > /proc/self/uid_map"),
    (
        "processes of others",
        "ls /proc | grep -E '^[0-9]+$' | grep -vE '^[0-9]{1,3}$'",
    ),
    (
        "descriptors of the runtime",
        "ls -l /proc/self/fd | grep -E -- '-> /(sys|dev/shm|proc/[0-9]+/root)'",
    ),
    (
        "root of the first process",
        "ls /proc/1/root/dev/shm/bundle",
    ),
    (
        "mounts of the host",
        "grep -E '/dev/shm/(root|bundle)|/var/lib' /proc/self/mounts",
    ),
];

#[tokio::test]
async fn t72_no_known_way_leads_out() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let attempt = |(name, attempt): &(&str, &str)| {
        format!("if ({attempt}) >/dev/null 2>&1; then echo 'ESCAPED {name}'; fi\n")
    };
    let attempts: Vec<_> = ESCAPES.iter().map(attempt).collect();
    let text = attempts.concat() + "echo done";
    for (user, capabilities) in [
        ("app", Capabilities::None),
        ("root", Capabilities::None),
        ("root", Capabilities::Packages),
    ] {
        let mut process = script_as(user, &text);
        process.capabilities = capabilities;
        process.limits.processes = Some(500);
        let said = lab.run(&root, &process).await.unwrap();
        assert_eq!(
            said.out(),
            "done\n",
            "{user} {capabilities:?} {:?} {:?}",
            said.outcome,
            said.lines
        );
    }
}

#[tokio::test]
async fn t72_the_hosts_files_are_out_of_reach() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let canary = lab.folder.path().join("canary");
    fs::write(&canary, "whole").unwrap();
    let path = canary.display();
    let mut process = script_as(
        "root",
        &format!(
            "cat {path}; echo broken > {path}; ln -s {path} /work/link; echo broken > /work/link; ln /work/link /work/hard; \
             cp /bin/busybox /work/busybox; chmod 6755 /work/busybox; chmod u+s /bin/busybox; \
             chroot /work true; cd /proc/self/root/..; cat ../../..{path}; cat /proc/1/root{path}; cat /proc/1/cwd{path}; ls"
        ),
    );
    process.capabilities = Capabilities::Packages;
    let said = lab.run(&root, &process).await.unwrap();
    assert!(!said.out().contains("whole"), "{:?}", said.lines);
    assert_eq!(fs::read_to_string(&canary).unwrap(), "whole");
    // A set-user-ID file gives nobody anything inside either.
    let said = lab
        .run(
            &root,
            &script("/work/busybox id -u; grep CapEff /proc/self/status"),
        )
        .await
        .unwrap();
    assert_eq!(
        said.out(),
        "1001\nCapEff:\t0000000000000000\n",
        "{:?}",
        said.lines
    );
}

/// Device files and set-user-ID bits that came with an image mean nothing.
#[tokio::test]
async fn an_images_devices_are_none() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let status = std::process::Command::new("mknod")
        .args(["-m", "666"])
        .arg(root.join("zero"))
        .args(["c", "1", "5"])
        .status();
    assert!(status.unwrap().success());
    let said = lab
        .run(
            &root,
            &script(
                "head -c 1 /zero | wc -c; head -c 1 /dev/zero | wc -c; grep ' / ' /proc/mounts",
            ),
        )
        .await
        .unwrap();
    assert!(said.out().starts_with("0\n1\n"), "{:?}", said.lines);
    assert!(said.out().contains("nosuid,nodev"), "{:?}", said.lines);
}

/// CVE-2024-23651 and its kin: what two builds do to a cache that they share at the same time, ten thousand times, moves
/// nobody's mounts.
#[tokio::test]
async fn t71_builds_that_share_a_cache_cannot_move_each_others_mounts() {
    let program = compile(ROUNDS);
    let lab = Lab::new().await;
    let canary = lab.folder.path().join("canary");
    fs::write(&canary, "whole").unwrap();
    // Each begins while the cache of the pair before is as that left it.
    let cache = lab.folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    for number in 0..3 {
        let ready = |name: &str, other: &str| {
            let root = lab.root(&format!("{name}{number}"));
            copy_program(&program.path().join("program"), &root.join("bin/rounds"));
            let outside = lab.folder.path().display();
            let text = format!("/bin/rounds {name}{number} {other}{number} {outside}");
            let mut process = script_as("root", &text);
            process.capabilities = Capabilities::Packages;
            let shared = Source::Cache(cache.clone());
            process
                .mount(Mount::new("/cache", shared).unwrap())
                .unwrap();
            (root, process)
        };
        let ((one, first), (two, second)) = (ready("one", "two"), ready("two", "one"));
        let (first, second) = tokio::join!(lab.run(&one, &first), lab.run(&two, &second));
        for said in [first.unwrap(), second.unwrap()] {
            assert_eq!(said.out(), "met\n", "{:?} {:?}", said.outcome, said.lines);
        }
    }
    assert_eq!(fs::read_to_string(&canary).unwrap(), "whole");
    assert!(fs::metadata("/etc/passwd").unwrap().len() > 0);
}

/// 3,400 rounds in `/cache`, and more until it has met the other there. Arguments: its name, the other's, and a folder of
/// the host that has a file `canary`.
const ROUNDS: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
static int met = 0;
static void put(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file >= 0) { if (write(file, "broken", 6) < 0) {} close(file); }
}
/// What only the other can have put there.
static void made(int result) { if (result != 0 && errno == EEXIST) met = 1; }
int main(int count, char **words) {
    if (count != 4 || chdir("/cache") != 0) return 1;
    put(words[1]);
    for (int tries = 0; access(words[2], F_OK) != 0; tries++) {
        if (tries > 60000) { puts("alone"); return 1; }
        usleep(1000);
    }
    for (int round = 0; round < 3400 || (!met && round < 3400000); round++) {
        made(mkdir("a", 0755));
        made(mkdir("a/b", 0755));
        put("a/b/f");
        unlink("a/b/f");
        rmdir("a/b");
        rmdir("a");
        made(symlink(words[3], "a"));
        put("a/canary");
        unlink("a");
        made(symlink("/", "a"));
        unlink("a/etc/passwd");
        unlink("a");
    }
    puts(met ? "met" : "alone");
    return 0;
}
"#;

/// What busybox has no command for, as system calls of a small program.
#[tokio::test]
async fn refused_system_calls_are_refused() {
    let program = compile(CALLS);
    let lab = Lab::new().await;
    let root = lab.root("root");
    copy_program(&program.path().join("program"), &root.join("bin/calls"));
    for user in ["app", "root"] {
        let mut process = script_as(user, "/bin/calls");
        process.capabilities = Capabilities::Packages;
        let said = lab.run(&root, &process).await.unwrap();
        assert_eq!(said.out(), "done\n", "{:?}", said.lines);
    }
}

const CALLS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static void refused(const char *name, long result, int wanted) {
    if (result != -1 || errno != wanted) printf("%s: %ld, errno %d\n", name, result, errno);
}
#define TRY(name, wanted, ...) errno = 0; refused(#name, syscall(SYS_##name, __VA_ARGS__), wanted)
int main(void) {
    char buffer[4096] = {0};
    TRY(keyctl, EPERM, 0, -3, 0, 0, 0);
    TRY(add_key, EPERM, "user", "x", "y", 1, -3);
    TRY(request_key, EPERM, "user", "x", "y", -3);
    TRY(bpf, EPERM, 0, buffer, 64);
    TRY(userfaultfd, EPERM, 1);
    TRY(perf_event_open, EPERM, buffer, 0, -1, -1, 0);
    TRY(ptrace, EPERM, 0, 0, 0, 0);
    TRY(process_vm_readv, EPERM, 1, 0, 0, 0, 0, 0);
    TRY(open_by_handle_at, EPERM, -100, buffer, 0);
    TRY(io_uring_setup, EPERM, 4, buffer);
    TRY(unshare, EPERM, CLONE_NEWUSER);
    TRY(setns, EPERM, 0, 0);
    TRY(mount, EPERM, "x", "/tmp", "tmpfs", 0, 0);
    TRY(fsopen, EPERM, "tmpfs", 0);
    TRY(open_tree, EPERM, -100, "/", 1);
    TRY(pivot_root, EPERM, "/", "/");
    TRY(init_module, EPERM, buffer, 0, "");
    TRY(kexec_load, EPERM, 0, 0, 0, 0);
    TRY(personality, ENOSYS, 0x0400000);
    TRY(clone3, ENOSYS, buffer, 64);
    TRY(clone, ENOSYS, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    TRY(clone, ENOSYS, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0);
    TRY(clone, ENOSYS, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, buffer + 4096, 0, 0, 0);
    TRY(close_range, ENOSYS, 100, 200, 2);
    TRY(landlock_create_ruleset, ENOSYS, 0, 0, 1);
    TRY(landlock_add_rule, ENOSYS, 0, 1, buffer, 0);
    TRY(landlock_restrict_self, ENOSYS, 0, 0);
    TRY(socket, ENOSYS, 40, SOCK_STREAM, 0);
    TRY(socket, ENOSYS, 38, SOCK_SEQPACKET, 0);
    TRY(socket, ENOSYS, 17, SOCK_RAW, 0);
    long unknown = syscall(9999);
    if (unknown != -1 || errno != ENOSYS) printf("unknown: %ld, errno %d\n", unknown, errno);
    if (socket(AF_UNIX, SOCK_STREAM, 0) < 0 || socket(AF_INET, SOCK_STREAM, 0) < 0) printf("no sockets\n");
    if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) _exit(0);
    // Nothing reserves room; holes are made, and what C libraries do instead of reserving works.
    int file = open("/tmp/file", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0) printf("no file: errno %d\n", errno);
    for (long mode = 0; mode < 128; mode++) if (mode != 3) { TRY(fallocate, EOPNOTSUPP, file, mode, 0L, 1L << 20); }
    TRY(fallocate, EOPNOTSUPP, file, 1L << 32 | 1, 0L, 1L << 20);
    struct { short type, whence; long start, length; int rest[6]; } room = {0, 0, 0, 1 << 20, {0}};
    long reserve[] = {0x40305828, 0x4030582A, 0x40305839, 0x401C5820, 1L << 32 | 0x4030582A};
    for (int i = 0; i < 5; i++) { TRY(ioctl, ENOTTY, file, reserve[i], &room); }
    struct stat found;
    if (fstat(file, &found) != 0 || found.st_blocks != 0) printf("%ld blocks\n", (long)found.st_blocks);
    if (posix_fallocate(file, 0, 1 << 20) != 0 || fstat(file, &found) != 0 || found.st_blocks < 2048) puts("no room");
    if (fallocate(file, 3, 0, 1 << 20) != 0 || fstat(file, &found) != 0 || found.st_blocks > 16) puts("no hole");
    int waiting = -1;
    if (ioctl(file, FIONREAD, &waiting) != 0 || waiting != 1 << 20) puts("no ioctl");
    // Who comes next may be another user, whom a kernel may keep from opening it (fs.protected_regular).
    unlink("/tmp/file");
    puts("done");
    return 0;
}
"#;
