//! `POST /api/v1/can-i`: what the caller may do in a repository, which need not exist, or to the registry as a whole.

use std::sync::Arc;

use auth::{Action, Deed, Right};
use axum::extract::State;
use http::StatusCode;
use oci::RepoName;
use registry::Registry;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guard::is_namespace;
use crate::{Body, Caller, Permission, Reply, Route};

/// Most verbs in a question: every one by each of its names.
const MAX_VERBS: usize = 8;

pub(crate) fn route(registry: Arc<Registry>) -> Route {
    Route::post("/api/v1/can-i", "can-i", Permission::Known, can_i, registry)
        .summary(
            "Whether the caller may do something in a repository, or to the registry as a whole",
        )
        .changes_nothing()
        .body::<Question>()
        .reply::<Answer>(StatusCode::OK)
}

/// What the caller would do: in a repository, or to what rules have beside them. Nobody asks for somebody else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CanI")]
struct Question {
    /// The repository, such as `team/app`. It need not exist.
    repository: Option<String>,
    /// Instead of a repository: `audit`, `tokens`, `builds`, `builderimages` or `buildsecrets`, as rules have them.
    resource: Option<String>,
    /// Of a resource (not of `tokens`): the namespace. Without it: of the whole registry.
    namespace: Option<String>,
    /// Of a repository `get`, `create`, `update`, `delete`, as rules have them; or `pull` (get), `push` (create), `retag`
    /// (update). Of a resource the verbs that it has: of `audit` `get`, of `tokens` `list` and `delete`.
    verbs: Vec<String>,
}

/// What the caller may do with this credential.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CanIAnswer")]
struct Answer {
    /// The repository that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// The resource that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// The namespace that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
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
    if !(1..=MAX_VERBS).contains(&question.verbs.len()) {
        return Err(Problem::invalid(format!("verbs: 1 to {MAX_VERBS}")));
    }
    let deeds = question.verbs.iter().map(|verb| question.deed(verb));
    let deeds = deeds.collect::<Result<Vec<_>, _>>()?;
    let mut verbs = Vec::with_capacity(deeds.len());
    for (verb, deed) in question.verbs.into_iter().zip(deeds) {
        let allowed = registry.gate().may(&caller.who, &deed).await?;
        verbs.push(Allowed { verb, allowed });
    }
    let answer = Answer {
        repository: question.repository,
        resource: question.resource,
        namespace: question.namespace,
        allowed: verbs.iter().all(|verb| verb.allowed),
        verbs,
    };
    Ok(Reply(StatusCode::OK, answer))
}

impl Question {
    fn deed(&self, verb: &str) -> Result<Deed, Problem> {
        match (&self.repository, &self.resource, &self.namespace) {
            (Some(repository), None, None) => {
                let repo = RepoName::parse(repository)
                    .map_err(|error| Problem::invalid(format!("repository: {error}")))?;
                let action = Action::parse(verb).ok_or_else(|| {
                    Problem::invalid(
                        "verbs: each is get, create, update or delete, or pull, push or retag",
                    )
                })?;
                Ok(Deed::Repository(action, repo))
            }
            (None, Some(resource), place) => {
                let right = Right::parse(verb, resource).ok_or_else(|| {
                    let rights = Right::listed(Right::is_resource(resource).then_some(resource));
                    Problem::invalid(format!("resource, verbs: there are {rights}"))
                })?;
                let place = place.clone();
                if let Some(namespace) = &place {
                    is_namespace(namespace)?;
                }
                if place.is_some() && !right.is_namespaced() {
                    let message = format!("namespace: {resource} are of the whole registry");
                    return Err(Problem::invalid(message));
                }
                Ok(Deed::Registry(right, place))
            }
            _ => Err(Problem::invalid(
                "name a repository, or a resource (audit, tokens, builds, builderimages, buildsecrets) with or without a namespace",
            )),
        }
    }
}
