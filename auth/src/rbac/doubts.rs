//! Rules that are good Kubernetes and cannot mean here what their author thought.

use super::Resource;
use super::objects::PolicyRule;
use super::rights::{Rights, is_about};
use crate::{Action, Actions, Right};

/// Verbs that rules for clusters have besides, where they mean something.
const OF_CLUSTERS: [&str; 5] = ["*", "list", "watch", "patch", "deletecollection"];

/// What is odd about the rule, each in one sentence without its subject.
pub(super) fn doubts(rule: &PolicyRule, asked: &Resource) -> Vec<String> {
    let Resource { group, resource } = asked;
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    let resources = rule.resources.as_deref().unwrap_or_default();
    if !is_about(rule, asked) {
        // Rules for a cluster's own things stand beside ours and are no mistake.
        let doubt = if resources.iter().any(|name| Right::is_resource(name)) {
            return other_doubts(rule, asked);
        } else if groups.contains(group) {
            format!(
                "is about {resources:?} of {group}, which has {resource}, audit, tokens, builds, builderimages and buildsecrets only"
            )
        } else if resources.contains(resource) {
            format!("is about {resource} of {groups:?}, but repositories are {resource} of {group}")
        } else {
            return Vec::new();
        };
        return vec![doubt];
    }
    let is_known = |verb: &str| {
        OF_CLUSTERS.contains(&verb) || Action::ALL.iter().any(|action| action.verb() == verb)
    };
    let verbs = rule.verbs.as_deref().unwrap_or_default();
    let unknown = verbs.iter().filter(|verb| !is_known(verb));
    let mut doubts: Vec<_> = unknown
        .map(|verb| format!("has the verb {verb:?}: there are get, create, update, delete and *"))
        .collect();
    let names = rule.resource_names.as_deref().unwrap_or_default();
    doubts.extend(names.iter().filter(|name| name.contains('*')).map(|name| {
        format!(
            "has the resourceName {name:?}, which is no pattern and no repository: without resourceNames it is about all"
        )
    }));
    if doubts.is_empty() && Rights::actions(rule) == Actions::NONE {
        doubts.push(format!(
            "gives nothing by {verbs:?}: there are get, create, update, delete and *"
        ));
    }
    doubts
}

/// Of a rule about what is no repository. Other groups may have resources of these names.
fn other_doubts(rule: &PolicyRule, images: &Resource) -> Vec<String> {
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    if !groups.contains(&images.group) {
        return Vec::new();
    }
    let gives = Rights::of(std::slice::from_ref(rule), images);
    if Right::all().any(|right| gives.others().contains(right)) {
        return Vec::new();
    }
    let resources = rule.resources.as_deref().unwrap_or_default();
    let ours = resources.iter().filter(|name| Right::is_resource(name));
    let rights: Vec<_> = ours.map(|name| Right::listed(Some(name))).collect();
    let rights = rights.join(", ");
    if rule
        .resource_names
        .as_ref()
        .is_some_and(|names| !names.is_empty())
    {
        return vec![format!(
            "gives nothing: {resources:?} have no resourceNames"
        )];
    }
    let verbs = rule.verbs.as_deref().unwrap_or_default();
    vec![format!(
        "gives nothing on {resources:?} by {verbs:?}: there are {rights}"
    )]
}

#[cfg(test)]
mod tests {
    use super::{PolicyRule, Resource, doubts};

    fn of(group: &str, resource: &str, verbs: &[&str]) -> Vec<String> {
        let rule = PolicyRule {
            api_groups: Some(vec![group.into()]),
            resources: Some(vec![resource.into()]),
            verbs: Some(verbs.iter().map(|verb| (*verb).into()).collect()),
            ..PolicyRule::default()
        };
        doubts(&rule, &Resource::default())
    }

    #[test]
    fn what_cannot_match_is_said_and_what_is_for_a_cluster_is_not() {
        let ours = "registry.alauda.io";
        for (group, resource, verbs, said) in [
            (ours, "images", &["get", "pull"][..], "\"pull\""),
            (ours, "images", &["Get"], "\"Get\""),
            (ours, "images", &["list", "watch"], "gives nothing"),
            (ours, "image", &["get"], "[\"image\"]"),
            (
                "registry.alauda.oi",
                "images",
                &["get"],
                "[\"registry.alauda.oi\"]",
            ),
            ("", "images", &["get"], "[\"\"]"),
            (ours, "audit", &["read"], "get audit"),
            (ours, "tokens", &["get"], "list tokens"),
        ] {
            let doubts = of(group, resource, verbs);
            assert_eq!(doubts.len(), 1, "{doubts:?}");
            assert!(doubts[0].contains(said), "{doubts:?}");
        }
        for (group, resource, verbs) in [
            (ours, "images", &["get", "list", "watch", "patch"][..]),
            ("*", "*", &["*"]),
            (ours, "*", &["delete"]),
            ("*", "images", &["update"]),
            (ours, "audit", &["get"]),
            (ours, "tokens", &["list", "delete"]),
            (ours, "builds", &["create", "watch"]),
            (ours, "tokens", &["get", "list"]),
            ("", "tokens", &["get"]),
            ("", "pods", &["exec"]),
            ("*", "pods", &["get"]),
        ] {
            let doubts = of(group, resource, verbs);
            assert!(doubts.is_empty(), "{doubts:?}");
        }
    }
}
