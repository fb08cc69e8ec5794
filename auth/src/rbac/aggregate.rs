//! ClusterRoles that take up others' rules.

use std::collections::{BTreeMap, HashMap};

use super::Resource;
use super::objects::{LabelSelector, PolicyRule};
use super::rights::Rights;
use super::selector::selects;

/// A ClusterRole before aggregation.
#[derive(Debug)]
pub(super) struct ClusterRole {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) rules: Rules,
}

#[derive(Debug)]
pub(super) enum Rules {
    /// What is written.
    Own(Vec<PolicyRule>),
    /// What the roles have that any of these selects. As in a cluster, rules written beside it do not count: its
    /// controller overwrites them.
    Aggregated(Vec<LabelSelector>),
}

/// The rights of each ClusterRole. Aggregated roles may take up each other, in chains and rings: rights are added until
/// nothing changes, which comes to an end since they only grow.
pub(super) fn rights(
    roles: &HashMap<String, ClusterRole>,
    resource: &Resource,
) -> HashMap<String, Rights> {
    let own = |role: &ClusterRole| match &role.rules {
        Rules::Own(written) => Rights::of(written, resource),
        Rules::Aggregated(_) => Rights::default(),
    };
    let mut rights: HashMap<String, Rights> = roles
        .iter()
        .map(|(name, role)| (name.clone(), own(role)))
        .collect();
    let sources = sources(roles);
    loop {
        let mut changed = false;
        for (name, sources) in &sources {
            let mut sum = Rights::default();
            for source in sources.iter().filter_map(|source| rights.get(*source)) {
                sum.add(source);
            }
            let had = rights.entry((*name).to_owned()).or_default();
            if *had != sum {
                *had = sum;
                changed = true;
            }
        }
        if !changed {
            return rights;
        }
    }
}

/// Which roles each aggregated one takes up. One that selects itself gains nothing by it.
fn sources(roles: &HashMap<String, ClusterRole>) -> Vec<(&str, Vec<&str>)> {
    let aggregated = roles.iter().filter_map(|(name, role)| match &role.rules {
        Rules::Aggregated(selectors) => Some((name.as_str(), selectors)),
        Rules::Own(_) => None,
    });
    aggregated
        .map(|(name, selectors)| {
            let taken = roles.iter().filter(|(_, role)| {
                selectors
                    .iter()
                    .any(|selector| selects(selector, &role.labels))
            });
            (name, taken.map(|(other, _)| other.as_str()).collect())
        })
        .collect()
}
