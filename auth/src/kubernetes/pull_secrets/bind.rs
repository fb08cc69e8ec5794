//! What is done about a namespace's `RoleBinding`, as requests.

use std::sync::Arc;

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use serde_json::json;

use super::execute::{Failure, MANAGER, REQUEST, labels, remove};
use super::grant::{Grant, Step, pods_of, role};
use super::settings::Settings;
use super::within;
use super::world::{Fact, Seen};

/// Does it; what is known thereafter.
pub(super) async fn perform(
    client: &Client,
    settings: &Settings,
    namespace: &Arc<str>,
    step: &Step,
) -> Result<Vec<Fact>, Failure> {
    let bindings = Api::namespaced(client.clone(), namespace);
    let seen = match step {
        Step::Make => Seen::Is(make(&bindings, settings, namespace).await?),
        Step::Mend { version } => Seen::Is(mend(&bindings, settings, namespace, version).await?),
        Step::Remove { uid } => remove(&bindings, &settings.name, uid).await?,
    };
    let seen = seen.map(|binding| Grant::of(&binding, settings));
    Ok(vec![Fact::Grant(namespace.clone(), seen)])
}

/// By server-side apply, which creates by name, so that the server's role can name what it may create. Without force: one
/// that somebody else made meanwhile for other subjects or with another role is a conflict.
async fn make(
    bindings: &Api<RoleBinding>,
    settings: &Settings,
    namespace: &str,
) -> Result<RoleBinding, Failure> {
    let binding = RoleBinding {
        metadata: ObjectMeta {
            name: Some(settings.name.clone()),
            labels: Some(labels(settings)),
            ..ObjectMeta::default()
        },
        role_ref: role(),
        subjects: Some(vec![pods_of(namespace)]),
    };
    let parameters = PatchParams::apply(MANAGER);
    let apply = Patch::Apply(&binding);
    let applied = bindings.patch(&settings.name, &parameters, &apply);
    Ok(within(REQUEST, applied).await?)
}

async fn mend(
    bindings: &Api<RoleBinding>,
    settings: &Settings,
    namespace: &str,
    version: &str,
) -> Result<RoleBinding, Failure> {
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": version},
        "subjects": [pods_of(namespace)],
    }));
    let parameters = PatchParams::default();
    let patched = bindings.patch(&settings.name, &parameters, &patch);
    Ok(within(REQUEST, patched).await?)
}
