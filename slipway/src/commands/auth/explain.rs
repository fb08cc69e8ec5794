//! `slipway auth explain`: by which rule somebody may do something, or what is missing.

mod registry;
mod remedy;
mod standing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use auth::kubernetes::{AccountName, Person, PersonError, Preset};
use auth::rbac::{Reason, Resource};
use auth::{Deed, Identity, Rbac};

use self::registry::Registry;
use self::remedy::Remedy;
use self::standing::Standing;
use super::super::print;
use super::asked;
use crate::cli::{Explain, Output};
use crate::config::{Auth, load};

pub(super) async fn explain(args: Explain) -> anyhow::Result<ExitCode> {
    let deed = asked::deed(&args.asked)?;
    let printing = args.printing.form();
    let registry = Registry::of(&args, &deed).await?;
    let mut standing = match rules(&args, registry.as_ref()).await? {
        Asked::Folder(folder, resource, server) => {
            let mut standing = by_folder(&folder, resource, &args, deed)?;
            if let Some(server) = server {
                standing.at(&server);
            }
            standing
        }
        Asked::Cluster(preset) => by_cluster(&preset, &args, deed).await?,
    };
    if let Deed::Repository(_, repo) = &standing.deed
        && repo.holds_sources()
    {
        let namespace = repo.namespace();
        standing.notes.push(format!(
            "it holds sources of builds: that takes get builds or create builds as well (slipway auth explain get builds -n \
             {namespace})"
        ));
    }
    if let Some(registry) = registry {
        // Nobody can ask it for somebody else.
        let is_about_me = args.user.is_none();
        standing.registry = Some(registry.said(is_about_me, &standing.deed).await?);
    }
    match printing {
        Output::Json => print::json(&standing.json())?,
        Output::Text => print::whole(standing.text().as_bytes())?,
    }
    Ok(if standing.is_allowed_by_all() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whose rules, and what they name.
enum Asked {
    /// With the rest of the server's configuration, where that is known.
    Folder(PathBuf, Resource, Option<Box<Auth>>),
    Cluster(Preset),
}

async fn rules(args: &Explain, registry: Option<&Registry>) -> anyhow::Result<Asked> {
    if let Some(file) = &args.config {
        let auth = load(Some(file), true)?.auth;
        return match (&args.rbac, &auth.rbac, &auth.kubernetes) {
            (None, Some(rbac), _) => {
                let (folder, words) = (rbac.dir.clone(), rbac.words());
                Ok(Asked::Folder(folder, words, Some(Box::new(auth))))
            }
            (None, None, Some(kubernetes)) => Ok(Asked::Cluster(kubernetes.words())),
            _ => anyhow::bail!("the configuration names neither auth.rbac nor auth.kubernetes"),
        };
    }
    let usual = Resource::default();
    let is_named = args.group.is_some() || args.resource.is_some();
    let resource = Resource {
        group: args.group.clone().unwrap_or(usual.group),
        resource: args.resource.clone().unwrap_or(usual.resource),
    };
    Ok(match (&args.rbac, args.preset.as_deref(), registry) {
        (Some(folder), ..) => Asked::Folder(folder.clone(), resource, None),
        (None, Some("openshift"), _) => Asked::Cluster(Preset::Openshift),
        (None, None, Some(registry)) if !is_named => Asked::Cluster(registry.preset().await?),
        (None, ..) => Asked::Cluster(Preset::Resource(resource)),
    })
}

fn by_folder(
    folder: &Path,
    resource: Resource,
    args: &Explain,
    deed: Deed,
) -> anyhow::Result<Standing> {
    let rules = Rbac::load(folder, resource.clone())?.rules();
    let user = args.user.as_deref().context("name somebody with --as")?;
    let who = if user == "system:anonymous" {
        Identity::anonymous()
    } else {
        Identity::authenticated("", user, groups(user, &args.groups))
    };
    let in_rules = Preset::Resource(resource).in_rules(&deed);
    let allowed_by = rules.explain(&who, &deed);
    let looks = asked::look(&deed).is_none_or(|look| !rules.explain(&who, &look).is_empty());
    let notes = notes(!allowed_by.is_empty(), looks);
    Ok(Standing {
        allowed_by,
        nearest: rules.nearest(&who, &deed),
        remedy: Remedy::of(&who, &in_rules, &rules).in_folder(folder),
        verb: deed.verb(),
        decision: None,
        hidden: Vec::new(),
        missing: Vec::new(),
        registry: None,
        barred: None,
        notes,
        who,
        deed,
    })
}

/// What is to be known beside the answer; `looks` is whether they may do what clients do before it.
fn notes(is_allowed: bool, looks: bool) -> Vec<String> {
    if is_allowed && !looks {
        vec![asked::LOOKS_FIRST.to_owned()]
    } else {
        Vec::new()
    }
}

/// Whoever names no groups means those that a cluster gives by the name alone.
fn groups(user: &str, named: &[String]) -> Vec<String> {
    match AccountName::of_user(user).filter(|_| named.is_empty()) {
        None => named.to_vec(),
        Some(account) => vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{}", account.namespace()),
        ],
    }
}

async fn by_cluster(preset: &Preset, args: &Explain, deed: Deed) -> anyhow::Result<Standing> {
    let files: Vec<_> = args.person.kubeconfig.iter().cloned().collect();
    let found = Person::find(&files, args.person.context.as_deref()).await;
    let me = found.map_err(|error| match error {
        PersonError::NoKubeconfig(_) => anyhow::anyhow!(
            "{error}; rules in files are read with --rbac DIR, or --config FILE with the server's configuration"
        ),
        error => error.into(),
    })?;
    let them = match &args.user {
        None => me.clone(),
        Some(user) => me.acting_as(user, &args.groups),
    };
    let who = them.identity().await?;
    let decision = them.may(preset, &deed).await?;
    // Read with one's own rights: whoever is asked about may see less, or more than is one's business.
    let in_rules = preset.in_rules(&deed);
    let readable = me.rules(&in_rules.resource, deed.namespace()).await?;
    let account = AccountName::of_user(who.name());
    let missing = me.missing(deed.namespace(), account.as_ref()).await?;
    let mut allowed_by = readable.rules.explain(&who, &in_rules.deed);
    if in_rules.is_cluster_wide {
        let is_everywhere = |reason: &Reason| reason.binding.starts_with("ClusterRoleBinding ");
        allowed_by.retain(is_everywhere);
    }
    let looks = match asked::look(&deed).filter(|_| decision.allowed) {
        Some(look) => them.may(preset, &look).await?.allowed,
        None => true,
    };
    let notes = notes(decision.allowed, looks);
    let remedy = Remedy::of(&who, &in_rules, &readable.rules);
    let sees_roles = !readable.hidden.contains(&"ClusterRoles");
    Ok(Standing {
        allowed_by,
        nearest: readable.rules.nearest(&who, &in_rules.deed),
        remedy: remedy.in_cluster(sees_roles),
        verb: in_rules.deed.verb(),
        decision: Some(decision),
        hidden: readable.hidden,
        missing,
        registry: None,
        barred: None,
        notes,
        who,
        deed,
    })
}
