//! OpenShift's `BuildConfig` with the source strategy.

mod output;
mod source;
mod strategy;
mod triggers;

use serde_json::{Value, json};

use super::fields::Fields;
use super::note::Notes;
use super::{Place, amounts, env, images, secrets};

const TO_SERVER: &str = "builds run where the server does; it is left out";

/// The spec of a build.
pub(super) fn build_config(mut spec: Fields, place: &Place, notes: &mut Notes) -> Option<Value> {
    let mut build = json!({});
    let mut from = strategy::strategy(&mut spec, place, &mut build, notes)?;
    source::source(&mut spec, place, &mut build, notes)?;
    output::output(&mut spec, place, &mut build, notes);
    resources(&mut spec, &mut build, notes);
    output::post_commit(&mut spec, &mut build, notes);
    if let Some(seconds) = spec.number("completionDeadlineSeconds", notes) {
        build["timeouts"] = json!({"run": seconds});
    }
    let policy = spec.text("runPolicy", notes);
    match policy.as_deref() {
        // It is what holds here, too, without being said.
        None | Some("Serial") => {}
        Some("SerialLatestOnly") => build["policy"] = "serial-latest-only".into(),
        Some("Parallel") => build["policy"] = "parallel".into(),
        Some(other) => notes.error(spec.at("runPolicy"), format!("{other} is no policy")),
    }
    for (limit, kept) in [
        ("successfulBuildsHistoryLimit", "succeeded"),
        ("failedBuildsHistoryLimit", "failed"),
    ] {
        if let Some(count) = spec.number(limit, notes) {
            build["retention"][kept] = count.into();
        }
    }
    from.insert("namespace".to_owned(), place.namespace.clone().into());
    let listed = spec.objects("triggers", notes);
    let found = triggers::triggers(listed, &from, place, notes);
    if !found.is_empty() {
        build["triggers"] = found.into();
    }
    spec.lost(
        "serviceAccount",
        "a run has the rights of who starts it, or of who changed the build last; it is left out",
        notes,
    );
    spec.lost("nodeSelector", TO_SERVER, notes);
    spec.lost(
        "mountTrustedCA",
        "authorities for the programs of builds are builder.caFile of the server's configuration; it is left out",
        notes,
    );
    spec.end(notes);
    Some(build)
}

fn resources(spec: &mut Fields, build: &mut Value, notes: &mut Notes) {
    let mut resources = spec.object("resources", notes);
    let mut limits = resources.object("limits", notes);
    for (name, field, read) in [
        ("cpu", "cpuMillis", amounts::thousandths as fn(&Value) -> _),
        ("memory", "memoryBytes", amounts::ones),
        ("ephemeral-storage", "diskBytes", amounts::ones),
    ] {
        let Some(value) = limits.take(name) else {
            continue;
        };
        match read(&value) {
            Some(amount) => build["limits"][field] = amount.into(),
            None => notes.error(
                limits.at(name),
                format!("{value} is no amount that is read"),
            ),
        }
    }
    limits.end(notes);
    resources.lost(
        "requests",
        "a run waits for a free worker, not for resources; it is left out",
        notes,
    );
    resources.end(notes);
}
