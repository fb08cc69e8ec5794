//! What `can-i` and `explain` are asked about, and how a server is asked.

use anyhow::Context as _;
use auth::{Action, BuildRight, Deed, Right};
use oci::RepoName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cli::Asked;
use crate::client::ACCOUNT;

/// What the words stand for. A resource is told from a repository of its name by the namespace beside it, as kubectl has it.
pub(super) fn deed(asked: &Asked) -> anyhow::Result<Deed> {
    let Asked {
        verb,
        object,
        namespace,
        all_namespaces,
    } = asked;
    let resource = object.strip_suffix(".registry.alauda.io").unwrap_or(object);
    let is_resource = Right::is_resource(resource);
    if verb == "build" {
        let namespace = namespace.as_deref().unwrap_or(object);
        is_namespace(namespace)?;
        return Ok(Deed::Registry(
            BuildRight::CreateBuilds.into(),
            Some(namespace.to_owned()),
        ));
    }
    if namespace.is_none() && !all_namespaces {
        if is_resource {
            crate::note(&format!(
                "{object} is taken for a repository; of the registry's {resource} ask with --namespace NAMESPACE or \
                 --all-namespaces"
            ));
        }
        let repo = RepoName::parse(object).with_context(|| {
            format!("repository: {object}: name it without the registry, as team/app")
        })?;
        let action = Action::parse(verb);
        let action = action.with_context(|| {
            format!("{verb}: of repositories there are pull, push, retag and delete")
        })?;
        return Ok(Deed::Repository(action, repo));
    }
    anyhow::ensure!(
        is_resource,
        "{object}: with --namespace or --all-namespaces there are audit, tokens, builds, builderimages and \
         buildsecrets; a repository is named whole, as team/app"
    );
    let right = Right::parse(verb, resource).with_context(|| {
        let rights = Right::listed(Some(resource));
        format!("{verb} {resource}: there are {rights}")
    })?;
    anyhow::ensure!(
        namespace.is_none() || right.is_namespaced(),
        "{resource} are of the whole registry: ask with --all-namespaces"
    );
    if let Some(namespace) = namespace {
        is_namespace(namespace)?;
    }
    Ok(Deed::Registry(right, namespace.clone()))
}

fn is_namespace(text: &str) -> anyhow::Result<()> {
    let name = RepoName::parse(text);
    anyhow::ensure!(
        name.is_ok_and(|name| name.rest().is_empty()),
        "{text} is no namespace: that is the first part of a repository's name"
    );
    Ok(())
}

/// Said to whoever may push to a repository and not pull from it.
pub(super) const LOOKS_FIRST: &str = "clients look before they push: without the right to pull (get), nothing can be pushed with most of them";

/// What clients do before what is asked about.
pub(super) fn look(deed: &Deed) -> Option<Deed> {
    match deed {
        Deed::Repository(Action::Create | Action::Update, repo) => {
            Some(Deed::Repository(Action::Get, repo.clone()))
        }
        _ => None,
    }
}

/// The scope of the token that may ask a server about it, where the login is a refresh token.
pub(super) fn scope(deed: &Deed) -> String {
    match deed {
        Deed::Repository(_, repo) => format!("repository:{repo}:*"),
        Deed::Registry(..) => ACCOUNT.to_owned(),
    }
}

/// The body for `POST /api/v1/can-i`.
pub(super) fn question(deed: &Deed) -> Value {
    let verbs = [deed.verb()];
    match deed {
        Deed::Repository(_, repo) => json!({ "repository": repo.as_str(), "verbs": verbs }),
        Deed::Registry(right, None) => json!({ "resource": right.resource(), "verbs": verbs }),
        Deed::Registry(right, Some(namespace)) => {
            json!({ "resource": right.resource(), "namespace": namespace, "verbs": verbs })
        }
    }
}

/// What it answers.
#[derive(Deserialize, Serialize)]
pub(super) struct Answer {
    pub(super) allowed: bool,
    #[serde(flatten)]
    rest: Map<String, Value>,
}
