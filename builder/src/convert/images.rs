//! Names of images: those of other registries become names of this one.

use super::Place;
use super::note::Notes;
use crate::public_images::PUBLIC_IMAGES;

/// Hosts that OpenShift's own registry has in a cluster. Served by Slipway, its repositories have the same names.
const OPENSHIFTS_OWN: [&str; 5] = [
    "image-registry.openshift-image-registry.svc:5000",
    "image-registry.openshift-image-registry.svc.cluster.local:5000",
    "image-registry.openshift-image-registry.svc",
    "docker-registry.default.svc:5000",
    "docker-registry.default.svc.cluster.local:5000",
];

/// An image that a build stands on, by a reference as podman and docker take it.
pub(super) fn base(field: &str, reference: &str, place: &Place, notes: &mut Notes) -> String {
    let (host, path) = split(reference);
    if OPENSHIFTS_OWN.contains(&host) {
        must_be_here(field, path, place, notes);
        return path.to_owned();
    }
    let path = if path.contains('/') || host != "docker.io" {
        path.to_owned()
    } else {
        format!("library/{path}")
    };
    let (repository, _) = parts(&path);
    let full = format!("{host}/{repository}");
    let namespace = &place.namespace;
    if let Some(known) = PUBLIC_IMAGES.iter().find(|known| known.repository == full) {
        let name = known.name;
        notes.ask(
            field,
            format!(
                "builds stand on images of this registry; bring the newest of {full} in: slipway builder-image add --public {name} -n \
                 {namespace}"
            ),
        );
        return name.to_owned();
    }
    let own = format!("{namespace}/{}", path.rsplit('/').next().unwrap_or(&path));
    notes.ask(
        field,
        format!(
            "builds stand on images of this registry; copy it: slipway copy {host}/{path} REGISTRY/{own}"
        ),
    );
    own
}

/// A repository of this registry, by its name without the registry's.
pub(super) fn must_be_here(field: &str, path: &str, place: &Place, notes: &mut Notes) {
    let (repository, _) = parts(path);
    let namespace = repository.split('/').next().unwrap_or_default();
    let who = if namespace == place.namespace {
        String::new()
    } else {
        format!(
            ", and whoever builds in {} may pull it there",
            place.namespace
        )
    };
    notes.ask(
        field,
        format!("{path} must be in this registry{who}: slipway copy IMAGE REGISTRY/{path}"),
    );
}

/// What a build makes: `repository:tag` in the build's namespace.
pub(super) fn output(field: &str, reference: &str, place: &Place, notes: &mut Notes) -> String {
    let (host, path) = split(reference);
    let (repository, tag) = parts(path);
    let namespace = &place.namespace;
    let own = format!("{namespace}/");
    if OPENSHIFTS_OWN.contains(&host) && repository.starts_with(&own) {
        return tagged(repository, tag);
    }
    let last = repository.rsplit('/').next().unwrap_or(repository);
    let made = tagged(&format!("{own}{last}"), tag);
    notes.warning(
        field,
        format!(
            "results are in this registry, in the build's namespace: {made} instead of {reference}; where it is used from, name that one, or \
             copy it on (slipway copy)"
        ),
    );
    made
}

pub(super) fn tagged(repository: &str, tag: Option<&str>) -> String {
    format!("{repository}:{}", tag.unwrap_or("latest"))
}

/// Host and rest of a reference; without a host it is docker.io's.
fn split(reference: &str) -> (&str, &str) {
    let reference = reference.strip_prefix("docker://").unwrap_or(reference);
    match reference.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => ("docker.io", reference),
    }
}

/// Repository and tag of what has no host; a digest is none.
fn parts(path: &str) -> (&str, Option<&str>) {
    let path = path.split('@').next().unwrap_or(path);
    match path.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (path, None),
    }
}
