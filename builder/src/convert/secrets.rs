//! What is to be done about secrets: their contents are in no document.

use super::Place;
use super::note::Notes;
use crate::source::git::GitUrl;

/// A secret that a git server is shown.
pub(super) fn git(field: String, secret: &str, url: &str, place: &Place, notes: &mut Notes) {
    let host = url.parse::<GitUrl>().map(|url| url.server());
    let host = host.unwrap_or_else(|_| "HOST".to_owned());
    let namespace = &place.namespace;
    notes.ask(
        field,
        format!(
            "set the secret, with the cluster's files (username and password, or ssh-privatekey and known_hosts): slipway secret \
             set {secret} -n {namespace} --for git --host {host} --from-file FILE"
        ),
    );
}

/// Files that `assemble` sees.
pub(super) fn files(field: String, secret: &str, place: &Place, notes: &mut Notes) {
    let namespace = &place.namespace;
    notes.ask(
        field,
        format!(
            "set the secret, with the cluster's files: slipway secret set {secret} -n {namespace} --from-file FILE"
        ),
    );
}

/// Files of a config map that stay in the image.
pub(super) fn config_map(field: String, name: &str, place: &Place, notes: &mut Notes) {
    let namespace = &place.namespace;
    notes.ask(
        field,
        format!(
            "set a secret with the config map's files, which may stay in an image: slipway secret set {name} -n {namespace} \
             --for image --from-file FILE"
        ),
    );
}

/// A secret that signs a webhook's calls, and the webhook's new address.
pub(super) fn webhook(field: String, secret: &str, kind: &str, place: &Place, notes: &mut Notes) {
    let Place { namespace, name } = place;
    let more = if kind == "generic" {
        "; calls of this kind are signed here, which the old ones are not"
    } else {
        ""
    };
    notes.ask(
        field,
        format!(
            "set the secret (at least 16 bytes) and give its text and the address https://REGISTRY/hooks/{namespace}/{name}/{kind} to \
             who calls{more}: slipway secret set {secret} -n {namespace} --for webhook --from-file webhook-secret=FILE"
        ),
    );
}
