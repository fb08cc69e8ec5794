//! Arguments of `slipway auth`.

use clap::Subcommand;

use super::{Asked, Explain, Printing, Remote};

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Say who you are to a registry.
    ///
    /// Uses the login that podman, docker and this program share, or none.
    #[command(after_help = "Examples:
  slipway auth whoami
  slipway auth whoami --server registry.example.com --output json | jq -r '.groups[]'")]
    Whoami {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Say whether you may do something in a repository, which need not exist, or to the registry as a whole.
    ///
    /// Exits with 1 when you may not. In a cluster `kubectl auth can-i VERB images.registry.alauda.io/NAME -n NAMESPACE`
    /// gives the same answer. With --namespace or --all-namespaces the question is about the audit record
    /// (get audit), everybody's API tokens (list tokens, delete tokens) or builds (create builds), and no repository.
    /// `build NAMESPACE` is short for `create builds --namespace NAMESPACE`; a build also pulls its builder image and
    /// pushes its result with your rights.
    #[command(after_help = "Examples:
  slipway auth can-i push team/app
  slipway auth can-i delete team/app --server registry.example.com && echo so it is
  slipway auth can-i build team
  slipway auth can-i get audit --namespace team
  slipway auth can-i list tokens --all-namespaces")]
    CanI {
        #[command(flatten)]
        asked: Asked,
        /// Somebody else, of whom `explain` tells: as with kubectl, where the same command takes it.
        #[arg(long = "as", value_name = "USER", hide = true)]
        user: Option<String>,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Say which binding and role let somebody do something, or why nothing does.
    ///
    /// Reads the cluster's rules with your own kubeconfig and rights, and asks the cluster itself what it
    /// decides, which is what the registry does. For somebody else (--as) you need the right to impersonate
    /// them. With --rbac, or a --config that names a folder of rules, it reads those instead. Where the
    /// server's rules may name another resource than images.registry.alauda.io, --server asks it which, and
    /// also what it would do for your login there; without the server, name the resource, or give its --config.
    ///
    /// Exits with 0 when the answer is yes, and with 1 when it is no, or when the cluster says yes and the
    /// server that --server names says no.
    #[command(after_help = "Examples:
  slipway auth explain push team/app
  slipway auth explain pull team/app --as system:serviceaccount:other:default
  slipway auth explain delete team/app --rbac ./rbac --as ada --as-group devs
  slipway auth explain get audit --namespace team --as ada
  slipway auth explain push team/app --server registry.example.com")]
    Explain(Box<Explain>),
}

/// What can be done in a repository, by either name, and building.
pub(super) const TOKEN_VERBS: [&str; 8] = [
    "pull", "push", "retag", "delete", "build", "get", "create", "update",
];

/// The same, and what can be done to the registry as a whole.
pub(super) const ALL_VERBS: [&str; 9] = [
    "pull", "push", "retag", "delete", "build", "get", "create", "update", "list",
];
