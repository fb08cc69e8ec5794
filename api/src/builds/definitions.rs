//! `…/builds`: what is built again and again.

use auth::BuildRight;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use builder::builds::{Asked, PageOf, Recorded};
use builder::records::{self, BuildSpec, Cause, SourceSpec};
use http::header::{ETAG, IF_MATCH, LOCATION};
use http::{HeaderMap, StatusCode};
use registry::http::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::runs::made;
use super::view::{Build, BuildRun};
use super::{Building, MAX_SPEC, if_matched, place, problem};
use crate::guard::MadeId;
use crate::{Body, Builder, Caller, Listed, Page, Permission, Query, Reply, Route};

const BUILDS: &str = "/api/v1/namespaces/{namespace}/builds";
const BUILD: &str = "/api/v1/namespaces/{namespace}/builds/{name}";
const RUNS: &str = "/api/v1/namespaces/{namespace}/builds/{name}/runs";

/// What headers and statuses of builds and runs mean.
pub(super) const WHERE: &str = "Where it is";
pub(super) const QUEUE_FULL: &str = "Too many runs of the namespace wait";
const REVISION: &str = "Its revision, for If-Match";

pub(super) fn routes(building: &Building) -> Vec<Route> {
    let may = Permission::Build;
    let state = || building.clone();
    vec![
        Route::get(
            BUILDS,
            "list-builds",
            may(BuildRight::ListBuilds),
            list,
            state(),
        )
        .summary("The builds of a namespace")
        .query::<Page>()
        .reply::<Listed<Build>>(StatusCode::OK),
        Route::post(
            BUILDS,
            "create-build",
            may(BuildRight::CreateBuilds),
            create,
            state(),
        )
        .summary("Make a build")
        .body::<NewBuild>()
        .reply::<Build>(StatusCode::CREATED)
        .gives("Location", WHERE)
        .gives("ETag", REVISION)
        .or(StatusCode::CONFLICT, "There is one of this name, or the namespace has as many as it may"),
        Route::get(BUILD, "get-build", may(BuildRight::GetBuilds), get, state())
            .summary("A build; its revision is the ETag")
            .reply::<Build>(StatusCode::OK)
            .gives("ETag", REVISION)
            .or(StatusCode::NOT_FOUND, "There is no such build"),
        Route::put(
            BUILD,
            "replace-build",
            may(BuildRight::UpdateBuilds),
            replace,
            state(),
        )
        .summary("Change what a build is, and whose: runs that nobody starts have the caller's rights from then on. With If-Match only if it is of that revision")
        .body::<ChangedBuild>()
        .reply::<Build>(StatusCode::OK)
        .heeds("If-Match", "The ETag of the build that is to be changed")
        .gives("ETag", REVISION)
        .or(StatusCode::NOT_FOUND, "There is no such build")
        .or(
            StatusCode::PRECONDITION_FAILED,
            "It was changed since it had that ETag",
        ),
        Route::delete(
            BUILD,
            "delete-build",
            may(BuildRight::DeleteBuilds),
            delete,
            state(),
        )
        .summary("Remove a build with its runs and their logs; images stay")
        .no_content()
        .or(StatusCode::NOT_FOUND, "There is no such build")
        .or(StatusCode::CONFLICT, "A run of it has not ended"),
        Route::post(
            RUNS,
            "start-build",
            may(BuildRight::CreateBuilds),
            start,
            state(),
        )
        .summary("Start a run of a build")
        .body::<NewRun>()
        .reply::<BuildRun>(StatusCode::CREATED)
        .gives("Location", WHERE)
        .or(StatusCode::NOT_FOUND, "There is no such build")
        .or(StatusCode::TOO_MANY_REQUESTS, QUEUE_FULL),
    ]
}

/// The build to make.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewBuild {
    /// Lower-case letters, digits and `-`, at most 50.
    name: String,
    spec: BuildSpec,
}

/// What a build is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangedBuild {
    spec: BuildSpec,
}

/// The run to start: of what the build says, but for what is said here.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct NewRun {
    /// This branch, tag or commit.
    revision: Option<String>,
    /// This source.
    source: Option<SourceSpec>,
    /// Run, even if the same plan has a result already.
    fresh: bool,
    /// Begin with empty caches, and run, even if the same plan has a result already.
    no_cache: bool,
}

async fn list(
    State(building): State<Building>,
    may: Builder,
    Query(page): Query<Page>,
) -> Result<Reply<Listed<Build>>, Problem> {
    let page = names(&page)?;
    let found = building.builds.builds(may.namespace(), &page).await;
    let found = found.map_err(problem)?;
    let last = found.items.last().filter(|_| found.more);
    let listed = Listed {
        r#continue: last.map(|last| last.value.metadata.name.clone()),
        items: found.items.into_iter().map(Build::of).collect(),
    };
    Ok(Reply(StatusCode::OK, listed))
}

