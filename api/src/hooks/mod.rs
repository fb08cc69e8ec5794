//! `POST /hooks/{namespace}/{build}/{kind}`: webhooks of builds, beside the REST API and not of it: a call has no user, its
//! signature is what it shows.
//!
//! Nobody learns from an answer whether a build is there: an unknown one, an unknown kind and a wrong signature are answered in
//! the same words and not before the same time, each after the whole body was read. Bodies are read within a budget, and only of
//! calls that have a signature at all; all of those are counted, so that a call is turned away whether its build is there or not.

mod answer;
mod owners;
mod rate;
mod room;

pub use owners::GateOwners;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use builder::hooks::{Answer, HookError, Hooks, MAX_BODY, Signed};
use builder::records::{Actor, HookKind};
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use registry::Registry;
use registry::http::{Account, Arrival, Problem};
use tokio::time::Instant;

use rate::Rate;
use room::{Most, Room, Share};

/// Bytes of bodies that arrive at a time.
const BODIES: Most = Most {
    all: 8 * MAX_BODY,
    // A forge that turns two long pushes away at once may send neither again.
    of_a_client: 2 * MAX_BODY,
    of_a_build: 3 * MAX_BODY,
};

/// Longest body where no lists of files are sent: Bitbucket's end at 256 KiB, and a script's is its own.
const SHORT_BODY: usize = 1 << 20;

/// A body that has not arrived by then never will.
const ARRIVES: Duration = Duration::from_secs(30);

/// A refusal comes no sooner after the body, and as much later for each of so many bytes: looking up what is there, and a MAC
/// for each of its keys, take a fraction of it.
const REFUSAL: Duration = Duration::from_millis(100);
const REFUSED_AT_A_TIME: usize = 8 << 20;

/// How long who was turned away should wait, in seconds.
const LATER: u64 = 10;

#[derive(Clone)]
struct Hall {
    registry: Arc<Registry>,
    hooks: Hooks,
    rate: Arc<Rate>,
    room: Arc<Room>,
}

/// The room: webhooks.
pub fn router(registry: &Arc<Registry>, hooks: Hooks) -> Router {
    let hall = Hall {
        registry: Arc::clone(registry),
        hooks,
        rate: Arc::new(Rate::new()),
        room: Arc::new(Room::new(BODIES)),
    };
    let other = || async { Problem::method_not_allowed("POST") };
    Router::new()
        .route(
            "/hooks/{namespace}/{build}/{kind}",
            post(take).fallback(other),
        )
        .with_state(hall)
}

