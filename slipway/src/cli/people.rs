//! Arguments of people: how they log in, and whom they are in a cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::auth::ALL_VERBS;
use super::{AuthFile, Printing, Transport};

/// How the login is proved. Without any of these it asks for a name and a password.
#[derive(Debug, Args)]
pub(crate) struct LoginWay {
    /// The user's name; asked for if missing. With a token it may be anything.
    #[arg(long, short, conflicts_with_all = ["kubeconfig", "context", "service_account"])]
    pub(crate) username: Option<String>,
    /// Read the password from standard input.
    #[arg(long, conflicts_with_all = ["kubeconfig", "context", "service_account"])]
    pub(crate) password_stdin: bool,
    /// Read a token from standard input: of a ServiceAccount, of an OpenID provider, of the registry.
    #[arg(long, conflicts_with_all = ["password_stdin", "kubeconfig", "context", "service_account"])]
    pub(crate) token_stdin: bool,
    #[command(flatten)]
    pub(crate) person: KubeconfigArgs,
    /// Log in as this ServiceAccount, with tokens that the context may ask the cluster for.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) service_account: Option<String>,
    /// What the ServiceAccount's tokens are issued for: one of the server's auth.kubernetes.audiences.
    #[arg(long, default_value = "slipway", requires = "service_account")]
    pub(crate) audience: String,
}

/// Who somebody is in a cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct KubeconfigArgs {
    /// The kubeconfig. Default: the files of KUBECONFIG, else ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in it. Default: the current one.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

/// The protocol of docker's credential helpers.
#[derive(Debug, Subcommand)]
pub(crate) enum CredentialHelperCommand {
    /// Answer with the login for the registry that standard input names.
    #[command(after_help = "Example:
  echo registry.example.com | slipway credential-helper get")]
    Get,
    /// Keep the login on standard input.
    #[command(after_help = "Example:
  slipway credential-helper store < login.json")]
    Store,
    /// Forget the login for the registry that standard input names.
    #[command(after_help = "Example:
  echo registry.example.com | slipway credential-helper erase")]
    Erase,
    /// Name every registry with its user.
    #[command(after_help = "Example:
  slipway credential-helper list")]
    List,
}

/// What somebody would do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Asked {
    /// In a repository: pull (get), push (create), retag (update: move a tag that exists) or delete. Of audit: get. Of tokens: list or delete.
    #[arg(value_parser = ALL_VERBS)]
    pub(crate) verb: String,
    /// The repository, without the registry's name: team/app. With --namespace or --all-namespaces: audit or tokens.
    #[arg(value_name = "REPOSITORY|audit|tokens")]
    pub(crate) object: String,
    /// The namespace whose audit record it is about.
    #[arg(
        long,
        short,
        value_name = "NAMESPACE",
        conflicts_with = "all_namespaces"
    )]
    pub(crate) namespace: Option<String>,
    /// It is about audit or tokens of the whole registry.
    #[arg(long, short = 'A')]
    pub(crate) all_namespaces: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Who would do it. Default: you.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) user: Option<String>,
    /// A group of theirs; may be given more than once.
    #[arg(long = "as-group", value_name = "GROUP", requires = "user")]
    pub(crate) groups: Vec<String>,
    #[command(flatten)]
    pub(crate) person: KubeconfigArgs,
    /// The folder of RBAC objects to ask instead of a cluster.
    #[arg(long, value_name = "DIR", requires = "user", conflicts_with_all = ["kubeconfig", "context", "config"])]
    pub(crate) rbac: Option<PathBuf>,
    /// The server's configuration: its auth.rbac names that folder, its auth.kubernetes the words of the cluster's rules.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["preset", "group", "resource"])]
    pub(crate) config: Option<PathBuf>,
    /// The words of the rules, as the server's auth.kubernetes.preset has them. Default: what --server says, else acp.
    #[arg(long, value_parser = ["acp", "openshift"], conflicts_with_all = ["rbac", "group", "resource"])]
    pub(crate) preset: Option<String>,
    /// The API group that rules name, as the server's configuration has it. Default: registry.alauda.io.
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// The resource that rules name. Default: images.
    #[arg(long, value_name = "RESOURCE")]
    pub(crate) resource: Option<String>,
    /// Ask this registry which words its rules have and, without --as, what it would do for your login there.
    #[arg(long, value_name = "SERVER", conflicts_with = "rbac")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
    #[command(flatten)]
    pub(crate) transport: Transport,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
