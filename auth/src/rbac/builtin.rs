//! The ClusterRoles that are there unless the files define them.

use std::collections::BTreeMap;

use super::Resource;
use super::aggregate::{ClusterRole, Rules};
use super::objects::{LabelSelector, PolicyRule};
use crate::{AdminRight, BuildRight};

/// As Kubernetes ships `view`, `edit` and `admin`: each takes up what is labelled for it, and is itself labelled for the
/// next.
pub(super) fn cluster_roles(resource: &Resource) -> Vec<(String, ClusterRole)> {
    let audit = AdminRight::ReadAudit;
    let images =
        |verbs: &[&str]| Rules::Own(vec![rule(&resource.group, &resource.resource, verbs)]);
    let role = |name: &str, rules: Rules, feeds: Option<&str>| {
        let labels = feeds.map(|feeds| (aggregates_to(feeds), "true".to_owned()));
        (
            name.to_owned(),
            ClusterRole {
                labels: labels.into_iter().collect(),
                rules,
            },
        )
    };
    vec![
        role("system:image-puller", images(&["get"]), Some("view")),
        role(
            "system:image-pusher",
            images(&["get", "create", "update"]),
            Some("edit"),
        ),
        role(
            "system:image-pruner",
            images(&["get", "delete"]),
            Some("admin"),
        ),
        role(
            "system:image-auditor",
            Rules::Own(vec![rule(
                &resource.group,
                audit.resource(),
                &[audit.verb()],
            )]),
            Some("admin"),
        ),
        role(
            "system:build-viewer",
            builds(resource, |right| {
                matches!(right.verb(), "get" | "list") && right != BuildRight::ListSecrets
            }),
            Some("view"),
        ),
        role(
            "system:build-editor",
            builds(resource, |_| true),
            Some("edit"),
        ),
        role("view", aggregated("view"), Some("edit")),
        role("edit", aggregated("edit"), Some("admin")),
        role("admin", aggregated("admin"), None),
        role(
            "cluster-admin",
            Rules::Own(vec![rule("*", "*", &["*"])]),
            None,
        ),
    ]
}

/// A rule for each of these rights.
fn builds(resource: &Resource, given: impl Fn(BuildRight) -> bool) -> Rules {
    let given = BuildRight::ALL.into_iter().filter(|right| given(*right));
    let rules = given.map(|right| rule(&resource.group, right.resource(), &[right.verb()]));
    Rules::Own(rules.collect())
}

fn aggregated(name: &str) -> Rules {
    let labels = BTreeMap::from([(aggregates_to(name), "true".to_owned())]);
    Rules::Aggregated(vec![LabelSelector {
        match_labels: Some(labels),
        match_expressions: None,
    }])
}

fn aggregates_to(name: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{name}")
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.into()]),
        resources: Some(vec![resource.into()]),
        verbs: Some(verbs.iter().map(|verb| (*verb).into()).collect()),
        ..PolicyRule::default()
    }
}
