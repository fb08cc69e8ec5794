//! `…/buildevents`: what was published and what has failed, for whoever goes on from there.

use auth::BuildRight;
use axum::extract::State;
use builder::builds::{BuildEvent as Recorded, Occurrence, PageOf};
use builder::records::FailureReason;
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
        .summary("What builds have published and which have failed, the oldest first: 1000 of a namespace, of 30 days")
        .query::<Page>()
        .reply::<Listed<BuildEvent>>(StatusCode::OK)
}

/// That a run was published, or has failed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BuildEvent {
    /// In the order of time; `continue` takes it, so that whoever has read an event goes on behind it. Two of the same moment may come
    /// the other way round: who follows begins a minute before, `at` less 60000 in 13 digits, and passes over what they know.
    id: String,
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
    /// When, in milliseconds since 1970.
    at: u64,
}

impl BuildEvent {
    fn of((id, event): (String, Recorded)) -> Self {
        let mut told = Self {
            id,
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
