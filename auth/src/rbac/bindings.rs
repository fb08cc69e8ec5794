//! From objects to roles and bindings, checked as Kubernetes' validation does.

use std::collections::HashMap;

use oci::RepoName;

use super::Resource;
use super::aggregate::{ClusterRole, Rules, rights};
use super::doubts::doubts;
use super::objects::{GROUP, Object, PolicyRule, RoleKind, Subject, SubjectKind};
use super::read::Placed;
use super::rights::Rights;
use super::selector;
use crate::LoadError;

/// A binding with the rights of its role.
#[derive(Debug)]
pub(super) struct Binding {
    /// `None` holds in every namespace.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) role: String,
    /// Without the role it gives nothing.
    pub(super) has_role: bool,
    pub(super) rights: Rights,
    pub(super) subjects: Vec<Who>,
    pub(super) place: String,
}

/// A subject as an identity has it: a ServiceAccount is the user of its name.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) is_group: bool,
    pub(super) name: String,
    pub(super) written: String,
}

/// The bindings, in the order of the files, and the rights of every ClusterRole. `given` are the ClusterRoles that are there unless objects define them.
pub(super) fn bindings(
    objects: Vec<Placed>,
    given: Vec<(String, ClusterRole)>,
    resource: &Resource,
) -> Result<(Vec<Binding>, HashMap<String, Rights>), LoadError> {
    let mut cluster_roles: HashMap<String, ClusterRole> = given.into_iter().collect();
    let mut local_rights: HashMap<(String, String), Rights> = HashMap::new();
    let mut places: HashMap<(String, String, String), String> = HashMap::new();
    let mut bound = Vec::new();
    for mut placed in objects {
        let (namespace, name) = names(&placed)?;
        if !namespace.is_empty() && RepoName::parse(&namespace).is_err() {
            let (kind, place) = (&placed.object.kind, placed.place());
            tracing::warn!(
                "{kind} {name} ({place}) gives nothing: no repository's name can begin with {namespace:?}"
            );
        }
        let id = (placed.object.kind.clone(), namespace.clone(), name.clone());
        if let Some(other) = places.insert(id, placed.place()) {
            let kind = &placed.object.kind;
            return Err(placed.wrong(format!("{kind} {name} is already defined in {other}")));
        }
        check_fields(&placed)?;
        match placed.object.kind.as_str() {
            "ClusterRole" => {
                cluster_roles.insert(name, cluster_role(&mut placed, resource)?);
            }
            "Role" => {
                let rules = placed.object.rules.take().unwrap_or_default();
                check_rules(&placed, &rules, true, resource)?;
                local_rights.insert((namespace, name), Rights::of(&rules, resource));
            }
            _ => bound.push((placed, namespace, name)),
        }
    }
    let cluster_rights = rights(&cluster_roles, resource);
    let bindings = bound
        .into_iter()
        .map(|(placed, namespace, name)| {
            let role = placed
                .object
                .role_ref
                .as_ref()
                .ok_or_else(|| placed.wrong("no roleRef"))?;
            let (written, rights) = match role.kind {
                RoleKind::ClusterRole => (
                    format!("ClusterRole {}", role.name),
                    cluster_rights.get(&role.name),
                ),
                RoleKind::Role => (
                    format!("Role {namespace}/{}", role.name),
                    local_rights.get(&(namespace.clone(), role.name.clone())),
                ),
            };
            if rights.is_none() {
                // As in a cluster, where the role may come later.
                let (kind, place) = (&placed.object.kind, placed.place());
                tracing::warn!("{kind} {name} ({place}) gives nothing: there is no {written}");
            }
            let subjects = placed.object.subjects.as_deref().unwrap_or_default();
            let subjects = subjects
                .iter()
                .map(|subject| who(&placed, subject, &namespace));
            Ok(Binding {
                subjects: subjects.collect::<Result<_, _>>()?,
                namespace: (!namespace.is_empty()).then_some(namespace),
                name,
                role: written,
                has_role: rights.is_some(),
                rights: rights.cloned().unwrap_or_default(),
                place: placed.place(),
            })
        })
        .collect::<Result<_, LoadError>>()?;
    Ok((bindings, cluster_rights))
}

/// Namespace (empty for those that have none) and name.
fn names(placed: &Placed) -> Result<(String, String), LoadError> {
    let Object { kind, metadata, .. } = &placed.object;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (namespace, name) = (text(&metadata.namespace), text(&metadata.name));
    if name.is_empty() {
        return Err(placed.wrong(format!("{kind} without metadata.name")));
    }
    match (kind.starts_with("Cluster"), namespace.is_empty()) {
        (true, false) => Err(placed.wrong(format!("{kind} {name} must have no namespace"))),
        (false, true) => Err(placed.wrong(format!("{kind} {name} needs metadata.namespace"))),
        _ => Ok((namespace, name)),
    }
}

