//! `…/buildevents`: what was published and what has failed, for whoever goes on from there.

use auth::BuildRight;
use axum::extract::State;
use builder::builds::{BuildEvent as Recorded, Occurrence, PageOf};
use builder::records::FailureReason;
use http::StatusCode;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Building, problem};
use crate::{Builder, Listed, Page, Permission, Query, Reply, Route};

const EVENTS: &str = "/api/v1/namespaces/{namespace}/buildevents";

pub(super) fn route(building: &Building) -> Route {
    let may = Permission::Build(BuildRight::GetBuilds);
    Route::get(EVENTS, "list-build-events", may, list, building.clone())
        .summary("What builds have published and which have failed, the oldest first: 1000 of a namespace, of 30 days")
        .query::<Which>()
        .reply::<Listed<BuildEvent>>(StatusCode::OK)
}

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Which {
    /// Entries in the answer at most: 1 to 1000, usually 100.
    limit: Option<u32>,
    /// Those behind this position: of the last event that was read. 0, or nothing, is before the first.
    after: Option<u64>,
    /// The `id` of the event at `after`: refused if another is there by now, because the server has older records than it had.
    id: Option<String>,
    /// Where to go on: what the page before said under `continue`, instead of `after`.
    r#continue: Option<String>,
}

impl Which {
    /// The position, with the id of the event there if it was said.
    fn after(&self, page: &Page) -> Result<(u64, Option<&str>), Problem> {
        if self.id.is_some() && self.after.is_none_or(|after| after == 0) {
            let message = "id: of the event at the position after, which is lacking";
            return Err(Problem::invalid(message));
        }
        let Some(next) = page.after() else {
            return Ok((self.after.unwrap_or_default(), self.id.as_deref()));
        };
        let message = "continue: the position of an event, as the page before said it";
        let next = next.parse().map_err(|_| Problem::invalid(message))?;
        Ok((next, None))
    }
}

/// That a run was published, or has failed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BuildEvent {
    /// Its own for ever.
    id: String,
    /// 1 of a namespace's first event, one more of each that is recorded after it; what is lacking before the first that is listed was
    /// removed, or cannot be read. Whoever asks for those `after` the last that they have read, with its `id`, misses none.
    position: u64,
    /// `build.succeeded` or `build.failed`; others may come.
    kind: &'static str,
    namespace: String,
    /// Absent if the run stood alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<String>,
    run: String,
    /// Of a success: the repository that the image is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// Of a success: the image's digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Of a success: the tags that it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    /// Of a failure: why, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<FailureReason>,
    /// Of a failure: why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// When the run ended, in milliseconds since 1970; it may have been recorded later.
    at: u64,
}

impl BuildEvent {
    fn of((position, event): (u64, Recorded)) -> Self {
        let mut told = Self {
            id: event.id,
            position,
            kind: "build.succeeded",
            namespace: event.namespace,
            build: event.build,
            run: event.run,
            repository: None,
            digest: None,
            tags: None,
            reason: None,
            message: None,
            at: event.at,
        };
        match event.what {
            Occurrence::Succeeded {
                repository,
                digest,
                tags,
            } => {
                told.repository = Some(repository);
                told.digest = Some(digest);
                told.tags = Some(tags);
            }
            Occurrence::Failed { reason, message } => {
                told.kind = "build.failed";
                told.reason = Some(reason);
                told.message = Some(message);
            }
        }
        told
    }
}

async fn list(
    State(building): State<Building>,
    may: Builder,
    Query(which): Query<Which>,
) -> Result<Reply<Listed<BuildEvent>>, Problem> {
    let page = Page::new(which.limit, which.r#continue.clone());
    let limit = page.limit()?.min(PageOf::MAX);
    let (after, id) = which.after(&page)?;
    let found = building.builds.events(may.namespace(), after, id, limit);
    let found = found.await.map_err(problem)?;
    let last = found.items.last().filter(|_| found.more);
    let listed = Listed {
        r#continue: last.map(|(position, _)| position.to_string()),
        items: found.items.into_iter().map(BuildEvent::of).collect(),
    };
    Ok(Reply(StatusCode::OK, listed))
}
