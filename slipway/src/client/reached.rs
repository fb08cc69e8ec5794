//! The servers that one logged in to and how they were reached, so that commands need not be told. No secret: logins are
//! where podman and docker keep them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{Server, authfile};
use crate::cli::Transport;

/// What logins left, by the servers' names (`host[:port]`).
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reached {
    /// The server of the last login, if that was not forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    servers: BTreeMap<String, How>,
}

/// How a server was reached at the last login to it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct How {
    /// It was plain HTTP.
    pub(crate) plain_http: bool,
    /// The authorities that its certificate was checked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// The server of the last login; `None` where there was none.
pub(crate) fn last_server() -> anyhow::Result<Option<Server>> {
    let last = load()?.server;
    last.map(|name| Server::parse(&name)).transpose()
}

/// How a server was reached at the last login to it, where nothing else is said.
pub(crate) fn remembered(asked: Transport, server: &Server) -> anyhow::Result<Transport> {
    let how = load()?.servers.remove(server.name()).unwrap_or_default();
    Ok(Transport {
        plain_http: asked.plain_http || (how.plain_http && !server.is_url()),
        ca_file: asked.ca_file.or(how.ca_file),
    })
}

/// Keeps the server of a login for commands to come. Without a home there is no place for it, and nothing is kept.
pub(crate) fn remember(server: &Server, how: How) -> anyhow::Result<()> {
    let mut reached = load()?;
    reached.server = Some(server.name().to_owned());
    reached.servers.insert(server.name().to_owned(), how);
    reached.write()
}

/// Forgets a server.
pub(crate) fn forget(server: &Server) -> anyhow::Result<()> {
    let mut reached = load()?;
    let is_last = reached.server.as_deref() == Some(server.name());
    reached.server = reached.server.filter(|_| !is_last);
    if reached.servers.remove(server.name()).is_some() || is_last {
        reached.write()?;
    }
    Ok(())
}

fn load() -> anyhow::Result<Reached> {
    let Some(path) = path() else {
        return Ok(Reached::default());
    };
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: remove it and log in again", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Reached::default()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

impl Reached {
    fn write(&self) -> anyhow::Result<()> {
        match path() {
            None => Ok(()),
            Some(path) => authfile::replace(&path, &serde_json::to_string_pretty(self)?),
        }
    }
}

fn path() -> Option<PathBuf> {
    Some(folder()?.join("servers.json"))
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
