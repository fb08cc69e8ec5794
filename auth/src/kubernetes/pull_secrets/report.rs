//! What the log says about the work.

use kube::core::Status;
use kube::runtime::watcher;

use super::execute::Failure;
use super::grant;
use super::observed::{Duty, Key};
use super::plan::{Step, Why};
use super::settings::Settings;
use super::world::List;
use crate::complaints;
use crate::kubernetes::unanswered;

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

/// One line for what was done about a namespace's `RoleBinding`.
pub(super) fn granted(namespace: &str, step: &grant::Step, settings: &Settings) {
    let binding = &settings.name;
    match step {
        grant::Step::Make => tracing::debug!(namespace, binding, "right to pull: granted"),
        grant::Step::Mend { .. } => {
            tracing::info!(
                namespace,
                binding,
                "right to pull: written again, after it was altered"
            );
        }
        grant::Step::Remove { .. } => tracing::info!(namespace, binding, "right to pull: removed"),
    }
}

/// Says in the log what stands in the way, and not with every request.
pub(super) struct Complaints {
    secrets: complaints::Complaints,
    grants: complaints::Complaints,
    /// The API server's address.
    address: String,
}

impl Complaints {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            secrets: complaints::Complaints::new(),
            grants: complaints::Complaints::new(),
        }
    }

    pub(super) fn of_secrets(&self, what: &str) {
        if self.secrets.is_due() {
            tracing::error!(
                "pull secrets are not kept in the cluster of {}: {what}",
                self.address
            );
        }
    }

    pub(super) fn of_grants(&self, what: &str) {
        if self.grants.is_due() {
            tracing::error!(
                "the right to pull is not kept (auth.kubernetes.pullSecrets.grantPull) in the cluster of {}: {what}",
                self.address
            );
        }
    }
}

/// What an operator can do about a failed step.
pub(super) fn explain(duty: &Duty, failure: &Failure) -> String {
    let at = match duty {
        Duty::Grant(namespace) => namespace.to_string(),
        Duty::Login(key) => format!("{}/{}", key.namespace, key.account),
    };
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

pub(super) fn explain_watch(list: &List, error: &watcher::Error) -> String {
    let asked = match list {
        List::Namespaces => "Namespaces".to_owned(),
        List::Accounts(name) => format!("ServiceAccounts {name}"),
        List::Secrets(account) => format!("Secrets of the ServiceAccounts {account}"),
        List::Grants => "RoleBindings".to_owned(),
    };
    let why = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => explain_kube(error),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => error.to_string(),
    };
    format!("the list of {asked}: {why}")
}

pub(super) fn explain_kube(error: &kube::Error) -> String {
    match error {
        // One about rights that may not be granted has two lines.
        kube::Error::Api(status) if status.code == 403 => format!(
            "{}; the account that Slipway uses needs the roles of install/pull-secrets.yaml",
            status.message.replace('\n', " ")
        ),
        error => unanswered::why(error),
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
