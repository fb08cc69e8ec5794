//! What an administrator does to allow what is not allowed.

use std::path::Path;

use auth::kubernetes::{AccountName, InRules};
use auth::rbac::{Resource, Rules};
use auth::{Action, AdminRight, BuildRight, Deed, Identity, Right};
use serde_json::{Value, json};

/// The longest that a proposed name gets, of what is made of the user's name.
const MAX_SLUG: usize = 60;

/// The binding that is missing.
pub(super) struct Remedy {
    /// Where it holds; `None`: everywhere.
    namespace: Option<String>,
    role: String,
    /// Whether there is such a role, and it gives what is wanted.
    role_gives: bool,
    /// The rule of a role that nobody ships.
    rule: Option<String>,
    user: String,
    /// The name of no binding that is there.
    name: String,
    wanted: String,
}

/// How it is carried out.
pub(super) enum Advice {
    /// By `kubectl create`.
    Command {
        /// What has to be there before, and is not.
        before: Option<String>,
        command: String,
    },
    /// By objects that are put somewhere.
    Objects { to: String, yaml: String },
}

impl Remedy {
    pub(super) fn of(who: &Identity, asked: &InRules, rules: &Rules) -> Self {
        let Resource { group, resource } = &asked.resource;
        let role = match &asked.deed {
            Deed::Repository(Action::Get, _) => "system:image-puller",
            Deed::Repository(Action::Create | Action::Update, _) => "system:image-pusher",
            Deed::Repository(Action::Delete, _) => "system:image-pruner",
            Deed::Registry(Right::Admin(AdminRight::ReadAudit), _) => "system:image-auditor",
            Deed::Registry(Right::Admin(AdminRight::ListTokens), _) => "registry-token-reader",
            Deed::Registry(Right::Admin(AdminRight::RevokeTokens), _) => "registry-token-revoker",
            Deed::Registry(Right::Build(right), _) => build_role(*right),
        };
        let resource = match &asked.deed {
            Deed::Repository(..) => resource,
            Deed::Registry(right, _) => right.resource(),
        };
        let role_gives = rules.cluster_role_gives(role, &asked.deed);
        let is_shipped = role.starts_with("system:");
        let namespace = asked.deed.namespace().filter(|_| !asked.is_cluster_wide);
        let verb = asked.deed.verb();
        let role_of_ours = || free(role, |name| rules.has_cluster_role(name));
        Self {
            name: free_name(role, who.name(), namespace, rules),
            namespace: namespace.map(str::to_owned),
            rule: (!role_gives && !is_shipped).then(|| {
                format!(
                    "{{apiGroups: [{}], resources: [{resource}], verbs: [{verb}]}}",
                    json!(group)
                )
            }),
            role: if role_gives || is_shipped {
                role.to_owned()
            } else {
                role_of_ours()
            },
            role_gives,
            user: who.name().to_owned(),
            wanted: format!("{verb} on {resource}.{group}"),
        }
    }

    /// In a folder of rules.
    pub(super) fn in_folder(&self, folder: &Path) -> Advice {
        let file = match &self.namespace {
            None => format!("{}.yaml", self.name),
            Some(namespace) => format!("{namespace}-{}.yaml", self.name),
        };
        Advice::Objects {
            to: format!(
                "put this into a file in {}, such as {file}",
                folder.display()
            ),
            yaml: self.yaml(),
        }
    }

    /// In a cluster; `is_seen` says whether its ClusterRoles were to be read.
    pub(super) fn in_cluster(&self, is_seen: bool) -> Advice {
        if self.rule.is_some() && is_seen {
            return Advice::Objects {
                to: "give this to kubectl apply --filename -".to_owned(),
                yaml: self.yaml(),
            };
        }
        let (role, wanted) = (&self.role, &self.wanted);
        let before = if self.rule.is_some() {
            // An object of the same name would take the place of one that is there and was not to be seen.
            Some(format!(
                "a ClusterRole {role} that gives {wanted}, unless there is one"
            ))
        } else {
            (is_seen && !self.role_gives).then(|| {
                format!(
                    "the ClusterRole {role}, which is not there or does not give {wanted}: install/rbac.yaml has it for \
                     the usual group and resource"
                )
            })
        };
        let subject = match AccountName::of_user(&self.user) {
            Some(account) => {
                format!(
                    "--serviceaccount={}:{}",
                    account.namespace(),
                    account.name()
                )
            }
            None => quoted(&format!("--user={}", self.user)),
        };
        let name = &self.name;
        let command = match &self.namespace {
            None => {
                format!("kubectl create clusterrolebinding {name} --clusterrole={role} {subject}")
            }
            Some(namespace) => format!(
                "kubectl create rolebinding {name} --clusterrole={role} {subject} --namespace {namespace}"
            ),
        };
        Advice::Command { before, command }
    }

