//! What goes into a run, part by part.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Algorithm, Digest};

use crate::plan::{Plan, Request};
use crate::records::{Ingredients, Resolved};

/// What a plan is made of beside what [`Resolved`] names: the plan itself is the digest of all of it, which says nothing of
/// the parts.
pub(in crate::builds::pipeline) fn ingredients(request: &Request, plan: &Plan) -> Ingredients {
    let scripts: BTreeMap<String, String> = request
        .fetched_scripts
        .iter()
        .map(|(script, digest)| (script.to_string(), digest.to_string()))
        .collect();
    let mounted = request.secrets.iter().map(|secret| {
        let revision = secret.revision.clone().unwrap_or_default();
        (secret.name.clone(), revision)
    });
    let injected = request.injections.iter().map(|injection| {
        let revision = injection.revision().unwrap_or_default();
        (injection.source().to_owned(), revision.to_owned())
    });
    let secrets: BTreeMap<String, String> = mounted.chain(injected).collect();
    // A plan is JSON by its types; were it none, all plans would differ in nothing but their digests.
    let mut rest = serde_json::to_string(&plan.recipe).unwrap_or_default();
    let images = [
        Some(&request.builder),
        request.runtime.as_ref(),
        request.previous.as_ref(),
    ];
    let images = images
        .into_iter()
        .flatten()
        .map(|image| image.digest.to_string());
    let known = scripts
        .values()
        .chain(secrets.values())
        .cloned()
        .chain(images);
    for text in known.chain([request.source.digest.to_string()]) {
        if !text.is_empty() {
            rest = rest.replace(&text, "");
        }
    }
    Ingredients {
        scripts,
        secrets,
        settings: Digest::of(Algorithm::Sha256, rest.as_bytes()).to_string(),
    }
}

/// What went into `now` and not into `then`, or the other way round, one sentence each.
pub(super) fn changed(then: &Resolved, now: &Resolved) -> Vec<String> {
    let mut all = Vec::new();
    let named = [
        ("source", &then.source, &now.source),
        ("builder image", &then.builder, &now.builder),
        ("runtime image", &then.runtime, &now.runtime),
        ("previous image", &then.previous, &now.previous),
    ];
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    for (what, then, now) in named {
        if then != now {
            all.push(format!("{what}: {} then, {} now", shown(then), shown(now)));
        }
    }
    if then.epoch != now.epoch {
        let shown = |at: Option<u64>| at.map(|at| at.to_string());
        let (then, now) = (shown(then.epoch), shown(now.epoch));
        let none = || "none".to_owned();
        let (then, now) = (then.unwrap_or_else(none), now.unwrap_or_else(none));
        all.push(format!("epoch: {then} then, {now} now"));
    }
    match (&then.ingredients, &now.ingredients) {
        (Some(then), Some(now)) => all.extend(of_plans(then, now)),
        _ if then.plan != now.plan && all.is_empty() => {
            all.push("plan: another; the earlier run's record does not say in what".to_owned());
        }
        _ => {}
    }
    all
}

fn of_plans(then: &Ingredients, now: &Ingredients) -> Vec<String> {
    let mut all = Vec::new();
    for name in differing(&then.scripts, &now.scripts) {
        all.push(format!("scripts: {name} is another at its URL now"));
    }
    for name in differing(&then.secrets, &now.secrets) {
        all.push(format!("secrets: {name} was set anew since"));
    }
    if then.settings != now.settings {
        let why = "settings: what is run is another, by the server's version, its configuration, or the caches that the build has";
        all.push(why.to_owned());
    }
    all
}

fn differing<'a>(
    then: &'a BTreeMap<String, String>,
    now: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a String> {
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    names
        .into_iter()
        .filter(|name| then.get(*name) != now.get(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved() -> Resolved {
        let map = |value: &str| BTreeMap::from([("npm".to_owned(), value.to_owned())]);
        Resolved {
            source: Some("a/sources/x@sha256:1".to_owned()),
            builder: Some("a/builder@sha256:2".to_owned()),
            epoch: Some(1),
            plan: Some("sha256:3".to_owned()),
            ingredients: Some(Ingredients {
                scripts: BTreeMap::from([("assemble".to_owned(), "sha256:4".to_owned())]),
                secrets: map("5"),
                settings: "sha256:6".to_owned(),
            }),
            ..Resolved::default()
        }
    }

    #[test]
    fn each_part_that_differs_is_named_and_no_other() {
        assert!(changed(&resolved(), &resolved()).is_empty());
        let change = |what: &str, change: fn(&mut Resolved)| {
            let mut now = resolved();
            change(&mut now);
            let said = changed(&resolved(), &now);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with(what), "{said:?}");
        };
        let parts = |now: &mut Resolved| now.ingredients.take().unwrap();
        change("source: a/sources/x@sha256:1 then, none now", |now| {
            now.source = None;
        });
        change("builder image: ", |now| now.builder = None);
        change("runtime image: none then, x now", |now| {
            now.runtime = Some("x".to_owned());
        });
        change("previous image: ", |now| {
            now.previous = Some("x".to_owned());
        });
        change("epoch: 1 then, 2 now", |now| now.epoch = Some(2));
        change("scripts: assemble ", |now| {
            now.ingredients.as_mut().unwrap().scripts.clear();
        });
        change("secrets: npm ", |now| {
            let secrets = &mut now.ingredients.as_mut().unwrap().secrets;
            secrets.insert("npm".to_owned(), "7".to_owned());
        });
        change("settings: ", |now| {
            now.ingredients.as_mut().unwrap().settings.clear();
        });
        // A record of a server that did not keep the parts.
        let (mut then, mut now) = (resolved(), resolved());
        parts(&mut then);
        assert!(changed(&then, &now).is_empty());
        now.plan = None;
        assert!(changed(&then, &now)[0].starts_with("plan: another"));
    }
}
