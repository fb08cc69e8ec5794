//! Tags, catalog and referrers, a page at a time.

use auth::Pull;
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderName, HeaderValue, Response};
use oci::{Descriptor, Digest, MediaType, Page, RepoName};
use serde::Serialize;

use super::Body;
use super::hall::Ask;
use super::reply::{Reply, json, query_value, value};

static OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

#[derive(Serialize)]
struct TagList<'a> {
    name: &'a RepoName,
    tags: &'a [oci::Tag],
}

#[derive(Serialize)]
struct Repositories<'a> {
    repositories: &'a [RepoName],
}

/// An image index, as distribution-spec §Listing Referrers wants it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: MediaType,
    manifests: &'a [Descriptor],
}

pub(super) async fn tags(ask: &Ask<'_>, repo: &RepoName, page: &Page) -> Reply {
    let permit = ask.permit::<Pull>(repo).await?;
    let _place = ask.admission.lists.admit().await?;
    let listing = ask.registry.tags(&permit, page).await?;
    let tags = &listing.entries;
    let response = json(&TagList { name: repo, tags })?;
    let last = tags.last().filter(|_| listing.more);
    Ok(linked(response, last, |last| {
        let n = tags.len();
        format!("/v2/{repo}/tags/list?n={n}&last={last}")
    }))
}

pub(super) async fn catalog(ask: &Ask<'_>, page: &Page) -> Reply {
    let _place = ask.admission.lists.admit().await?;
    let listing = ask.registry.catalog(ask.who, page).await?;
    let repositories = &listing.repositories;
    let response = json(&Repositories { repositories })?;
    Ok(linked(response, listing.next.as_ref(), |last| {
        let n = listing.size;
        let last = query_value(last);
        format!("/v2/_catalog?n={n}&last={last}")
    }))
}

pub(super) async fn referrers(
    ask: &Ask<'_>,
    repo: &RepoName,
    subject: &Digest,
    artifact_type: Option<&str>,
    page: &Page,
) -> Reply {
    let permit = ask.permit::<Pull>(repo).await?;
    let _place = ask.admission.lists.admit().await?;
    let listing = ask
        .registry
        .referrers(&permit, subject, artifact_type, page)
        .await?;
    let manifests = &listing.entries;
    let mut response = json(&Index {
        schema_version: 2,
        media_type: MediaType::OCI_INDEX,
        manifests,
    })?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, value(MediaType::OCI_INDEX.as_str()));
    if artifact_type.is_some() {
        headers.insert(
            &OCI_FILTERS_APPLIED,
            HeaderValue::from_static("artifactType"),
        );
    }
    let last = manifests.last().filter(|_| listing.more);
    Ok(linked(response, last, |last| {
        let n = manifests.len();
        let mut path = format!("/v2/{repo}/referrers/{subject}?n={n}&last={}", last.digest);
        if let Some(filter) = artifact_type {
            path.push_str("&artifactType=");
            path.push_str(&query_value(filter));
        }
        path
    }))
}

/// RFC 8288: where the next page is, if there is one.
fn linked<T>(
    mut response: Response<Body>,
    last: Option<&T>,
    path: impl FnOnce(&T) -> String,
) -> Response<Body> {
    if let Some(last) = last {
        let link = format!("<{}>; rel=\"next\"", path(last));
        response.headers_mut().insert(LINK, value(&link));
    }
    response
}
