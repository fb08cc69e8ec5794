//! What there is to say.

use std::fmt::Write as _;

use auth::kubernetes::{AccountName, Decision, Missing};
use auth::rbac::{Near, Reason, WhyNot};
use auth::{Authenticator as _, Deed, Htpasswd, Identity};
use serde_json::{Value, json};

use super::registry::Said;
use super::remedy::Advice;
use crate::config::Auth;

/// All of it.
pub(super) struct Standing {
    pub(super) who: Identity,
    pub(super) deed: Deed,
    /// The verb by which rules give it.
    pub(super) verb: &'static str,
    /// What the cluster decided; a folder's rules are all there is.
    pub(super) decision: Option<Decision>,
    pub(super) allowed_by: Vec<Reason>,
    pub(super) nearest: Vec<Near>,
    pub(super) remedy: Advice,
    /// Kinds of rules that were not to be read.
    pub(super) hidden: Vec<&'static str>,
    /// What the question names and the cluster does not have.
    pub(super) missing: Vec<Missing>,
    pub(super) registry: Option<Said>,
    /// Why rules do not matter.
    pub(super) barred: Option<&'static str>,
    /// What else stands in the way, or may be meant otherwise.
    pub(super) notes: Vec<String>,
}

impl Standing {
    /// By the cluster or the folder, and by the registry where that was asked.
    pub(super) fn is_allowed_by_all(&self) -> bool {
        let answer = self.registry.as_ref().and_then(|said| said.answer.as_ref());
        self.is_allowed() && answer.is_none_or(|(_, allowed)| *allowed)
    }

    /// Takes into account who comes in at a server with this configuration, beside its rules.
    pub(super) fn at(&mut self, auth: &Auth) {
        // Nobody vouches for whoever is asked about, so that only the name tells a stranger.
        if self.who.name() == "system:anonymous" {
            if !auth.anonymous {
                self.barred = Some(
                    "auth.anonymous is off: strangers are asked to log in, whatever rules give them",
                );
            }
            return;
        }
        let Some(users) = auth.htpasswd.as_ref().filter(|_| auth.oidc.is_empty()) else {
            return;
        };
        let name = self.who.name();
        // Whoever asks need not be able to read it.
        if Htpasswd::load(&users.file).is_ok_and(|users| !users.has_user(name)) {
            let file = users.file.display();
            let note = format!("nobody can log in as {name}: there is no such user in {file}");
            self.notes.push(note);
        }
    }

    fn is_allowed(&self) -> bool {
        match &self.decision {
            _ if self.barred.is_some() => false,
            Some(decision) => decision.allowed,
            None => !self.allowed_by.is_empty(),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut lines = vec![self.verdict()];
        let given = self
            .allowed_by
            .iter()
            .map(|reason| format!("  {}", given(reason)));
        lines.extend(given);
        let decision = self.decision.as_ref();
        let said = decision.and_then(|said| said.reason.as_deref());
        match (self.is_allowed(), self.allowed_by.is_empty()) {
            _ if self.barred.is_some() => {
                lines.extend(self.barred.map(|why| format!("  {why}")));
            }
            // What is hidden may be what allows it; the cluster names it.
            (true, true) => {
                let said = said.unwrap_or("the cluster does not say why");
                lines.push(format!("  {said}"));
            }
            (false, false) => lines.push(format!(
                "  but the cluster says no, by something else than RBAC: {}",
                said.unwrap_or("it does not say what")
            )),
            (false, true) => {
                lines.extend(self.absence());
                lines.extend(said.map(|said| format!("  the cluster says: {said}")));
            }
            (true, false) => {}
        }
        if let Some(error) = decision.and_then(|said| said.error.as_ref()) {
            lines.push(format!("  the cluster was not sure: {error}"));
        }
        lines.extend(self.missing.iter().map(|missing| match missing {
            Missing::Namespace(name) => format!("  there is no namespace {name} in the cluster"),
            Missing::ServiceAccount(account) => {
                format!("  there is no ServiceAccount {account} in the cluster")
            }
        }));
        if !self.hidden.is_empty() {
            lines.push(format!(
                "  you may not list {}: what they give is not seen here",
                self.hidden.join(", ")
            ));
        }
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.extend(self.registry.as_ref().map(|said| self.held_against(said)));
        if self.lacks_rules() {
            lines.extend(self.missing.iter().filter_map(|missing| match missing {
                Missing::Namespace(name) => Some(format!(
                    "  to allow it, first: kubectl create namespace {name}"
                )),
                Missing::ServiceAccount(_) => None,
            }));
            lines.extend(self.remedy.lines());
        }
        lines.iter().fold(String::new(), |mut text, line| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
            text
        })
    }

    /// Whether a binding would mend it.
    fn lacks_rules(&self) -> bool {
        self.barred.is_none() && !self.is_allowed() && self.allowed_by.is_empty()
    }

    fn verdict(&self) -> String {
        let name = self.who.name();
        let not = if self.is_allowed() { "" } else { "not " };
        match &self.deed {
            Deed::Repository(action, repo) => {
                format!("{name} may {not}{} {repo}", action.scope_name())
            }
            deed @ Deed::Registry(..) => format!("{name} may {not}{deed}"),
        }
    }

