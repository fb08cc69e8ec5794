//! The logins that `docker-credential-slipway` answers with: mostly not secrets, but where a fresh one comes from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use auth::Secret;
use auth::kubernetes::{AccountName, Person};
use serde::{Deserialize, Serialize};

use super::Login;
use super::authfile::replace;
use super::reached::folder;

#[cfg(test)]
mod tests;

/// How a login is made.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Kept {
    /// By a context of a kubeconfig, which keeps whatever secret there is.
    Kubeconfig(ByKubeconfig),
    /// Handed over by `docker login` and the like, and handed back as it is.
    Stored {
        /// The user's name, or what stands for one.
        username: String,
        /// The password or token.
        secret: String,
    },
}

/// A context of a kubeconfig, or a ServiceAccount that it may have tokens for.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ByKubeconfig {
    /// Merged as kubectl does.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) context: String,
    /// `namespace/name`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service_account: Option<String>,
    /// Whom the ServiceAccount's tokens are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audience: Option<String>,
}

impl Kept {
    /// The login as of now.
    pub(crate) async fn login(&self) -> anyhow::Result<Login> {
        match self {
            Self::Stored { username, secret } => Ok(Login {
                user: username.clone(),
                password: Secret::new(secret.clone()),
            }),
            Self::Kubeconfig(by) => {
                let person = Person::find(&by.files, Some(&by.context)).await?;
                by.login(&person).await
            }
        }
    }

    /// Under which name it is listed.
    pub(crate) fn username(&self) -> &str {
        match self {
            Self::Stored { username, .. } => username,
            Self::Kubeconfig(by) => by.service_account.as_deref().unwrap_or(&by.context),
        }
    }
}

impl ByKubeconfig {
    /// What `person`, whom this names, sends. The user name says nothing to the registry: the cluster says whose a token is.
    pub(crate) async fn login(&self, person: &Person) -> anyhow::Result<Login> {
        let password = match (&self.service_account, &self.audience) {
            (Some(account), Some(audience)) => {
                let account = AccountName::parse(account)
                    .with_context(|| format!("{account}: a ServiceAccount is NAMESPACE/NAME"))?;
                person.service_account_token(&account, audience).await?
            }
            _ => person.token().await?,
        };
        // Basic credentials end the name at the first colon (RFC 7617 §2).
        let name = self.service_account.as_deref().unwrap_or(person.user());
        let user = match name.replace(':', "-") {
            name if name.is_empty() => "kubernetes".to_owned(),
            name => name,
        };
        Ok(Login { user, password })
    }
}

/// The file of these logins, `logins.json` beside that of the last login, readable by its
/// owner only.
pub(crate) struct Logins {
    path: PathBuf,
    by_host: BTreeMap<String, Kept>,
    /// Held while the file is read, changed and written: clients log in side by side.
    _lock: Option<File>,
}

impl Logins {
    /// Reads the file, for looking only.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let path = path()?;
        Ok(Self {
            by_host: parse(&path)?,
            path,
            _lock: None,
        })
    }

    /// Reads the file to change it.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let path = path()?;
        let place = || path.display().to_string();
        let folder = path.parent().with_context(place)?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(place)?;
        let lock = File::open(folder).with_context(place)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).with_context(place)?;
        Ok(Self {
            by_host: parse(&path)?,
            path,
            _lock: Some(lock),
        })
    }

    /// The login for a registry, named in any of the ways in which clients name one.
    pub(crate) fn get(&self, server: &str) -> Option<&Kept> {
        self.by_host.get(host(server))
    }

    /// Every registry with its login.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Kept)> {
        self.by_host
            .iter()
            .map(|(host, login)| (host.as_str(), login))
    }

    /// Keeps a login for a whole registry.
    pub(crate) fn put(mut self, server: &str, login: Kept) -> anyhow::Result<()> {
        self.by_host.insert(whole(server)?.to_owned(), login);
        self.write()
    }

    /// Forgets the login for a whole registry; false when there was none.
    pub(crate) fn remove(mut self, server: &str) -> anyhow::Result<bool> {
        if self.by_host.remove(whole(server)?).is_none() {
            return Ok(false);
        }
        self.write()?;
        Ok(true)
    }

    fn write(&self) -> anyhow::Result<()> {
        replace(&self.path, &serde_json::to_string_pretty(&self.by_host)?)
    }
}

fn parse(path: &Path) -> anyhow::Result<BTreeMap<String, Kept>> {
    match std::fs::read(path) {
        // What is wrong is told without what is in it.
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            anyhow::anyhow!(
                "{}: no file of logins (line {}, column {}); mend or remove it",
                path.display(),
                error.line(),
                error.column()
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn path() -> anyhow::Result<PathBuf> {
    let folder = folder().context("no home directory, where logins are kept")?;
    Ok(folder.join("logins.json"))
}

/// `host[:port]` of what a client asks for, which may be a URL.
fn host(server: &str) -> &str {
    split(server).0
}

/// [`host`] of who means all of it: a login for a part of a registry does not change that for the rest.
fn whole(server: &str) -> anyhow::Result<&str> {
    let (host, path) = split(server);
    anyhow::ensure!(
        // What docker writes behind a host.
        matches!(path.trim_end_matches('/'), "" | "v1" | "v2"),
        "{host}/{path}: a login is kept for a whole registry: name it as {host}"
    );
    Ok(host)
}

fn split(server: &str) -> (&str, &str) {
    let server = server.trim();
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.split_once('/').unwrap_or((rest, ""))
}
