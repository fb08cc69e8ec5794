use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::kubernetes::pull_secrets::observed::namespaces::{ENDING, OPEN, OPTED_OUT};
use crate::kubernetes::pull_secrets::settings::Parts;

mod model;

fn settings_with(change: impl FnOnce(&mut Parts)) -> Settings {
    let mut parts = Parts {
        name: "pull".to_owned(),
        hosts: vec!["registry.example".to_owned()],
        accounts: vec!["default".to_owned()],
        audience: "slipway".to_owned(),
        lifetime: Duration::from_secs(24 * 3600),
        renew_before: Duration::from_secs(8 * 3600),
        grant_pull: true,
        withdraw: false,
    };
    change(&mut parts);
    Settings::new(parts).unwrap()
}

fn settings() -> Settings {
    settings_with(|_| {})
}

fn grant(standing: Standing) -> Grant {
    Grant {
        uid: "it".to_owned(),
        version: "9".to_owned(),
        ending: false,
        standing,
    }
}

fn ending(standing: Standing) -> Grant {
    Grant {
        ending: true,
        ..grant(standing)
    }
}

fn word_for(namespace: Option<Namespace>, grant: Option<&Grant>, settings: &Settings) -> String {
    match plan(namespace.as_ref(), grant, settings) {
        Plan::Rest(None) => "rest".to_owned(),
        Plan::Rest(Some(_)) => "rest for a while".to_owned(),
        Plan::Blocked(uid) => format!("blocked by {uid}"),
        Plan::Act(Step::Make) => "make".to_owned(),
        Plan::Act(Step::Mend { version }) => format!("mend at {version}"),
        Plan::Act(Step::Remove { uid }) => format!("remove {uid}"),
    }
}

#[test]
fn a_namespace_has_it_as_long_as_it_is_to() {
    use Standing::{Altered, Fixed, Foreign, Good};
    let (open, out, going) = (Some(OPEN), Some(OPTED_OUT), Some(ENDING));
    let table = [
        (None, None, "rest"),
        (None, Some(grant(Good)), "rest"),
        (going, None, "rest"),
        (going, Some(grant(Altered)), "rest"),
        (open, None, "make"),
        (open, Some(grant(Good)), "rest"),
        (open, Some(grant(Altered)), "mend at 9"),
        (open, Some(grant(Fixed)), "remove it"),
        (open, Some(ending(Good)), "rest"),
        (open, Some(ending(Fixed)), "rest"),
        (open, Some(grant(Foreign)), "blocked by it"),
        (open, Some(ending(Foreign)), "blocked by it"),
        (out, None, "rest"),
        (out, Some(grant(Good)), "remove it"),
        (out, Some(grant(Altered)), "remove it"),
        (out, Some(grant(Fixed)), "remove it"),
        (out, Some(ending(Good)), "rest"),
        (out, Some(grant(Foreign)), "rest"),
    ];
    for (namespace, grant, wanted) in table {
        let said = word_for(namespace, grant.as_ref(), &settings());
        assert_eq!(said, wanted, "{namespace:?} {grant:?}");
    }
}

#[test]
fn not_granting_and_withdrawing_are_opting_every_namespace_out() {
    let not_granting = settings_with(|parts| parts.grant_pull = false);
    let withdrawing = settings_with(|parts| parts.withdraw = true);
    for settings in [not_granting, withdrawing] {
        let ours = grant(Standing::Good);
        assert_eq!(word_for(Some(OPEN), Some(&ours), &settings), "remove it");
        assert_eq!(word_for(Some(OPEN), None, &settings), "rest");
        let theirs = grant(Standing::Foreign);
        assert_eq!(word_for(Some(OPEN), Some(&theirs), &settings), "rest");
    }
}

/// A binding as the API server gives it.
fn binding() -> Value {
    json!({
        "metadata": {
            "name": "pull",
            "namespace": "team",
            "uid": "it",
            "resourceVersion": "9",
            "labels": {"registry.alauda.io/pull-secret": "pull"},
        },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:image-puller",
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Group",
            "name": "system:serviceaccounts:team",
        }],
    })
}

#[test]
fn what_it_grants_and_to_whom_is_compared_and_nothing_else() {
    use Standing::{Altered, Fixed, Foreign, Good};
    let person = json!({
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "User",
        "name": "system:serviceaccounts:team",
    });
    let both = json!([binding()["subjects"][0], person]);
    let labels = "/metadata/labels";
    let owner = "/metadata/labels/registry.alauda.io~1pull-secret";
    let more = json!({"registry.alauda.io/pull-secret": "pull", "theirs": "x"});
    let table = [
        ("/metadata/name", json!("pull"), Good),
        (labels, more, Good),
        (labels, Value::Null, Foreign),
        (owner, json!("other"), Foreign),
        ("/roleRef/name", json!("admin"), Fixed),
        ("/roleRef/kind", json!("Role"), Fixed),
        ("/subjects", Value::Null, Altered),
        ("/subjects", json!([]), Altered),
        ("/subjects", both, Altered),
        ("/subjects/0", person, Altered),
        // A copy out of another namespace.
        (
            "/subjects/0/name",
            json!("system:serviceaccounts:other"),
            Altered,
        ),
    ];
    for (at, to, wanted) in table {
        let mut binding = binding();
        *binding.pointer_mut(at).unwrap() = to;
        let said = binding.to_string();
        let grant = Grant::of(&serde_json::from_value(binding).unwrap(), &settings());
        assert_eq!(grant.standing, wanted, "{said}");
        assert_eq!((&*grant.uid, &*grant.version), ("it", "9"));
    }
}
