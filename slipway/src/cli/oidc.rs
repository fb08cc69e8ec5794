//! `slipway login --oidc`.

use clap::Args;

/// Logging in at an OpenID Connect provider.
#[derive(Debug, Args)]
pub(crate) struct Oidc {
    /// Log in at the registry's OpenID Connect provider, with a browser.
    #[arg(long = "oidc", id = "oidc", conflicts_with_all = ["username", "password_stdin", "token_stdin", "kubeconfig", "context", "service_account"])]
    pub(crate) is_wanted: bool,
    /// Which provider, where the registry has several.
    #[arg(long, requires = "oidc", value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// As which client, rather than as the registry says.
    #[arg(long, requires = "issuer", value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// What to ask for with --client-id; may be given more than once.
    #[arg(long, requires = "client_id", default_values = ["openid", "profile", "email"])]
    pub(crate) scope: Vec<String>,
}
