//! `…/buildruns/{name}/log`: what a run said, as text or as server-sent events, as far as it is written or on until it ends.

use std::io;
use std::time::Duration;

use auth::{BuildRight, Credential};
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use builder::builds::log::{Follow, LogLine, LogReader};
use builder::driver::Phase;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use registry::http::{Problem, credential};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::events::{Form, event};
use super::places::Place;
use super::{Building, problem};
use crate::body::flag;
use crate::{Builder, Caller, Permission, Query, Route};

const LOG: &str = "/api/v1/namespaces/{namespace}/buildruns/{name}/log";

/// Silence after which something is sent, so that nobody between takes the connection for dead.
const SILENCE: Duration = Duration::from_secs(15);
/// How often it is asked whether who follows still may.
const ASKED_EVERY: Duration = Duration::from_secs(60);
/// Where an `EventSource` goes on.
const LAST_EVENT_ID: &str = "last-event-id";
/// The id of the event behind which nothing comes.
const END: &str = "end";
/// What an `EventSource` is told first: after so many milliseconds it comes again if the connection breaks.
const RETRY: &str = "retry: 2000\n\n";

pub(super) fn route(building: &Building) -> Route {
    let may = Permission::Build(BuildRight::GetBuilds);
    Route::get(LOG, "build-log", may, log, building.clone())
        .summary("What a run said: text, or server-sent events to who accepts these")
        .query::<Asked>()
        .content(&["text/plain", "text/event-stream"])
        .heeds(
            "Last-Event-ID",
            "The id of the last event that one had: it goes on behind it, within the phase where one is asked for",
        )
        .or(
            StatusCode::NO_CONTENT,
            "The last event that one had was the end: there is no more to come",
        )
        .or(
            StatusCode::NOT_FOUND,
            "There is no such run, or it has had none of the phase",
        )
}

/// Which part of the log, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    /// Whether it goes on until the run has ended. Usually so as events, and not so as text: nothing is sent while a run
    /// says nothing, and what lies between may take the connection for dead after a minute. Events keep it alive.
    #[serde(deserialize_with = "flag")]
    follow: Option<bool>,
    /// Of what is written only this part of the run.
    phase: Option<Phase>,
    /// Where to begin: the id of the last event that one had, which the header `Last-Event-ID` may say too.
    from: Option<u64>,
    /// As text: each line with its time before it.
    #[serde(deserialize_with = "flag")]
    timestamps: Option<bool>,
}

async fn log(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let accepted = headers.get_all(ACCEPT).iter();
    let takes_events = accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/event-stream"));
    let form = if takes_events {
        Form::Events
    } else {
        let timestamps = asked.timestamps.unwrap_or_default();
        Form::Text { timestamps }
    };
    if takes_events && last_event(&headers) == Some(END) {
        let run = building.builds.run(may.namespace(), &name).await;
        if run.map_err(problem)?.value.state.has_ended() {
            // An EventSource comes back whenever an answer ends, unless it is told not to (HTML §9.2.3).
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    let from = from(&asked, &headers)?;
    let place = building.following.admit(&caller.who)?;
    let follow = asked
        .follow
        .unwrap_or(takes_events && asked.phase.is_none());
    let namespace = may.namespace().to_owned();
    let lines = match (follow, asked.phase) {
        (true, Some(_)) => {
            return Err(Problem::invalid(
                "phase: of what is written, so not with follow",
            ));
        }
        (true, None) => {
            let follow = building.builds.follow(&namespace, &name, from).await;
            Lines::live(follow.map_err(problem)?)
        }
        (false, phase) => {
            // Before it is read: what a run writes until its end is in it.
            let run = building.builds.run(&namespace, &name).await;
            let has_ended = run.map_err(problem)?.value.state.has_ended();
            let reader = building.builds.log(&namespace, &name).await;
            Lines::written(reader.map_err(problem)?, from, phase, has_ended).await?
        }
    };
    let sent = Sent {
        lines,
        form,
        follower: Follower {
            credential: credential(&headers)?,
            caller,
        },
        namespace,
        name,
        building,
        asked_at: tokio::time::Instant::now(),
        has_ended: false,
        _place: place,
    };
    let kind = match form {
        Form::Events => "text/event-stream",
        Form::Text { .. } => "text/plain; charset=utf-8",
    };
    let head = match form {
        Form::Events => RETRY,
        Form::Text { .. } => "",
    };
    let head = stream::iter([Ok(Bytes::from_static(head.as_bytes()))]);
    let rest = stream::unfold(sent, |mut sent| async {
        let chunk = sent.next().await?;
        Some((chunk, sent))
    });
    let body = head.chain(rest);
    // Proxies of nginx's kind hold back what comes in small pieces.
    let headers = [(CONTENT_TYPE.as_str(), kind), ("x-accel-buffering", "no")];
    Ok((headers, axum::body::Body::from_stream(body)).into_response())
}

fn last_event(headers: &HeaderMap) -> Option<&str> {
    headers.get(LAST_EVENT_ID)?.to_str().ok()
}

fn from(asked: &Asked, headers: &HeaderMap) -> Result<u64, Problem> {
    match headers.get(LAST_EVENT_ID) {
        None => Ok(asked.from.unwrap_or_default()),
        // The end of another run of the name.
        Some(id) if id == END => Ok(0),
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.trim().parse().ok());
            id.ok_or_else(|| Problem::invalid("Last-Event-ID: the number that an event had"))
        }
    }
}

