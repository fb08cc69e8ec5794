//! Builds of others as builds of ours: `BuildConfig` of OpenShift and `Build` and `BuildRun` of Shipwright, where they build by S2I.
//!
//! Everything that a document says is carried over, or a [`Note`] tells what became of it. `fields` sees to that: a field that
//! nobody has read is told of. What no build can be made of is an error, and there is none then.
//!
//! Fields are those of [openshift/api](https://github.com/openshift/api/blob/master/build/v1/types.go) `build.openshift.io/v1` and of
//! [Shipwright](https://github.com/shipwright-io/build/tree/main/pkg/apis/build/v1beta1) `shipwright.io/v1beta1`.

mod amounts;
mod env;
mod fields;
mod images;
mod note;
mod openshift;
mod secrets;
mod shipwright;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::fields::Fields;
use self::note::Notes;
pub use self::note::{Note, Weight};
use crate::builds;
use crate::records::BuildSpec;

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// What it was: `BuildConfig app`.
    pub was: String,
    /// A build's file, with nothing in it that was not said; `None` if there is none.
    pub build: Option<Value>,
    /// What is not, or not only, in the file.
    pub notes: Vec<Note>,
}

/// Where the build is to be.
#[derive(Clone, Debug)]
struct Place {
    namespace: String,
    name: String,
}

/// Written by an API server, and nothing that anybody wants.
const SERVERS_OWN: [&str; 6] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
];

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Converts a document, which may be a list. `namespace` is where builds are that do not say it.
pub fn convert(document: Value, namespace: Option<&str>) -> Vec<Converted> {
    let mut notes = Notes::default();
    let mut document = Fields::read(document, "", &mut notes);
    let kind = document.text("kind", &mut notes).unwrap_or_default();
    if kind.ends_with("List") {
        let items = document.list("items", &mut notes).into_iter();
        return items.flat_map(|item| convert(item, namespace)).collect();
    }
    let version = document.text("apiVersion", &mut notes).unwrap_or_default();
    let mut metadata = document.object("metadata", &mut notes);
    let name = metadata.text("name", &mut notes).unwrap_or_default();
    let was = match kind.as_str() {
        "" => "a document".to_owned(),
        kind => format!("{kind} {name}").trim().to_owned(),
    };
    let build = match told_apart(&version, &kind) {
        Known::Read(read) => {
            let stated = metadata.text("namespace", &mut notes);
            let place = place(stated, namespace, name, &mut notes);
            let spec = document.object("spec", &mut notes);
            document.ignore("status");
            about(metadata, &mut notes);
            document.end(&mut notes);
            place.and_then(|place| finished(&read(spec, &place, &mut notes)?, &place, &mut notes))
        }
        Known::No(why) => {
            notes.error("kind", why);
            None
        }
        Known::Other => {
            notes.warning("kind", "it is nothing that builds, and is passed over");
            None
        }
    };
    let build = build.filter(|_| !notes.has_errors());
    vec![Converted {
        was,
        build,
        notes: notes.into_vec(),
    }]
}

type Read = fn(Fields, &Place, &mut Notes) -> Option<Value>;

enum Known {
    Read(Read),
    No(&'static str),
    Other,
}

fn told_apart(version: &str, kind: &str) -> Known {
    match (version, kind) {
        ("build.openshift.io/v1" | "v1", "BuildConfig") => Known::Read(openshift::build_config),
        ("shipwright.io/v1beta1", "Build") => Known::Read(shipwright::build),
        ("shipwright.io/v1beta1", "BuildRun") => Known::Read(shipwright::run),
        ("shipwright.io/v1alpha1", "Build" | "BuildRun") => Known::No(
            "v1alpha1 is not read: have the cluster write it as v1beta1, kubectl get builds.v1beta1.shipwright.io NAME -o yaml",
        ),
        ("build.openshift.io/v1", "Build") => {
            Known::No("it is one run of a BuildConfig: convert that one")
        }
        (_, "BuildConfig" | "Build" | "BuildRun") => Known::No(
            "it is of no version that is read: build.openshift.io/v1, shipwright.io/v1beta1",
        ),
        (_, "Template") => Known::No(
            "fill in its parameters first: oc process -f FILE -o yaml | slipway build convert -",
        ),
        _ => Known::Other,
    }
}

fn place(
    stated: Option<String>,
    asked: Option<&str>,
    name: String,
    notes: &mut Notes,
) -> Option<Place> {
    let namespace = match (stated, asked) {
        (Some(stated), Some(asked)) if stated != asked => {
            let message = format!("it is {stated}, and -n says {asked}");
            notes.error("metadata.namespace", message);
            return None;
        }
        (Some(one), _) => one,
        (None, Some(one)) => one.to_owned(),
        (None, None) => {
            notes.error("metadata.namespace", "in which namespace? Give it with -n");
            return None;
        }
    };
    Some(Place { namespace, name })
}

fn about(mut metadata: Fields, notes: &mut Notes) {
    for name in SERVERS_OWN {
        metadata.ignore(name);
    }
    let mut annotations = metadata.object("annotations", notes);
    annotations.ignore(LAST_APPLIED);
    if !annotations.is_empty() {
        let message = "a build has none; labels of the image are spec.output.labels";
        notes.warning("metadata.annotations", message);
    }
    metadata.lost(
        "labels",
        "a build has none; labels of the image are spec.output.labels",
        notes,
    );
    metadata.end(notes);
}

/// The file of a build that a server takes.
fn finished(spec: &Value, place: &Place, notes: &mut Notes) -> Option<Value> {
    let checked = serde_json::from_value::<BuildSpec>(spec.clone());
    let checked = checked
        .map_err(|error| error.to_string())
        .and_then(|parsed| {
            let checked = builds::check(&place.namespace, &place.name, &parsed);
            checked.map_err(|invalid| invalid.to_string())
        });
    if let Err(why) = checked {
        notes.error("", format!("Slipway does not take what comes out: {why}"));
        return None;
    }
    Some(json!({
        "metadata": {"namespace": place.namespace, "name": place.name},
        "spec": spec,
    }))
}
