//! `…/builderimages`: the catalogue that people choose builder images from. What is everybody's is at
//! `/api/v1/builderimages`, and among each namespace's.

use auth::BuildRight;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use builder::builds::{PageOf, Recorded};
use builder::records::{BuilderImage, Metadata};
use http::StatusCode;
use http::header::LOCATION;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Building, CHANGED, FULL, Nothing, made_or_changed, place, problem};
use crate::{Body, Builder, Caller, Listed, Page, Permission, Query, Reply, Route};

const IMAGES: &str = "/api/v1/namespaces/{namespace}/builderimages";
const IMAGE: &str = "/api/v1/namespaces/{namespace}/builderimages/{name}";
const USAGE: &str = "/api/v1/namespaces/{namespace}/builderimages/{name}/usage";
const ALL_IMAGES: &str = "/api/v1/builderimages";
const ALL_IMAGE: &str = "/api/v1/builderimages/{name}";

/// What the positions of everybody's entries begin with; no name does.
const EVERYBODYS: &str = "~";

pub(super) fn routes(building: &Building) -> Vec<Route> {
    let may = Permission::Build;
    let state = || building.clone();
    let (seen, listed) = (BuildRight::GetBuilderImages, BuildRight::ListBuilderImages);
    let (put, deleted) = (
        BuildRight::CreateBuilderImages,
        BuildRight::DeleteBuilderImages,
    );
    vec![
        Route::get(IMAGES, "list-builder-images", may(listed), list, state())
            .summary("The builder images of a namespace, then those of everybody")
            .query::<Page>()
            .reply::<Listed<BuilderImage>>(StatusCode::OK),
        Route::get(IMAGE, "get-builder-image", may(seen), get, state())
            .summary("What a name means in a namespace: its own builder image, else everybody's")
            .reply::<BuilderImage>(StatusCode::OK)
            .or(StatusCode::NOT_FOUND, "There is no such entry"),
        Route::put(IMAGE, "put-builder-image", may(put), put_own, state())
            .summary("Enter a builder image for a namespace, or change the entry")
            .body::<Entry>()
            .reply::<BuilderImage>(StatusCode::OK)
            .may_create(),
        Route::delete(
            IMAGE,
            "delete-builder-image",
            may(deleted),
            delete_own,
            state(),
        )
        .summary("Take a namespace's builder image out of the catalogue; the image stays")
        .no_content()
        .or(StatusCode::CONFLICT, CHANGED),
        Route::post(
            USAGE,
            "builder-image-usage",
            may(BuildRight::CreateBuilds),
            usage,
            state(),
        )
        .summary("Run the script usage of the builder image that a name means in a namespace, as spec.builder of a build has it")
        .body::<Nothing>()
        .reply::<Usage>(StatusCode::OK),
        Route::get(
            ALL_IMAGES,
            "list-all-builder-images",
            may(listed),
            list,
            state(),
        )
        .summary("Everybody's builder images")
        .query::<Page>()
        .reply::<Listed<BuilderImage>>(StatusCode::OK),
        Route::put(
            ALL_IMAGE,
            "put-everybodys-builder-image",
            may(put),
            put_everybodys,
            state(),
        )
        .summary("Enter a builder image for everybody, or change the entry")
        .body::<Entry>()
        .reply::<BuilderImage>(StatusCode::OK)
        .may_create()
        .or(StatusCode::CONFLICT, FULL),
        Route::get(
            ALL_IMAGE,
            "get-everybodys-builder-image",
            may(seen),
            get_everybodys,
            state(),
        )
        .summary("One of everybody's builder images")
        .reply::<BuilderImage>(StatusCode::OK)
        .or(StatusCode::NOT_FOUND, "There is no such entry"),
        Route::delete(
            ALL_IMAGE,
            "delete-everybodys-builder-image",
            may(deleted),
            delete_everybodys,
            state(),
        )
        .summary("Take everybody's builder image out of the catalogue; the image stays")
        .no_content()
        .or(StatusCode::CONFLICT, CHANGED),
    ]
}

/// What the catalogue is to say. What is absent is read from the image's labels.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "BuilderImageEntry")]
struct Entry {
    /// `repository[:tag][@digest]` in this registry.
    image: String,
    /// `java`, `go`, `python`, `nodejs` …
    #[serde(default)]
    language: Option<String>,
    /// The language's version.
    #[serde(default)]
    version: Option<String>,
    /// What it is called.
    #[serde(default)]
    display_name: Option<String>,
    /// What it is for.
    #[serde(default)]
    description: Option<String>,
}

