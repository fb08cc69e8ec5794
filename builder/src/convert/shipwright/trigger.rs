//! What starts the runs of a `Build`.

use serde_json::{Value, json};

use super::{Fields, Notes, Place, secrets};

pub(super) fn trigger(spec: &mut Fields, place: &Place, build: &mut Value, notes: &mut Notes) {
    let mut trigger = spec.object("trigger", notes);
    let secret = trigger.text("triggerSecret", notes);
    for mut when in trigger.objects("when", notes) {
        when.ignore("name");
        when.ignore("type");
        let mut github = when.object("github", notes);
        if !github.is_empty() {
            if github
                .list("events", notes)
                .iter()
                .any(|event| event != "Push")
            {
                notes.warning(
                    github.at("events"),
                    "pushes start a run, and nothing else does",
                );
            }
            let revision = build["source"]["revision"].clone();
            if github
                .list("branches", notes)
                .iter()
                .any(|branch| *branch != revision)
            {
                let message = "a run is started by pushes to the build's own revision: make a build for each other branch";
                notes.warning(github.at("branches"), message);
            }
            let secret = secret
                .clone()
                .unwrap_or_else(|| format!("{}-github", place.name));
            secrets::webhook(trigger.at("triggerSecret"), &secret, "github", place, notes);
            build["triggers"]["webhooks"] = json!([{"kind": "github", "secret": secret}]);
        }
        github.end(notes);
        let mut image = when.object("image", notes);
        if !image.is_empty() {
            image.ignore("names");
            build["triggers"]["image"] = true.into();
            let message =
                "a build waits for its builder image and its runtime image, and for no other";
            notes.warning(image.at("names"), message);
        }
        image.end(notes);
        when.lost(
            "objectRef",
            "nothing of a cluster starts runs: have the pipeline do it (docs/pipelines.md)",
            notes,
        );
        when.end(notes);
    }
    trigger.end(notes);
}
