//! What is asked of the cluster for a deed in a repository.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use oci::RepoName;

use crate::keyed::{Fingerprint, Keyed};
use crate::rbac::Resource;
use crate::{Action, Identity, Right};

#[cfg(test)]
mod tests;

/// Which words of the cluster's rules stand for the deeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preset {
    /// A virtual resource with a verb for each [`Action`]: `get`, `create`, `update`, `delete`.
    Resource(Resource),
    /// OpenShift's registry: `imagestreams/layers` of image.openshift.io with `get` and `update`; deleting is `delete` of
    /// the cluster-wide `images`, as its pruner has it.
    Openshift,
}

impl Preset {
    /// The question as Kubernetes words it: the namespace is the repository's first segment, the name the rest.
    pub(super) fn attributes(&self, action: Action, repo: &RepoName) -> ResourceAttributes {
        let words = match self {
            Self::Resource(resource) => Words {
                verb: action.verb(),
                group: &resource.group,
                resource: &resource.resource,
                is_namespaced: true,
            },
            Self::Openshift => Words {
                group: "image.openshift.io",
                ..openshift(action)
            },
        };
        let (resource, subresource) = match words.resource.split_once('/') {
            None => (words.resource, None),
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        };
        let within =
            |text: &str| (words.is_namespaced && !text.is_empty()).then(|| text.to_owned());
        ResourceAttributes {
            verb: Some(words.verb.to_owned()),
            group: Some(words.group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource,
            namespace: within(repo.namespace()),
            name: within(repo.rest()),
            ..ResourceAttributes::default()
        }
    }

    /// The question about the registry as a whole, or a namespace: a resource without name, in the group of the images.
    /// OpenShift has builds of its own, so that whoever builds there builds here; for the rest it has no word, and there it
    /// is the usual group.
    pub(super) fn right_attributes(
        &self,
        right: Right,
        namespace: Option<&str>,
    ) -> ResourceAttributes {
        let group = match self {
            Self::Resource(resource) => resource.group.clone(),
            Self::Openshift if right.resource() == "builds" => "build.openshift.io".to_owned(),
            Self::Openshift => Resource::default().group,
        };
        ResourceAttributes {
            verb: Some(right.verb().to_owned()),
            group: Some(group),
            resource: Some(right.resource().to_owned()),
            namespace: namespace.map(str::to_owned),
            ..ResourceAttributes::default()
        }
    }
}

struct Words<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    is_namespaced: bool,
}

fn openshift(action: Action) -> Words<'static> {
    let (verb, resource, is_namespaced) = match action {
        Action::Get => ("get", "imagestreams/layers", true),
        Action::Create | Action::Update => ("update", "imagestreams/layers", true),
        Action::Delete => ("delete", "images", false),
    };
    Words {
        verb,
        group: "",
        resource,
        is_namespaced,
    }
}

/// The whole question: who, and what.
pub(super) fn review(who: &Identity, attributes: ResourceAttributes) -> SubjectAccessReview {
    let extra = who.extra().clone();
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(who.name().to_owned()),
            uid: who.uid().map(str::to_owned),
            groups: Some(who.groups().map(str::to_owned).collect()),
            extra: (!extra.is_empty()).then_some(extra),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

/// What the question is remembered under: all of it.
pub(super) fn fingerprint(
    keyed: &Keyed,
    who: &Identity,
    action: Action,
    repo: &RepoName,
) -> Fingerprint {
    keyed.of(&[
        who.whole(),
        action.verb().as_bytes(),
        repo.as_str().as_bytes(),
    ])
}

/// As [`fingerprint`], with one part more, so that no question about a repository has it; with two, of a namespace.
pub(super) fn right_fingerprint(
    keyed: &Keyed,
    who: &Identity,
    right: Right,
    namespace: Option<&str>,
) -> Fingerprint {
    let whole = [
        who.whole(),
        right.verb().as_bytes(),
        right.resource().as_bytes(),
        b"registry",
    ];
    match namespace {
        None => keyed.of(&whole),
        Some(namespace) => keyed.of(&[&whole[..], &[namespace.as_bytes()]].concat()),
    }
}
