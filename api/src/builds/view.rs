//! Records as they are shown: as they are kept, without what is nobody's business.

use auth::Gate;
use builder::builds::{Recorded, Wait};
use builder::records;
use builder::records::{
    BuildSpec, Cause, Metadata, PhaseTiming, Resolved, RunResult, SecretUse, State, Status,
};
use schemars::JsonSchema;
use serde::Serialize;

/// A build.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Build {
    metadata: Metadata,
    /// Grows with each change; the `ETag` too.
    pub(super) revision: u64,
    /// Whose rights runs have that no person started: who saved the build last, also as it was.
    owner: String,
    /// The id of the API token that they saved it by: such runs are within its limits, and end with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_token: Option<String>,
    spec: BuildSpec,
    status: Status,
    /// Secrets that the spec names and that are not there: not in lists, and only for those who may list the namespace's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missing_secrets: Vec<String>,
    /// What the spec's builder names and the catalogue has not: not in lists, and only for those who may list the namespace's builder
    /// images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing_builder: Option<String>,
}

impl Build {
    pub(super) fn of(recorded: Recorded<records::Build>) -> Self {
        let Recorded { value, revision } = recorded;
        Self {
            metadata: value.metadata,
            revision,
            owner_token: Gate::token_of(&value.owner.proof).map(|id| id.to_string()),
            owner: value.owner.name,
            spec: value.spec,
            status: value.status,
            missing_secrets: Vec::new(),
            missing_builder: None,
        }
    }

    /// The same, with what it names and is not there, of what one may see.
    pub(super) fn lacking(
        self,
        missing_secrets: Vec<String>,
        missing_builder: Option<String>,
    ) -> Self {
        Self {
            missing_secrets,
            missing_builder,
            ..self
        }
    }
}

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BuildRun {
    pub(super) metadata: Metadata,
    /// Grows with each change.
    revision: u64,
    /// The build that it is one of; absent if it stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<String>,
    /// With whose rights.
    actor: String,
    cause: Cause,
    /// What, as the build had it when the run was asked for.
    spec: BuildSpec,
    resolved: Resolved,
    state: State,
    /// Why it waits, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<Waits>,
    phases: Vec<PhaseTiming>,
    /// When it was asked for, in milliseconds since 1970.
    asked: u64,
    /// Whether it runs even if the same plan has a result already.
    fresh: bool,
    /// Whether it begins with empty caches.
    no_cache: bool,
    /// How often it was begun: more than once if a server ended meanwhile.
    attempts: u32,
    /// When it began, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<u64>,
    /// Whether somebody wants it to end.
    cancel: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<RunResult>,
}

impl BuildRun {
    pub(super) fn of(recorded: Recorded<records::Run>, wait: Option<&Wait>) -> Self {
        let Recorded { value, revision } = recorded;
        let cause = value.cause.seen_in(&value.metadata.namespace);
        Self {
            metadata: value.metadata,
            revision,
            build: value.build,
            actor: value.actor.name,
            cause,
            spec: value.spec,
            resolved: value.resolved,
            state: value.state,
            waits: wait.map(Waits::of),
            phases: value.phases,
            asked: value.asked,
            fresh: value.fresh,
            no_cache: value.no_cache,
            attempts: value.attempts,
            started: value.started,
            ended: value.ended,
            cancel: value.cancel.is_some(),
            result: value.result,
        }
    }
}

/// Why a run waits.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Waits {
    reason: WaitReason,
    /// For people.
    message: String,
}

/// What has to end before a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
enum WaitReason {
    /// An earlier run of the build, whose policy lets one run at a time.
    EarlierRun,
    /// A run of the namespace, which has as many at work as it may.
    NamespaceLimit,
    /// Any run: all workers are busy.
    WorkersBusy,
}

impl Waits {
    fn of(wait: &Wait) -> Self {
        let (reason, message) = match wait {
            Wait::EarlierRun(run) => (
                WaitReason::EarlierRun,
                format!("for {run}, an earlier run of this build"),
            ),
            Wait::NamespaceLimit(1) => (
                WaitReason::NamespaceLimit,
                "for the namespace's run at work: it may have no more than one".to_owned(),
            ),
            Wait::NamespaceLimit(most) => (
                WaitReason::NamespaceLimit,
                format!("for one of the namespace's {most} runs at work: it may have no more"),
            ),
            Wait::WorkersBusy(1) => (
                WaitReason::WorkersBusy,
                "for a worker: the server has one, and it is busy".to_owned(),
            ),
            Wait::WorkersBusy(workers) => (
                WaitReason::WorkersBusy,
                format!("for a worker: all {workers} are busy"),
            ),
        };
        Self { reason, message }
    }
}

/// A secret, without what is in it: that is shown to nobody.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BuildSecret {
    metadata: Metadata,
    used_for: SecretUse,
    /// The files' names.
    files: Vec<String>,
    /// Of a secret for git: the servers that it may be shown to.
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
    /// Changes with the content.
    revision: String,
}

impl BuildSecret {
    pub(super) fn of(recorded: Recorded<records::Secret>, hosts: Option<Vec<String>>) -> Self {
        let secret = recorded.value;
        Self {
            metadata: secret.metadata,
            used_for: secret.used_for,
            files: secret.files,
            hosts,
            revision: secret.revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use builder::builds::Recorded;
    use serde_json::json;

    use super::BuildRun;

    #[test]
    fn a_run_names_no_build_of_another_namespace() {
        let run = json!({
            "metadata": {"namespace": "shop", "name": "app-2", "created": 0},
            "uid": "0",
            "actor": {"name": "ann", "proof": null},
            "cause": {
                "kind": "imageMoved", "image": "bases/py:1", "from": "bases/py@sha256:0", "to": "bases/py@sha256:1",
                "chain": ["hidden/base", "shop/base", "shop-2/base", "hidden/other"],
            },
            "spec": {
                "source": {"kind": "git", "url": "https://git.example.com/a.git"},
                "builder": "bases/py:1",
                "output": {"image": "shop/app:1"},
            },
            "state": {"is": "queued"},
        });
        let recorded = Recorded {
            value: serde_json::from_value(run).unwrap(),
            revision: 1,
        };
        let shown = BuildRun::of(recorded, None);
        let shown = serde_json::to_value(shown).unwrap();
        assert_eq!(shown["cause"]["chain"], json!(["*", "shop/base", "*", "*"]));
        assert!(!shown.to_string().contains("hidden"), "{shown}");
    }
}