/// Which names a page has.
pub(super) fn names(page: &Page) -> Result<PageOf, Problem> {
    Ok(PageOf {
        after: page.after().map(str::to_owned),
        limit: page.limit()?.min(PageOf::MAX),
    })
}

async fn create(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Body(new): Body<NewBuild, MAX_SPEC>,
) -> Result<Response, Problem> {
    let owner = building.actor(&caller)?;
    let namespace = may.namespace();
    let made = building
        .builds
        .create(namespace, &new.name, new.spec, owner, caller.now())
        .await
        .map_err(problem)?;
    let id = MadeId(new.name.clone());
    let location = [(LOCATION, place(namespace, "builds", &new.name))];
    let shown = shown(&building, &caller, StatusCode::CREATED, made).await;
    Ok((Extension(id), location, shown).into_response())
}

async fn get(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let found = building.builds.build(may.namespace(), &name).await;
    let found = found.map_err(problem)?;
    Ok(shown(&building, &caller, StatusCode::OK, found).await)
}

async fn replace(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    Body(changed): Body<ChangedBuild, MAX_SPEC>,
) -> Result<Response, Problem> {
    let revision = revision(&headers)?;
    let owner = building.actor(&caller)?;
    let changed = building
        .builds
        .replace(
            may.namespace(),
            &name,
            changed.spec,
            owner,
            revision,
            caller.now(),
        )
        .await
        .map_err(if_matched)?;
    Ok(shown(&building, &caller, StatusCode::OK, changed).await)
}

async fn delete(
    State(building): State<Building>,
    may: Builder,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let removed = building.builds.remove(may.namespace(), &name).await;
    removed.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn start(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    Body(new): Body<NewRun, MAX_SPEC>,
) -> Result<Response, Problem> {
    let cause = Cause::Asked {
        by: caller.who.name().to_owned(),
    };
    let asked = Asked {
        source: new.source,
        revision: new.revision,
        fresh: new.fresh,
        no_cache: new.no_cache,
        ..Asked::new(building.actor(&caller)?, cause)
    };
    let namespace = may.namespace();
    let run = building
        .builds
        .start(namespace, &name, asked, caller.now())
        .await;
    Ok(made(&building, namespace, run.map_err(problem)?))
}

/// The build with its `ETag`, as `caller` may see it.
async fn shown(
    building: &Building,
    caller: &Caller,
    status: StatusCode,
    build: Recorded<records::Build>,
) -> Response {
    let missing = missing_secrets(building, caller, &build.value).await;
    let builder = missing_builder(building, caller, &build.value).await;
    let build = Build::of(build).lacking(missing, builder);
    let tag = format!("\"{}\"", build.revision);
    ([(ETAG, tag)], Reply(status, build)).into_response()
}

/// The secrets that a build names and that are not there, for those who may see which there are. Where that cannot be told now, the build
/// is shown without: a run would say it, too.
async fn missing_secrets(
    building: &Building,
    caller: &Caller,
    build: &records::Build,
) -> Vec<String> {
    let (namespace, spec) = (&build.metadata.namespace, &build.spec);
    if spec.secret_names().is_empty() {
        return Vec::new();
    }
    let gate = building.registry.gate();
    let may = gate.may_build(&caller.who, BuildRight::ListSecrets, Some(namespace));
    if !may.await.unwrap_or_default() {
        return Vec::new();
    }
    let missing = building.builds.missing_secrets(namespace, spec).await;
    missing.unwrap_or_default()
}

/// What the build's `builder` names, where the catalogue has no such entry, for those who may see which there are.
async fn missing_builder(
    building: &Building,
    caller: &Caller,
    build: &records::Build,
) -> Option<String> {
    let (namespace, word) = (&build.metadata.namespace, &build.spec.builder);
    let gate = building.registry.gate();
    let right = BuildRight::ListBuilderImages;
    let may = gate.permit_build(&caller.who, right, Some(namespace));
    may.await.ok()?;
    let lacks = building.builds.lacks_builder(namespace, word).await;
    lacks.is_ok_and(|lacks| lacks).then(|| word.clone())
}

/// The revision that `If-Match` names (RFC 9110 §13.1.1); `None` where any will do.
fn revision(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let revision = quoted.and_then(|text| text.parse().ok());
    revision
        .map(Some)
        .ok_or_else(|| Problem::invalid("If-Match: one ETag, as the build came with it: \"3\""))
}
