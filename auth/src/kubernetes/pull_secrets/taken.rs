//! What is said where a name is in the way: in the log, and as events in the cluster.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};

use super::observed::Key;
use super::report::explain_kube;
use super::settings::Settings;
use super::within;

const PUBLISH: Duration = Duration::from_secs(10);

/// That the name of what we keep is in use by somebody else, for the namespace's people.
pub(super) struct Taken {
    regarding: ObjectReference,
    reason: &'static str,
    action: &'static str,
    note: String,
}

impl Taken {
    /// Told of the ServiceAccount that has no secret.
    pub(super) fn secret(key: &Key, account_uid: Option<String>, settings: &Settings) -> Self {
        let secret = settings.secret_of(&key.account);
        Self {
            regarding: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("ServiceAccount".to_owned()),
                name: Some(key.account.to_string()),
                namespace: Some(key.namespace.to_string()),
                uid: account_uid,
                ..ObjectReference::default()
            },
            reason: "PullSecretNameTaken",
            action: "KeepPullSecret",
            note: format!(
                "The secret {secret} was not made by Slipway and is left alone, so that this \
                 ServiceAccount has no pull secret for the registry. Rename the secret to get one."
            ),
        }
    }

    /// Told of the binding itself, which has this uid.
    pub(super) fn binding(namespace: &str, uid: String, settings: &Settings) -> Self {
        let name = &settings.name;
        Self {
            regarding: ObjectReference {
                api_version: Some("rbac.authorization.k8s.io/v1".to_owned()),
                kind: Some("RoleBinding".to_owned()),
                name: Some(name.clone()),
                namespace: Some(namespace.to_owned()),
                uid: Some(uid),
                ..ObjectReference::default()
            },
            reason: "PullGrantNameTaken",
            action: "GrantPull",
            note: format!(
                "The RoleBinding {name} was not made by Slipway and is left alone, so that pods may \
                 pull what it says. Rename it to have one that lets them pull this namespace's images."
            ),
        }
    }

    pub(super) fn log(&self) {
        let namespace = self.regarding.namespace.as_deref().unwrap_or_default();
        tracing::warn!(namespace, "{}", self.note);
    }

    pub(super) async fn publish(&self, recorder: &Recorder) {
        let event = Event {
            type_: EventType::Warning,
            reason: self.reason.to_owned(),
            note: Some(self.note.clone()),
            action: self.action.to_owned(),
            secondary: None,
        };
        let published = within(PUBLISH, recorder.publish(&event, &self.regarding));
        if let Err(error) = published.await {
            let namespace = self.regarding.namespace.as_deref().unwrap_or_default();
            tracing::warn!(namespace, "no event: {}", explain_kube(&error));
        }
    }
}
