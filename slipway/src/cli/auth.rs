//! Arguments of `slipway auth`.

use clap::Subcommand;

use super::{Explain, Printing, Remote};

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
    /// Say whether you may do something in a repository, or build in a namespace; neither need exist.
    ///
    /// Exits with 1 when you may not. To build is to create builds.registry.alauda.io in the namespace; a build also pulls
    /// its builder image and pushes its result with your rights. In a cluster `kubectl auth can-i VERB images.registry.alauda.io/NAME -n NAMESPACE`
    /// gives the same answer.
    #[command(after_help = "Examples:
  slipway auth can-i push team/app
  slipway auth can-i build team
  slipway auth can-i delete team/app --server registry.example.com && echo so it is")]
    CanI {
        /// What you would do: pull (get), push (create), retag (update: move a tag that exists), delete or build.
        #[arg(value_parser = TOKEN_VERBS)]
        verb: String,
        /// The repository, without the registry's name: team/app. To build: the namespace.
        repository: String,
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
    /// server's rules name another resource than images.registry.alauda.io, say which, or give its --config. Exits with 1
    /// when the answer is no.
    #[command(after_help = "Examples:
  slipway auth explain push team/app
  slipway auth explain pull team/app --as system:serviceaccount:other:default
  slipway auth explain delete team/app --rbac ./rbac --as ada --as-group devs
  slipway auth explain push team/app --preset openshift")]
    Explain(Box<Explain>),
}

/// What can be done in a repository, by either name.
pub(super) const VERBS: [&str; 7] = ["pull", "push", "retag", "delete", "get", "create", "update"];

/// The same, and building.
pub(super) const TOKEN_VERBS: [&str; 8] = [
    "pull", "push", "retag", "delete", "build", "get", "create", "update",
];
