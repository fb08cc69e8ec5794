//! What a repository offers to be built: for choosing a branch or a tag, and for seeing whether URL and secret are right.

use std::collections::BTreeMap;
use std::time::Duration;

use auth::BuildRight;
use axum::extract::{Path, State};
use builder::builds::ProbeError;
use builder::records::SourceSpec;
use builder::source::FaultClass;
use builder::source::git::{GitUrl, ObjectId, RefName, References as Offered};
use http::StatusCode;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Building, problem};
use crate::{Body, Builder, Caller, Permission, Reply, Route};

const ANY: &str = "/api/v1/namespaces/{namespace}/references";
const OF_BUILD: &str = "/api/v1/namespaces/{namespace}/builds/{name}/references";

/// Answers of both, in the document's words.
const WRONG_SECRET: &str = "The secret is not for this server, or is for something else";
const NOT_TO_BE_HAD: &str =
    "The repository is not to be had; the detail begins with the reason that a run would have";

/// How long a git server is asked: somebody waits for the answer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Who may make a build may have it ask, with the same secrets.
pub(super) fn routes(building: &Building) -> Vec<Route> {
    let may = Permission::Build(BuildRight::CreateBuilds);
    vec![
        Route::post(ANY, "probe-source", may, any, building.clone())
            .changes_nothing()
            .summary("What a repository offers to be built, asked of its server with a secret of the namespace")
            .body::<Probe>()
            .reply::<References>(StatusCode::OK)
            .or(StatusCode::CONFLICT, WRONG_SECRET)
            .or(StatusCode::UNPROCESSABLE_ENTITY, NOT_TO_BE_HAD),
        Route::get(OF_BUILD, "probe-build", may, of_build, building.clone())
            .summary("What a build's repository offers to be built, asked of its server with the build's secret")
            .reply::<References>(StatusCode::OK)
            .or(StatusCode::NOT_FOUND, "There is no such build, or no such secret")
            .or(StatusCode::CONFLICT, WRONG_SECRET)
            .or(StatusCode::UNPROCESSABLE_ENTITY, NOT_TO_BE_HAD),
    ]
}

/// The repository to ask for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Probe {
    source: SourceSpec,
}

/// What there is to be built.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct References {
    /// The branch that is built if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_branch: Option<String>,
    branches: Vec<Named>,
    tags: Vec<Named>,
}

/// A branch or a tag.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GitReference")]
struct Named {
    name: String,
    /// The commit that it leads to.
    commit: String,
}

impl References {
    fn of(offered: &Offered) -> Self {
        let named = |all: &BTreeMap<RefName, ObjectId>| {
            let all = all.iter().map(|(name, commit)| Named {
                name: name.as_str().to_owned(),
                commit: commit.as_str().to_owned(),
            });
            all.collect()
        };
        Self {
            default_branch: offered
                .default_branch()
                .map(|name| name.as_str().to_owned()),
            branches: named(offered.branches()),
            tags: named(offered.tags()),
        }
    }
}

async fn any(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Body(probe): Body<Probe>,
) -> Result<Reply<References>, Problem> {
    ask(&building, &caller, may.namespace(), &probe.source).await
}

async fn of_build(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Reply<References>, Problem> {
    let found = building.builds.build(may.namespace(), &name).await;
    let source = found.map_err(problem)?.value.spec.source;
    ask(&building, &caller, may.namespace(), &source).await
}

async fn ask(
    building: &Building,
    caller: &Caller,
    namespace: &str,
    source: &SourceSpec,
) -> Result<Reply<References>, Problem> {
    if !matches!(source, SourceSpec::Git { .. }) {
        return Err(Problem::invalid(
            "source: only a git repository has branches and tags",
        ));
    }
    let _place = building.probing.admit(&caller.who)?;
    let asked = building.builds.references(namespace, source);
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(offered)) => Ok(Reply(StatusCode::OK, References::of(&offered))),
        Ok(Err(error)) => Err(fault(error)),
        Err(_) => Err(Problem::unprocessable(silent(source))),
    }
}

/// What is said of a git server that does not answer: which it is.
fn silent(source: &SourceSpec) -> String {
    let url = match source {
        SourceSpec::Git { url, .. } => url.parse::<GitUrl>().ok(),
        SourceSpec::Image { .. } => None,
    };
    let server = url.map(|url| format!(" {}:{}", url.host(), url.port()));
    format!(
        "{}: the git server{} did not answer within {} s",
        FaultClass::SourceTimedOut,
        server.unwrap_or_default(),
        PATIENCE.as_secs()
    )
}

/// Reasons are those of runs, in front of their words.
fn fault(error: ProbeError) -> Problem {
    match error {
        ProbeError::Builds(error) => problem(error),
        ProbeError::Fault(fault)
            if matches!(
                fault.class(),
                FaultClass::Machine | FaultClass::DiskPressure
            ) =>
        {
            Problem::unavailable(
                "this server cannot ask git servers at the moment",
                fault.to_string(),
            )
        }
        ProbeError::Fault(fault) => Problem::unprocessable(format!("{}: {fault}", fault.class())),
    }
}

#[cfg(test)]
mod tests {
    use builder::records::SourceSpec;

    use super::silent;

    #[test]
    fn a_git_server_that_says_nothing_is_named() {
        for (url, server) in [
            ("http://127.0.0.1:8709/x.git", "127.0.0.1:8709"),
            ("git@git.example.com:team/app.git", "git.example.com:22"),
        ] {
            let source = serde_json::json!({"kind": "git", "url": url});
            let source: SourceSpec = serde_json::from_value(source).unwrap();
            let said = silent(&source);
            let expected = format!("SourceTimedOut: the git server {server} did not answer");
            assert!(said.starts_with(&expected), "{said}");
        }
    }
}
