//! Kubernetes RBAC (rbac.authorization.k8s.io/v1) from a folder of YAML files, by Kubernetes' rules.
//!
//! A repository is the virtual resource `images.registry.alauda.io` ([`Resource`]) named by the rest of its path in the
//! namespace that is its first segment: `team-a/app/web` is `app/web` in `team-a`. A repository of one segment is
//! nameless in the namespace of that segment: rules without `resourceNames` hold for it, and so does a name of `""`.
//! Other rights ([`Right`]) are other resources of the same group, given over the whole registry by `ClusterRoleBinding`s;
//! a `RoleBinding` gives them in its namespace, as far as they mean anything there.
//! So `kubectl auth can-i get images.registry.alauda.io/app/web -n team-a` asks the same question of a cluster.

mod aggregate;
mod bindings;
mod builtin;
mod doubts;
mod explain;
mod index;
mod objects;
mod read;
mod rights;
mod selector;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oci::RepoName;

use self::bindings::Binding;
pub use self::explain::{Near, Reason, WhyNot};
use self::index::Index;
use crate::watched::{Source, Watched};
use crate::{Action, Deed, Identity, LoadError, Policy, Refusal, Right, RulesKept};

#[cfg(test)]
mod tests;

/// The virtual resource that rules are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group, as in a rule's `apiGroups`.
    pub group: String,
    /// Resource, as in a rule's `resources`; a subresource stands behind `/`.
    pub resource: String,
}

impl Default for Resource {
    fn default() -> Self {
        Self {
            group: "registry.alauda.io".into(),
            resource: "images".into(),
        }
    }
}

/// Decides by the ClusterRoles, Roles and their bindings in a folder.
///
/// Files end in `.yaml`, `.yml` or `.json`, may hold several documents and `List`s; subfolders are not read. Where they
/// do not define them, there are the ClusterRoles `system:image-puller`, `system:image-pusher`, `system:image-pruner`,
/// `system:image-auditor`, `system:build-viewer`, `system:build-editor`, `view`, `edit`, `admin` and `cluster-admin`.
#[derive(Debug)]
pub struct Rbac {
    index: Arc<Watched<Index>>,
    resource: Resource,
}

impl Rbac {
    /// Reads the folder. An error names file and line; one broken object refuses the whole folder, since rules that are
    /// half there are not those that somebody wrote.
    pub fn load(dir: &Path, resource: Resource) -> Result<Self, LoadError> {
        for unread in read::unread(dir) {
            let unread = unread.display();
            tracing::warn!("{unread}: subfolders are not read: what its files give nobody has");
        }
        let folder = dir.to_owned();
        let asked = resource.clone();
        let parse = move |sources: &[_]| {
            let objects = read::objects(sources)?;
            if objects.is_empty() {
                let folder = folder.display();
                tracing::warn!(
                    "{folder}: no rules: nobody may do anything (files end in .yaml, .yml or .json)"
                );
            }
            let given = builtin::cluster_roles(&resource);
            Index::new(objects, given, &resource)
        };
        Ok(Self {
            index: Arc::new(Watched::load(dir, read::folder, parse)?),
            resource: asked,
        })
    }

    /// Reads the folder again if it changed; true when something new is in force. On an error the rules from before
    /// stay.
    pub fn reload(&self) -> Result<bool, LoadError> {
        self.index.reload()
    }

    /// Reloads `every` so often, for ever; spawn it. Failures are logged.
    pub fn watch(&self, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.index).watch(every)
    }

    /// For how long the folder has held a change that is not in force, as something is wrong with it; zero when it has none.
    /// Spawn what [`Rbac::watch`] gives, which finds out.
    pub fn stale(&self) -> impl Fn() -> Duration + Send + Sync + use<> {
        let index = Arc::clone(&self.index);
        move || index.stale_for()
    }

    /// Which bindings allow it, in the order in which Kubernetes looks at them; none means no.
    pub fn explain(&self, who: &Identity, deed: &Deed) -> Vec<Reason> {
        self.index.current().explain(who, deed)
    }

    /// The rules of this moment.
    pub fn rules(&self) -> Rules {
        Rules(Arc::clone(&self.index.current()))
    }
}

/// Somebody who is named in a binding.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Of a group, not of a user.
    pub is_group: bool,
    /// The name of user or group as an identity has it.
    pub name: &'a str,
    /// As the binding has it: `ServiceAccount team/ci`.
    pub written: &'a str,
    /// The binding's file and line.
    pub place: &'a str,
}

/// Rules of one moment, to be asked why.
pub struct Rules(Arc<Index>);

impl Rules {
    /// The objects of a cluster, as JSON texts. Unlike a folder it has the ClusterRoles that it has, and no others.
    pub(crate) fn of_cluster(objects: &[String], resource: &Resource) -> Result<Self, LoadError> {
        let source = Source {
            path: "cluster".into(),
            text: objects.join("\n---\n"),
        };
        let objects = read::objects(&[source])?;
        Index::new(objects, Vec::new(), resource).map(|index| Self(Arc::new(index)))
    }

    /// Which bindings allow it, in the order in which Kubernetes looks at them; none means no.
    pub fn explain(&self, who: &Identity, deed: &Deed) -> Vec<Reason> {
        self.0.explain(who, deed)
    }

    /// The bindings that name them and have to do with it, but do not allow it; those that miss least come first.
    pub fn nearest(&self, who: &Identity, deed: &Deed) -> Vec<Near> {
        self.0.nearest(who, deed)
    }

    /// Everybody to whom something is given here.
    pub fn subjects(&self) -> impl Iterator<Item = Subject<'_>> {
        let gives = |binding: &&Binding| !binding.rights.is_empty();
        let bindings = self.0.bindings().iter().filter(gives);
        bindings.flat_map(|binding| {
            binding.subjects.iter().map(|who| Subject {
                is_group: who.is_group,
                name: &who.name,
                written: &who.written,
                place: &binding.place,
            })
        })
    }

    /// Whether there is a ClusterRole of this name that gives it where it is bound.
    pub fn cluster_role_gives(&self, name: &str, deed: &Deed) -> bool {
        self.0
            .cluster_role(name)
            .is_some_and(|role| role.give(deed))
    }

    /// Whether the name is taken by a ClusterRole.
    pub fn has_cluster_role(&self, name: &str) -> bool {
        self.0.cluster_role(name).is_some()
    }

    /// Whether the name is taken by a RoleBinding of the namespace, or with `None` by a ClusterRoleBinding.
    pub fn has_binding(&self, namespace: Option<&str>, name: &str) -> bool {
        let is_it =
            |binding: &Binding| binding.name == name && binding.namespace.as_deref() == namespace;
        self.0.bindings().iter().any(is_it)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({} bindings)", self.0.bindings().len())
    }
}

#[async_trait]
impl Policy for Rbac {
    async fn allows(
        &self,
        who: &Identity,
        action: Action,
        repo: &RepoName,
    ) -> Result<bool, Refusal> {
        Ok(self.index.current().allows(who, action, repo))
    }

    async fn has_right(
        &self,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        Ok(self.index.current().has_right(who, right, namespace))
    }

    fn rules_kept(&self) -> RulesKept {
        RulesKept::InFiles(self.resource.clone())
    }
}
