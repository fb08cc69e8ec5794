//! Where the source of a `Build` is.

use serde_json::{Value, json};

use super::{Fields, Notes, Place, secrets};

pub(super) fn source(
    spec: &mut Fields,
    place: &Place,
    build: &mut Value,
    notes: &mut Notes,
) -> Option<()> {
    let mut source = spec.object("source", notes);
    source.ignore("type");
    let folder = source.text("contextDir", notes);
    let mut artifact = source.object("ociArtifact", notes);
    if !artifact.is_empty() {
        let field = artifact.at("image");
        let image = artifact.text("image", notes).unwrap_or_default();
        let own = format!("{}/sources/{}", place.namespace, place.name);
        let message = format!(
            "the source is an artifact of this registry with one layer, a tar: slipway copy {image} REGISTRY/{own}:latest"
        );
        notes.ask(field, message);
        artifact.lost("prune", "a source is not removed after it was built", notes);
        artifact.lost(
            "pullSecret",
            "it is read from this registry; log in to copy it",
            notes,
        );
        artifact.end(notes);
        build["source"] = json!({"kind": "image", "reference": format!("{own}:latest")});
        if folder.is_some() {
            let message =
                "only of a repository one folder is built: put that folder alone into the artifact";
            notes.warning(source.at("contextDir"), message);
        }
        source.end(notes);
        return Some(());
    }
    if source.take("local").is_some() {
        let message =
            "a build fetches its source by itself; a folder is built by slipway build run --dir .";
        notes.error(source.at("local"), message);
        return None;
    }
    let mut git = source.object("git", notes);
    let Some(url) = git.text("url", notes) else {
        notes.error(git.at("url"), "there is no repository: a build has one");
        return None;
    };
    build["source"] = json!({"kind": "git", "url": url});
    if let Some(revision) = git.text("revision", notes) {
        build["source"]["revision"] = revision.into();
    }
    if let Some(folder) = folder {
        build["source"]["contextDir"] = folder.trim_end_matches('/').into();
    }
    if let Some(secret) = git.text("cloneSecret", notes) {
        secrets::git(git.at("cloneSecret"), &secret, &url, place, notes);
        build["source"]["secret"] = secret.into();
    }
    // One commit is what comes; all of them is what is asked for with 0.
    if git.number("depth", notes).is_some_and(|depth| depth != 1) {
        let message = "a source is the files of one commit, without its history";
        notes.warning(git.at("depth"), message);
    }
    git.end(notes);
    source.end(notes);
    Some(())
}
