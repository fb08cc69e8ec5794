//! Where the source of a `BuildConfig` is, and what goes beside it.

use serde_json::{Value, json};

use super::{Fields, Notes, Place, secrets};

const PROXIES: [&str; 3] = ["httpProxy", "httpsProxy", "noProxy"];

/// `None` if there is no repository to build.
pub(super) fn source(
    spec: &mut Fields,
    place: &Place,
    build: &mut Value,
    notes: &mut Notes,
) -> Option<()> {
    let mut source = spec.object("source", notes);
    source.ignore("type");
    if source.take("binary").is_some() {
        let Place { namespace, name } = place;
        let output = format!("{namespace}/{name}:latest");
        let builder = build["builder"].as_str().unwrap_or_default();
        let message = format!(
            "a build fetches its source by itself; a folder is built by slipway build run --dir . --builder {builder} --output {output}"
        );
        notes.error(source.at("binary"), message);
        return None;
    }
    if source.take("dockerfile").is_some() {
        notes.error(source.at("dockerfile"), "Slipway builds no Dockerfiles");
        return None;
    }
    let mut git = source.object("git", notes);
    let Some(url) = git.text("uri", notes) else {
        notes.error(git.at("uri"), "there is no repository: a build has one");
        return None;
    };
    build["source"] = json!({"kind": "git", "url": url});
    let revision = git.text("ref", notes);
    for name in PROXIES {
        git.lost(
            name,
            "proxies are builder.proxy of the server's configuration; it is left out",
            notes,
        );
    }
    git.end(notes);
    let commit = commit(spec, revision.as_deref(), notes);
    if let Some(revision) = commit.or(revision) {
        build["source"]["revision"] = revision.into();
    }
    if let Some(folder) = source.text("contextDir", notes) {
        build["source"]["contextDir"] = folder.into();
    }
    if let Some(secret) = source.name_in("sourceSecret", notes) {
        secrets::git(source.at("sourceSecret"), &secret, &url, place, notes);
        build["source"]["secret"] = secret.into();
    }
    source.lost(
        "images",
        "no files are taken of images: have them in the source or in the builder image, or fetch them in .s2i/bin/assemble",
        notes,
    );
    beside(&mut source, place, build, notes);
    source.end(notes);
    Some(())
}

/// The commit that a `BuildConfig` is held to.
fn commit(spec: &mut Fields, revision: Option<&str>, notes: &mut Notes) -> Option<String> {
    let mut held = spec.object("revision", notes);
    held.ignore("type");
    let mut git = held.object("git", notes);
    let commit = git.text("commit", notes);
    // What is known of the commit the repository says.
    for name in ["author", "committer", "message"] {
        git.ignore(name);
    }
    let field = git.at("commit");
    git.end(notes);
    held.end(notes);
    if let (Some(commit), Some(revision)) = (&commit, revision) {
        notes.warning(field, format!("{commit} is built, and not {revision}"));
    }
    commit
}

/// Secrets are there while `assemble` works, config maps stay in the image.
fn beside(source: &mut Fields, place: &Place, build: &mut Value, notes: &mut Notes) {
    let mut injections = Vec::new();
    for (list, object, is_kept) in [
        ("secrets", "secret", false),
        ("configMaps", "configMap", true),
    ] {
        for mut item in source.objects(list, notes) {
            let field = item.at(object);
            let Some(name) = item.name_in(object, notes) else {
                notes.error(field, "it has no name");
                continue;
            };
            let mut injection = json!({ "secret": name });
            if let Some(folder) = item.text("destinationDir", notes) {
                injection["path"] = folder.into();
            }
            if is_kept {
                injection["keep"] = true.into();
                secrets::config_map(field, &name, place, notes);
            } else {
                secrets::files(field, &name, place, notes);
            }
            item.end(notes);
            injections.push(injection);
        }
    }
    if !injections.is_empty() {
        build["injections"] = injections.into();
    }
}
