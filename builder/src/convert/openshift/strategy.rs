//! The source strategy of a `BuildConfig`: its builder image, and what is there while building.

use serde_json::{Map, Value, json};

use super::{Fields, Notes, Place, env, images, secrets};

/// Strategies of which no build is made.
const OTHER_STRATEGIES: [(&str, &str); 3] = [
    (
        "dockerStrategy",
        "Slipway builds no Dockerfiles: build it with podman or buildah in a pipeline and push the image; or give the source an S2I \
         builder image",
    ),
    (
        "customStrategy",
        "its builder wants a container engine, which no build has here: run it in a pipeline, and push the image",
    ),
    (
        "jenkinsPipelineStrategy",
        "Slipway runs no pipelines: have Jenkins start the build (docs/pipelines.md)",
    ),
];

/// What the builder image was called, for triggers that name it.
pub(super) fn strategy(
    spec: &mut Fields,
    place: &Place,
    build: &mut Value,
    notes: &mut Notes,
) -> Option<Map<String, Value>> {
    let mut all = spec.object("strategy", notes);
    for (name, why) in OTHER_STRATEGIES {
        if all.take(name).is_some() {
            notes.error(all.at(name), why);
            return None;
        }
    }
    all.ignore("type");
    let mut strategy = all.object("sourceStrategy", notes);
    all.end(notes);
    let mut from = strategy.object("from", notes);
    let field = from.at("name");
    let named: Map<String, Value> = ["kind", "name", "namespace"]
        .into_iter()
        .filter_map(|part| Some((part.to_owned(), from.text(part, notes)?.into())))
        .collect();
    from.end(notes);
    let Some(builder) = image(&field, &named, place, notes) else {
        notes.error(field, "a build has a builder image");
        return None;
    };
    build["builder"] = builder.into();
    let variables = strategy.objects("env", notes);
    let variables = env::env(variables, notes);
    if !variables.is_empty() {
        build["env"] = variables.into();
    }
    if let Some(url) = strategy.text("scripts", notes) {
        build["scriptsUrl"] = url.into();
    }
    if strategy.flag("incremental", notes) == Some(true) {
        build["incremental"] = true.into();
    }
    // Names of images are looked up for each run.
    strategy.ignore("forcePull");
    strategy.lost(
        "pullSecret",
        "images are pulled from this registry with the rights of who starts the run; where it was for another registry, log in there to \
         copy the image (slipway login, slipway copy)",
        notes,
    );
    volumes(&mut strategy, place, build, notes);
    strategy.end(notes);
    Some(named)
}

/// What an `ObjectReference` to a builder image names.
fn image(
    field: &str,
    named: &Map<String, Value>,
    place: &Place,
    notes: &mut Notes,
) -> Option<String> {
    let of = |part: &str| named.get(part).and_then(Value::as_str);
    let name = of("name")?;
    match of("kind") {
        Some("DockerImage") => Some(images::base(field, name, place, notes)),
        Some("ImageStreamTag" | "ImageStreamImage") | None => {
            let namespace = of("namespace").unwrap_or(&place.namespace);
            let path = format!("{namespace}/{name}");
            images::must_be_here(field, &path, place, notes);
            Some(path)
        }
        Some(other) => {
            notes.error(field, format!("no image is a {other}"));
            None
        }
    }
}

/// Volumes are there while building and in no image, as secrets of a build are.
fn volumes(strategy: &mut Fields, place: &Place, build: &mut Value, notes: &mut Notes) {
    let mut mounted = Vec::new();
    for mut volume in strategy.objects("volumes", notes) {
        volume.ignore("name");
        let mut source = volume.object("source", notes);
        source.ignore("type");
        let field = source.at("secret");
        let mut secret = source.object("secret", notes);
        let mut map = source.object("configMap", notes);
        let name = secret
            .text("secretName", notes)
            .or_else(|| map.text("name", notes));
        for mut object in [secret, map] {
            object.lost(
                "items",
                "all files of a secret are there, by their names",
                notes,
            );
            object.ignore("defaultMode");
            object.lost("optional", "a run without its secret fails", notes);
            object.end(notes);
        }
        let mounts = volume.objects("mounts", notes);
        let whole = volume.path().to_owned();
        volume.end(notes);
        let Some(name) = name else {
            let message = "only secrets and config maps can be mounted: it is left out";
            notes.warning(whole, message);
            continue;
        };
        source.end(notes);
        for mut mount in mounts {
            let path = mount.text("destinationPath", notes);
            mount.end(notes);
            mounted.push(json!({"name": name, "path": path}));
        }
        secrets::files(field, &name, place, notes);
    }
    if !mounted.is_empty() {
        build["secrets"] = mounted.into();
    }
}
