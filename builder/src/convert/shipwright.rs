//! Shipwright's `Build`, and `BuildRun`, with a strategy of source-to-image.

mod output;
mod source;
mod trigger;

use serde_json::{Value, json};

use super::fields::Fields;
use super::note::Notes;
use super::{Place, amounts, env, images, secrets};

/// The strategies that Shipwright and OpenShift come with.
const STRATEGIES: [&str; 2] = ["source-to-image", "source-to-image-redhat"];
/// The parameter that names the builder image there.
const BUILDER: &str = "builder-image";

const TO_SERVER: &str = "builds run where the server does; it is left out";
/// Where a pod would run.
const OF_PODS: [&str; 5] = [
    "nodeSelector",
    "tolerations",
    "schedulerName",
    "runtimeClassName",
    "stepResources",
];

/// The spec of a build.
pub(super) fn build(mut spec: Fields, place: &Place, notes: &mut Notes) -> Option<Value> {
    strategy(&mut spec, notes)?;
    let mut build = json!({});
    source::source(&mut spec, place, &mut build, notes)?;
    let parameters = spec.objects("paramValues", notes);
    let Some(builder) = parameters_of(parameters, place, notes) else {
        let message = format!("a build has a builder image, which the parameter {BUILDER} says");
        notes.error(spec.at("paramValues"), message);
        return None;
    };
    build["builder"] = builder.into();
    output::output(&mut spec, place, &mut build, notes);
    let variables = env::env(spec.objects("env", notes), notes);
    if !variables.is_empty() {
        build["env"] = variables.into();
    }
    if let Some(text) = spec.text("timeout", notes) {
        match amounts::seconds(&text) {
            Some(seconds) => build["timeouts"] = json!({"run": seconds}),
            None => notes.error(
                spec.at("timeout"),
                format!("{text:?} is no duration that is read"),
            ),
        }
    }
    let retention = spec.object("retention", notes);
    output::retained(retention, &mut build, notes);
    trigger::trigger(&mut spec, place, &mut build, notes);
    spec.lost(
        "volumes",
        "a build has no volumes; files that are secret are spec.secrets",
        notes,
    );
    for name in OF_PODS {
        spec.lost(name, TO_SERVER, notes);
    }
    spec.end(notes);
    Some(build)
}

/// A run with a spec of its own becomes a build.
pub(super) fn run(mut spec: Fields, place: &Place, notes: &mut Notes) -> Option<Value> {
    let mut of = spec.object("build", notes);
    let Place { namespace, name } = place;
    if let Some(named) = of.text("name", notes) {
        let message = format!(
            "it is a run of the build {named}, of which no file is made: slipway build start {named} -n {namespace}"
        );
        notes.error(of.at("name"), message);
        return None;
    }
    let own = of.object("spec", notes);
    of.end(notes);
    let mut build = build(own, place, notes)?;
    let message =
        format!("nothing runs yet: apply the file, then slipway build start {name} -n {namespace}");
    notes.ask("", message);
    let retention = spec.object("retention", notes);
    output::retained(retention, &mut build, notes);
    spec.lost(
        "serviceAccount",
        "a run has the rights of who starts it; it is left out",
        notes,
    );
    for name in OF_PODS {
        spec.lost(name, TO_SERVER, notes);
    }
    spec.end(notes);
    Some(build)
}

fn strategy(spec: &mut Fields, notes: &mut Notes) -> Option<()> {
    let mut strategy = spec.object("strategy", notes);
    strategy.ignore("kind");
    let name = strategy.text("name", notes).unwrap_or_default();
    let field = strategy.at("name");
    strategy.end(notes);
    if STRATEGIES.contains(&name.as_str()) {
        return Some(());
    }
    let message = format!(
        "Slipway builds by S2I, and {name:?} is another strategy: build it in a pipeline and push the image. If it is S2I by another name, write \
         {} and {BUILDER}",
        STRATEGIES[0]
    );
    notes.error(field, message);
    None
}

/// The builder image, of the parameters.
fn parameters_of(parameters: Vec<Fields>, place: &Place, notes: &mut Notes) -> Option<String> {
    let mut builder = None;
    for mut parameter in parameters {
        let name = parameter.text("name", notes).unwrap_or_default();
        let field = parameter.at("value");
        if name != BUILDER {
            let message = format!("{name} is a parameter of the strategy alone; it is left out");
            notes.warning(parameter.at("name"), message);
            continue;
        }
        let value = parameter.text("value", notes);
        builder = value.map(|image| images::base(&field, &image, place, notes));
        parameter.end(notes);
    }
    builder
}