    /// What the registry said, beside the verdict.
    fn held_against(&self, said: &Said) -> String {
        let server = &said.server;
        let Some((user, allowed)) = &said.answer else {
            return format!("  {server} was not asked: it answers for the login there only");
        };
        let answer = if *allowed { "yes" } else { "no" };
        if user != self.who.name() {
            format!("  {server} says {answer}, but to {user}, who is logged in there")
        } else if *allowed == self.is_allowed() {
            format!("  {server} says the same")
        } else {
            format!(
                "  {server} says {answer}: it may ask another cluster or go by other words, the login there may be for \
                 less (slipway auth whoami), and a change takes a moment"
            )
        }
    }

    /// Why nothing allows it.
    fn absence(&self) -> Vec<String> {
        let groups: Vec<_> = self.who.groups().collect();
        let groups = groups.join(", ");
        let (name, verb) = (self.who.name(), self.verb);
        let bindings = match self.deed.namespace() {
            None => "no ClusterRoleBinding gives".to_owned(),
            Some(namespace) => {
                format!("no RoleBinding in namespace {namespace} and no ClusterRoleBinding gives")
            }
        };
        let on = match &self.deed {
            Deed::Repository(..) => "it",
            Deed::Registry(right, _) => right.resource(),
        };
        let mut lines = Vec::new();
        // Of rules that are not to be read nobody knows that they do not.
        if self.hidden.is_empty() {
            lines.push(format!(
                "  {bindings} {verb} on {on} to {name} or to {groups}"
            ));
        }
        lines.extend(self.nearest.iter().map(|near| {
            let reason = given(&near.reason);
            match &near.why {
                WhyNot::NoRole => format!("  {reason}, which is not there"),
                WhyNot::OtherNames => format!("  {reason}: that gives {verb} on other names only"),
                WhyNot::Gives(verbs) => {
                    format!("  {reason}: that gives {}, not {verb}", verbs.join(", "))
                }
                WhyNot::OtherNamespace if self.deed.namespace().is_none() => {
                    format!("  {reason}: that is one namespace, not the registry")
                }
                WhyNot::OtherNamespace => format!("  {reason}: that is another namespace"),
            }
        }));
        lines.extend(meant(name).map(|account| {
            format!(
                "  if {name} is a ServiceAccount, it is called {}",
                account.user()
            )
        }));
        lines
    }

    pub(super) fn json(&self) -> Value {
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
        let missing = |missing: &Missing| match missing {
            Missing::Namespace(name) => json!({ "kind": "Namespace", "name": name }),
            Missing::ServiceAccount(account) => json!({
                "kind": "ServiceAccount", "namespace": account.namespace(), "name": account.name()
            }),
        };
        let (repository, resource) = match &self.deed {
            Deed::Repository(_, repo) => (Some(repo.as_str()), None),
            Deed::Registry(right, _) => (None, Some(right.resource())),
        };
        let decision = self.decision.as_ref();
        json!({
            "user": self.who.name(),
            "groups": self.who.groups().collect::<Vec<_>>(),
            "verb": self.deed.verb(),
            "repository": repository,
            "resource": resource,
            "namespace": self.deed.namespace(),
            "allowed": self.is_allowed(),
            "allowedBy": self.allowed_by.iter().map(reason).collect::<Vec<_>>(),
            "nearest": self.nearest.iter().map(near).collect::<Vec<_>>(),
            "remedy": self.lacks_rules().then(|| self.remedy.json()),
            "reason": decision.and_then(|said| said.reason.as_ref()),
            "error": decision.and_then(|said| said.error.as_ref()),
            "missing": self.missing.iter().map(missing).collect::<Vec<_>>(),
            "hidden": self.hidden,
            "barred": self.barred,
            "notes": self.notes,
            "registry": self.registry.as_ref().map(|said| json!({
                "server": said.server,
                "user": said.answer.as_ref().map(|(user, _)| user),
                "allowed": said.answer.as_ref().map(|(_, allowed)| allowed),
            })),
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

/// The ServiceAccount that somebody means by `team:ci`, `team/ci` or `system:serviceaccount/team/ci`.
fn meant(user: &str) -> Option<AccountName> {
    if AccountName::of_user(user).is_some() {
        return None;
    }
    let text = user.replace(':', "/");
    let text = text.strip_prefix("system/").unwrap_or(&text);
    match text.strip_prefix("serviceaccount/") {
        Some(account) => AccountName::parse(account),
        None if user.starts_with("system:") => None,
        None => AccountName::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn a_service_account_is_recognised_by_its_two_names() {
        for (user, account) in [
            ("team:ci", Some("team/ci")),
            ("team/ci", Some("team/ci")),
            ("serviceaccount:team:ci", Some("team/ci")),
            ("system:serviceaccount:team/ci", Some("team/ci")),
            ("system:serviceaccount:team:ci", None),
            ("ada", None),
            ("system:anonymous", None),
            ("system:node:worker", None),
            ("https://id.example.com/realms/main#ci", None),
            ("Team:ci", None),
        ] {
            let found = meant(user).map(|account| account.to_string());
            assert_eq!(found.as_deref(), account, "{user}");
        }
    }
}
