//! What a `Build` makes, and how long its runs are kept.

use serde_json::{Value, json};

use super::{Fields, Notes, Place, amounts, images};

pub(super) fn output(spec: &mut Fields, place: &Place, build: &mut Value, notes: &mut Notes) {
    let mut output = spec.object("output", notes);
    let field = output.at("image");
    let Some(image) = output.text("image", notes) else {
        notes.error(field, "a build has an output");
        return;
    };
    let image = images::output(&field, &image, place, notes);
    build["output"] = json!({ "image": image });
    let labels = output.take("labels").filter(|labels| labels != &json!({}));
    if let Some(labels) = labels {
        build["output"]["labels"] = labels;
    }
    output.lost(
        "annotations",
        "manifests are given no annotations; labels are carried over",
        notes,
    );
    output.lost(
        "pushSecret",
        "results are pushed to this registry with the rights of who starts the run; it is left out",
        notes,
    );
    output.lost(
        "insecure",
        "results are pushed within the server; it is left out",
        notes,
    );
    output.lost(
        "vulnerabilityScan",
        "nothing is scanned for vulnerabilities: scan the image in the registry",
        notes,
    );
    output.lost("platforms", "an image is for the server's platform", notes);
    if let Some(time) = output.text("timestamp", notes)
        && time != "SourceTimestamp"
    {
        let message = "an image has the time of its source's commit, always";
        notes.warning(output.at("timestamp"), message);
    }
    output.end(notes);
}

pub(super) fn retained(mut retention: Fields, build: &mut Value, notes: &mut Notes) {
    for (limit, kept) in [("succeededLimit", "succeeded"), ("failedLimit", "failed")] {
        if let Some(count) = retention.number(limit, notes) {
            build["retention"][kept] = count.into();
        }
    }
    let mut said = Vec::new();
    for name in ["ttlAfterSucceeded", "ttlAfterFailed"] {
        let Some(text) = retention.text(name, notes) else {
            continue;
        };
        match amounts::seconds(&text) {
            Some(seconds) => said.push((name, seconds)),
            None => notes.error(
                retention.at(name),
                format!("{text:?} is no duration that is read"),
            ),
        }
    }
    match said[..] {
        [(_, one), (_, other)] if one == other => build["retention"]["seconds"] = one.into(),
        [(name, one), (_, other)] => {
            let longer = one.max(other);
            build["retention"]["seconds"] = longer.into();
            let message = format!(
                "there is one time for runs that succeeded and those that did not: {longer} s, the longer"
            );
            notes.warning(retention.at(name), message);
        }
        // The longer of a time and none is none.
        [(name, _)] => {
            let message = "there is one time for runs that succeeded and those that did not, and of one of both there is none \
                           here: it is left out";
            notes.warning(retention.at(name), message);
        }
        _ => {}
    }
    // Runs go with their build, always.
    if retention.flag("atBuildDeletion", notes) == Some(false) {
        let message = "runs go when their build is deleted; images stay";
        notes.warning(retention.at("atBuildDeletion"), message);
    }
    retention.end(notes);
}