    /// JSON's texts are YAML's, whatever is in them.
    fn yaml(&self) -> String {
        let mut yaml = String::new();
        if let Some(rule) = &self.rule {
            yaml = format!(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {}}}\nrules:\n- {rule}\n---\n",
                self.role
            );
        }
        let (kind, place) = match &self.namespace {
            None => ("ClusterRoleBinding", String::new()),
            Some(namespace) => ("RoleBinding", format!(", namespace: {}", json!(namespace))),
        };
        let subject = match AccountName::of_user(&self.user) {
            Some(account) => format!(
                "kind: ServiceAccount, namespace: {}, name: {}",
                json!(account.namespace()),
                json!(account.name())
            ),
            None => format!("kind: User, name: {}", json!(self.user)),
        };
        yaml + &format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {}{place}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {}}}\n\
             subjects:\n- {{{subject}}}\n",
            json!(self.name),
            json!(self.role)
        )
    }
}

impl Advice {
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Command { before, command } => {
                let before = before
                    .as_ref()
                    .map(|before| format!("  to allow it, first: {before}"));
                let command = format!("  to allow it: {command}");
                before.into_iter().chain([command]).collect()
            }
            Self::Objects { to, yaml } => {
                let head = format!("  to allow it: {to}:");
                let lines = yaml.lines().map(str::to_owned);
                [head].into_iter().chain(lines).collect()
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::Command { command, .. } => json!({ "command": command }),
            Self::Objects { yaml, .. } => json!({ "objects": yaml }),
        }
    }
}

/// `image-pusher-ada`, or the first of `image-pusher-ada-2`, … that is free.
fn free_name(role: &str, user: &str, namespace: Option<&str>, rules: &Rules) -> String {
    let role = role.strip_prefix("system:").unwrap_or(role);
    let who = match AccountName::of_user(user) {
        Some(account) => format!("{}-{}", account.namespace(), account.name()),
        None => slug(user),
    };
    free(&format!("{role}-{who}"), |name| {
        rules.has_binding(namespace, name)
    })
}

fn free(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while is_taken(&free) {
        free = format!("{name}-{number}");
        number += 1;
    }
    free
}

/// What is left of a user's name where only lower case, digits and single dashes are.
fn slug(user: &str) -> String {
    let mut slug = String::new();
    for char in user.chars() {
        match char.to_ascii_lowercase() {
            char @ ('a'..='z' | '0'..='9') => slug.push(char),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        if slug.len() == MAX_SLUG {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "user" } else { slug }.to_owned()
}

/// A word of a shell's command line.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=:/.@+,".contains(&byte);
    if word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The role that is shipped for a right with builds. What changes everybody's catalogue has none.
fn build_role(right: BuildRight) -> &'static str {
    match right {
        BuildRight::GetBuilds
        | BuildRight::ListBuilds
        | BuildRight::GetBuilderImages
        | BuildRight::ListBuilderImages => "system:build-viewer",
        BuildRight::CreateBuilds
        | BuildRight::UpdateBuilds
        | BuildRight::DeleteBuilds
        | BuildRight::CreateBuilderImages
        | BuildRight::DeleteBuilderImages
        | BuildRight::CreateSecrets
        | BuildRight::ListSecrets
        | BuildRight::DeleteSecrets => "system:build-editor",
    }
}

#[cfg(test)]
mod tests {
    use super::{quoted, slug};

    #[test]
    fn names_are_made_of_what_every_shell_and_cluster_takes() {
        for (user, expected) in [
            ("ada", "ada"),
            ("Ada.Lovelace@Example.COM", "ada-lovelace-example-com"),
            (
                "https://id.example.com/realms/main#ci",
                "https-id-example-com-realms-main-ci",
            ),
            ("--", "user"),
            ("Ж", "user"),
        ] {
            assert_eq!(slug(user), expected);
        }
        assert_eq!(slug(&"x".repeat(300)).len(), super::MAX_SLUG);
    }

    #[test]
    fn a_shell_reads_a_quoted_word_as_it_was() {
        for word in [
            "--user=ada",
            "--user=https://id/x#ci",
            "--user=a b",
            "--user=o'hara $HOME `id`",
        ] {
            let said = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .map(|output| output.stdout);
            assert_eq!(said.ok().as_deref(), Some(word.as_bytes()));
        }
    }
}
