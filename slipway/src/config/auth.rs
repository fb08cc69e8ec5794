//! `auth`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use auth::kubernetes::Place;
use auth::oidc::ALGORITHMS;
use auth::rbac::Resource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// Who may do what. With none of the keys set, everyone may do everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Auth {
    /// Strangers are `system:anonymous`, and the rules of `rbac` or `kubernetes` decide what they may do.
    pub(crate) anonymous: bool,
    /// Users and bcrypt hashes in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) htpasswd: Option<Htpasswd>,
    /// Rights from a folder of Kubernetes RBAC objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rbac: Option<Rbac>,
    /// Users and rights from a Kubernetes cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kubernetes: Option<Kubernetes>,
    /// Users from OpenID Connect providers, by their ID tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) oidc: Vec<Oidc>,
    /// The tokens that `/auth/token` issues.
    pub(crate) tokens: Tokens,
    /// The tokens that users make for programs.
    pub(crate) api_tokens: ApiTokens,
}

/// Users and bcrypt hashes in a file, as `slipway user` and `htpasswd -B` write it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Htpasswd {
    /// The file; read again when it changes.
    pub(crate) file: PathBuf,
}

/// Rights from a folder of Kubernetes RBAC objects.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rbac {
    /// The folder with the YAML files; read again when they change.
    pub(crate) dir: PathBuf,
    /// API group of the virtual resource that rules name.
    #[serde(default = "group")]
    pub(crate) group: String,
    /// The virtual resource that rules name.
    #[serde(default = "resource")]
    pub(crate) resource: String,
}

/// Users and rights from a Kubernetes cluster: TokenReview and SubjectAccessReview. Name `kubeconfig` or `inCluster`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Kubernetes {
    /// How to reach the cluster, and as whom: an account with the ClusterRole `system:auth-delegator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of `kubeconfig`. Default: its current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<String>,
    /// The cluster of the pod that the server runs in, as the pod's ServiceAccount.
    pub(crate) in_cluster: bool,
    /// Tokens must be issued for one of these. Empty: for the API server itself.
    pub(crate) audiences: Vec<String>,
    /// The words of the cluster's rules.
    pub(crate) preset: Preset,
    /// With preset `acp`: API group of the virtual resource that rules name.
    pub(crate) group: String,
    /// With preset `acp`: the virtual resource that rules name.
    pub(crate) resource: String,
    /// How long a yes of the cluster holds, so also how long what is taken away there goes on here: up to one minute.
    pub(crate) allow_for: Span,
    /// How long a no of the cluster holds, so also how long until what is granted there holds here: up to ten seconds.
    pub(crate) deny_for: Span,
    /// How long the cluster may take to answer; then the request is refused with 503.
    pub(crate) timeout: Span,
    /// Pull secrets for every namespace, where kubelets have no credential provider.
    pub(crate) pull_secrets: PullSecrets,
}

/// A pull secret for `ServiceAccounts` of every namespace, with a token that is replaced before it ends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct PullSecrets {
    /// Keep them. The server's account needs the roles of `install/pull-secrets.yaml`.
    pub(crate) enabled: bool,
    /// First part of the secrets' names; the rest is the `ServiceAccount`'s. `RoleBindings` have it as their name.
    pub(crate) name: String,
    /// Addresses of the registry beside those of `hosts`; every secret has an entry for each.
    pub(crate) hosts: Vec<String>,
    /// The `ServiceAccounts` of every namespace that get one.
    pub(crate) service_accounts: Vec<String>,
    /// How long a token is good: from ten minutes to thirty days.
    pub(crate) lifetime: Span,
    /// How long before its end a token is replaced: shorter than `lifetime`.
    pub(crate) renew_before: Span,
    /// Where the lease of the server that does the work is. Default: the server's own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease_namespace: Option<String>,
    /// Let the pods of every namespace pull its images, by a `RoleBinding` of `system:image-puller`. `false` removes those that were made.
    pub(crate) grant_pull: bool,
    /// Take all of them back, before they are disabled.
    pub(crate) withdraw: bool,
}

/// The words of the cluster's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Preset {
    /// `get`, `create`, `update` and `delete` on `resource` of `group`.
    Acp,
    /// `get` and `update` on `imagestreams/layers`, `delete` on `images`, as OpenShift's registry.
    Openshift,
}

