//! `…/buildevents`: what was published, for whoever goes on from there.

use auth::BuildRight;
use axum::extract::State;
use builder::builds::{BuildSucceeded, PageOf};
use http::StatusCode;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Building, problem};
use crate::{Builder, Listed, Page, Permission, Query, Reply, Route};

const EVENTS: &str = "/api/v1/namespaces/{namespace}/buildevents";

pub(super) fn route(building: &Building) -> Route {
    let may = Permission::Build(BuildRight::GetBuilds);
    Route::get(EVENTS, "list-build-events", may, list, building.clone())
        .summary("What builds have published, the oldest first: 1000 of a namespace, of 30 days")
        .query::<Page>()
        .reply::<Listed<BuildEvent>>(StatusCode::OK)
}

/// That an image was built and has its tags.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BuildEvent {
    /// In the order of time; `continue` takes it, so that whoever has read an event goes on behind it. Two of the same moment may come
    /// the other way round: who follows begins a minute before, `at` less 60000 in 13 digits, and passes over what they know.
    id: String,
    /// `build.succeeded`; others may come.
    kind: String,
    namespace: String,
    /// Absent if the run stood alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<String>,
    run: String,
    /// The repository that the image is in.
    repository: String,
    /// The image's digest.
    digest: String,
    /// The tags that it got.
    tags: Vec<String>,
    /// When, in milliseconds since 1970.
    at: u64,
}

impl BuildEvent {
    fn of((id, event): (String, BuildSucceeded)) -> Self {
        Self {
            id,
            kind: event.kind,
            namespace: event.namespace,
            build: event.build,
            run: event.run,
            repository: event.repository,
            digest: event.digest,
            tags: event.tags,
            at: event.at,
        }
    }
}

async fn list(
    State(building): State<Building>,
    may: Builder,
    Query(page): Query<Page>,
) -> Result<Reply<Listed<BuildEvent>>, Problem> {
    let limit = page.limit()?.min(PageOf::MAX);
    let found = building
        .builds
        .events(may.namespace(), page.after(), limit)
        .await;
    let found = found.map_err(problem)?;
    let last = found.items.last().filter(|_| found.more);
    let listed = Listed {
        r#continue: last.map(|(id, _)| id.clone()),
        items: found.items.into_iter().map(BuildEvent::of).collect(),
    };
    Ok(Reply(StatusCode::OK, listed))
}