async fn list(
    State(building): State<Building>,
    may: Builder,
    Query(page): Query<Page>,
) -> Result<Reply<Listed<BuilderImage>>, Problem> {
    let limit = page.limit()?.min(PageOf::MAX);
    let namespace = may.namespace();
    let (mut items, mut next): (Vec<Recorded<BuilderImage>>, _) = (Vec::new(), None);
    let (own, everybodys) = match page.after() {
        Some(after) => match after.strip_prefix(EVERYBODYS) {
            Some(after) => (None, Some(after)),
            None => (Some(Some(after)), None),
        },
        None => (Some(None), None),
    };
    if let Some(after) = own.filter(|_| !namespace.is_empty()) {
        let found = entries(&building, namespace, after, limit).await?;
        (items, next) = found;
    }
    if next.is_none() && items.len() < limit {
        // `~` alone is before the first name.
        let after = everybodys.filter(|after| !after.is_empty());
        let more = entries(&building, "", after, limit - items.len()).await?;
        items.extend(more.0);
        next = more.1.map(|name| format!("{EVERYBODYS}{name}"));
    } else if next.is_none() {
        next = Some(EVERYBODYS.to_owned());
    }
    let listed = Listed {
        items: items.into_iter().map(|entry| entry.value).collect(),
        r#continue: next,
    };
    Ok(Reply(StatusCode::OK, listed))
}

/// Entries of exactly this namespace, and the name to go on behind.
async fn entries(
    building: &Building,
    namespace: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Recorded<BuilderImage>>, Option<String>), Problem> {
    let page = PageOf {
        after: after.map(str::to_owned),
        limit,
    };
    let found = building.builds.builder_images(namespace, &page).await;
    let found = found.map_err(problem)?;
    let last = found.items.last().filter(|_| found.more);
    let next = last.map(|last| last.value.metadata.name.clone());
    Ok((found.items, next))
}

async fn get(
    state: State<Building>,
    may: Builder,
    Path((_, name)): Path<(String, String)>,
) -> Result<Reply<BuilderImage>, Problem> {
    found(state, may, name).await
}

async fn get_everybodys(
    state: State<Building>,
    may: Builder,
    Path(name): Path<String>,
) -> Result<Reply<BuilderImage>, Problem> {
    found(state, may, name).await
}

async fn found(
    State(building): State<Building>,
    may: Builder,
    name: String,
) -> Result<Reply<BuilderImage>, Problem> {
    let namespace = may.namespace();
    let found = building.builds.find_builder_image(namespace, &name).await;
    let found = found.map_err(problem)?.ok_or_else(|| {
        Problem::not_found(format!(
            "there is no builder image {name} in namespace {namespace:?}, nor one of everybody's"
        ))
    })?;
    Ok(Reply(StatusCode::OK, found.value))
}

/// How a builder image is used.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BuilderImageUsage")]
struct Usage {
    /// What its script says.
    usage: String,
}

/// A program of the image runs for it, so it takes the right to run builds.
async fn usage(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Reply<Usage>, Problem> {
    let _place = building.asking.admit(&caller.who)?;
    let actor = building.actor(&caller)?;
    let said = building.builds.usage(may.namespace(), &name, &actor).await;
    let usage = said.map_err(problem)?;
    Ok(Reply(StatusCode::OK, Usage { usage }))
}

async fn put_own(
    state: State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    body: Body<Entry>,
) -> Result<Response, Problem> {
    put(state, may, caller, name, body).await
}

async fn put_everybodys(
    state: State<Building>,
    may: Builder,
    caller: Caller,
    Path(name): Path<String>,
    body: Body<Entry>,
) -> Result<Response, Problem> {
    put(state, may, caller, name, body).await
}

async fn put(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    name: String,
    Body(entry): Body<Entry>,
) -> Result<Response, Problem> {
    let image = BuilderImage {
        metadata: Metadata {
            namespace: may.namespace().to_owned(),
            name,
            // The service says when.
            created: 0,
        },
        image: entry.image,
        language: entry.language,
        version: entry.version,
        display_name: entry.display_name,
        description: entry.description,
    };
    let actor = building.actor(&caller)?;
    let entered = building
        .builds
        .put_builder_image(image, &actor, caller.now())
        .await
        .map_err(problem)?;
    let status = made_or_changed(&entered);
    let answer = Reply(status, entered.value);
    if status == StatusCode::OK {
        return Ok(answer.into_response());
    }
    let place = match &*answer.1.metadata.namespace {
        "" => format!("{ALL_IMAGES}/{}", answer.1.metadata.name),
        namespace => place(namespace, "builderimages", &answer.1.metadata.name),
    };
    Ok(([(LOCATION, place)], answer).into_response())
}

async fn delete_own(
    state: State<Building>,
    may: Builder,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    delete(state, may, &name).await
}

async fn delete_everybodys(
    state: State<Building>,
    may: Builder,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    delete(state, may, &name).await
}

async fn delete(
    State(building): State<Building>,
    may: Builder,
    name: &str,
) -> Result<StatusCode, Problem> {
    let namespace = may.namespace();
    let removed = building.builds.remove_builder_image(namespace, name).await;
    removed.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}
