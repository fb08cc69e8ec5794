//! Who and may from a Kubernetes cluster, and what is kept in it.

use std::sync::Arc;

use anyhow::Context as _;
use auth::kubernetes::{AccessReviews, Cluster, Lifetimes, PullSecrets, TokenReviews};

use crate::config::{self, Config, unusable};

/// Reads the credentials for the cluster; asks nothing.
pub(super) async fn connect(settings: &config::Kubernetes) -> anyhow::Result<Arc<Cluster>> {
    let cluster = Cluster::connect(&settings.place(), settings.timeout.get()).await;
    let cluster = cluster.map_err(|error| match &settings.kubeconfig {
        Some(path) => unusable("auth.kubernetes.kubeconfig", path, error),
        None => anyhow::Error::from(error).context("auth.kubernetes"),
    });
    Ok(Arc::new(cluster?))
}

/// What asks it whose a token is, and what somebody may do.
pub(super) fn reviews(
    settings: &config::Kubernetes,
    cluster: &Arc<Cluster>,
) -> anyhow::Result<(TokenReviews, AccessReviews)> {
    let lifetimes = Lifetimes {
        allow: settings.allow_for.get(),
        deny: settings.deny_for.get(),
    };
    let audiences = settings.audiences.clone();
    let tokens = TokenReviews::new(Arc::clone(cluster), audiences, lifetimes)?;
    let rights = AccessReviews::new(Arc::clone(cluster), settings.words(), lifetimes)?;
    Ok((tokens, rights))
}

/// What keeps pull secrets in it, where that is wanted.
pub(super) async fn pull_secrets(config: &Config) -> anyhow::Result<Option<PullSecrets>> {
    let (Some(settings), Some(kubernetes)) = (config.pull_secrets()?, &config.auth.kubernetes)
    else {
        return Ok(None);
    };
    let lease = kubernetes.pull_secrets.lease_namespace.as_deref();
    let connected = PullSecrets::connect(&kubernetes.place(), lease, settings).await;
    connected.map(Some).context("auth.kubernetes")
}
