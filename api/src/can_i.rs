//! `POST /api/v1/can-i`: what the caller may do in a repository, or with the builds of a namespace, which need not exist.

use std::sync::Arc;

use auth::{Action, BuildRight};
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
        .summary("Whether the caller may do something in a repository or with builds")
        .changes_nothing()
        .body::<Question>()
        .reply::<Answer>(StatusCode::OK)
}

/// What the caller would do: in a repository, or with a resource of a namespace. Nobody asks for somebody else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CanI")]
struct Question {
    /// The repository, such as `team/app`. It need not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// The namespace of the resource; absent: what is everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// `builds`, `builderimages` or `buildsecrets`, instead of a repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// `get`, `create`, `update`, `delete`, as rules have them; or `pull` (get), `push` (create), `retag` (update). Of a
    /// resource those that it has, `list` among them.
    verbs: Vec<String>,
}

/// What the caller may do with this credential.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CanIAnswer")]
struct Answer {
    /// The repository that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// The namespace that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// The resource that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
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
    let allowed = match (&question.repository, &question.resource) {
        (Some(repository), None) if question.namespace.is_none() => {
            in_repository(&registry, &caller, repository, &question.verbs).await?
        }
        (None, Some(resource)) => {
            let namespace = question.namespace.as_deref();
            with_builds(&registry, &caller, resource, namespace, &question.verbs).await?
        }
        _ => {
            let message = "name a repository, or a resource and perhaps a namespace";
            return Err(Problem::invalid(message));
        }
    };
    let verbs = question.verbs.into_iter().zip(allowed);
    let verbs = verbs.map(|(verb, allowed)| Allowed { verb, allowed });
    let verbs: Vec<Allowed> = verbs.collect();
    let answer = Answer {
        repository: question.repository,
        namespace: question.namespace,
        resource: question.resource,
        allowed: verbs.iter().all(|verb| verb.allowed),
        verbs,
    };
    Ok(Reply(StatusCode::OK, answer))
}

async fn in_repository(
    registry: &Registry,
    caller: &Caller,
    repository: &str,
    verbs: &[String],
) -> Result<Vec<bool>, Problem> {
    let repo = RepoName::parse(repository)
        .map_err(|error| Problem::invalid(format!("repository: {error}")))?;
    let actions = verbs.iter().map(|verb| action(verb));
    let actions = actions.collect::<Result<Vec<_>, _>>()?;
    let mut allowed = Vec::with_capacity(actions.len());
    for action in actions {
        allowed.push(registry.gate().may(&caller.who, action, &repo).await?);
    }
    Ok(allowed)
}

async fn with_builds(
    registry: &Registry,
    caller: &Caller,
    resource: &str,
    namespace: Option<&str>,
    verbs: &[String],
) -> Result<Vec<bool>, Problem> {
    if let Some(namespace) = namespace {
        is_namespace(namespace)?;
    }
    let rights = verbs.iter().map(|verb| {
        let named = |right: &BuildRight| right.resource() == resource && right.verb() == verb;
        BuildRight::ALL.into_iter().find(named).ok_or_else(|| {
            let all = BuildRight::ALL.map(|right| right.to_string()).join(", ");
            Problem::invalid(format!(
                "there is no right to {verb} {resource}: there are {all}"
            ))
        })
    });
    let rights = rights.collect::<Result<Vec<_>, _>>()?;
    let mut allowed = Vec::with_capacity(rights.len());
    for right in rights {
        let may = registry.gate().may_build(&caller.who, right, namespace);
        allowed.push(may.await?);
    }
    Ok(allowed)
}

fn action(verb: &str) -> Result<Action, Problem> {
    Action::ALL
        .into_iter()
        .find(|action| action.verb() == verb || action.scope_name() == verb)
        .ok_or_else(|| {
            Problem::invalid("verbs: each is get, create, update or delete, or pull, push or retag")
        })
}
