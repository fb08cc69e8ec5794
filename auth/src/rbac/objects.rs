//! The objects as they are written (Kubernetes API reference, "Authorization Resources").
//!
//! Unknown fields are errors, so that a misspelt one does not silently grant less or more. Of `metadata` only what
//! matters is read, since a cluster's export holds much more.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// API group of the objects, of roleRefs, and of User and Group subjects.
pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// Any of the kinds. One struct, so that the parser can say in which line something is wrong.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Object {
    pub(super) api_version: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) rules: Option<Vec<PolicyRule>>,
    pub(super) aggregation_rule: Option<AggregationRule>,
    pub(super) subjects: Option<Vec<Subject>>,
    pub(super) role_ref: Option<RoleRef>,
    pub(super) items: Option<Vec<Spanned<Object>>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicyRule {
    pub(super) api_groups: Option<Vec<String>>,
    pub(super) resources: Option<Vec<String>>,
    pub(super) verbs: Option<Vec<String>>,
    pub(super) resource_names: Option<Vec<String>>,
    #[serde(rename = "nonResourceURLs")]
    pub(super) non_resource_urls: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AggregationRule {
    pub(super) cluster_role_selectors: Option<Vec<LabelSelector>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LabelSelector {
    pub(super) match_labels: Option<BTreeMap<String, String>>,
    pub(super) match_expressions: Option<Vec<Requirement>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requirement {
    pub(super) key: String,
    pub(super) operator: Operator,
    pub(super) values: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Subject {
    pub(super) kind: SubjectKind,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) api_group: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum SubjectKind {
    User,
    Group,
    ServiceAccount,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RoleRef {
    pub(super) api_group: Option<String>,
    pub(super) kind: RoleKind,
    pub(super) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub(super) enum RoleKind {
    ClusterRole,
    Role,
}
