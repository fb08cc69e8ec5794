//! The right of a namespace's pods to pull its images: one `RoleBinding`. What was seen of it, and what is to be done.

use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use kube::ResourceExt as _;

use super::observed::{Namespace, OWNER};
use super::plan::Plan;
use super::settings::Settings;

#[cfg(test)]
mod tests;

const GROUP: &str = "rbac.authorization.k8s.io";
/// What is granted. install/rbac.yaml brings it, and OpenShift has one of this name.
const ROLE: &str = "system:image-puller";

/// A `RoleBinding` that has the name of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) ending: bool,
    pub(super) standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Somebody else's, whatever it grants.
    Foreign,
    /// It grants another role, which cannot be changed: it must be made anew.
    Fixed,
    /// It grants to others than the namespace's `ServiceAccounts`.
    Altered,
    /// As we make it.
    Good,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make the binding.
    Make,
    /// Write its subjects again, if it is still at this version.
    Mend { version: String },
    /// Remove the binding that has this uid.
    Remove { uid: String },
}

impl Grant {
    pub(super) fn of(binding: &RoleBinding, settings: &Settings) -> Self {
        Self {
            uid: binding.uid().unwrap_or_default(),
            version: binding.resource_version().unwrap_or_default(),
            ending: binding.metadata.deletion_timestamp.is_some(),
            standing: standing_of(binding, settings),
        }
    }
}

fn standing_of(binding: &RoleBinding, settings: &Settings) -> Standing {
    if binding.labels().get(OWNER) != Some(&settings.name) {
        return Standing::Foreign;
    }
    if binding.role_ref != role() {
        return Standing::Fixed;
    }
    let namespace = binding.namespace().unwrap_or_default();
    let subjects = binding.subjects.as_deref().unwrap_or_default();
    if subjects != [pods_of(&namespace)] {
        return Standing::Altered;
    }
    Standing::Good
}

/// The role that is granted, and it alone.
pub(super) fn role() -> RoleRef {
    RoleRef {
        api_group: GROUP.to_owned(),
        kind: "ClusterRole".to_owned(),
        name: ROLE.to_owned(),
    }
}

/// All `ServiceAccounts` of a namespace, now and later.
pub(super) fn pods_of(namespace: &str) -> Subject {
    Subject {
        api_group: Some(GROUP.to_owned()),
        kind: "Group".to_owned(),
        name: format!("system:serviceaccounts:{namespace}"),
        namespace: None,
    }
}

/// What comes next for a namespace. `None`: it is not there.
pub(super) fn plan(
    namespace: Option<&Namespace>,
    grant: Option<&Grant>,
    settings: &Settings,
) -> Plan<Step> {
    // What is in a namespace that ends goes with it.
    let Some(namespace) = namespace.filter(|namespace| !namespace.ending) else {
        return Plan::Rest(None);
    };
    let is_wanted = settings.grant_pull && !settings.withdraw && !namespace.opted_out;
    let Some(grant) = grant else {
        return if is_wanted {
            Plan::Act(Step::Make)
        } else {
            Plan::Rest(None)
        };
    };
    let remove = || {
        Plan::Act(Step::Remove {
            uid: grant.uid.clone(),
        })
    };
    match grant.standing {
        Standing::Foreign if is_wanted => Plan::Blocked(grant.uid.clone()),
        Standing::Foreign => Plan::Rest(None),
        // Its end is seen, and then a new one is made.
        _ if grant.ending => Plan::Rest(None),
        _ if !is_wanted => remove(),
        Standing::Fixed => remove(),
        Standing::Altered => Plan::Act(Step::Mend {
            version: grant.version.clone(),
        }),
        Standing::Good => Plan::Rest(None),
    }
}