/// Refuses fields of another kind.
fn check_fields(placed: &Placed) -> Result<(), LoadError> {
    let Object {
        kind,
        rules,
        aggregation_rule,
        subjects,
        role_ref,
        ..
    } = &placed.object;
    let is_binding = kind.ends_with("Binding");
    let stray = if is_binding {
        [
            ("rules", rules.is_some()),
            ("aggregationRule", aggregation_rule.is_some()),
        ]
    } else {
        [
            ("subjects", subjects.is_some()),
            ("roleRef", role_ref.is_some()),
        ]
    };
    if let Some((field, _)) = stray.iter().find(|(_, present)| *present) {
        return Err(placed.wrong(format!("{kind} has no field {field}")));
    }
    if kind == "Role" && aggregation_rule.is_some() {
        return Err(placed.wrong("Role has no field aggregationRule"));
    }
    let Some(role) = role_ref.as_ref() else {
        return if is_binding {
            Err(placed.wrong(format!("{kind} without roleRef")))
        } else {
            Ok(())
        };
    };
    if role
        .api_group
        .as_deref()
        .is_some_and(|group| group != GROUP)
    {
        return Err(placed.wrong(format!("roleRef.apiGroup must be {GROUP}")));
    }
    if kind == "ClusterRoleBinding" && role.kind == RoleKind::Role {
        return Err(placed.wrong("a ClusterRoleBinding can only refer to a ClusterRole"));
    }
    Ok(())
}

fn cluster_role(placed: &mut Placed, resource: &Resource) -> Result<ClusterRole, LoadError> {
    let rules = placed.object.rules.take().unwrap_or_default();
    check_rules(placed, &rules, false, resource)?;
    let rules = match placed.object.aggregation_rule.take() {
        None => Rules::Own(rules),
        Some(aggregation) => {
            let selectors = aggregation.cluster_role_selectors.unwrap_or_default();
            if selectors.is_empty() {
                return Err(placed.wrong("aggregationRule needs clusterRoleSelectors"));
            }
            for selector in &selectors {
                selector::check(selector).map_err(|message| placed.wrong(message))?;
            }
            Rules::Aggregated(selectors)
        }
    };
    Ok(ClusterRole {
        labels: placed.object.metadata.labels.take().unwrap_or_default(),
        rules,
    })
}

fn check_rules(
    placed: &Placed,
    rules: &[PolicyRule],
    namespaced: bool,
    resource: &Resource,
) -> Result<(), LoadError> {
    let given = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    for (number, rule) in (1..).zip(rules) {
        let wrong = |what: &str| Err(placed.wrong(format!("rule {number} {what}")));
        if !given(&rule.verbs) {
            return wrong("needs verbs");
        }
        if given(&rule.non_resource_urls) {
            if namespaced {
                return wrong("of a Role cannot have nonResourceURLs");
            }
            if given(&rule.api_groups) || given(&rule.resources) || given(&rule.resource_names) {
                return wrong("is either about resources or about nonResourceURLs");
            }
        } else if !given(&rule.api_groups) || !given(&rule.resources) {
            return wrong("needs apiGroups and resources");
        }
        for doubt in doubts(rule, resource) {
            let kind = &placed.object.kind;
            let name = placed.object.metadata.name.as_deref().unwrap_or_default();
            let place = placed.place();
            tracing::warn!("{kind} {name} ({place}): rule {number} {doubt}");
        }
    }
    Ok(())
}

fn who(placed: &Placed, subject: &Subject, bound_in: &str) -> Result<Who, LoadError> {
    let Subject {
        kind,
        name,
        namespace,
        api_group,
    } = subject;
    if name.is_empty() {
        return Err(placed.wrong("a subject without name"));
    }
    let group = api_group.as_deref().unwrap_or_default();
    let plain = |is_group, written| {
        if !matches!(group, "" | GROUP) {
            return Err(placed.wrong(format!("subject {name}: apiGroup must be {GROUP}")));
        }
        if namespace
            .as_ref()
            .is_some_and(|namespace| !namespace.is_empty())
        {
            return Err(placed.wrong(format!(
                "subject {name}: only a ServiceAccount has a namespace"
            )));
        }
        Ok(Who {
            is_group,
            name: name.clone(),
            written,
        })
    };
    match kind {
        SubjectKind::User => plain(false, format!("User {name}")),
        SubjectKind::Group => plain(true, format!("Group {name}")),
        SubjectKind::ServiceAccount => {
            if !group.is_empty() {
                return Err(
                    placed.wrong(format!("subject {name}: a ServiceAccount has no apiGroup"))
                );
            }
            let namespace = match namespace.as_deref() {
                None | Some("") => bound_in,
                Some(namespace) => namespace,
            };
            if namespace.is_empty() {
                return Err(placed.wrong(format!(
                    "subject {name}: a ServiceAccount needs a namespace"
                )));
            }
            Ok(Who {
                is_group: false,
                name: format!("system:serviceaccount:{namespace}:{name}"),
                written: format!("ServiceAccount {namespace}/{name}"),
            })
        }
    }
}
