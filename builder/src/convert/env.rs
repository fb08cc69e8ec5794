//! Variables: Kubernetes' `EnvVar`.

use serde_json::{Value, json};

use super::fields::Fields;
use super::note::Notes;
use crate::s2i::EnvFilter;

/// What OpenShift's builder does upon a variable, and is none of the program's.
const OPENSHIFTS: [(&str, &str); 2] = [
    (
        "GIT_SSL_NO_VERIFY",
        "certificates are always verified: put an authority of your own into the source's secret as ca.crt; the variable is left out",
    ),
    (
        "BUILD_LOGLEVEL",
        "the server's log has levels, a run's log is whole; the variable is left out",
    ),
];

pub(super) fn env(variables: Vec<Fields>, notes: &mut Notes) -> Vec<Value> {
    let mut all = Vec::new();
    for mut variable in variables {
        let Some(name) = variable.text("name", notes) else {
            notes.error(variable.at("name"), "a variable has a name");
            continue;
        };
        let place = variable.at("value");
        let from = variable.object("valueFrom", notes);
        let value = variable.text("value", notes).unwrap_or_default();
        variable.end(notes);
        if !from.is_empty() {
            let place = from.path().to_owned();
            let message = of_elsewhere(&name, from, notes);
            notes.warning(place, message);
            continue;
        }
        if let Some((_, why)) = OPENSHIFTS.iter().find(|(known, _)| *known == name) {
            notes.warning(place, *why);
            continue;
        }
        if !EnvFilter::usual().allows(&name) {
            let message = format!(
                "{name} is one that the server forbids unless builder.forbiddenEnv says otherwise; it is left out"
            );
            notes.warning(place, message);
            continue;
        }
        if value.contains("$(") {
            let message =
                "references $(NAME) are not filled in: the value is carried over as it is written";
            notes.warning(place, message);
        }
        all.push(json!({"name": name, "value": value}));
    }
    all
}

/// What to do about a variable that has its value from an object of the cluster.
fn of_elsewhere(name: &str, mut from: Fields, notes: &mut Notes) -> String {
    let secret = from.object("secretKeyRef", notes);
    if !secret.is_empty() {
        return format!(
            "no variable holds a secret: set it as a secret of Slipway, name that under spec.secrets, and have the program read \
             the file; {name} is left out"
        );
    }
    format!("values come from no object of a cluster: write {name} with its value; it is left out")
}
