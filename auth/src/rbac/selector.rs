//! Label selectors (apimachinery, `LabelSelectorAsSelector`).

use std::collections::BTreeMap;

use super::objects::{LabelSelector, Operator, Requirement};

#[cfg(test)]
mod tests;

/// Whether every requirement holds. An empty selector selects everything; a key that is missing is not in any list.
pub(super) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let mut equal = selector.match_labels.iter().flatten();
    let mut meets = selector.match_expressions.iter().flatten();
    equal.all(|(key, value)| labels.get(key) == Some(value))
        && meets.all(|requirement| met(requirement, labels))
}

/// What is wrong with it, as Kubernetes' validation says.
pub(super) fn check(selector: &LabelSelector) -> Result<(), String> {
    for Requirement {
        key,
        operator,
        values,
    } in selector.match_expressions.iter().flatten()
    {
        let has_values = values.as_ref().is_some_and(|values| !values.is_empty());
        match operator {
            Operator::In | Operator::NotIn if !has_values => {
                return Err(format!("the matchExpression for {key} needs values"));
            }
            Operator::Exists | Operator::DoesNotExist if has_values => {
                return Err(format!("the matchExpression for {key} takes no values"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn met(requirement: &Requirement, labels: &BTreeMap<String, String>) -> bool {
    let label = labels.get(&requirement.key);
    let listed = label.is_some_and(|label| requirement.values.iter().flatten().any(|v| v == label));
    match requirement.operator {
        Operator::In => listed,
        Operator::NotIn => !listed,
        Operator::Exists => label.is_some(),
        Operator::DoesNotExist => label.is_none(),
    }
}
