//! What the builder stands on, made of the registry's parts.

mod images;
mod ledger;
mod machine;
mod moves;
mod service;
mod settings;

use std::sync::Arc;

use ::builder::images::Images;
use ::builder::ledger::Ledger;
use axum::Router;
use axum::routing::any;
use registry::Registry;
use registry::http::Problem;

use crate::config::Config;
use images::RegistryImages;
use ledger::IndexedLedger;

pub(crate) use machine::examine;
pub(super) use machine::{runs_builds, warn_of_folder};
pub(crate) use service::Service;
pub(super) use service::service;
pub(super) use settings::check;

/// What answers for builds where none are run.
pub(super) fn absent() -> Router {
    let refused = any(|| async {
        Problem::denied(
            "this server runs no builds; on its machine `slipway build doctor` says why",
        )
    });
    Router::new()
        .route("/api/v1/namespaces/{*rest}", refused.clone())
        .route("/api/v1/builds", refused.clone())
        .route("/api/v1/builderimages", refused.clone())
        .route("/api/v1/builderimages/{*rest}", refused)
}

/// Where records are kept: in the registry's index.
pub(super) fn ledger(registry: &Registry) -> Arc<dyn Ledger> {
    let index = Arc::clone(registry.storage().index());
    Arc::new(IndexedLedger::new(index))
}

/// Where images come from and go to: the registry itself.
pub(super) fn images(config: &Config, registry: &Arc<Registry>) -> Arc<dyn Images> {
    let bases = &config.builder.image_namespaces;
    Arc::new(RegistryImages::new(Arc::clone(registry), bases))
}
