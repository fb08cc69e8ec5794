//! The server of the last login, so that commands need not be told. No secret: logins are where podman and docker keep
//! them.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::authfile;

/// Where one logged in last, and how that was reached.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Last {
    /// `host[:port]`.
    pub(crate) server: String,
    /// It was plain HTTP.
    #[serde(default)]
    pub(crate) plain_http: bool,
    /// The authorities that its certificate was checked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
}

impl Last {
    /// What the last login left; `None` where there was none.
    pub(crate) fn load() -> anyhow::Result<Option<Self>> {
        let Some(path) = path() else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("{}: remove it and log in again", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Keeps it for commands to come. Without a home there is no place for it, and nothing is kept.
    pub(crate) fn keep(&self) -> anyhow::Result<()> {
        match path() {
            None => Ok(()),
            Some(path) => authfile::replace(&path, &serde_json::to_string_pretty(self)?),
        }
    }

    /// Forgets it, if it was this server.
    pub(crate) fn forget(server: &str) -> anyhow::Result<()> {
        match (path(), Self::load()?) {
            (Some(path), Some(last)) if last.server == server => {
                std::fs::remove_file(&path).with_context(|| path.display().to_string())
            }
            _ => Ok(()),
        }
    }
}

fn path() -> Option<PathBuf> {
    Some(folder()?.join("last-login.json"))
}

/// Where this program keeps what it remembers of a person. XDG Base Directory Specification: `$XDG_CONFIG_HOME`, else
/// `~/.config`.
pub(super) fn folder() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = set
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".config")))?;
    Some(folder.join("slipway"))
}
