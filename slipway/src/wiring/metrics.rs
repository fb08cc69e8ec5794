//! What `/metrics` shows of the program's parts, beside the requests.

use std::sync::Arc;

use auth::IdTokens;
use auth::kubernetes::{Cluster, pull_secrets};
use registry::Registry;
use registry::http::{Metrics, Recorder};
use tokio_util::task::TaskTracker;

use super::builder::Service;
use super::gate::Stale;
use crate::commands::VERSION;

/// Those that every server has.
pub(super) fn metrics(
    registry: &Arc<Registry>,
    connections: &TaskTracker,
    recorder: &Arc<Recorder>,
) -> Metrics {
    let mut metrics = Metrics::new(VERSION);
    let connections = connections.clone();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    metrics.watch("connections", "Open connections", move || {
        connections.len() as f64
    });
    let registry = Arc::clone(registry);
    metrics.watch(
        "storage_takes_writes",
        "1 until a sync fails; then content is served and writes are refused until a restart",
        move || f64::from(u8::from(registry.storage().takes_writes())),
    );
    let recorder = Arc::clone(recorder);
    metrics.watch_total(
        "audit_rows_left_out",
        "Refusals and pulls that the audit record only counts: there were too many",
        move || recorder.left_out(),
    );
    metrics
}

pub(super) fn reviews(metrics: &mut Metrics, cluster: &Arc<Cluster>) {
    let (asked, unanswered) = (Arc::clone(cluster), Arc::clone(cluster));
    let answering = Arc::clone(cluster);
    metrics.watch(
        "kubernetes_answering",
        "1 while the Kubernetes API server answers questions",
        move || f64::from(u8::from(answering.is_answering())),
    );
    metrics.watch_total(
        "kubernetes_reviews",
        "Questions sent to the Kubernetes API server: whose a token is, and what somebody may do",
        move || asked.asked(),
    );
    metrics.watch_total(
        "kubernetes_reviews_unanswered",
        "Those that got no answer, so that the request was refused with 503",
        move || unanswered.unanswered(),
    );
}

/// Of builds, where they are run.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
pub(super) fn builds(metrics: &mut Metrics, service: &Service) {
    service.builds.register_metrics(metrics.names());
    let builds = service.builds.clone();
    metrics.watch("build_runs_waiting", "Runs that wait", move || {
        builds.load().waiting as f64
    });
    let builds = service.builds.clone();
    metrics.watch("build_runs_working", "Runs at work", move || {
        builds.load().working as f64
    });
    let builds = service.builds.clone();
    metrics.watch(
        "build_workers",
        "Runs that may be at work at once",
        move || builds.load().workers as f64,
    );
    let driver = service.driver().clone();
    metrics.watch(
        "build_cache_bytes",
        "Caches of builds on this server's disk, as of the last run's end",
        move || driver.cache_bytes() as f64,
    );
    let driver = service.driver().clone();
    metrics.watch(
        "build_layer_bytes",
        "Unpacked base layers on this server's disk, counted every ten minutes",
        move || driver.layer_bytes() as f64,
    );
}

pub(super) fn stale(metrics: &mut Metrics, name: &'static str, stale: Stale) {
    let help = "For how long a change of the files has not been in force, as something is wrong with it; 0 when nothing is";
    metrics.watch(name, help, move || stale().as_secs_f64());
}

pub(super) fn id_tokens(metrics: &mut Metrics, id_tokens: &Arc<IdTokens>) {
    let (asked, failed) = (Arc::clone(id_tokens), Arc::clone(id_tokens));
    metrics.watch_total(
        "oidc_key_fetches",
        "How often the keys of OpenID Connect providers were asked for since the start",
        move || asked.fetches(),
    );
    metrics.watch_total(
        "oidc_key_fetch_failures",
        "How often of these no keys came",
        move || failed.failures(),
    );
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
pub(super) fn pull_secrets(metrics: &mut Metrics, of: &Arc<pull_secrets::Status>) {
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