/// An OpenID Connect provider whose ID tokens are taken. User and groups are named as by kube-apiserver's `--oidc-*` flags.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Oidc {
    /// Exactly as its tokens name it: an https URL, or an http one on loopback.
    pub(crate) issuer: String,
    /// The client that tokens must be issued for; `slipway login --oidc` is this client.
    pub(crate) client_id: String,
    /// Tokens for one of these are taken, too.
    #[serde(default)]
    pub(crate) audiences: Vec<String>,
    /// The claim that is the user's name.
    #[serde(default = "username_claim")]
    pub(crate) username_claim: String,
    /// Stands before it; `-` for nothing. Default: the issuer and `#`, but nothing before `email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username_prefix: Option<String>,
    /// The claim that lists groups. Without it nobody is in any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) groups_claim: Option<String>,
    /// Stands before each group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) groups_prefix: Option<String>,
    /// Claims that must be these texts.
    #[serde(default)]
    pub(crate) required_claims: BTreeMap<String, String>,
    /// What tokens may be signed with.
    #[serde(default = "algorithms")]
    pub(crate) algorithms: Vec<String>,
    /// Authorities (PEM) for the provider's certificate, instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// What `slipway login --oidc` asks for.
    #[serde(default = "scopes")]
    pub(crate) scopes: Vec<String>,
}

/// The tokens that `/auth/token` issues.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Tokens {
    /// How long a token is good: from one minute to one hour.
    pub(crate) lifetime: Span,
    /// How long a client that wants to keep a login may get tokens by it. `0s`: no client keeps one.
    pub(crate) refresh_lifetime: Span,
    /// Signing keys in PEM, the last signs. Default: made below `dataDir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
}

fn group() -> String {
    "registry.alauda.io".to_owned()
}

fn resource() -> String {
    "images".to_owned()
}

fn username_claim() -> String {
    "sub".to_owned()
}

fn algorithms() -> Vec<String> {
    ALGORITHMS.iter().map(ToString::to_string).collect()
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            in_cluster: false,
            audiences: vec!["slipway".to_owned()],
            preset: Preset::Acp,
            group: group(),
            resource: resource(),
            allow_for: Span::seconds(30),
            deny_for: Span::seconds(5),
            timeout: Span::seconds(5),
            pull_secrets: PullSecrets::default(),
        }
    }
}

impl Rbac {
    /// What rules name.
    pub(crate) fn words(&self) -> Resource {
        Resource {
            group: self.group.clone(),
            resource: self.resource.clone(),
        }
    }
}

impl Kubernetes {
    /// What the cluster's rules name.
    pub(crate) fn words(&self) -> auth::kubernetes::Preset {
        match self.preset {
            Preset::Openshift => auth::kubernetes::Preset::Openshift,
            Preset::Acp => auth::kubernetes::Preset::Resource(Resource {
                group: self.group.clone(),
                resource: self.resource.clone(),
            }),
        }
    }

    /// Where the cluster is, and who we are there.
    pub(crate) fn place(&self) -> Place {
        match &self.kubeconfig {
            None => Place::InCluster,
            Some(path) => Place::Kubeconfig(path.clone(), self.context.clone()),
        }
    }
}

impl Default for PullSecrets {
    fn default() -> Self {
        Self {
            enabled: false,
            name: "slipway-pull".to_owned(),
            hosts: Vec::new(),
            service_accounts: vec!["default".to_owned()],
            lifetime: Span::hours(24),
            renew_before: Span::hours(8),
            lease_namespace: None,
            grant_pull: true,
            withdraw: false,
        }
    }
}

/// The tokens that users make for programs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ApiTokens {
    /// Longest life that a user may give one.
    pub(crate) max_lifetime: Span,
    /// Most that a user may have at once.
    pub(crate) per_user: usize,
}

impl Default for ApiTokens {
    fn default() -> Self {
        Self {
            max_lifetime: Span::hours(365 * 24),
            per_user: 100,
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            lifetime: Span::seconds(300),
            refresh_lifetime: Span::hours(30 * 24),
            key_file: None,
        }
    }
}

impl Auth {
    /// Nothing is configured: everyone may do everything.
    pub(crate) fn is_open(&self) -> bool {
        self.htpasswd.is_none()
            && self.rbac.is_none()
            && self.kubernetes.is_none()
            && self.oidc.is_empty()
            && !self.anonymous
    }
}
