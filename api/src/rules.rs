//! `GET /api/v1/rules`: where the rules are that rights come from, and what they name.

use std::sync::Arc;

use auth::RulesKept;
use auth::kubernetes::Preset;
use axum::extract::State;
use http::StatusCode;
use registry::Registry;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Permission, Reply, Route};

pub(crate) fn route(registry: Arc<Registry>) -> Route {
    Route::get(
        "/api/v1/rules",
        "rules",
        Permission::Known,
        async |State(registry): State<Arc<Registry>>| {
            Reply(StatusCode::OK, Rules::of(registry.gate().rules_kept()))
        },
        registry,
    )
    .summary("Where the rules are that rights come from, and what they name")
    .reply::<Rules>(StatusCode::OK)
}

/// What somebody must know who reads or writes rules for this registry. Of the rules themselves it tells nothing.
#[derive(Serialize, JsonSchema)]
struct Rules {
    /// Where they are.
    kept: Kept,
    /// What a cluster's rules name, as `auth.kubernetes.preset` says; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<PresetName>,
    /// API group of the resource that stands for repositories; absent where `preset` says it, or there are no rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The resource that stands for repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RulesKept")]
enum Kept {
    /// There are none: whoever logs in may do everything, and nobody administers.
    Nowhere,
    /// In files of the server.
    Files,
    /// In a Kubernetes cluster.
    Kubernetes,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RulesPreset")]
enum PresetName {
    /// `get`, `create`, `update` and `delete` on `resource` of `group`.
    Acp,
    /// `get` and `update` on `imagestreams/layers`, `delete` on `images`, of image.openshift.io.
    Openshift,
}

impl Rules {
    fn of(kept: RulesKept) -> Self {
        let (kept, preset, resource) = match kept {
            RulesKept::Nowhere => (Kept::Nowhere, None, None),
            RulesKept::InFiles(resource) => (Kept::Files, None, Some(resource)),
            RulesKept::InCluster(Preset::Resource(resource)) => {
                (Kept::Kubernetes, Some(PresetName::Acp), Some(resource))
            }
            RulesKept::InCluster(Preset::Openshift) => {
                (Kept::Kubernetes, Some(PresetName::Openshift), None)
            }
        };
        let (group, resource) = match resource {
            None => (None, None),
            Some(resource) => (Some(resource.group), Some(resource.resource)),
        };
        Self {
            kept,
            preset,
            group,
            resource,
        }
    }
}
