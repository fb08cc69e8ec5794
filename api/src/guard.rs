//! Who may: in front of every handler.

use std::sync::Arc;

use auth::Refusal;
use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderValue, Method};
use oci::RepoName;
use registry::Registry;
use registry::http::{Account, Arrival, Problem, credential};

use crate::caller::{Administrator, Builder, Caller};
use crate::{Permission, Route};

#[derive(Clone)]
struct Guard {
    registry: Arc<Registry>,
    operation: &'static str,
    permission: Permission,
    is_change: bool,
    method: Method,
    path: &'static str,
}

/// The id of what a handler made, for the audit record: an extension of its response.
#[derive(Clone, Debug)]
pub(crate) struct MadeId(pub(crate) String);

/// The route's handler behind its permission.
pub(crate) fn guarded(route: Route, registry: &Arc<Registry>) -> MethodRouter {
    let guard = Guard {
        registry: Arc::clone(registry),
        operation: route.operation,
        permission: route.permission,
        is_change: route.is_change,
        method: route.method,
        path: route.path,
    };
    route.handler.route_layer(from_fn_with_state(guard, stand))
}

async fn stand(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut reference = guard.reference(&mut parts).await;
    let admitted = guard.admit(&mut parts).await;
    // Also of those who were refused.
    let user = parts.extensions.get::<Caller>();
    let user = user.map(|caller| caller.who.clone());
    let mut response = match admitted {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    };
    let told = response.extensions_mut();
    if let Some(MadeId(id)) = told.remove() {
        reference.extend([" ", &id]);
    }
    told.insert(Account {
        reference,
        operation: guard.operation,
        user,
        is_change: guard.is_change,
    });
    // What is answered is for one caller, and some of it is secret.
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

impl Guard {
    /// Method and path of the route, with those parameters filled in that are plain ids and names.
    async fn reference(&self, parts: &mut Parts) -> String {
        let mut path = self.path.to_owned();
        if let Ok(given) = RawPathParams::from_request_parts(parts, &()).await {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            for (name, value) in given
                .iter()
                .filter(|(_, value)| value.bytes().all(is_plain))
            {
                path = path.replace(&format!("{{{name}}}"), value);
            }
        }
        format!("{} {path}", self.method)
    }

    /// Finds out who asks and whether they may, and leaves both to the handler.
    async fn admit(&self, parts: &mut Parts) -> Result<(), Problem> {
        if self.permission == Permission::Open {
            return Ok(());
        }
        let caller = self.caller(parts).await?;
        let who = caller.who.clone();
        parts.extensions.insert(caller);
        let gate = self.registry.gate();
        match self.permission {
            Permission::Named if !gate.challenges() => Err(Problem::denied(
                "everybody is a stranger here: the server has no users",
            )),
            Permission::Named if who.is_anonymous() => Err(Refusal::Anonymous.into()),
            Permission::Open | Permission::Known | Permission::Named | Permission::Permit => Ok(()),
            Permission::Admin(right) => {
                let permit = gate.permit_admin(&who, right).await?;
                parts.extensions.insert(Administrator(Arc::new(permit)));
                Ok(())
            }
            Permission::Build(right) => {
                let namespace = self.namespace(parts).await?;
                let permit = gate.permit_build(&who, right, namespace.as_deref()).await?;
                parts.extensions.insert(Builder(Arc::new(permit)));
                Ok(())
            }
        }
    }

    /// The path's namespace, if the route has one. Whether there is such a namespace nobody asks: who has no right in it is
    /// told the same.
    async fn namespace(&self, parts: &mut Parts) -> Result<Option<String>, Problem> {
        if !self.path.contains(NAMESPACE) {
            return Ok(None);
        }
        let given = RawPathParams::from_request_parts(parts, &()).await;
        let given = given.map_err(|_| Problem::invalid("the path is not UTF-8"))?;
        let mut named = given.iter().filter(|(name, _)| *name == "namespace");
        let (_, namespace) = named
            .next()
            .ok_or_else(|| Problem::internal(&NoNamespace))?;
        is_namespace(namespace)?;
        Ok(Some(namespace.to_owned()))
    }

    async fn caller(&self, parts: &Parts) -> Result<Caller, Problem> {
        let arrival = parts.extensions.get::<Arrival>().copied();
        let arrival = arrival.ok_or_else(|| Problem::internal(&NoFront))?;
        let credential = credential(&parts.headers)?;
        let gate = self.registry.gate();
        let who = gate
            .identify(credential.as_ref(), Some(arrival.client), arrival.at)
            .await?;
        Ok(Caller { who, arrival })
    }
}

/// How a route's path names the namespace.
const NAMESPACE: &str = "{namespace}";

/// A namespace is what a repository's name begins with.
pub(crate) fn is_namespace(text: &str) -> Result<(), Problem> {
    match RepoName::parse(text) {
        Ok(name) if name.rest().is_empty() => Ok(()),
        _ => Err(Problem::invalid("namespace: not the first part of a name")),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the router does not know the namespace of its own path")]
struct NoNamespace;

#[derive(Debug, thiserror::Error)]
#[error("the route is not behind a front, which knows the client and the time")]
struct NoFront;
