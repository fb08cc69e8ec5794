//! What starts the builds of a `BuildConfig`.

use serde_json::{Map, Value, json};

use super::{Fields, Notes, Place, secrets};

/// `builder` is what the strategy's image was called, its namespace filled in.
pub(super) fn triggers(
    listed: Vec<Fields>,
    builder: &Map<String, Value>,
    place: &Place,
    notes: &mut Notes,
) -> Map<String, Value> {
    let mut found = Map::new();
    let mut webhooks: Vec<Value> = Vec::new();
    for mut trigger in listed {
        let kind = trigger.text("type", notes).unwrap_or_default();
        match kind.to_ascii_lowercase().as_str() {
            kind @ ("github" | "gitlab" | "bitbucket" | "generic") => {
                let hook = trigger.object(kind, notes);
                if webhooks.iter().any(|known| known["kind"] == kind) {
                    let message =
                        format!("a build has one webhook of kind {kind}: this one is left out");
                    notes.warning(trigger.at(kind), message);
                } else {
                    webhooks.push(webhook(kind, hook, place, notes));
                }
            }
            "imagechange" => {
                if image(trigger.object("imageChange", notes), builder, place, notes) {
                    found.insert("image".to_owned(), true.into());
                }
            }
            "configchange" => {
                let Place { namespace, name } = place;
                let message = format!(
                    "a build that is made or changed does not run by itself: slipway build start {name} -n {namespace}"
                );
                notes.ask(trigger.at("type"), message);
            }
            _ => notes.warning(
                trigger.at("type"),
                format!("{kind:?} is no trigger that is known; it is left out"),
            ),
        }
        trigger.end(notes);
    }
    if !webhooks.is_empty() {
        found.insert("webhooks".to_owned(), webhooks.into());
    }
    found
}

fn webhook(kind: &str, mut hook: Fields, place: &Place, notes: &mut Notes) -> Value {
    let field = hook.at("secretReference");
    let named = hook.name_in("secretReference", notes);
    if hook.text("secret", notes).is_some() {
        let message = "the text is not carried over: whoever sees the build would see it";
        notes.warning(hook.at("secret"), message);
    }
    hook.lost("allowEnv", "a call sets no variables", notes);
    hook.end(notes);
    let secret = named.unwrap_or_else(|| format!("{}-{kind}", place.name));
    secrets::webhook(field, &secret, kind, place, notes);
    json!({"kind": kind, "secret": secret})
}

/// Whether it is the builder image that is waited for.
fn image(
    mut change: Fields,
    builder: &Map<String, Value>,
    place: &Place,
    notes: &mut Notes,
) -> bool {
    // What it was last is the server's to know.
    change.ignore("lastTriggeredImageID");
    if change.flag("paused", notes) == Some(true) {
        let message = "it is not started by images as long as spec.triggers.image is not true";
        notes.warning(change.at("paused"), message);
        change.ignore("from");
        change.end(notes);
        return false;
    }
    let mut from = change.object("from", notes);
    let is_another = !from.is_empty() && {
        let mut is = |part: &str| from.text(part, notes);
        let (name, namespace) = (is("name"), is("namespace"));
        from.ignore("kind");
        let namespace = namespace.unwrap_or_else(|| place.namespace.clone());
        name.as_deref() != builder.get("name").and_then(Value::as_str)
            || Some(namespace.as_str()) != builder.get("namespace").and_then(Value::as_str)
    };
    let field = change.at("from");
    from.end(notes);
    change.end(notes);
    if is_another {
        let message = "a build waits for its builder image and its runtime image, for no other; it is left out";
        notes.warning(field, message);
    }
    !is_another
}
