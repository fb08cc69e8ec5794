//! The command line. Its help is the manual, so every command has an example.

mod audit;
mod auth;
mod build;
mod builder_image;
mod doctor;
mod images;
mod oidc;
mod people;
mod printing;
mod secret;
mod storage;
mod token;
mod user;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use audit::Audit;
pub(crate) use auth::AuthCommand;
pub(crate) use build::{
    BuildCommand, CreateBuild, EventsArgs, Following, GitArgs, IgnoreArg, KeptArgs, Named,
    Namespace, NetworkArg, RunBuild, SetBuild, SpecArgs, StartBuild,
};
pub(crate) use builder_image::{AddBuilderImage, BuilderImageCommand, CreateBuilderImage};
pub(crate) use doctor::Doctor;
pub(crate) use images::{Copy, Copying, Engine, Inspect, Ls, Pull, Push, Rm, TagImage};
pub(crate) use oidc::Oidc;
pub(crate) use people::{Asked, CredentialHelperCommand, Explain, LoginWay};
pub(crate) use printing::{Output, Printing};
pub(crate) use secret::{SecretCommand, Use};
pub(crate) use storage::StorageCommand;
pub(crate) use token::{NewToken, TokenCommand};
pub(crate) use user::{User, UserCommand, UserFile};

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
    /// Passwords and tokens are read from standard input, never from the command line. Where docker's
    /// configuration names a credential helper (credsStore, credHelpers), that program keeps them.
    ///
    /// With --kubeconfig or --context (and as kubectl slipway login without more) it logs in as the
    /// person of a kubeconfig. Where the kubeconfig renews the token, by a program or a file, nothing
    /// is kept but the context's name: docker-credential-slipway, which is this program, fetches a
    /// fresh token for each use. With --oidc it shows a URL and a code: log in there with a browser,
    /// on any device.
    #[command(after_help = "Examples:
  slipway login --username ada --password-stdin registry.example.com < password
  slipway login 127.0.0.1:5000                asks for name and password
  kubectl create token ci --audience slipway | slipway login --token-stdin registry.example.com
  slipway login --context prod registry.example.com
  kubectl slipway login registry.example.com  as whoever kubectl is now
  slipway login --context prod --service-account team/ci registry.example.com
  slipway login --oidc registry.example.com   at the registry's OpenID Connect provider")]
    Login(Login),
    /// Forget a login.
    #[command(after_help = "Examples:
  slipway logout                              of the server of the last login
  slipway logout registry.example.com")]
    Logout(Logout),
    /// Ask a registry who you are and what you may do.
    #[command(after_help = "Examples:
  slipway auth whoami
  slipway auth can-i push team/app && echo so it is")]
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
    #[command(after_help = "Examples:
  slipway token create --description CI --namespace team --verb pull --verb push --expires 30d
  slipway token list")]
    #[command(subcommand)]
    Token(TokenCommand),
    /// Bring an image from a registry into podman's, docker's or containerd's images.
    #[command(after_help = "Examples:
  slipway pull registry.example.com/team/app:v1
  slipway pull --engine containerd registry.example.com/team/app:v1")]
    Pull(Pull),
    /// Send an image from podman's, docker's or containerd's images to a registry, or from one registry to another.
    #[command(after_help = "Examples:
  podman tag app:v1 registry.example.com/team/app:v1 && slipway push registry.example.com/team/app:v1
  slipway push docker.io/library/alpine:3 registry.example.com/team/alpine:3")]
    Push(Push),
    /// Copy an image between registries, folders and archives.
    ///
    /// Digests stay the same, and indexes whole. What the target has is not sent again, and what broke
    /// off goes on where it was. Names: registry.example.com/team/app:v1, oci:DIR:TAG (an OCI layout),
    /// oci-archive:FILE:TAG (the same as a tar archive).
    #[command(after_help = "Examples:
  slipway copy docker.io/library/alpine:3 registry.example.com/team/alpine:3
  slipway copy --referrers registry.example.com/team/app:v1 backup.example.com/team/app:v1
  slipway copy --platform linux/arm64 registry.example.com/team/app:v1 oci-archive:app.tar
  slipway copy oci:layout:v1 registry.example.com/team/app:v1")]
    Copy(Copy),
    /// List a registry's repositories, or the tags of one.
    #[command(after_help = "Examples:
  slipway ls                                  at the server of the last login
  slipway ls registry.example.com/team/app")]
    Ls(Ls),
    /// Give an image another tag, in the registry.
    #[command(after_help = "Example:
  slipway tag registry.example.com/team/app:v1 stable")]
    Tag(TagImage),
    /// Remove images from a registry, by tag or by digest.
    #[command(after_help = "Example:
  slipway rm registry.example.com/team/app:v1")]
    Rm(Rm),
    /// Say what an image in a registry is.
    #[command(after_help = "Examples:
  slipway inspect registry.example.com/team/app:v1
  slipway inspect --raw team/app@sha256:…     the manifest, as it is stored")]
    Inspect(Inspect),
    /// Build images from source, on the server.
    ///
    /// A builder image (S2I) and a source become an image in the registry. Builds are kept by the server and started again,
    /// by people, webhooks, schedules, or when the builder image moves; each try is a run, with its log.
    #[command(after_help = "Examples:
  slipway build run --dir . --builder slipway/python:3.13 --output team/app:dev
  slipway build create app --git https://git.example.com/team/app.git --builder slipway/go:1.24 --output team/app:latest
  slipway build start app -n team
  slipway build logs app -n team --follow
  slipway build doctor                        can this machine run builds?")]
    #[command(subcommand)]
    Build(BuildCommand),
    /// Look after builder images: what images are built with.
    #[command(after_help = "Example:
  slipway builder-image create python         one of Slipway's own, from Debian packages
  slipway builder-image list -n team")]
    #[command(subcommand)]
    BuilderImage(BuilderImageCommand),
    /// Keep the secrets that builds use.
    #[command(after_help = "Examples:
  slipway secret set npmrc -n team --from-file .npmrc=$HOME/.npmrc
  slipway secret list -n team")]
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Show or check the configuration.
    #[command(after_help = "Examples:
  slipway config check --config slipway.yaml    would a server start with it?
  slipway config print                          with nothing left to default")]
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after what is stored.
    #[command(after_help = "Examples:
  slipway storage fsck --config slipway.yaml    is everything still there?
  slipway storage stats --json | jq .repositories")]
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Keep the users of an htpasswd file.
    #[command(after_help = "Examples:
  slipway user add ada --config slipway.yaml    asks for the password
  slipway user list --htpasswd /etc/slipway/users")]
    #[command(subcommand)]
    User(UserCommand),
    /// Let the kubelet pull by the right of the pod's ServiceAccount, without any secret.
    ///
    /// The nodes also need the right to ask for such tokens: docs/kubernetes.md has the ClusterRole.
    #[command(after_help = "Example, on a node:
  cp slipway /usr/libexec/kubernetes/slipway-credential-provider
  slipway credential-provider config --registry registry.example.com > /etc/kubernetes/credentials.yaml
