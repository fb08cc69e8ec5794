//! The same calls for a thread of ours and all that it starts, where no runtime puts the filter in force.

use std::collections::BTreeMap;
use std::io;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use syscalls::Sysno;

use super::{ALLOWED, CLONE_NEW, ENOSYS, EPERM, FAMILIES, PERSONALITIES, calls};

#[cfg(test)]
mod tests;

/// What a program's surroundings are made with after the filter is in force. Of these the kernel itself refuses all to whoever has no
/// capability, as the program in the end; capabilities would come of a user namespace, and that cannot be made.
const MOUNTS: &str =
    "fsconfig fsmount fsopen mount mount_setattr move_mount open_tree umount2 unshare";

/// Of `unshare(2)`.
const CLONE_NEWUSER: u64 = 0x1000_0000;

const ARCHITECTURE: TargetArch = if cfg!(target_arch = "aarch64") {
    TargetArch::aarch64
} else {
    TargetArch::x86_64
};

/// A filter that a thread can put itself under. One program of the kernel's knows one answer for all that it refuses, so there are two.
#[derive(Debug)]
pub(crate) struct ThreadFilter {
    /// What does not exist.
    unknown: BpfProgram,
    /// What is refused.
    refused: BpfProgram,
}

impl ThreadFilter {
    /// For programs that are started by way of mounts and namespaces, but none of users.
    pub(crate) fn with_mounts() -> Result<Self, BackendError> {
        let mut rules = BTreeMap::new();
        for names in [ALLOWED, &[calls::REFUSED, MOUNTS]].concat() {
            allow(&mut rules, names);
        }
        let none_of =
            |flags| SeccompCondition::new(0, Qword, SeccompCmpOp::MaskedEq(flags), 0).map(one);
        let is = |value| SeccompCondition::new(0, Dword, SeccompCmpOp::Eq, value).map(one);
        rules.insert(Sysno::clone.id().into(), vec![none_of(CLONE_NEW)??]);
        rules.insert(Sysno::unshare.id().into(), vec![none_of(CLONE_NEWUSER)??]);
        for (call, values) in [
            (Sysno::personality, PERSONALITIES),
            (Sysno::socket, FAMILIES),
        ] {
            let mut of = Vec::new();
            for value in values {
                of.push(is(value)??);
            }
            rules.insert(call.id().into(), of);
        }
        let mut refused = BTreeMap::new();
        allow(&mut refused, calls::REFUSED);
        for mount in MOUNTS.split_whitespace().filter_map(number) {
            refused.remove(&mount);
        }
        let compile = |rules, matched, other| -> Result<BpfProgram, BackendError> {
            SeccompFilter::new(rules, other, matched, ARCHITECTURE)?.try_into()
        };
        Ok(Self {
            unknown: compile(rules, SeccompAction::Allow, SeccompAction::Errno(ENOSYS))?,
            refused: compile(refused, SeccompAction::Errno(EPERM), SeccompAction::Allow)?,
        })
    }

    /// Puts the calling thread under it, for ever, with all that it starts from now on; they gain no rights by what they execute, either.
    pub(crate) fn apply(&self) -> io::Result<()> {
        for program in [&self.refused, &self.unknown] {
            apply_filter(program).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

fn one(condition: SeccompCondition) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition])
}

/// Adds calls, with whatever arguments. What this processor has no number for does not exist on it.
fn allow(rules: &mut BTreeMap<i64, Vec<SeccompRule>>, names: &str) {
    let numbers = names.split_whitespace().filter_map(number);
    rules.extend(numbers.map(|number| (number, Vec::new())));
}

fn number(name: &str) -> Option<i64> {
    let call: Option<Sysno> = name.parse().ok();
    call.map(|call| call.id().into())
}
