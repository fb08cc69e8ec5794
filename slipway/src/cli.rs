//! The command line. Its help is the manual, so every command has an example.

mod audit;
mod token;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use audit::Audit;
pub(crate) use token::{NewToken, TokenCommand};

/// An OCI container registry with namespace rights, in one program.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, arg_required_else_help = true)]
#[command(after_help = "Examples:
  slipway serve                              a registry on 127.0.0.1:5000, files in ./slipway-data
  slipway serve --config slipway.yaml        with a configuration
  slipway config print                       what the configuration amounts to
  slipway storage fsck                       is everything that was stored still there?")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the registry.
    ///
    /// Without a configuration it listens on loopback, keeps files in ./slipway-data and serves
    /// whoever is on this machine. It refuses to listen elsewhere without authentication.
    /// SIGTERM lets requests under way finish.
    #[command(after_help = "Examples:
  slipway serve
  slipway serve --config /etc/slipway.yaml
  SLIPWAY_LISTEN='[\"127.0.0.1:5001\"]' SLIPWAY_DATA_DIR=/srv/slipway slipway serve")]
    Serve(Serve),
    /// Log in to a registry; podman, docker, helm and this program share the login.
    ///
    /// The password is read from standard input, never from the command line. Where docker's
    /// configuration names a credential helper (credsStore, credHelpers), that program keeps it.
    #[command(after_help = "Examples:
  slipway login --username ada --password-stdin registry.example.com < password
  slipway login 127.0.0.1:5000                asks for name and password")]
    Login(Login),
    /// Forget a login.
    #[command(after_help = "Example:
  slipway logout registry.example.com")]
    Logout(Logout),
    /// Ask a registry who you are and what you may do.
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Show who did what, and who was refused what.
    ///
    /// Reads the audit record of a server, newest first. That takes the right `get audit` (group
    /// registry.alauda.io): of a namespace for its rows, everywhere for all. With --config it reads
    /// the index on this machine instead, also beside a running server: for the machine's
    /// administrator, and for servers whose users have no such rights.
    #[command(after_help = "Examples:
  slipway audit --namespace team --since 24h
  slipway audit --repository team/app --verb push,retag,delete
  slipway audit --outcome denied --follow
  slipway audit --config slipway.yaml --user ada --output json | jq -r .digest
Times are RFC 3339 (2026-11-20T10:00:00Z) or how long ago: 90s, 24h, 7d.")]
    Audit(Box<Audit>),
    /// Keep API tokens, which programs act as you by.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show or check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after what is stored.
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Keep the users of an htpasswd file.
    #[command(subcommand)]
    User(UserCommand),
    /// Let the kubelet pull by the right of the pod's ServiceAccount, without any secret.
    #[command(subcommand)]
    CredentialProvider(CredentialProviderCommand),
    /// Print a script that completes commands in your shell.
    #[command(after_help = "Example:
  slipway completions bash > /etc/bash_completion.d/slipway")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual's pages, one for each command.
    #[command(after_help = "Example:
  slipway man --dir /usr/local/share/man/man1 && man slipway-storage-fsck")]
    Man {
        /// The folder to write them into; it is made if it is missing.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Print the version.
    #[command(after_help = "Examples:
  slipway version
  slipway version --json | jq -r .version")]
    Version(Printing),
}

