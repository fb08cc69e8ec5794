//! Arguments of people: how they log in, and whom they are in a cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
