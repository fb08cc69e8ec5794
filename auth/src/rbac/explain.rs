//! Why something is allowed, and what comes nearest where it is not.

use super::bindings::Binding;
use super::index::Index;
use crate::{Deed, Identity};

/// A binding that names somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `RoleBinding team-a/pushers` or `ClusterRoleBinding everyone`.
    pub binding: String,
    /// `ClusterRole system:image-puller` or `Role team-a/deployers`.
    pub role: String,
    /// The subject that it matched: `User alice`, `Group devs`, `ServiceAccount ci/builder`.
    pub subject: String,
    /// File and line of the binding: `rules.yaml:12`.
    pub place: String,
}

/// A binding that names somebody and does not allow what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The binding.
    pub reason: Reason,
    /// Why it does not.
    pub why: WhyNot,
}

/// Why a binding does not allow something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// The role that it refers to is not there.
    NoRole,
    /// Of the same it gives other verbs only: these.
    Gives(Vec<&'static str>),
    /// It would, but for repositories of other names.
    OtherNames,
    /// It would, but in its own namespace only.
    OtherNamespace,
}

impl Index {
    /// The bindings that allow it, in the order in which Kubernetes looks at them.
    pub(super) fn explain(&self, who: &Identity, deed: &Deed) -> Vec<Reason> {
        let allows = |binding: &&Binding| holds_for(binding, deed) && binding.rights.give(deed);
        let reasons = |namespaced: bool| {
            let bindings = self.bindings().iter().filter(allows);
            bindings
                .filter(move |binding| binding.namespace.is_some() == namespaced)
                .filter_map(|binding| reason(binding, who))
        };
        reasons(false).chain(reasons(true)).collect()
    }

    /// The bindings that name them and have to do with it, but do not allow it; those that miss least come first.
    pub(super) fn nearest(&self, who: &Identity, deed: &Deed) -> Vec<Near> {
        let near = |binding: &Binding| {
            let why = why_not(binding, deed)?;
            let reason = reason(binding, who)?;
            Some(Near { reason, why })
        };
        let mut nearest: Vec<_> = self.bindings().iter().filter_map(near).collect();
        nearest.sort_by_key(|near| match near.why {
            WhyNot::NoRole => 0,
            WhyNot::OtherNames => 1,
            WhyNot::Gives(_) => 2,
            WhyNot::OtherNamespace => 3,
        });
        nearest
    }
}

/// `None` where it allows it, or has nothing to do with it.
fn why_not(binding: &Binding, deed: &Deed) -> Option<WhyNot> {
    let rights = &binding.rights;
    if !holds_for(binding, deed) {
        return rights.give(deed).then_some(WhyNot::OtherNamespace);
    }
    if !binding.has_role {
        return Some(WhyNot::NoRole);
    }
    if rights.give(deed) {
        None
    } else if rights.give_for_other_names(deed) {
        Some(WhyNot::OtherNames)
    } else {
        let gives = rights.verbs(deed);
        (!gives.is_empty()).then_some(WhyNot::Gives(gives))
    }
}

fn holds_for(binding: &Binding, deed: &Deed) -> bool {
    binding
        .namespace
        .as_deref()
        .is_none_or(|namespace| deed.namespace() == Some(namespace))
}

fn reason(binding: &Binding, who: &Identity) -> Option<Reason> {
    let subject = binding.subjects.iter().find(|subject| {
        if subject.is_group {
            who.groups().any(|group| group == subject.name)
        } else {
            who.name() == subject.name
        }
    })?;
    Some(Reason {
        binding: match &binding.namespace {
            None => format!("ClusterRoleBinding {}", binding.name),
            Some(namespace) => format!("RoleBinding {namespace}/{}", binding.name),
        },
        role: binding.role.clone(),
        subject: subject.written.clone(),
        place: binding.place.clone(),
    })
}
