//! Arguments of builds that are kept: what starts them, what becomes of their runs, and changing them.

use std::time::Duration;

use builder::records::{HookKind, HookSpec, RunPolicy};
use clap::{Args, ValueEnum};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};

use super::{GitArgs, Named, SpecArgs};
use crate::cli::Remote;

/// What a build has that is kept.
#[derive(Debug, Default, Args)]
pub(crate) struct KeptArgs {
    /// Take webhooks of github, gitlab, gitea, bitbucket or generic, signed with this secret (slipway secret set --for
    /// webhook). May be given more than once.
    #[arg(long, value_name = "KIND=SECRET", value_parser = hook)]
    pub(crate) webhook: Vec<HookSpec>,
    /// Start by the clock (UTC): minute, hour, day of the month, month, day of the week.
    #[arg(long, value_name = "CRON")]
    pub(crate) schedule: Option<String>,
    /// Start when the builder image's tag, or the runtime image's, points to another image.
    #[arg(long)]
    pub(crate) on_image_move: bool,
    /// What becomes of runs that are asked for while one is at work. Default: serial.
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) policy: Option<PolicyArg>,
    /// Keep no dependencies from run to run.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// How many runs are kept that succeeded. Default: as the server's configuration says.
    #[arg(long, value_name = "N")]
    pub(crate) keep_succeeded: Option<u32>,
    /// How many runs are kept that did not succeed.
    #[arg(long, value_name = "N")]
    pub(crate) keep_failed: Option<u32>,
    /// How long runs are kept after their end: 30d.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) keep_for: Option<Duration>,
}

/// What becomes of runs that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyArg {
    /// Each has its turn.
    Serial,
    /// Only the newest has its turn.
    SerialLatestOnly,
    /// None waits for another.
    Parallel,
}

impl From<PolicyArg> for RunPolicy {
    fn from(policy: PolicyArg) -> Self {
        match policy {
            PolicyArg::Serial => Self::Serial,
            PolicyArg::SerialLatestOnly => Self::SerialLatestOnly,
            PolicyArg::Parallel => Self::Parallel,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SetBuild {
    #[command(flatten)]
    pub(crate) what: Named,
    #[command(flatten)]
    pub(crate) git: GitArgs,
    /// Build this branch, tag or commit of the repository that it has.
    #[arg(long, value_name = "REVISION", conflicts_with = "git")]
    pub(crate) revision: Option<String>,
    /// Build this source in the registry: an artifact with one layer, a tar.
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["GitArgs", "revision"])]
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
    /// The image to make, in this registry.
    #[arg(long, value_name = "NAMESPACE/NAME:TAG")]
    pub(crate) output: Option<String>,
    /// The builder image: one of this registry, or an entry of the catalogue (slipway builder-image list).
    #[arg(long, value_name = "IMAGE")]
    pub(crate) builder: Option<String>,
    /// Take away what an option without its -- has given (schedule, test, env), or one entry of it (env=NAME,
    /// webhook=KIND, tag=TAG). May be given more than once.
    #[arg(long, value_name = "OPTION[=ENTRY]")]
    pub(crate) unset: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Print the build as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn hook(text: &str) -> Result<HookSpec, String> {
    let (kind, secret) = text.split_once('=').ok_or("write KIND=SECRET")?;
    let named: StrDeserializer<'_, Error> = kind.into_deserializer();
    let kind = HookKind::deserialize(named).map_err(|error| error.to_string())?;
    super::plain(secret)?;
    Ok(HookSpec {
        kind,
        secret: secret.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use builder::records::HookKind;

    use super::hook;

    #[test]
    fn a_webhook_is_a_kind_and_a_secret() {
        let hook_of = |text| hook(text).map(|hook| (hook.kind, hook.secret));
        assert_eq!(
            hook_of("github=hook"),
            Ok((HookKind::GitHub, "hook".to_owned()))
        );
        for text in ["github", "github=", "hub=hook", "=hook", "github=a/b"] {
            assert!(hook(text).is_err(), "{text}");
        }
        assert!(hook("hub=a").unwrap_err().contains("gitlab"));
    }
}
