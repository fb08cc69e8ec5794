//! `/api/v1/builds`: the builds of all namespaces in which the caller may list them.
//!
//! A position may name a namespace of which they must not know, so it is sealed, whatever it names; and since none can be made
//! up, nobody finds out by where a page ends which names there are behind a place of their choice.

use auth::Sight;
use axum::extract::State;
use builder::builds::PageOf;
use http::StatusCode;
use registry::http::Problem;

use super::view::Build;
use super::{Building, problem};
use crate::{Caller, Listed, Page, Permission, Query, Reply, Route};

const BUILDS: &str = "/api/v1/builds";

/// Namespaces that are asked about together.
const TOGETHER: usize = 16;

pub(super) fn route(building: &Building) -> Route {
    let may = Permission::Permit;
    Route::get(BUILDS, "list-all-builds", may, list, building.clone())
        .summary("The builds of all namespaces whose builds the caller may list; a page may be empty and have a next one")
        .query::<Page>()
        .reply::<Listed<Build>>(StatusCode::OK)
}

/// What comes next: a namespace, and the build behind which it goes on there; empty for its first.
struct Position {
    namespace: String,
    behind: String,
}

async fn list(
    State(building): State<Building>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Reply<Listed<Build>>, Problem> {
    let limit = page.limit()?.min(PageOf::MAX);
    let mut sight = building.registry.gate().sight(&caller.who);
    let from = page.after().map(|text| Position::opened(&sight, text));
    let mut from = from.transpose()?;
    let (mut items, mut last) = (Vec::new(), None);
    let next = 'looking: loop {
        let namespaces = building.namespaces(from.as_ref(), last.take()).await?;
        if namespaces.is_empty() {
            break None;
        }
        let mut seen = Vec::new().into_iter();
        if items.len() < limit {
            seen = sight.look_for_builds(&namespaces).await?.into_iter();
        }
        for namespace in namespaces {
            let mut at = Position {
                behind: from.take().map(|from| from.behind).unwrap_or_default(),
                namespace,
            };
            // There is no room for more, or this request has asked enough.
            let Some(is_seen) = seen.next().filter(|_| items.len() < limit) else {
                break 'looking Some(at);
            };
            let mut more = is_seen;
            while more {
                if items.len() >= limit {
                    break 'looking Some(at);
                }
                let page = PageOf {
                    after: Some(at.behind.clone()).filter(|behind| !behind.is_empty()),
                    limit: limit - items.len(),
                };
                let found = building.builds.builds(&at.namespace, &page).await;
                let found = found.map_err(problem)?;
                more = found.more;
                if let Some(last) = found.items.last() {
                    at.behind.clone_from(&last.value.metadata.name);
                }
                items.extend(found.items.into_iter().map(Build::of));
            }
            last = Some(at.namespace);
        }
    };
    let next = next.map(|next| next.sealed(&sight)).transpose()?;
    let listed = Listed {
        items,
        r#continue: next,
    };
    Ok(Reply(StatusCode::OK, listed))
}

impl Building {
    /// The next namespaces that may have builds: that of a position and those behind it, those behind another, or the first.
    async fn namespaces(
        &self,
        from: Option<&Position>,
        behind: Option<String>,
    ) -> Result<Vec<String>, Problem> {
        let mut namespaces: Vec<String> = from
            .map(|from| from.namespace.clone())
            .into_iter()
            .collect();
        let behind = namespaces.first().cloned().or(behind);
        let more = TOGETHER - namespaces.len();
        let found = self.builds.namespaces(behind.as_deref(), more).await;
        namespaces.extend(found.map_err(problem)?);
        Ok(namespaces)
    }
}

impl Position {
    fn sealed(&self, sight: &Sight<'_>) -> Result<String, Problem> {
        Ok(sight.seal(&format!("{}/{}", self.namespace, self.behind))?)
    }

    fn opened(sight: &Sight<'_>, text: &str) -> Result<Self, Problem> {
        let unknown = || {
            Problem::invalid(
                "continue: what the page before said, to the same caller and by this server: begin with the first page again",
            )
        };
        let text = sight.sealed_position(text)?.ok_or_else(unknown)?;
        let (namespace, behind) = text.split_once('/').ok_or_else(unknown)?;
        Ok(Self {
            namespace: namespace.to_owned(),
            behind: behind.to_owned(),
        })
    }
}
