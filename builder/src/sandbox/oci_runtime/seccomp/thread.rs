//! The same calls for a thread of ours and all that it starts, where no runtime puts the filter in force.

use std::collections::BTreeMap;
use std::io;

use seccompiler::SeccompCmpArgLen::Qword;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use syscalls::Sysno;

use super::partly::{Is, PARTLY};
use super::{ALLOWED, ENOSYS};

#[cfg(test)]
mod tests;

/// What a program's surroundings are made with after the filter is in force. Of these the kernel itself refuses all to whoever has no
/// capability, as the program in the end; capabilities would come of a user namespace, and that cannot be made.
const MOUNTS: &str = "fsconfig fsmount fsopen mount mount_setattr move_mount open_tree umount2";

const ARCHITECTURE: TargetArch = if cfg!(target_arch = "aarch64") {
    TargetArch::aarch64
} else {
    TargetArch::x86_64
};

/// A filter that a thread can put itself under. A program of the kernel's has one answer for all that it does not let through: here, unlike in
/// a build, what is refused does not exist either. A second program for the other answer would cost each start more than it tells.
#[derive(Debug)]
pub(crate) struct ThreadFilter(BpfProgram);

impl ThreadFilter {
    /// For programs that are started by way of mounts.
    pub(crate) fn with_mounts() -> Result<Self, BackendError> {
        let mut rules = BTreeMap::new();
        for names in [ALLOWED, &[MOUNTS]].concat() {
            // What this processor has no number for does not exist on it.
            let numbers = names.split_whitespace().filter_map(number);
            rules.extend(numbers.map(|number| (number, Vec::new())));
        }
        for call in PARTLY {
            let is = |is: &Is| {
                let masked = SeccompCmpOp::MaskedEq(is.mask);
                let condition = SeccompCondition::new(call.argument, Qword, masked, is.value)?;
                SeccompRule::new(vec![condition])
            };
            let allowed = call.allowed.iter().map(is);
            let allowed: Vec<_> = allowed.collect::<Result<_, BackendError>>()?;
            rules.extend(number(call.name).map(|number| (number, allowed)));
        }
        let refused = SeccompAction::Errno(ENOSYS);
        let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, ARCHITECTURE)?;
        filter.try_into().map(Self)
    }

    /// Puts the calling thread under it, for ever, with all that it starts from now on; they gain no rights by what they execute, either.
    pub(crate) fn apply(&self) -> io::Result<()> {
        apply_filter(&self.0).map_err(io::Error::other)
    }
}

fn number(name: &str) -> Option<i64> {
    let call: Option<Sysno> = name.parse().ok();
    call.map(|call| call.id().into())
}
