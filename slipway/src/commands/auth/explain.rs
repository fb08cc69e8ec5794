//! `slipway auth explain`: by which rule somebody may do something, or what is missing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use auth::kubernetes::{Decision, Person, Preset};
use auth::rbac::{Near, Reason, Resource, Rules, WhyNot};
use auth::{Action, Identity, Rbac};
use oci::RepoName;
use serde_json::{Value, json};

use super::super::print;
use crate::cli::{Explain, Output, Remote};
use crate::client::Client;
use crate::config::load;

/// Everything that there is to say.
struct Standing {
    who: Identity,
    action: Action,
    /// The verb by which rules give it.
    verb: Action,
    /// Only what holds for the whole cluster counts.
    is_everywhere: bool,
    repository: RepoName,
    /// What the cluster decided; a folder's rules are all there is.
    decision: Option<Decision>,
    allowed_by: Vec<Reason>,
    nearest: Vec<Near>,
    /// Kinds of rules that were not to be read.
    hidden: Vec<&'static str>,
    /// What a registry says to the login there.
    registry: Option<(String, bool)>,
}

pub(super) async fn explain(args: Explain) -> anyhow::Result<ExitCode> {
    let action = action(&args.verb)?;
    let repository = RepoName::parse(&args.repository).with_context(|| {
        format!(
            "{}: name the repository without the registry, as team/app",
            args.repository
        )
    })?;
    let printing = args.printing.form();
    let standing = match rules(&args)? {
        Asked::Folder(folder, resource) => by_folder(&folder, resource, args, action, repository)?,
        Asked::Cluster(preset) => by_cluster(&preset, args, action, repository).await?,
    };
    match printing {
        Output::Json => print::json(&standing.json())?,
        Output::Text => print::whole(standing.text().as_bytes())?,
    }
    Ok(if standing.is_allowed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whose rules, and what they name.
enum Asked {
    Folder(PathBuf, Resource),
    Cluster(Preset),
}

fn rules(args: &Explain) -> anyhow::Result<Asked> {
    if let Some(file) = &args.config {
        let auth = load(Some(file), true)?.auth;
        return match (&args.rbac, auth.rbac, auth.kubernetes) {
            (None, Some(rbac), _) => Ok(Asked::Folder(rbac.dir.clone(), rbac.words())),
            (None, None, Some(kubernetes)) => Ok(Asked::Cluster(kubernetes.words())),
            _ => anyhow::bail!("the configuration names neither auth.rbac nor auth.kubernetes"),
        };
    }
    let usual = Resource::default();
    let resource = Resource {
        group: args.group.clone().unwrap_or(usual.group),
        resource: args.resource.clone().unwrap_or(usual.resource),
    };
    Ok(match (&args.rbac, args.preset.as_deref()) {
        (Some(folder), _) => Asked::Folder(folder.clone(), resource),
        (None, Some("openshift")) => Asked::Cluster(Preset::Openshift),
        (None, _) => Asked::Cluster(Preset::Resource(resource)),
    })
}

/// The resource and the verb by which a cluster's rules give this.
fn words(preset: &Preset, action: Action) -> (Resource, Action) {
    let (resource, action) = match (preset, action) {
        (Preset::Resource(resource), action) => return (resource.clone(), action),
        (Preset::Openshift, Action::Delete) => ("images", action),
        (Preset::Openshift, Action::Get) => ("imagestreams/layers", action),
        (Preset::Openshift, Action::Create | Action::Update) => {
            ("imagestreams/layers", Action::Update)
        }
    };
    let resource = Resource {
        group: "image.openshift.io".into(),
        resource: resource.into(),
    };
    (resource, action)
}

fn by_folder(
    folder: &Path,
    resource: Resource,
    args: Explain,
    action: Action,
    repository: RepoName,
) -> anyhow::Result<Standing> {
    let rules = Rbac::load(folder, resource)?.rules();
    let user = args.user.context("name somebody with --as")?;
    let who = if user == "system:anonymous" {
        Identity::anonymous()
    } else {
        Identity::authenticated("", &user, args.groups)
    };
    Ok(Standing::of(who, action, repository, &rules))
}

async fn by_cluster(
    preset: &Preset,
    args: Explain,
    action: Action,
    repository: RepoName,
) -> anyhow::Result<Standing> {
    let files: Vec<_> = args.person.kubeconfig.into_iter().collect();
    let me = Person::find(&files, args.person.context.as_deref()).await?;
    let them = match &args.user {
        None => me.clone(),
        Some(user) => me.acting_as(user, &args.groups),
    };
    let who = them.identity().await?;
    let decision = them.may(preset, action, &repository).await?;
    // Read with one's own rights: whoever is asked about may see less, or more than is one's business.
    let (resource, verb) = words(preset, action);
    let readable = me.rules(&resource, repository.namespace()).await?;
    let registry = match args.server {
        None => None,
        Some(server) => {
            let remote = Remote {
                server: Some(server),
                auth_file: args.auth_file,
                transport: args.transport,
            };
            Some(ask(remote, action, &repository).await?)
        }
    };
    let mut standing = Standing::of(who, verb, repository, &readable.rules);
    // OpenShift's images are in no namespace: what a binding in one gives does not count.
    if resource.resource == "images" && *preset == Preset::Openshift {
        let is_everywhere = |reason: &Reason| reason.binding.starts_with("ClusterRoleBinding ");
        standing.allowed_by.retain(is_everywhere);
        standing.is_everywhere = true;
    }
    Ok(Standing {
        action,
        verb,
        decision: Some(decision),
        hidden: readable.hidden,
        registry,
        ..standing
    })
}

/// Which registry, and what it would do.
async fn ask(
    remote: Remote,
    action: Action,
    repository: &RepoName,
) -> anyhow::Result<(String, bool)> {
    let scope = format!("repository:{repository}:*");
    let client = Client::connect(remote, Some(&scope)).await?;
    let question = json!({ "repository": repository.as_str(), "verbs": [action.verb()] });
    let answer: Value = client.post("/api/v1/can-i", &question).await?;
    Ok((client.server().to_string(), answer["allowed"] == true))
}

fn action(verb: &str) -> anyhow::Result<Action> {
    let is = |action: &Action| action.verb() == verb || action.scope_name() == verb;
    Action::ALL
        .into_iter()
        .find(is)
        .with_context(|| format!("{verb}: there are pull, push, retag and delete"))
}

impl Standing {
    fn of(who: Identity, action: Action, repository: RepoName, rules: &Rules) -> Self {
        Self {
            allowed_by: rules.explain(&who, action, &repository),
            nearest: rules.nearest(&who, action, &repository),
            decision: None,
            hidden: Vec::new(),
            registry: None,
            who,
            action,
            verb: action,
            is_everywhere: false,
            repository,
        }
    }

    fn is_allowed(&self) -> bool {
        match &self.decision {
            Some(decision) => decision.allowed,
            None => !self.allowed_by.is_empty(),
        }
    }

    fn text(&self) -> String {
        let mut lines = String::new();
        let mut line = |text: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{text}");
        };
        let (name, deed) = (self.who.name(), self.action.scope_name());
        let not = if self.is_allowed() { "" } else { "not " };
        line(format!("{name} may {not}{deed} {}", self.repository));
        for reason in &self.allowed_by {
            line(format!("  {}", given(reason)));
        }
        let said = self
            .decision
            .as_ref()
            .and_then(|said| said.reason.as_deref());
        match (self.is_allowed(), self.allowed_by.is_empty()) {
            // What is hidden may be what allows it; the cluster names it.
            (true, true) => line(format!(
                "  {}",
                said.unwrap_or("the cluster does not say why")
            )),
            (false, false) => line(format!(
                "  but the cluster says no, by something else than RBAC: {}",
                said.unwrap_or("it does not say what")
            )),
            (false, true) => {
                self.absence().into_iter().for_each(&mut line);
                if let Some(said) = said {
                    line(format!("  the cluster says: {said}"));
                }
            }
            (true, false) => {}
        }
        if let Some(error) = self.decision.as_ref().and_then(|said| said.error.as_ref()) {
            line(format!("  the cluster was not sure: {error}"));
        }
        match &self.registry {
            Some((server, allowed)) if *allowed != self.is_allowed() => line(format!(
                "  {server} says {}: the login there may be somebody else's (slipway auth whoami), \
                 it may ask another cluster, and a change takes a moment",
                if *allowed { "yes" } else { "no" }
            )),
            Some((server, _)) => line(format!("  {server} says the same")),
            None => {}
        }
        if !self.hidden.is_empty() {
            line(format!(
                "  you may not list {}: what they give is not seen here",
                self.hidden.join(", ")
            ));
        }
        lines
    }

    /// Why nothing allows it.
    fn absence(&self) -> Vec<String> {
        let groups: Vec<_> = self.who.groups().collect();
        let (name, namespace) = (self.who.name(), self.repository.namespace());
        let mut lines = vec![format!(
            "  no RoleBinding in namespace {namespace} and no ClusterRoleBinding gives {} on it to \
             {name} or to {}",
            self.verb,
            groups.join(", ")
        )];
        for near in &self.nearest {
            let reason = given(&near.reason);
            lines.push(match near.why {
                WhyNot::NoRole => format!("  {reason}, which is not there"),
                WhyNot::OtherNames => {
                    format!("  {reason}: that gives {} on other names only", self.verb)
                }
                WhyNot::Gives(actions) => {
                    let gives = Action::ALL.into_iter().filter(|one| actions.contains(*one));
                    let gives: Vec<_> = gives.map(Action::verb).collect();
                    format!(
                        "  {reason}: that gives {}, not {}",
                        gives.join(", "),
                        self.verb
                    )
                }
                WhyNot::OtherNamespace => format!("  {reason}: that is another namespace"),
            });
        }
        lines.push(format!("  to allow it: {}", self.remedy()));
        lines
    }

    /// What an administrator of the namespace would type.
    fn remedy(&self) -> String {
        let role = match self.action {
            Action::Get => "system:image-puller",
            Action::Create | Action::Update => "system:image-pusher",
            Action::Delete => "system:image-pruner",
        };
        let name = self.who.name();
        let account = name
            .strip_prefix("system:serviceaccount:")
            .map(|account| format!("--serviceaccount={account}"));
        let subject = account.unwrap_or_else(|| format!("--user={name}"));
        if self.is_everywhere {
            return format!(
                "kubectl create clusterrolebinding NAME --clusterrole={role} {subject}"
            );
        }
        format!(
            "kubectl create rolebinding NAME --clusterrole={role} {subject} --namespace {}",
            self.repository.namespace()
        )
    }

    fn json(&self) -> Value {
        let reason = |reason: &Reason| json!({ "binding": reason.binding, "role": reason.role, "subject": reason.subject });
        let near = |near: &Near| {
            let mut said = reason(&near.reason);
            said["why"] = match near.why {
                WhyNot::NoRole => json!("noRole"),
                WhyNot::OtherNames => json!("otherNames"),
                WhyNot::Gives(_) => json!("otherVerbs"),
                WhyNot::OtherNamespace => json!("otherNamespace"),
            };
            said
        };
        let decision = self.decision.as_ref();
        json!({
            "user": self.who.name(),
            "groups": self.who.groups().collect::<Vec<_>>(),
            "verb": self.action.verb(),
            "repository": self.repository.as_str(),
            "allowed": self.is_allowed(),
            "allowedBy": self.allowed_by.iter().map(reason).collect::<Vec<_>>(),
            "nearest": self.nearest.iter().map(near).collect::<Vec<_>>(),
            "reason": decision.and_then(|said| said.reason.as_ref()),
            "error": decision.and_then(|said| said.error.as_ref()),
            "hidden": self.hidden,
            "registry": self.registry.as_ref().map(|(server, allowed)| {
                json!({ "server": server, "allowed": allowed })
            }),
        })
    }
}

fn given(reason: &Reason) -> String {
    let Reason {
        binding,
        role,
        subject,
        place,
    } = reason;
    // Objects of a cluster have no place but their name.
    let place = if place.starts_with("cluster:") {
        String::new()
    } else {
        format!(" ({place})")
    };
    format!("{binding}{place} gives {subject} the {role}")
}
