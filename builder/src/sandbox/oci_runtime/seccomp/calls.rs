//! The system calls by what they are for, with blanks between (`syscalls(2)`).

pub(super) const FILES: &str = "\
    access chdir close copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 \
    fchdir fcntl fdatasync flock fstat fstatfs fsync ftruncate getcwd getdents getdents64 \
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch link linkat lseek lstat mkdir \
    mkdirat mknod mknodat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 \
    pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 rmdir sendfile \
    splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink \
    unlinkat write writev";

pub(super) const ATTRIBUTES: &str = "\
    chmod chown fchmod fchmodat fchmodat2 fchown fchownat fgetxattr flistxattr fremovexattr fsetxattr \
    futimesat getxattr lchown lgetxattr listxattr llistxattr lremovexattr lsetxattr removexattr setxattr \
    utime utimensat utimes";

pub(super) const MEMORY: &str = "\
    brk get_mempolicy madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall \
    mmap mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect \
    remap_file_pages set_mempolicy mbind";

/// Without Landlock: a rule of it holds the file that it names, also when that is deleted, where nobody can look.
pub(super) const PROCESSES: &str = "\
    arch_prctl execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv \
    futex_wake get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid getpriority \
    getrlimit getrusage getsid gettid ioprio_get ioprio_set pidfd_open pidfd_send_signal prctl prlimit64 \
    rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam \
    sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address setpgid \
    setpriority setrlimit setsid vfork wait4 waitid";

/// `chroot` and the changes of user need a capability, which only `Capabilities::Packages` gives, to root alone.
pub(super) const IDENTITY: &str = "\
    capget capset chroot getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid \
    setgid setgroups setregid setresgid setresuid setreuid setuid";

pub(super) const SIGNALS: &str = "\
    kill pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn \
    rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd signalfd4 tgkill tkill";

pub(super) const WAITING: &str = "\
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 io_cancel \
    io_destroy io_getevents io_setup io_submit poll ppoll pselect6 select";

pub(super) const TIME: &str = "\
    alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time \
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create \
    timerfd_gettime timerfd_settime times";

pub(super) const SOCKETS: &str = "\
    accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg \
    sendmmsg sendmsg sendto setsockopt shutdown socketpair";

pub(super) const EXCHANGE: &str = "\
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd \
    semctl semget semop semtimedop shmat shmctl shmdt shmget";

pub(super) const MACHINE: &str = "\
    getrandom sysinfo uname";

pub(super) const REFUSED: &str = "\
    acct add_key adjtimex bpf clock_adjtime clock_settime create_module delete_module fanotify_init \
    fanotify_mark finit_module fsconfig fsmount fsopen fspick get_kernel_syms init_module io_uring_enter \
    io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl listmount \
    lookup_dcookie memfd_secret migrate_pages modify_ldt mount mount_setattr move_mount move_pages \
    name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root \
    process_madvise process_mrelease process_vm_readv process_vm_writev ptrace query_module quotactl \
    quotactl_fd reboot request_key setdomainname sethostname setns settimeofday statmount stime swapoff \
    swapon sysfs syslog umount umount2 unshare uselib userfaultfd ustat vhangup vm86 vm86old vmsplice";