async fn take(
    State(hall): State<Hall>,
    Path((namespace, build, kind)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    let mut account = Account {
        operation: "webhook",
        user: None,
        is_change: true,
        reference: reference(&namespace, &build, &kind),
    };
    let taken = hall.take(&namespace, &build, &kind, request).await;
    let mut response = match taken {
        Ok((answer, owner)) => {
            if let Some((owner, run)) = owner {
                account.user = hall.identity(&owner).await;
                account.reference.extend([" ", &run]);
            }
            // That nothing was started changes nothing.
            account.is_change = matches!(answer, answer::Told { started: true, .. });
            answer.into_response()
        }
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(account);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

impl Hall {
    async fn take(
        &self,
        namespace: &str,
        build: &str,
        kind: &str,
        request: Request,
    ) -> Result<(answer::Told, Option<(Actor, String)>), Problem> {
        let arrival = request.extensions().get::<Arrival>().copied();
        let arrival = arrival.ok_or_else(|| Problem::internal(&NoFront))?;
        self.turn(arrival.client, &[namespace, build], &arrival)?;
        let (parts, body) = request.into_parts();
        let known = HookKind::from_path(kind);
        let claims = known.is_some_and(|kind| Signed::is_claimed(kind, &parts.headers));
        // What has no signature is refused whatever it says.
        let body = match known.filter(|_| claims) {
            Some(kind) => {
                let most = most(kind);
                let place = (namespace, build);
                let is_there = self.hooks.has(place, kind).await.map_err(unavailable)?;
                let share = self.room.share(arrival.client, place);
                read(&parts.headers, body, most, share, is_there).await?
            }
            None => Whole::default(),
        };
        let pieces = u32::try_from(body.read / REFUSED_AT_A_TIME).unwrap_or(u32::MAX);
        let soonest = Instant::now() + REFUSAL.saturating_mul(pieces.saturating_add(1));
        // An unknown kind goes the same way as a build without a webhook.
        let (kind, build) = known.map_or((HookKind::Generic, ""), |kind| (kind, build));
        let place = (namespace, build);
        let answer = self
            .hooks
            .call(place, kind, &parts.headers, &body.bytes, arrival.at)
            .await;
        // What waits to be refused holds nothing.
        drop(body);
        match answer {
            Ok(answer) => {
                let by = match &answer {
                    Answer::Started { run, owner, .. } => Some((owner.clone(), run.clone())),
                    Answer::Known { .. } | Answer::Nothing { .. } => None,
                };
                Ok((answer::Told::of(answer), by))
            }
            Err(HookError::Unknown) => {
                tokio::time::sleep_until(soonest).await;
                Err(unknown())
            }
            Err(HookError::Invalid(message)) => Err(Problem::invalid(message)),
            Err(HookError::Forbidden(message)) => Err(Problem::denied(message)),
            Err(HookError::Busy(message)) => Err(Problem::too_many_of(message, LATER)),
            Err(error @ HookError::Unavailable(_)) => Err(unavailable(error)),
        }
    }

    fn turn(&self, client: IpAddr, place: &[&str; 2], arrival: &Arrival) -> Result<(), Problem> {
        let wait = self.rate.turn(client, place, arrival.at);
        wait.map_err(|wait| {
            let seconds = wait.as_secs().max(1);
            Problem::too_many_of("too many calls come from here", seconds)
        })
    }

    async fn identity(&self, owner: &Actor) -> Option<auth::Identity> {
        let now = std::time::SystemTime::now();
        let found = self.registry.gate().identity_of(&owner.proof, now).await;
        found.ok()
    }
}

/// The body, which must arrive soon and has its part of the room for all bodies as it arrives: whoever sends slowly holds
/// little. What is not to be kept is counted too, and passed over.
async fn read(
    headers: &HeaderMap,
    body: axum::body::Body,
    most: usize,
    mut share: Share,
    is_kept: bool,
) -> Result<Whole, Problem> {
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(Problem::too_large(most));
    }
    let broken = || Problem::invalid("the body did not arrive whole");
    let full = || Problem::too_many_of("too many calls arrive at a time", 1);
    let read = tokio::time::timeout(ARRIVES, async {
        let (mut bytes, mut read) = (Vec::new(), 0);
        let mut frames = body.into_data_stream();
        loop {
            let frame = tokio::select! {
                biased;
                () = share.cut() => return Err(full()),
                frame = frames.next() => frame,
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| broken())?;
            read += frame.len();
            if read > most {
                return Err(Problem::too_large(most));
            }
            if !share.grow(frame.len()) {
                return Err(full());
            }
            if is_kept {
                bytes.extend_from_slice(&frame);
            }
        }
        if !share.arrived() {
            return Err(full());
        }
        Ok(Whole {
            bytes,
            read,
            _share: Some(share),
        })
    });
    read.await.unwrap_or_else(|_| Err(broken()))
}

/// A body, and the room that it has; dropping it gives that back.
#[derive(Default)]
struct Whole {
    bytes: Vec<u8>,
    /// How many have arrived, kept or not.
    read: usize,
    _share: Option<Share>,
}

/// Longest body of a kind, whether there is such a webhook or not.
fn most(kind: HookKind) -> usize {
    match kind {
        // They list the files of each commit.
        HookKind::GitHub | HookKind::GitLab | HookKind::Gitea => MAX_BODY,
        HookKind::Bitbucket | HookKind::Generic => SHORT_BODY,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn unavailable(error: HookError) -> Problem {
    let text = "the call cannot be taken at the moment, send it again";
    Problem::unavailable(text, error.to_string())
}

fn unknown() -> Problem {
    Problem::not_found(HookError::Unknown.to_string())
}

/// For the audit record: what strangers write into a path is left out, unless it could be a name.
fn reference(namespace: &str, build: &str, kind: &str) -> String {
    let plain = |text: &str| {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        text.len() <= 128 && text.bytes().all(of_name)
    };
    let mut path = "POST /hooks".to_owned();
    for (text, name) in [
        (namespace, "{namespace}"),
        (build, "{build}"),
        (kind, "{kind}"),
    ] {
        path.push('/');
        path.push_str(if plain(text) { text } else { name });
    }
    path
}

#[derive(Debug, thiserror::Error)]
#[error("the room is not behind a front, which knows the client and the time")]
struct NoFront;
