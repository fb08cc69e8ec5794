//! Real clients against a real registry, each with images it made itself, content compared after the
//! round trip. `SLIPWAY_TEST_REGISTRY` runs the same scenarios against another registry.

mod access;
mod buildah;
mod containerd;
mod cosign;
mod crane;
mod helm;
mod oras;
mod podman;
mod regctl;
mod skopeo;
mod slipway;
mod tokens;
mod umoci;

use std::any::Any;

use tests::{Endpoint, Lab, Settings, registry_under_test};

/// A lab with a registry in it. The registry ends before its folder goes.
struct Scene {
    _registry: Box<dyn Any>,
    at: Endpoint,
    lab: Lab,
}

impl Scene {
    /// An open registry on plain HTTP.
    fn open(name: &str) -> Self {
        let lab = Lab::new(name);
        Self::start(lab, &Settings::default())
    }

    /// A registry with users, rights and TLS, spoken to as `pusher`.
    fn guarded(name: &str) -> Self {
        let lab = Lab::new(name);
        let settings = Settings::guarded(&lab);
        let scene = Self::start(lab, &settings);
        Self {
            at: scene.at.as_user("pusher"),
            ..scene
        }
    }

    fn start(lab: Lab, settings: &Settings) -> Self {
        let (registry, at) = registry_under_test(&lab, settings);
        Self {
            _registry: registry,
            at,
            lab,
        }
    }
}
