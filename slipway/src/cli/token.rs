//! `slipway token`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Printing, Remote};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an API token for a program, which acts as you and within what you say here.
    ///
    /// The token is printed once, on standard output and alone; what is known of it goes to standard error.
    /// It is good for podman, docker and the like as the password of any user name, and as Bearer. It is
    /// never more than you: what you may not do, or no longer, it may not either. Your groups stay those
    /// that you have now.
    #[command(after_help = "Examples:
  slipway token create --description 'CI of team' --namespace team --verb pull --verb push > token
  slipway token create --namespace team/app --expires 30d --json | jq -r .token
  slipway token create --namespace team --verb build --verb pull --verb push > token
  podman login --username ci --password-stdin registry.example.com < token")]
    Create(NewToken),
    /// List your API tokens, and the logins that clients keep.
    #[command(after_help = "Examples:
  slipway token list
  slipway token list --json | jq -r '.items[] | select(.expired | not) | .id'
  slipway token list --all                    everybody's, for administrators")]
    List {
        /// Everybody's. Needs the right to list tokens.registry.alauda.io, which cluster-admin has.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Take API tokens or logins away, for good.
    ///
    /// It holds at once on the server that is asked, and within seconds on every other that shares its index; also
    /// for the short tokens that were got by them. Administrators may name anybody's.
    #[command(after_help = "Examples:
  slipway token revoke 5qz3k7w2mvh4aybd
  slipway token list --json | jq -r '.items[].id' | xargs slipway token revoke")]
    Revoke {
        /// The token's id, as `slipway token list` shows it.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewToken {
    /// What it is for, on one line.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// How long it lives: 12h, 30d, 1y (365 days). Default: 90d, or the longest that the server allows.
    #[arg(long, value_parser = lifetime, value_name = "DURATION")]
    pub(crate) expires: Option<Duration>,
    /// A namespace that it is limited to, or the beginning of repositories' names (team/app); may be given more than
    /// once. Default: wherever you may.
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: Vec<String>,
    /// What it may do there: pull, push (add and move tags), delete, build, or get, create, update; may be given more than
    /// once. Clients look before they push: with push give pull. Building pulls and pushes too: give it those verbs.
    #[arg(long, value_parser = super::auth::TOKEN_VERBS, default_value = "pull")]
    pub(crate) verb: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// As humantime reads it, with years of 365 days: the longest that servers allow is called a year, too.
fn lifetime(text: &str) -> Result<Duration, humantime::DurationError> {
    let years = text.strip_suffix('y').map(str::parse::<u16>);
    match years {
        Some(Ok(years)) => Ok(Duration::from_secs(u64::from(years) * 365 * 24 * 3600)),
        _ => humantime::parse_duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, lifetime};

    #[test]
    fn a_year_has_365_days() {
        let days = |days: u64| Some(Duration::from_secs(days * 24 * 3600));
        for (text, expected) in [
            ("1y", days(365)),
            ("30d", days(30)),
            ("2y", days(730)),
            ("y", None),
            ("-1y", None),
        ] {
            assert_eq!(lifetime(text).ok(), expected, "{text}");
        }
    }
}
