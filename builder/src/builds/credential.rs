//! What identifies a run to a git server, and whether it does.

use super::git_files::GitFiles;
use super::hosts::Hosts;
use super::spec::Source;
use super::{Builds, BuildsError, name, spec};
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
        let (credential, authorities) = match secret {
            None => (None, String::new()),
            Some(name) => {
                let files = self.open_secret(namespace, &name, SecretUse::Git).await?;
                for_server(&name, &files, &url)?
            }
        };
        Ok(Some(GitSource {
            url,
            revision,
            context_dir,
            credential,
            authorities,
            submodules,
            lfs,
            ignore,
        }))
    }
}

/// What of a secret is for the server of a URL, if it may be shown to that.
fn for_server(
    name: &str,
    files: &SecretFiles,
    url: &GitUrl,
) -> Result<(Option<Credential>, String), ProbeError> {
    let hosts = Hosts::of(files).map_err(BuildsError::from)?;
    if !hosts.hold(url) {
        let wanted = url.server();
        let named = hosts.names().join(", ");
        let message = format!(
            "the secret {name} is for {named}, not for {wanted}: set it again with --host {wanted} (slipway secret set {name} --for git)"
        );
        return Err(BuildsError::Busy(message).into());
    }
    let content = GitFiles::of(files)?;
    Ok((content.credential, content.authorities))
}
