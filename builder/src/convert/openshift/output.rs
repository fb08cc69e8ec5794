//! What a `BuildConfig` makes, and its test.

use serde_json::{Value, json};

use super::{Fields, Notes, Place, images};

pub(super) fn output(spec: &mut Fields, place: &Place, build: &mut Value, notes: &mut Notes) {
    let mut output = spec.object("output", notes);
    let mut to = output.object("to", notes);
    let field = to.at("name");
    let (kind, name) = (to.text("kind", notes), to.text("name", notes));
    let namespace = to.text("namespace", notes);
    to.end(notes);
    let image = match (name, kind.as_deref()) {
        (None, _) => {
            let made = images::tagged(&format!("{}/{}", place.namespace, place.name), None);
            notes.warning(
                field,
                format!("results are always pushed, this one as {made}"),
            );
            made
        }
        (Some(name), Some("DockerImage")) => images::output(&field, &name, place, notes),
        (Some(name), _) => {
            if namespace.is_some_and(|namespace| namespace != place.namespace) {
                notes.error(
                    &*field,
                    "results are in the build's own namespace: make the build there",
                );
            }
            let (repository, tag) = match name.split_once(':') {
                Some((repository, tag)) => (repository.to_owned(), Some(tag.to_owned())),
                None => (name, None),
            };
            images::tagged(&format!("{}/{repository}", place.namespace), tag.as_deref())
        }
    };
    build["output"] = json!({ "image": image });
    for mut label in output.objects("imageLabels", notes) {
        let (name, value) = (label.text("name", notes), label.text("value", notes));
        if let Some(name) = name {
            build["output"]["labels"][name] = value.unwrap_or_default().into();
        }
        label.end(notes);
    }
    output.lost(
        "pushSecret",
        "results are pushed to this registry with the rights of who starts the run; it is left out",
        notes,
    );
    output.end(notes);
}

/// The test before publishing (openshift/api, `BuildPostCommitSpec`, has the five forms).
pub(super) fn post_commit(spec: &mut Fields, build: &mut Value, notes: &mut Notes) {
    let mut hook = spec.object("postCommit", notes);
    let script = hook.text("script", notes);
    let (mut command, args) = (hook.list("command", notes), hook.list("args", notes));
    let field = hook.at("args");
    hook.end(notes);
    if let Some(script) = script {
        command = vec!["/bin/sh".into(), "-ic".into(), script.into()];
        if !args.is_empty() {
            command.push("/bin/sh".into());
        }
    } else if command.is_empty() {
        if !args.is_empty() {
            let message = "a test has its program with it, and is not given to the image's entrypoint: write spec.test.command";
            notes.warning(field, message);
        }
        return;
    }
    command.extend(args);
    build["test"] = json!({ "command": command });
}
