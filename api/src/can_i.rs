//! `POST /api/v1/can-i`: what the caller may do in a repository, which need not exist.

use std::sync::Arc;

use auth::Action;
use axum::extract::State;
use http::StatusCode;
use oci::RepoName;
use registry::Registry;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Body, Caller, Permission, Reply, Route};

/// Most verbs in a question: every one by each of its names.
const MAX_VERBS: usize = 8;

pub(crate) fn route(registry: Arc<Registry>) -> Route {
    Route::post("/api/v1/can-i", "can-i", Permission::Known, can_i, registry)
        .summary("Whether the caller may do something in a repository")
        .changes_nothing()
        .body::<Question>()
        .reply::<Answer>(StatusCode::OK)
}

/// What the caller would do. Nobody asks for somebody else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CanI")]
struct Question {
    /// The repository, such as `team/app`. It need not exist.
    repository: String,
    /// `get`, `create`, `update`, `delete`, as rules have them; or `pull` (get), `push` (create), `retag` (update).
    verbs: Vec<String>,
}

/// What the caller may do with this credential.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CanIAnswer")]
struct Answer {
    /// The repository that was asked about.
    repository: String,
    /// All of it.
    allowed: bool,
    /// One by one, in the order of the question.
    verbs: Vec<Allowed>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CanIVerb")]
struct Allowed {
    /// As it was asked.
    verb: String,
    /// Whether the caller may.
    allowed: bool,
}

async fn can_i(
    State(registry): State<Arc<Registry>>,
    caller: Caller,
    Body(question): Body<Question>,
) -> Result<Reply<Answer>, Problem> {
    let repo = RepoName::parse(&question.repository)
        .map_err(|error| Problem::invalid(format!("repository: {error}")))?;
    if !(1..=MAX_VERBS).contains(&question.verbs.len()) {
        return Err(Problem::invalid(format!("verbs: 1 to {MAX_VERBS}")));
    }
    let actions = question.verbs.iter().map(|verb| action(verb));
    let actions = actions.collect::<Result<Vec<_>, _>>()?;
    let mut verbs = Vec::with_capacity(actions.len());
    for (verb, action) in question.verbs.into_iter().zip(actions) {
        let allowed = registry.gate().may(&caller.who, action, &repo).await?;
        verbs.push(Allowed { verb, allowed });
    }
    let answer = Answer {
        repository: question.repository,
        allowed: verbs.iter().all(|verb| verb.allowed),
        verbs,
    };
    Ok(Reply(StatusCode::OK, answer))
}

fn action(verb: &str) -> Result<Action, Problem> {
    Action::ALL
        .into_iter()
        .find(|action| action.verb() == verb || action.scope_name() == verb)
        .ok_or_else(|| {
            Problem::invalid("verbs: each is get, create, update or delete, or pull, push or retag")
        })
}
