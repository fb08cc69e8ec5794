//! `/api/v1/namespaces/{namespace}/builds`, `buildruns`, `buildevents`, `builderimages` and `secrets`: the builder.
//!
//! Who may is settled before a handler runs ([`Permission::Build`](crate::Permission::Build)), so that a namespace which one may
//! not see is answered as one that is not there. What a run then reads and pushes is judged for its actor, by the registry.

mod definitions;
mod events;
mod everywhere;
mod images;
mod log;
mod outbox;
mod places;
mod references;
mod runs;
mod secrets;
mod view;

use std::sync::Arc;

use builder::builds::{Builds, BuildsError, Recorded};
use builder::records::{self, Actor};
use http::StatusCode;
use registry::Registry;
use registry::http::Problem;
use tokio_util::sync::CancellationToken;

use crate::{Caller, Route};
use places::{Most, Places};
pub use references::PATIENCE;
use view::BuildRun;

/// Most bytes of a request with a spec.
const MAX_SPEC: usize = 64 << 10;

/// Answers by 409, in the document's words.
const FULL: &str =
    "The namespace has as many as it may, or it is being changed by others at the same time";
const CHANGED: &str = "It is being changed by others at the same time";

/// Logs that are followed.
const FOLLOWING: Most = Most {
    what: "logs are being followed",
    all: 512,
    of_one: 32,
};
/// Builder images that are asked how they are used: each is a sandbox beside those of the runs.
const ASKING: Most = Most {
    what: "builder images are being asked how they are used",
    all: 4,
    of_one: 1,
};
/// Git servers that are asked what they offer.
const PROBING: Most = Most {
    what: "git servers are being asked",
    all: 8,
    of_one: 2,
};

/// What the builder's routes stand on.
#[derive(Clone, Debug)]
pub struct Building {
    registry: Arc<Registry>,
    builds: Builds,
    following: Arc<Places>,
    setting: Arc<tokio::sync::Semaphore>,
    probing: Arc<Places>,
    asking: Arc<Places>,
    stopping: CancellationToken,
}

impl Building {
    /// The routes of `builds`, in front of which `registry` says who may. Logs that are being followed end when the server is
    /// `stopping`.
    pub fn new(registry: Arc<Registry>, builds: Builds, stopping: CancellationToken) -> Self {
        Self {
            registry,
            builds,
            following: Places::new(FOLLOWING),
            setting: Arc::new(tokio::sync::Semaphore::new(secrets::AT_ONCE)),
            probing: Places::new(PROBING),
            asking: Places::new(ASKING),
            stopping,
        }
    }

    /// A run as it is shown, with why it waits now.
    fn shown(&self, run: Recorded<records::Run>) -> BuildRun {
        let wait = self.builds.wait_of(&run.value);
        BuildRun::of(run, wait.as_ref())
    }

    /// For whom a caller's runs act: they themselves, within what they came by.
    fn actor(&self, caller: &Caller) -> Result<Actor, Problem> {
        let proof = self.registry.gate().proof(&caller.who, caller.now());
        let proof = proof.ok_or_else(|| {
            Problem::denied(
                "a token that was issued for images builds nothing: use what it was issued for",
            )
        })?;
        Ok(Actor {
            name: caller.who.name().to_owned(),
            proof,
        })
    }
}

/// `{}`: no site of somebody else makes a browser send that.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Nothing")]
struct Nothing {}

/// The builder's routes.
pub fn routes(building: &Building) -> Vec<Route> {
    let mut routes = definitions::routes(building);
    routes.push(everywhere::route(building));
    routes.extend(references::routes(building));
    routes.extend(runs::routes(building));
    routes.push(log::route(building));
    routes.push(outbox::route(building));
    routes.extend(images::routes(building));
    routes.extend(secrets::routes(building));
    routes
}

/// What the service says, on the wire. `Changed` is a conflict; where the caller named a revision, [`if_matched`] says it
/// otherwise.
#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn problem(error: BuildsError) -> Problem {
    let message = error.to_string();
    match error {
        BuildsError::Invalid(_) => Problem::invalid(message),
        BuildsError::NotFound { .. } => Problem::not_found(message),
        BuildsError::Exists { .. }
        | BuildsError::Changed { .. }
        | BuildsError::Repeated(_)
        | BuildsError::TooMany { .. }
        | BuildsError::Sealed(_)
        | BuildsError::Busy(_) => Problem::conflict(message),
        BuildsError::QueueFull { .. } => Problem::too_many_of(message, 30),
        BuildsError::Unreadable { .. } => Problem::unreadable(message),
        BuildsError::Forbidden(_) => Problem::denied(message),
        BuildsError::Unavailable(_) => Problem::unavailable(
            "builds cannot be read or changed at the moment, try again",
            message,
        ),
    }
}

/// As [`problem`], of a request with `If-Match`.
fn if_matched(error: BuildsError) -> Problem {
    match error {
        BuildsError::Changed { .. } => Problem::changed(error.to_string()),
        other => problem(other),
    }
}

/// What a PUT came to (RFC 9110 §9.3.4).
fn made_or_changed<T>(put: &Recorded<T>) -> StatusCode {
    if put.revision == 1 {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    }
}

/// Where a record is, for `Location`.
fn place(namespace: &str, kind: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/{kind}/{name}")
}