The kubelet is then started with --image-credential-provider-bin-dir /usr/libexec/kubernetes
and --image-credential-provider-config /etc/kubernetes/credentials.yaml.")]
    #[command(subcommand)]
    CredentialProvider(CredentialProviderCommand),
    /// Answer podman, docker, helm and others, which run this as docker-credential-slipway for a login.
    #[command(after_help = "Example:
  echo registry.example.com | slipway credential-helper get")]
    #[command(subcommand)]
    CredentialHelper(CredentialHelperCommand),
    /// Carry standard input and output through a proxy. The server has ssh start this.
    #[command(hide = true)]
    #[command(after_help = "Example, as ssh runs it for a source:
  slipway tunnel /tmp/way                     a file with a proxy's URL, a host and a port, each on a line")]
    Tunnel {
        /// The proxy and where it is to lead.
        way: PathBuf,
    },
    /// Answer kubectl, which runs this as kubectl_complete-slipway, with what may follow the words so far.
    #[command(hide = true)]
    #[command(after_help = "Example, as kubectl runs it:
  slipway complete-kubectl -- auth ''")]
    CompleteKubectl {
        /// The words behind `kubectl slipway`, the last one unfinished.
        words: Vec<String>,
    },
    /// Give this program its other names: kubectl-slipway and docker-credential-slipway.
    ///
    /// With them on PATH, kubectl has the commands of this program as kubectl slipway, with completions
    /// (kubectl_complete-slipway), and logins that a kubeconfig renews stay fresh.
    #[command(after_help = "Examples:
  slipway install-links                      beside the program
  slipway install-links --dir ~/.local/bin")]
    InstallLinks {
        /// The folder for the links. Default: that of the program.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
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
    #[command(flatten)]
    pub(crate) way: LoginWay,
    #[command(flatten)]
    pub(crate) oidc: Oidc,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
    #[command(flatten)]
    pub(crate) transport: Transport,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The registry that was logged in to, named in the same ways. Default: that of the last login.
    #[arg(env = "SLIPWAY_SERVER")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
}

/// Where logins are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct AuthFile {
    /// The file of logins. Default: docker's, and podman's too where they exist.
    #[arg(long, env = "REGISTRY_AUTH_FILE", value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
}

/// How to reach the registry.
#[derive(Debug, Clone, Args)]
pub(crate) struct Transport {
    /// Speak plain HTTP. To loopback addresses it is spoken by itself where there is no HTTPS.
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Trust the certificate authorities in this file (PEM) too. A login remembers it for its server.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Which server a command speaks to, and as whom.
#[derive(Debug, Clone, Args)]
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
pub(crate) enum ConfigCommand {
    /// Print the configuration with nothing left to default.
    #[command(after_help = "Examples:
  slipway config print
  SLIPWAY_LOG__FORMAT=json slipway config print --config slipway.yaml")]
    Print(ConfigFile),
    /// Say whether the configuration can be used, and every file that it names.
    ///
    /// Loads certificates, users, rules and keys as the server would, and makes nothing. Run it
    /// as the user and in the folder of the server. What is odd and stops no server, such as a rule
    /// that gives nothing because of a misspelt verb, is a warning on standard error.
    #[command(after_help = "Examples:
  slipway config check --config slipway.yaml && systemctl restart slipway
  slipway config check --config slipway.yaml --strict    in a pipeline, for a folder of rules")]
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// Fail on warnings, too.
        #[arg(long)]
        strict: bool,
    },
    /// Print the JSON schema of the configuration, for editors.
    #[command(after_help = "Example:
  slipway config schema > slipway.schema.json
A first line in slipway.yaml lets editors use it:
  # yaml-language-server: $schema=slipway.schema.json")]
    Schema,
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

#[cfg(test)]
mod tests;
