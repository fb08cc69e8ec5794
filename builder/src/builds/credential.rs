//! What identifies a run to a git server, and whether it does.

use super::hosts::Hosts;
use super::spec::Source;
use super::{Builds, BuildsError, Invalid, name, spec};
use crate::driver::SecretFiles;
use crate::records::{SecretUse, SourceSpec};
use crate::s2i::IgnoreMode;
use crate::source::Fault;
use crate::source::git::{Credential, GitSource, GitUrl, References};

/// Why a repository's references are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The service did not do it.
    #[error(transparent)]
    Builds(#[from] BuildsError),
    /// The server did not, or must not be asked.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Builds {
    /// What a git source offers to be built, asked of its server with its secret: for choosing a branch, and for seeing
    /// whether URL and secret are right. Of an image source nothing is asked.
    pub async fn references(
        &self,
        namespace: &str,
        source: &SourceSpec,
    ) -> Result<References, ProbeError> {
        name::check_namespace(namespace).map_err(BuildsError::from)?;
        let source = spec::source(source, &self.settings().hosts).map_err(BuildsError::from)?;
        match self
            .git_source(namespace, source, IgnoreMode::default())
            .await?
        {
            Some(source) => Ok(self.parts().git.references(namespace, &source).await?),
            None => Ok(References::default()),
        }
    }

    /// A git source with its credential; `None` if it is none.
    pub(super) async fn git_source(
        &self,
        namespace: &str,
        source: Source,
        ignore: IgnoreMode,
    ) -> Result<Option<GitSource>, ProbeError> {
        let Source::Git {
            url,
            revision,
            context_dir,
            secret,
            submodules,
            lfs,
        } = source
        else {
            return Ok(None);
        };
        let credential = match secret {
            None => None,
            Some(name) => {
                let files = self.open_secret(namespace, &name, SecretUse::Git).await?;
                Some(credential(&name, &files, &url)?)
            }
        };
        Ok(Some(GitSource {
            url,
            revision,
            context_dir,
            credential,
            submodules,
            lfs,
            ignore,
        }))
    }
}

/// The files are named as those of Kubernetes' secrets of the types `basic-auth` and `ssh-auth`. One more, `hosts`, names the
/// servers that the secret may be shown to.
fn credential(name: &str, files: &SecretFiles, url: &GitUrl) -> Result<Credential, ProbeError> {
    let text = |file: &str| -> Result<Option<&str>, BuildsError> {
        let Some(content) = files.0.get(file) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(content);
        let text = text.map_err(|_| {
            let field = format!("secret {name}: {file}");
            BuildsError::from(Invalid::new(field, "the file is no text"))
        })?;
        Ok(Some(text))
    };
    if !Hosts::of(files).map_err(BuildsError::from)?.hold(url) {
        let message = format!(
            "the secret {name} is not for {}: its file hosts names the servers that it may be shown to",
            url.host()
        );
        return Err(BuildsError::Busy(message).into());
    }
    if let Some(key) = text("ssh-privatekey")? {
        return Ok(Credential::key(key, text("known_hosts")?)?);
    }
    let user = text("username")?.unwrap_or_default();
    let password = text("password")?.unwrap_or_default();
    // Written by `echo`, most of them: a line's end is in no user's name and no token.
    let (user, password) = (user.trim_end(), password.trim_end());
    Ok(Credential::basic(user, password)?)
}
