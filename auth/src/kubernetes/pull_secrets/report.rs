//! What is said about the work: in the log, and as events in the cluster.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::Status;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::watcher;

use super::execute::Failure;
use super::observed::Key;
use super::plan::{Step, Why};
use super::settings::Settings;
use super::within;
use crate::complaints::Complaints;

const PUBLISH: Duration = Duration::from_secs(10);

/// One line for what was done. What happens to every secret once or every day is not worth one usually.
pub(super) fn done(key: &Key, step: &Step, settings: &Settings) {
    let (namespace, secret) = (&key.namespace, settings.secret_of(&key.account));
    match step {
        Step::Make
        | Step::Refer { .. }
        | Step::Fill {
            why: Why::New | Why::Renewal,
            ..
        } => {
            tracing::debug!(%namespace, secret, "pull secret: {}", words(step));
        }
        Step::Fill { .. } | Step::Withdraw { .. } | Step::Remove { .. } => {
            tracing::info!(%namespace, secret, "pull secret: {}", words(step));
        }
    }
}

fn words(step: &Step) -> &'static str {
    match step {
        Step::Make => "made",
        Step::Fill { why, .. } => match why {
            Why::New => "token put in",
            Why::Altered => "written again, after it was altered or is for other hosts",
            Why::Strange => "token replaced, which was not its own",
            Why::Renewal => "token renewed",
        },
        Step::Refer { .. } => "named in the ServiceAccount",
        Step::Withdraw { .. } => "withdrawn",
        Step::Remove { .. } => "removed",
    }
}

/// Says in the log what stands in the way, and not with every request.
pub(super) fn complain(complaints: &Complaints, what: &str) {
    if complaints.is_due() {
        tracing::error!("pull secrets are not kept: {what}");
    }
}

/// What an operator can do about a failed step.
pub(super) fn explain(key: &Key, failure: &Failure) -> String {
    let at = format!("{}/{}", key.namespace, key.account);
    match failure {
        Failure::Kube(error) => format!("{at}: {}", explain_kube(error)),
        Failure::NoToken => format!("{at}: the API server gave no token"),
        Failure::Overtaken => format!("{at}: somebody else wrote at the same time"),
    }
}

/// A watch that is too old for the API server, which forgets what is long ago: the list is read again.
pub(super) fn is_usual(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchError(status) if status.code == 410)
}

pub(super) fn explain_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => explain_kube(error),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

pub(super) fn explain_kube(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => format!(
            "{}; the account that Slipway uses needs the roles of install/pull-secrets.yaml",
            status.message
        ),
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}

/// Whether a request was refused because its namespace is being removed.
pub(super) fn is_ending(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 404
        || causes
            .into_iter()
            .any(|cause| cause.reason == "NamespaceTerminating")
}

/// Tells the namespace's people that the name of their secret is in the way.
pub(super) async fn publish(
    recorder: &Recorder,
    key: &Key,
    secret: &str,
    account_uid: Option<String>,
) {
    let account = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ServiceAccount".to_owned()),
        name: Some(key.account.to_string()),
        namespace: Some(key.namespace.to_string()),
        uid: account_uid,
        ..ObjectReference::default()
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "PullSecretNameTaken".to_owned(),
        note: Some(format!(
            "The secret {secret} was not made by Slipway and is left alone, so that this \
             ServiceAccount has no pull secret for the registry. Rename the secret to get one."
        )),
        action: "KeepPullSecret".to_owned(),
        secondary: None,
    };
    let published = within(PUBLISH, recorder.publish(&event, &account));
    if let Err(error) = published.await {
        tracing::warn!(namespace = %key.namespace, "no event: {}", explain_kube(&error));
    }
}
