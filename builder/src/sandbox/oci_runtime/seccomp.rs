//! Which system calls a build may make.
//!
//! Everything that compilers, interpreters, package managers and test suites need, and nothing else: a list of what is
//! allowed, so that a call that a new kernel brings is not. What is not known fails with `ENOSYS`, which programs take for an
//! older kernel and work around; what is known and refused, with `EPERM`. Beyond what container engines refuse by
//! default, there are no namespaces to be made inside (each opens a part of the kernel that only root should reach), no
//! `ptrace`, no keyrings, no `io_uring`, no `userfaultfd`, no reading of other processes' memory.
//!
//! Source: `syscalls(2)`; `seccomp(2)`; config-linux.md#seccomp.

use serde::Serialize;

#[cfg(test)]
mod tests;

/// The filter as the runtime takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seccomp {
    default_action: &'static str,
    default_errno_ret: u32,
    architectures: &'static [&'static str],
    syscalls: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: &'static [&'static str],
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Argument>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    value_two: u64,
    op: &'static str,
}

const ALLOW: &str = "SCMP_ACT_ALLOW";
const ERRNO: &str = "SCMP_ACT_ERRNO";
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// Every `CLONE_NEW…` flag of `clone(2)`.
const CLONE_NEW: u64 = 0x7E02_0000;
/// `AF_UNIX`, `AF_INET`, `AF_INET6`, and `AF_NETLINK` for the list of interfaces. Not the hypervisor's (`AF_VSOCK`), the
/// kernel's ciphers' (`AF_ALG`) nor any other of forty.
const FAMILIES: [u64; 4] = [1, 2, 10, 16];
/// `PER_LINUX`, `UNAME26`, `ADDR_NO_RANDOMIZE`, and the question which one is set (`personality(2)`).
const PERSONALITIES: [u64; 4] = [0, 0x0002_0000, 0x0004_0000, 0xFFFF_FFFF];

impl Seccomp {
    /// The filter for this machine's processor.
    pub(crate) fn profile() -> Self {
        let allow = |names| Rule {
            names,
            action: ALLOW,
            errno_ret: None,
            args: Vec::new(),
        };
        let refuse = |names, errno| Rule {
            names,
            action: ERRNO,
            errno_ret: Some(errno),
            args: Vec::new(),
        };
        let mut syscalls: Vec<_> = ALLOWED.iter().map(|&names| allow(names)).collect();
        syscalls.push(refuse(REFUSED, EPERM));
        // Its flags are in memory, where a filter cannot look: programs then use clone.
        syscalls.push(refuse(&["clone3"], ENOSYS));
        syscalls.push(Rule {
            args: vec![Argument {
                index: 0,
                value: CLONE_NEW,
                value_two: 0,
                op: "SCMP_CMP_MASKED_EQ",
            }],
            ..allow(&["clone"])
        });
        let first_is = |names, value| Rule {
            args: vec![Argument {
                index: 0,
                value,
                value_two: 0,
                op: "SCMP_CMP_EQ",
            }],
            ..allow(names)
        };
        syscalls.extend(PERSONALITIES.map(|value| first_is(&["personality"], value)));
        syscalls.extend(FAMILIES.map(|value| first_is(&["socket"], value)));
        Self {
            default_action: ERRNO,
            default_errno_ret: ENOSYS,
            architectures: ARCHITECTURES,
            syscalls,
        }
    }
}

/// Only the machine's own calls: those of 32-bit programs are another way into the same kernel.
const ARCHITECTURES: &[&str] = if cfg!(target_arch = "aarch64") {
    &["SCMP_ARCH_AARCH64"]
} else {
    &["SCMP_ARCH_X86_64"]
};

const ALLOWED: &[&[&str]] = &[
    FILES, ATTRIBUTES, MEMORY, PROCESSES, IDENTITY, SIGNALS, WAITING, TIME, SOCKETS, EXCHANGE,
    MACHINE,
];

const FILES: &[&str] = &[
    "access",
    "chdir",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getcwd",
    "getdents",
    "getdents64",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "ioctl",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pipe",
    "pipe2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync",
    "sync_file_range",
    "syncfs",
    "tee",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "write",
    "writev",
];

const ATTRIBUTES: &[&str] = &[
    "chmod",
    "chown",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "fgetxattr",
    "flistxattr",
    "fremovexattr",
    "fsetxattr",
    "futimesat",
    "getxattr",
    "lchown",
    "lgetxattr",
    "listxattr",
    "llistxattr",
    "lremovexattr",
    "lsetxattr",
    "removexattr",
    "setxattr",
    "utime",
    "utimensat",
    "utimes",
];

const MEMORY: &[&str] = &[
    "brk",
    "get_mempolicy",
    "madvise",
    "map_shadow_stack",
    "membarrier",
    "memfd_create",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mprotect",
    "mremap",
    "mseal",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "remap_file_pages",
    "set_mempolicy",
    "mbind",
];

const PROCESSES: &[&str] = &[
    "arch_prctl",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "futex",
    "futex_requeue",
    "futex_wait",
    "futex_waitv",
    "futex_wake",
    "get_robust_list",
    "get_thread_area",
    "getcpu",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "ioprio_get",
    "ioprio_set",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "rseq",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "seccomp",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "setpgid",
    "setpriority",
    "setrlimit",
    "setsid",
    "vfork",
    "wait4",
    "waitid",
];

/// `chroot` and the changes of user need a capability, which only `Capabilities::Packages` gives, to root alone.
const IDENTITY: &[&str] = &[
    "capget",
    "capset",
    "chroot",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getresgid",
    "getresuid",
    "getuid",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setuid",
];

const SIGNALS: &[&str] = &[
    "kill",
    "pause",
    "restart_syscall",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "sigaltstack",
    "signalfd",
    "signalfd4",
    "tgkill",
    "tkill",
];

const WAITING: &[&str] = &[
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_setup",
    "io_submit",
    "poll",
    "ppoll",
    "pselect6",
    "select",
];

const TIME: &[&str] = &[
    "alarm",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "getitimer",
    "gettimeofday",
    "nanosleep",
    "setitimer",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    "times",
];

const SOCKETS: &[&str] = &[
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socketpair",
];

const EXCHANGE: &[&str] = &[
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedsend",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
];

const MACHINE: &[&str] = &["getrandom", "sysinfo", "uname"];

const REFUSED: &[&str] = &[
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "fanotify_mark",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "listmount",
    "lookup_dcookie",
    "memfd_secret",
    "migrate_pages",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_mrelease",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "statmount",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
    "vmsplice",
];
