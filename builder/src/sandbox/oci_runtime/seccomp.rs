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
mod partly;
#[cfg(test)]
mod tests;
mod thread;

use partly::{Else, Is, PARTLY, Partly};
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
        for call in PARTLY {
            let only = |argument, rule| Rule {
                args: vec![argument],
                ..rule
            };
            let allowed = call.allowed.iter();
            syscalls.extend(allowed.map(|&is| only(call.is(is), allow(call.name))));
            if let Some((other, errno)) = call.otherwise {
                syscalls.push(only(call.is_else(other), refuse(call.name, errno)));
            }
        }
        Self {
            default_action: ERRNO,
            default_errno_ret: ENOSYS,
            architectures: ARCHITECTURES,
            syscalls,
        }
    }
}

impl Partly {
    fn is(&self, Is { mask, value }: Is) -> Argument {
        self.argument(mask, value, "SCMP_CMP_MASKED_EQ")
    }

    fn is_else(&self, other: Else) -> Argument {
        match other {
            Else::Is(is) => self.is(is),
            Else::Not(value) => self.argument(value, 0, "SCMP_CMP_NE"),
        }
    }

    fn argument(&self, value: u64, value_two: u64, op: &'static str) -> Argument {
        Argument {
            index: self.argument.into(),
            value,
            value_two,
            op,
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