/// How the result is printed.
#[derive(Debug, Args)]
pub(crate) struct Printing {
    /// The form of the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The same as --output json.
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl Printing {
    /// The form that was asked for.
    pub(crate) fn form(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Which configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file (YAML). Environment variables go over it.
    #[arg(long, env = "SLIPWAY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Serve other machines without any authentication.
    #[arg(long)]
    pub(crate) insecure_open: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The registry, as in image names (host or host:port) or as a URL without a path.
    #[arg(env = "SLIPWAY_SERVER")]
    pub(crate) server: String,
    /// The user's name; asked for if missing.
    #[arg(long, short)]
    pub(crate) username: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
    #[command(flatten)]
    pub(crate) transport: Transport,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The registry that was logged in to, named in the same ways.
    #[arg(env = "SLIPWAY_SERVER")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
}

/// Where logins are kept.
#[derive(Debug, Args)]
pub(crate) struct AuthFile {
    /// The file of logins. Default: docker's, and podman's too where that exists.
    #[arg(long, env = "REGISTRY_AUTH_FILE", value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
}

/// How to reach the registry.
#[derive(Debug, Args)]
pub(crate) struct Transport {
    /// Speak plain HTTP. To loopback addresses it is spoken by itself where there is no HTTPS.
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Trust the certificate authorities in this file (PEM) too.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Which server a command speaks to, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// The server, as in image names (host or host:port) or as a URL without a path. Default: that of the last
    /// `slipway login`.
    #[arg(long, env = "SLIPWAY_SERVER", value_name = "SERVER")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
    #[command(flatten)]
    pub(crate) transport: Transport,
}

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
    /// Say whether you may do something in a repository, which need not exist.
    ///
    /// Exits with 1 when you may not. In a cluster `kubectl auth can-i VERB images.registry.alauda.io/NAME -n NAMESPACE`
    /// gives the same answer.
    #[command(after_help = "Examples:
  slipway auth can-i push team/app
  slipway auth can-i delete team/app --server registry.example.com && echo so it is")]
    CanI {
        /// What you would do: pull (get), push (create), retag (update: move a tag that exists) or delete.
        #[arg(value_parser = VERBS)]
        verb: String,
        /// The repository, without the registry's name: team/app.
        repository: String,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
}

/// What can be done in a repository, by either name.
const VERBS: [&str; 7] = ["pull", "push", "retag", "delete", "get", "create", "update"];

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration with nothing left to default.
    #[command(after_help = "Examples:
  slipway config print
  SLIPWAY_LOG__FORMAT=json slipway config print --config slipway.yaml")]
    Print(ConfigFile),
    /// Say whether the configuration can be used, and every file that it names.
    ///
    /// Loads certificates, users, rules and keys as the server would, and makes nothing. Run it
    /// as the user and in the folder of the server.
    #[command(after_help = "Example:
  slipway config check --config slipway.yaml && systemctl restart slipway")]
    Check(ConfigFile),
    /// Print the JSON schema of the configuration, for editors.
    #[command(after_help = "Example:
  slipway config schema > slipway.schema.json
A first line in slipway.yaml lets editors use it:
  # yaml-language-server: $schema=slipway.schema.json")]
    Schema,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// Check that objects and index agree and that nothing stored is missing.
    ///
    /// Exits with 1 when something is wrong. Runs beside a running server.
    #[command(after_help = "Examples:
  slipway storage fsck --config slipway.yaml
  slipway storage fsck --deep --json | jq '.findings[]'")]
    Fsck {
        #[command(flatten)]
        file: ConfigFile,
        /// Read everything and compare it with its digest.
        #[arg(long)]
        deep: bool,
        #[command(flatten)]
        printing: Printing,
    },
    /// Rebuild the index from the objects.
    ///
    /// For content that another registry wrote (CNCF Distribution's layout), and for an index
    /// that was lost or damaged. The server must not be running. Upload sessions end; their
    /// clients start anew. Exits with 1 when something could not be taken over.
    #[command(after_help = "Example:
  systemctl stop slipway && slipway storage reindex --config slipway.yaml && systemctl start slipway")]
    Reindex {
        #[command(flatten)]
        file: ConfigFile,
        /// Read everything and leave out what is not what its digest says.
        #[arg(long)]
        deep: bool,
        /// Lose pushes and deletions that only the old index knows, because their links could not be written.
        #[arg(long)]
        discard_journal: bool,
        #[command(flatten)]
        printing: Printing,
    },
    /// Count what is stored.
    #[command(after_help = "Examples:
  slipway storage stats --config slipway.yaml
  slipway storage stats --json | jq .repositories")]
    Stats {
        #[command(flatten)]
        file: ConfigFile,
        #[command(flatten)]
        printing: Printing,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user.
    #[command(after_help = "Example:
  slipway user add ada --password-stdin --config slipway.yaml < password")]
    Add(User),
    /// Change a user's password.
    #[command(after_help = "Example:
  slipway user passwd ada --config slipway.yaml      asks for the new one")]
    Passwd(User),
    /// Remove a user.
    #[command(after_help = "Example:
  slipway user remove ada --htpasswd /etc/slipway/users")]
    Remove {
        /// The user's name.
        name: String,
        #[command(flatten)]
        file: UserFile,
    },
    /// List the users.
    #[command(after_help = "Examples:
  slipway user list --config slipway.yaml
  slipway user list --json | jq -r '.[].name'")]
    List {
        #[command(flatten)]
        file: UserFile,
        #[command(flatten)]
        printing: Printing,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialProviderCommand {
    /// Answer the kubelet, which runs this: a login made of the pod's ServiceAccount token.
    ///
    /// Reads a CredentialProviderRequest from standard input and writes the response.
    #[command(after_help = "Example, as the kubelet runs it:
  slipway credential-provider get --registry registry.example.com < request.json")]
    Get {
        /// A registry that may see the token, as in image names; may be given more than once.
        #[arg(long, required = true, value_name = "HOST[:PORT]")]
        registry: Vec<String>,
    },
    /// Print the kubelet's configuration for this.
    ///
    /// Put this program into the kubelet's --image-credential-provider-bin-dir as
    /// slipway-credential-provider, and name the file in its --image-credential-provider-config.
    /// Needs Kubernetes 1.34, or 1.33 with KubeletServiceAccountTokenForCredentialProviders.
    #[command(after_help = "Example:
  slipway credential-provider config --registry registry.example.com > /etc/kubernetes/credentials.yaml")]
    Config {
        /// A registry, as in image names; may be given more than once.
        #[arg(long, required = true, value_name = "HOST[:PORT]")]
        registry: Vec<String>,
        /// What tokens are issued for: one of the server's auth.kubernetes.audiences.
        #[arg(long, default_value = "slipway")]
        audience: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct User {
    /// The user's name.
    pub(crate) name: String,
    /// Read the password from standard input instead of asking for it.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) file: UserFile,
}

/// Which htpasswd file.
#[derive(Debug, Args)]
pub(crate) struct UserFile {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The htpasswd file. Default: the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
