//! The keeper of a cluster's pull secrets, and what is shown of its work.

use std::sync::Arc;

use anyhow::Context as _;
use auth::kubernetes::PullSecrets;
use auth::kubernetes::pull_secrets::Status;
use registry::http::Metrics;

use crate::config::Config;

/// Not yet at work; `None` when none are to be kept.
pub(super) async fn connect(
    config: &Config,
    metrics: &mut Metrics,
) -> anyhow::Result<Option<PullSecrets>> {
    let (Some(settings), Some(kubernetes)) = (config.pull_secrets()?, &config.auth.kubernetes)
    else {
        return Ok(None);
    };
    let lease = kubernetes.pull_secrets.lease_namespace.as_deref();
    let connected = PullSecrets::connect(&kubernetes.place(), lease, settings).await;
    let pull_secrets = connected.context("auth.kubernetes")?;
    watch(metrics, &pull_secrets.status());
    Ok(Some(pull_secrets))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
fn watch(metrics: &mut Metrics, of: &Arc<Status>) {
    let status = Arc::clone(of);
    metrics.watch(
        "pull_secrets_leading",
        "1 on the server that keeps the pull secrets",
        move || f64::from(u8::from(status.is_leading())),
    );
    let status = Arc::clone(of);
    metrics.watch("pull_secrets", "Pull secrets with a token", move || {
        status.kept() as f64
    });
    let status = Arc::clone(of);
    metrics.watch(
        "pull_secrets_first_expiry_timestamp_seconds",
        "When the first token of a pull secret ends; 0 without any",
        move || status.first_end() as f64,
    );
    let status = Arc::clone(of);
    metrics.watch_total(
        "pull_secrets_renewals",
        "Tokens that were replaced before their end",
        move || status.renewals(),
    );
    let status = Arc::clone(of);
    metrics.watch_total(
        "pull_secrets_failures",
        "Requests to the cluster that failed",
        move || status.failures(),
    );
}