/// What the service says of its insides stays in the log.
fn unreadable(error: &io::Error) -> Problem {
    Problem::unavailable(
        "the log cannot be read at the moment, try again",
        error.to_string(),
    )
}

/// Where lines come from.
struct Lines {
    follow: Follow,
    /// Whether the run has ended when there are no more: they are all that there will be.
    to_the_end: bool,
    /// Lines that end behind this offset are another part's.
    until: u64,
}

impl Lines {
    fn live(follow: Follow) -> Self {
        Self {
            follow,
            to_the_end: true,
            until: u64::MAX,
        }
    }

    async fn written(
        mut reader: LogReader,
        from: u64,
        phase: Option<Phase>,
        has_ended: bool,
    ) -> Result<Self, Problem> {
        let placed = tokio::task::spawn_blocking(move || {
            let until = match phase {
                None => Some(u64::MAX),
                Some(phase) => reader.seek_phase(phase)?,
            };
            reader.go_on(from);
            Ok::<_, io::Error>((reader, until))
        });
        let placed = placed.await.map_err(|error| Problem::internal(&error))?;
        let (reader, until) = placed.map_err(|error| unreadable(&error))?;
        let until = until.ok_or_else(|| Problem::not_found("phase: the run has had none of it"))?;
        Ok(Self {
            follow: reader.written(),
            to_the_end: has_ended,
            until,
        })
    }

    /// The next ones; `None` after the last. Dropping the future loses nothing.
    async fn next(&mut self) -> io::Result<Option<Vec<LogLine>>> {
        let mut lines = self.follow.next().await?.unwrap_or_default();
        lines.retain(|line| line.next <= self.until);
        Ok((!lines.is_empty()).then_some(lines))
    }
}

/// Who follows, and how they said who they are.
struct Follower {
    credential: Option<Credential>,
    caller: Caller,
}

/// A log on its way.
struct Sent {
    lines: Lines,
    form: Form,
    follower: Follower,
    namespace: String,
    name: String,
    building: Building,
    asked_at: tokio::time::Instant,
    has_ended: bool,
    _place: Place,
}

/// An error of the body: the client sees that the text is cut short.
type Cut = io::Error;

impl Sent {
    async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        if self.has_ended {
            return None;
        }
        let stopping = self.building.stopping.clone();
        loop {
            let lines = tokio::select! {
                biased;
                () = stopping.cancelled() => return Some(self.cut("the server is stopping")),
                lines = self.lines.next() => Some(lines),
                () = tokio::time::sleep(SILENCE) => None,
            };
            if let Err(why) = self.still_may().await {
                return Some(self.cut(why));
            }
            match (lines, self.form) {
                (Some(Ok(Some(lines))), form) => return Some(Ok(form.lines(&lines).into())),
                (Some(Ok(None)), _) => return self.end().await,
                (Some(Err(error)), _) => {
                    tracing::warn!(%error, run = self.name, "a log cannot be read");
                    return Some(self.cut("the log cannot be read at the moment"));
                }
                (None, Form::Events) => return Some(Ok(Bytes::from_static(b":\n\n"))),
                (None, Form::Text { .. }) => {}
            }
        }
    }

    /// The last of it: what became of the run.
    async fn end(&mut self) -> Option<Result<Bytes, Cut>> {
        self.has_ended = true;
        if !self.lines.to_the_end || matches!(self.form, Form::Text { .. }) {
            return None;
        }
        let run = self.building.builds.run(&self.namespace, &self.name).await;
        match run {
            Ok(run) => {
                let end = event("end", &json!(self.building.shown(run)));
                Some(Ok(format!("id: {END}\n{end}").into()))
            }
            Err(_) => Some(self.cut("the run cannot be looked up at the moment")),
        }
    }

    /// Ends it before its end: who reads events goes on with the id of the last one, who reads text learns that it is cut.
    fn cut(&mut self, why: &'static str) -> Result<Bytes, Cut> {
        self.has_ended = true;
        match self.form {
            Form::Events => Ok(event("cut", &json!({ "detail": why })).into()),
            Form::Text { .. } => Err(Cut::other(why)),
        }
    }

    /// Asks now and then whether who follows still is whom they were, and may.
    async fn still_may(&mut self) -> Result<(), &'static str> {
        if self.asked_at.elapsed() < ASKED_EVERY {
            return Ok(());
        }
        self.asked_at = tokio::time::Instant::now();
        let gate = self.building.registry.gate();
        let Follower { credential, caller } = &self.follower;
        let now = std::time::SystemTime::now();
        let client = Some(caller.arrival.client);
        let who = gate.identify(credential.as_ref(), client, now).await;
        let who = who.map_err(|_| "the credentials are no longer good, or cannot be checked")?;
        let right = BuildRight::GetBuilds;
        let may = gate.permit_build(&who, right, Some(&self.namespace)).await;
        may.map(drop)
            .map_err(|_| "you may no longer see this, or it cannot be checked")
    }
}
