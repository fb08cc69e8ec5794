//! Kubernetes RBAC from YAML files.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use oci::RepoName;

use crate::{Action, Identity, LoadError, Policy, Refusal};

/// The virtual resource that rules are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group.
    pub group: String,
    /// Resource, perhaps with a subresource behind `/`.
    pub resource: String,
}

impl Default for Resource {
    fn default() -> Self {
        Self { group: "registry.alauda.io".into(), resource: "images".into() }
    }
}

/// The rules in force.
#[derive(Debug)]
pub struct Rbac {}

impl Rbac {
    /// Reads every `.yaml`, `.yml` and `.json` of the folder. An error names file and line.
    pub fn load(dir: &Path, resource: Resource) -> Result<Self, LoadError> {
        let _ = (dir, resource);
        unimplemented!()
    }

    /// Reads the folder again if it changed; true when something new is in force. On an error the rules from before stay.
    pub fn reload(&self) -> Result<bool, LoadError> {
        unimplemented!()
    }

    /// Reloads `every` so often, for ever; spawn it. Failures are logged.
    pub fn watch(&self, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        let _ = every;
        async { unimplemented!() }
    }

    /// Which bindings allow it; none means no.
    pub fn explain(&self, who: &Identity, action: Action, repo: &RepoName) -> Vec<Reason> {
        let _ = (who, action, repo);
        unimplemented!()
    }
}

/// A binding that allows something.
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

#[async_trait]
impl Policy for Rbac {
    async fn allows(
        &self,
        _who: &Identity,
        _action: Action,
        _repo: &RepoName,
    ) -> Result<bool, Refusal> {
        unimplemented!()
    }
}
