//! The rules, laid out for asking.

use std::collections::HashMap;

use oci::RepoName;

use super::Resource;
use super::aggregate::ClusterRole;
use super::bindings::{Binding, bindings};
use super::read::Placed;
use super::rights::Rights;
use crate::{Action, Identity, LoadError, Right};

/// The rights of every user and group, added up over their bindings, so that a question costs two hash look-ups for the
/// user and two for each group, however many rules there are.
pub(super) struct Index {
    users: HashMap<String, Granted>,
    groups: HashMap<String, Granted>,
    bindings: Vec<Binding>,
}

#[derive(Default)]
struct Granted {
    everywhere: Rights,
    namespaces: HashMap<String, Rights>,
}

impl Index {
    /// `given` are the ClusterRoles that are there unless the objects define them.
    pub(super) fn new(
        objects: Vec<Placed>,
        given: Vec<(String, ClusterRole)>,
        resource: &Resource,
    ) -> Result<Self, LoadError> {
        let bindings = bindings(objects, given, resource)?;
        let mut users: HashMap<String, Granted> = HashMap::new();
        let mut groups: HashMap<String, Granted> = HashMap::new();
        for binding in &bindings {
            for subject in &binding.subjects {
                let subjects = if subject.is_group {
                    &mut groups
                } else {
                    &mut users
                };
                let granted = subjects.entry(subject.name.clone()).or_default();
                match &binding.namespace {
                    None => granted.everywhere.add(&binding.rights),
                    Some(namespace) => {
                        let rights = granted.namespaces.entry(namespace.clone()).or_default();
                        rights.add(&binding.rights);
                    }
                }
            }
        }
        Ok(Self {
            users,
            groups,
            bindings,
        })
    }

    pub(super) fn allows(&self, who: &Identity, action: Action, repo: &RepoName) -> bool {
        let (namespace, name) = (repo.namespace(), repo.rest());
        let allowed = |granted: &Granted| {
            granted.everywhere.on(name).contains(action)
                || granted
                    .namespaces
                    .get(namespace)
                    .is_some_and(|rights| rights.on(name).contains(action))
        };
        self.users.get(who.name()).is_some_and(allowed)
            || who
                .groups()
                .any(|group| self.groups.get(group).is_some_and(allowed))
    }

    /// A RoleBinding gives nothing that has no namespace.
    pub(super) fn has_right(&self, who: &Identity, right: Right, namespace: Option<&str>) -> bool {
        let allowed = |granted: &Granted| {
            let there = namespace.and_then(|namespace| granted.namespaces.get(namespace));
            granted.everywhere.others().contains(right)
                || there.is_some_and(|rights| rights.others().contains(right))
        };
        self.users.get(who.name()).is_some_and(allowed)
            || who
                .groups()
                .any(|group| self.groups.get(group).is_some_and(allowed))
    }

    /// Every binding, in the order of the files.
    pub(super) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }
}
