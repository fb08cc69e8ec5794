//! Arguments of `slipway build`.

mod events;
mod kept;
mod runs;
mod spec;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Doctor, Printing, Remote};

pub(crate) use events::EventsArgs;
pub(crate) use kept::{KeptArgs, SetBuild};
pub(crate) use runs::{CreateBuild, RunBuild, StartBuild};
pub(crate) use spec::{GitArgs, IgnoreArg, NetworkArg, SpecArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum BuildCommand {
    /// Build once: a git repository, a folder or an archive of this machine, or a source in the registry.
    ///
    /// The server builds, with your rights: it pulls the builder image and pushes the result as you might. What the build
    /// says goes to standard error as it is said, and the image's name by digest to standard output when it is done. Ctrl-C
    /// lets go of it; it goes on, unless Ctrl-C is pressed once more, which cancels it, as SIGTERM does. Of a
    /// folder is sent what git does not ignore there, and .s2iignore does not name.
    ///
    /// Exits with 0 when the image is published, 1 when the build failed, 3 when it was cancelled, 130 when you let go, 143 after SIGTERM.
    #[command(after_help = "Examples:
  slipway build run --git https://git.example.com/team/app.git#main --builder slipway/python:3.13 --output team/app:v1
  slipway build run --dir . --builder slipway/go:1.24 --output team/app:dev
  git archive v1 | slipway build run --dir - --builder slipway/go:1.24 --output team/app:v1
  slipway build run --dir . --builder slipway/nodejs:20 --output team/app:dev --env NODE_ENV=production \\
      --secret npmrc --test './node_modules/.bin/mocha'
  image=$(slipway build run --dir . --builder slipway/go:1.24 --output team/app:dev) && podman run --rm \"$image\"")]
    Run(Box<RunBuild>),
    /// Make a build, which can be started again and again.
    #[command(after_help = "Examples:
  slipway build create app --git https://git.example.com/team/app.git --builder slipway/go:1.24 --output team/app:latest
  slipway build create app --git https://git.example.com/team/app.git --builder slipway/go:1.24 --output team/app:latest \\
      --webhook github=hook --schedule '30 3 * * *' --on-image-move --policy serial-latest-only
  slipway build create --file app.yaml")]
    Create(Box<CreateBuild>),
    /// Change some of a build, and leave the rest as it is.
    ///
    /// Of what may be given more than once (variables, secrets, labels, tags, webhooks) entries are added, or replaced where
    /// there is one of the name; --unset takes away.
    #[command(after_help = "Examples:
  slipway build set app -n team --schedule '30 3 * * *' --env LOG_LEVEL=info --memory 2g
  slipway build set app -n team --revision v2 --unset schedule --unset env=DEBUG")]
    Set(Box<SetBuild>),
    /// Make builds as files say, and change those that are there.
    ///
    /// Whoever applies a build is its owner from then on, also where it stays as it is: what starts by itself has their rights, and if
    /// they came by an API token those of the token, until it ends.
    ///
    /// A file says metadata.name, metadata.namespace and spec, as `slipway build show --json` does. docs/build-spec.md has all
    /// fields; a server's /api/openapi.json has them for programs.
    #[command(after_help = "Examples:
  slipway build apply --file app.yaml
  slipway build show app -n team --json > app.json && slipway build apply --file app.json")]
    Apply {
        /// The file (YAML or JSON); - is standard input. May be given more than once.
        #[arg(long, short, value_name = "FILE", required = true)]
        file: Vec<PathBuf>,
        #[command(flatten)]
        namespace: OptionalNamespace,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Write builds of others as files of Slipway's, for `slipway build apply`.
    ///
    /// Reads `BuildConfig` of OpenShift with the source strategy, and `Build` and `BuildRun` of Shipwright with a strategy of
    /// source-to-image; lists of them, too. Asks no server. Standard error says of each field what is not carried over, and what to do
    /// (docs/takeover.md). Exits with 1 if no build could be made of one of them, or there is none.
    #[command(after_help = "Examples:
  oc get buildconfigs -n shop -o yaml | slipway build convert - > builds.yaml
  slipway build convert buildconfig.yaml -n shop --strict && slipway build convert buildconfig.yaml -n shop | slipway build apply --file -")]
    Convert {
        /// The files (YAML or JSON); - is standard input.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// The namespace of what says none.
        #[arg(long, short, env = "SLIPWAY_NAMESPACE", value_name = "NAMESPACE", value_parser = plain)]
        namespace: Option<String>,
        /// Exit with 1 also if a field was not carried over.
        #[arg(long)]
        strict: bool,
    },
    /// List the builds of a namespace, or of all.
    #[command(after_help = "Examples:
  slipway build list -n team
  slipway build list --all-namespaces
  slipway build list -n team --json | jq -r '.items[].status.image'")]
    List {
        /// Those of all namespaces whose builds you may list.
        #[arg(long, short = 'A')]
        all_namespaces: bool,
        /// The namespace.
        #[arg(long, short, env = "SLIPWAY_NAMESPACE", value_name = "NAMESPACE", value_parser = plain)]
        #[arg(required_unless_present = "all_namespaces")]
        namespace: Option<String>,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Show a build, or a run.
    #[command(after_help = "Examples:
  slipway build show app -n team
  slipway build show app-7 -n team --json | jq .resolved")]
    Show {
        #[command(flatten)]
        what: Named,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Remove builds with their runs, or single runs. Images stay.
    #[command(after_help = "Examples:
  slipway build delete app -n team
  slipway build delete --all -n team")]
    Delete {
        /// The builds or runs.
        #[arg(required_unless_present = "all")]
        names: Vec<String>,
        /// All of the namespace. What waits or is at work is to be cancelled first: until then nothing is removed.
        #[arg(long, conflicts_with = "names")]
        all: bool,
        #[command(flatten)]
        of: Namespace,
        #[command(flatten)]
        remote: Remote,
    },
    /// Start a run of a build.
    ///
    /// Exits as `slipway build run` does.
    #[command(after_help = "Examples:
  slipway build start app -n team
  slipway build start app -n team --revision v1.2 --detach
  slipway build start app -n team --dir .        of this folder instead of the repository")]
    Start(Box<StartBuild>),
    /// List the runs of a build or of a namespace, the newest first.
    #[command(after_help = "Examples:
  slipway build runs app -n team
  slipway build runs -n team --failed --limit 10
  slipway build runs -n team --failed --json | jq -r '.items[].metadata.name'")]
    Runs {
        /// The build. Without it: all runs, also those that are of none.
        build: Option<String>,
        /// Only those that failed.
        #[arg(long)]
        failed: bool,
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        of: Namespace,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// List what builds have published and which have failed, the oldest first: 1000 of a namespace at most, of 30 days.
    #[command(after_help = "Examples:
  slipway build events -n team
  slipway build events -n team --follow --json | jq --unbuffered -r '.repository + \"@\" + .digest'")]
    Events(EventsArgs),
    /// List the branches and tags that a repository offers, which shows whether URL and secret are right.
    ///
    /// The server asks, as it does for a run. Exits with 1, and says why, when the repository is not to be had.
    #[command(after_help = "Examples:
  slipway build references app -n team
  slipway build references -n team --git git@git.example.com:team/app.git --git-secret deploy-key
  slipway build references app -n team --json | jq -r '.tags[].name'")]
    References {
        /// The build whose repository it is.
        #[arg(value_parser = plain, required_unless_present = "git", conflicts_with = "git")]
        build: Option<String>,
        /// The repository.
        #[arg(long, value_name = "URL")]
        git: Option<String>,
        /// The secret for the repository's server (slipway secret set --for git).
        #[arg(long, value_name = "NAME", requires = "git")]
        git_secret: Option<String>,
        #[command(flatten)]
        of: Namespace,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Print what a run said.
    ///
    /// With --follow it goes on until the run has ended, and exits as `slipway build run` does.
    #[command(after_help = "Examples:
  slipway build logs app-7 -n team
  slipway build logs app -n team --follow        of the newest run of app
  slipway build logs app-7 -n team --phase assemble")]
    Logs {
        #[command(flatten)]
        what: Named,
        /// Go on until the run has ended.
        #[arg(long, short)]
        follow: bool,
        /// Only this part of the run: resolve, fetch, prepare, save-artifacts, assemble, assemble-runtime, export, scan,
        /// test, publish.
        #[arg(long, conflicts_with = "follow", value_parser = PHASES)]
        phase: Option<String>,
        /// The time before each line.
        #[arg(long)]
        timestamps: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// End runs that wait or are at work.
    #[command(after_help = "Example:
  slipway build cancel app-7 -n team")]
    Cancel {
        /// The runs.
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        of: Namespace,
        #[command(flatten)]
        remote: Remote,
    },
    /// Do a run again: with what its branch and images are now, or with exactly what they were.
    ///
    /// With --same it answers whether the build reproduces: no tag moves, and it exits with 1 when another image comes
    /// out. Otherwise it exits as `slipway build run` does.
    #[command(after_help = "Examples:
  slipway build rebuild app-7 -n team
  slipway build rebuild app-7 -n team --same && echo it reproduces")]
    Rebuild {
        #[command(flatten)]
        what: Named,
        /// With the same source, builder image and time.
        #[arg(long)]
        same: bool,
        #[command(flatten)]
        following: Following,
        #[command(flatten)]
        remote: Remote,
    },
    /// Say what this machine lacks for running builds, and how to get it.
    ///
    /// Looks at kernel, runtime, programs, user namespaces, limits, network and git as a server with this
    /// configuration would, and changes nothing; run it as the server's user, also beside a running
    /// server. Exits with 1 when no build can be run here.
    #[command(after_help = "Examples:
  slipway build doctor
  slipway build doctor --config slipway.yaml --output json | jq -r '.checks[] | select(.standing != \"good\").detail'")]
    Doctor(Doctor),
}

/// The parts of a run.
const PHASES: [&str; 10] = [
    "resolve",
    "fetch",
    "prepare",
    "save-artifacts",
    "assemble",
    "assemble-runtime",
    "export",
    "scan",
    "test",
    "publish",
];

/// Which namespace.
#[derive(Debug, Args)]
pub(crate) struct Namespace {
    /// The namespace: the first part of repositories' names.
    #[arg(long, short, env = "SLIPWAY_NAMESPACE", value_name = "NAMESPACE", value_parser = plain)]
    pub(crate) namespace: String,
}

/// Which namespace, where something else may say it.
#[derive(Debug, Args)]
pub(crate) struct OptionalNamespace {
    /// The namespace. Default: as the file, or the output's name, says.
    #[arg(long, short, env = "SLIPWAY_NAMESPACE", value_name = "NAMESPACE", value_parser = plain)]
    pub(crate) namespace: Option<String>,
}

/// A build or a run.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its name.
    #[arg(value_parser = plain)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) of: Namespace,
}

/// Whether one waits for a run.
#[derive(Debug, Args)]
pub(crate) struct Following {
    /// Follow it to its end, which is usual.
    #[arg(long, conflicts_with = "detach")]
    follow: bool,
    /// Print the run's name, and do not wait for it.
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Print what became of it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A name that stands in a path of the API.
pub(super) fn plain(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !text.is_empty() && !text.starts_with('.') && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("a name has letters, digits, -, . and _".to_owned())
    }
}
