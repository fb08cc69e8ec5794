//! What rules give on the resource that we ask about.

use std::collections::HashMap;

use super::Resource;
use super::objects::PolicyRule;
use crate::right::RightSet;
use crate::{Action, Actions, Deed, Right};

/// Actions on every repository, and on some by name; and rights that are about no repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    any: Actions,
    named: HashMap<Box<str>, Actions>,
    others: RightSet,
}

impl Rights {
    /// What the rules give (Kubernetes, `RuleAllows` of the RBAC authorizer): each of group, resource and verb must be
    /// listed or be `*`, and the name too if names are listed.
    pub(super) fn of(rules: &[PolicyRule], resource: &Resource) -> Self {
        let mut rights = Self {
            others: others(rules, resource),
            ..Self::default()
        };
        for rule in rules.iter().filter(|rule| is_about(rule, resource)) {
            let actions = Self::actions(rule);
            match rule.resource_names.as_deref() {
                None | Some([]) => rights.any = rights.any.union(actions),
                Some(names) => {
                    for name in names {
                        rights.add_named(name, actions);
                    }
                }
            }
        }
        rights
    }

    /// Whether nothing is given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What its verbs allow.
    pub(super) fn actions(rule: &PolicyRule) -> Actions {
        let verbs = rule.verbs.as_deref().unwrap_or_default();
        let allowed = |action: &Action| verbs.iter().any(|v| v == "*" || v == action.verb());
        Action::ALL.into_iter().filter(allowed).collect()
    }

    /// What is given on the repository called `name` within its namespace.
    pub(super) fn on(&self, name: &str) -> Actions {
        // Most sets have no names; then there is nothing to hash.
        if self.named.is_empty() {
            return self.any;
        }
        self.named
            .get(name)
            .map_or(self.any, |named| named.union(self.any))
    }

    /// What is given over the registry as a whole, or in the namespace where it is given.
    pub(super) fn others(&self) -> RightSet {
        self.others
    }

    /// Whether they give it, where they hold.
    pub(super) fn give(&self, deed: &Deed) -> bool {
        match deed {
            Deed::Repository(action, repo) => self.on(repo.rest()).contains(*action),
            Deed::Registry(right, _) => self.others.contains(*right),
        }
    }

    /// Whether they give it on some repository, by its name.
    pub(super) fn give_for_other_names(&self, deed: &Deed) -> bool {
        match deed {
            Deed::Repository(action, _) => self.named.values().any(|given| given.contains(*action)),
            Deed::Registry(..) => false,
        }
    }

    /// The verbs that they give on the same repository, or of the same resource.
    pub(super) fn verbs(&self, deed: &Deed) -> Vec<&'static str> {
        match deed {
            Deed::Repository(_, repo) => self.on(repo.rest()).iter().map(Action::verb).collect(),
            Deed::Registry(asked, _) => Right::all()
                .filter(|right| {
                    right.resource() == asked.resource() && self.others.contains(*right)
                })
                .map(Right::verb)
                .collect(),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.any = self.any.union(other.any);
        self.others = self.others.union(other.others);
        for (name, actions) in &other.named {
            self.add_named(name, *actions);
        }
    }

    fn add_named(&mut self, name: &str, actions: Actions) {
        let had = self.named.entry(name.into()).or_default();
        *had = had.union(actions);
    }
}

/// The question names no object, so rules with `resourceNames` do not hold for it.
fn others(rules: &[PolicyRule], images: &Resource) -> RightSet {
    let gives = |rule: &PolicyRule, right: Right| {
        let asked = Resource {
            group: images.group.clone(),
            resource: right.resource().into(),
        };
        let verbs = rule.verbs.as_deref().unwrap_or_default();
        let names = rule.resource_names.as_deref().unwrap_or_default();
        names.is_empty()
            && is_about(rule, &asked)
            && verbs.iter().any(|v| v == "*" || v == right.verb())
    };
    Right::all()
        .filter(|right| rules.iter().any(|rule| gives(rule, *right)))
        .collect()
}

/// Group and resource are those that are asked about.
pub(super) fn is_about(rule: &PolicyRule, asked: &Resource) -> bool {
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    let resources = rule.resources.as_deref().unwrap_or_default();
    // `*/layers` is the subresource of any resource; `images` alone does not hold for `images/layers`.
    let is_any_with =
        |written: &str| match (written.strip_prefix("*/"), asked.resource.split_once('/')) {
            (Some(written), Some((_, subresource))) => written == subresource,
            _ => false,
        };
    groups
        .iter()
        .any(|group| group == "*" || *group == asked.group)
        && resources
            .iter()
            .any(|written| written == "*" || *written == asked.resource || is_any_with(written))
}
