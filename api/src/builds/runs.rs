//! `…/buildruns`: each a try to build something.

use auth::BuildRight;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use builder::builds::{Age, Asked, PageOf, Recorded, RunsOf};
use builder::records::{self, BuildSpec, Cause, StateKind};
use http::StatusCode;
use http::header::LOCATION;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::definitions::{QUEUE_FULL, WHERE};
use super::view::BuildRun;
use super::{Building, MAX_SPEC, Nothing, place, problem};
use crate::guard::MadeId;
use crate::{Body, Builder, Caller, Listed, Page, Permission, Query, Reply, Route};

const RUNS: &str = "/api/v1/namespaces/{namespace}/buildruns";
const RUN: &str = "/api/v1/namespaces/{namespace}/buildruns/{name}";
const CANCEL: &str = "/api/v1/namespaces/{namespace}/buildruns/{name}/cancel";
const REBUILD: &str = "/api/v1/namespaces/{namespace}/buildruns/{name}/rebuild";

pub(super) fn routes(building: &Building) -> Vec<Route> {
    let may = Permission::Build;
    let state = || building.clone();
    vec![
        Route::get(
            RUNS,
            "list-build-runs",
            may(BuildRight::ListBuilds),
            list,
            state(),
        )
        .summary("The runs of a namespace or of a build, the newest first")
        .query::<Which>()
        .reply::<Listed<BuildRun>>(StatusCode::OK),
        Route::post(
            RUNS,
            "run-build",
            may(BuildRight::CreateBuilds),
            once,
            state(),
        )
        .summary("Run something once that is no build")
        .body::<Once>()
        .reply::<BuildRun>(StatusCode::CREATED)
        .gives("Location", WHERE)
        .or(StatusCode::CONFLICT, "There is a run of this name")
        .or(StatusCode::TOO_MANY_REQUESTS, QUEUE_FULL),
        Route::get(
            RUN,
            "get-build-run",
            may(BuildRight::GetBuilds),
            get,
            state(),
        )
        .summary("A run")
        .reply::<BuildRun>(StatusCode::OK)
        .or(StatusCode::NOT_FOUND, "There is no such run"),
        Route::delete(
            RUN,
            "delete-build-run",
            may(BuildRight::DeleteBuilds),
            delete,
            state(),
        )
        .summary("Remove a run that has ended, with its log; its image stays")
        .no_content()
        .or(StatusCode::NOT_FOUND, "There is no such run")
        .or(StatusCode::CONFLICT, "It has not ended"),
        Route::post(
            CANCEL,
            "cancel-build-run",
            may(BuildRight::CreateBuilds),
            cancel,
            state(),
        )
        .summary("End a run that waits or is at work")
        .body::<Nothing>()
        .reply::<BuildRun>(StatusCode::OK)
        .or(StatusCode::NOT_FOUND, "There is no such run"),
        Route::post(
            REBUILD,
            "rebuild",
            may(BuildRight::CreateBuilds),
            rebuild,
            state(),
        )
        .summary("Do a run again")
        .body::<Again>()
        .reply::<BuildRun>(StatusCode::CREATED)
        .gives("Location", WHERE)
        .or(StatusCode::NOT_FOUND, "There is no such run")
        .or(
            StatusCode::CONFLICT,
            "The same is asked for, and it has not succeeded",
        )
        .or(StatusCode::TOO_MANY_REQUESTS, QUEUE_FULL),
    ]
}

/// Which runs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Which {
    /// Those of this build. Without it all.
    build: Option<String>,
    /// Those that stand so.
    state: Option<StateKind>,
    /// Entries in the answer at most: 1 to 1000, usually 100; no more than 500 come at a time.
    limit: Option<u32>,
    /// Where to go on: what the page before said under `continue`.
    r#continue: Option<String>,
}

/// The run to make.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Once {
    /// Absent: it gets one.
    #[serde(default)]
    name: Option<String>,
    spec: BuildSpec,
    /// Run, even if the same plan has a result already.
    #[serde(default)]
    fresh: bool,
    /// Begin with empty caches, and run, even if the same plan has a result already.
    #[serde(default)]
    no_cache: bool,
}

/// How a run is done again.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RebuildOf")]
struct Again {
    /// With the same source, builder image and time, to see whether the same image comes out; that moves no tag. Otherwise
    /// with what the names in its spec stand for now.
    same: bool,
}

async fn list(
    State(building): State<Building>,
    may: Builder,
    Query(which): Query<Which>,
) -> Result<Reply<Listed<BuildRun>>, Problem> {
    let page = Page::new(which.limit, which.r#continue);
    let before = page.after().map(str::parse::<Age>).transpose();
    let wanted = RunsOf {
        build: which.build,
        state: which.state,
        before: before.map_err(|_| Problem::invalid("continue: not of this list"))?,
        limit: page.limit()?.min(PageOf::MAX),
    };
    let found = building.builds.runs(may.namespace(), &wanted).await;
    let found = found.map_err(problem)?;
    let shown = |run| building.shown(run);
    let last = found.items.last().filter(|_| found.more);
    let listed = Listed {
        r#continue: last.map(|last| Age::of(&last.value).to_string()),
        items: found.items.into_iter().map(shown).collect(),
    };
    Ok(Reply(StatusCode::OK, listed))
}

async fn once(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Body(new): Body<Once, MAX_SPEC>,
) -> Result<Response, Problem> {
    let cause = Cause::Asked {
        by: caller.who.name().to_owned(),
    };
    let asked = Asked {
        fresh: new.fresh,
        no_cache: new.no_cache,
        ..Asked::new(building.actor(&caller)?, cause)
    };
    let namespace = may.namespace();
    let run = building
        .builds
        .run_once(
            namespace,
            new.name.as_deref(),
            new.spec,
            asked,
            caller.now(),
        )
        .await;
    Ok(made(&building, namespace, run.map_err(problem)?))
}

async fn get(
    State(building): State<Building>,
    may: Builder,
    Path((_, name)): Path<(String, String)>,
) -> Result<Reply<BuildRun>, Problem> {
    let found = building.builds.run(may.namespace(), &name).await;
    let run = building.shown(found.map_err(problem)?);
    Ok(Reply(StatusCode::OK, run))
}

async fn delete(
    State(building): State<Building>,
    may: Builder,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let removed = building.builds.remove_run(may.namespace(), &name).await;
    removed.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn cancel(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Reply<BuildRun>, Problem> {
    let by = caller.who.name();
    let run = building
        .builds
        .cancel(may.namespace(), &name, by, caller.now())
        .await
        .map_err(problem)?;
    Ok(Reply(StatusCode::OK, building.shown(run)))
}

async fn rebuild(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    Body(again): Body<Again>,
) -> Result<Response, Problem> {
    let actor = building.actor(&caller)?;
    let namespace = may.namespace();
    let run = building
        .builds
        .again(namespace, &name, again.same, actor, caller.now())
        .await;
    Ok(made(&building, namespace, run.map_err(problem)?))
}

/// The answer to who asked for a run.
pub(super) fn made(building: &Building, namespace: &str, run: Recorded<records::Run>) -> Response {
    let run = building.shown(run);
    let name = run.metadata.name.clone();
    let location = [(LOCATION, place(namespace, "buildruns", &name))];
    (
        Extension(MadeId(name)),
        location,
        Reply(StatusCode::CREATED, run),
    )
        .into_response()
}
