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

mod calls;
#[cfg(test)]
mod tests;
mod thread;

pub(crate) use thread::ThreadFilter;

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
    names: Vec<&'static str>,
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
        let words = |names: &'static str| names.split_whitespace().collect();
        let allow = |names| Rule {
            names: words(names),
            action: ALLOW,
            errno_ret: None,
            args: Vec::new(),
        };
        let refuse = |names, errno| Rule {
            names: words(names),
            action: ERRNO,
            errno_ret: Some(errno),
            args: Vec::new(),
        };
        let mut syscalls: Vec<_> = ALLOWED.iter().map(|&names| allow(names)).collect();
        syscalls.push(refuse(calls::REFUSED, EPERM));
        // Its flags are in memory, where a filter cannot look: programs then use clone.
        syscalls.push(refuse("clone3", ENOSYS));
        syscalls.push(Rule {
            args: vec![Argument {
                index: 0,
                value: CLONE_NEW,
                value_two: 0,
                op: "SCMP_CMP_MASKED_EQ",
            }],
            ..allow("clone")
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
        syscalls.extend(PERSONALITIES.map(|value| first_is("personality", value)));
        syscalls.extend(FAMILIES.map(|value| first_is("socket", value)));
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

const ALLOWED: &[&str] = &[
    calls::FILES,
    calls::ATTRIBUTES,
    calls::MEMORY,
    calls::PROCESSES,
    calls::IDENTITY,
    calls::SIGNALS,
    calls::WAITING,
    calls::TIME,
    calls::SOCKETS,
    calls::EXCHANGE,
    calls::MACHINE,
];
