//! Secrets of namespaces.

use std::collections::BTreeMap;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::definitions::metadata;
use super::git_files::GitFiles;
use super::hosts::Hosts;
use super::record::{Page, PageOf, Record as _, Recorded, key};
use super::{Builds, BuildsError, Invalid, name};
use crate::driver::SecretFiles;
use crate::hooks::Keys;
use crate::ledger::Kind;
use crate::records::{BuildSpec, Metadata, Secret, SecretUse};

/// Most bytes of a secret's files together: what Kubernetes takes.
const MAX_BYTES: usize = 1 << 20;

/// Most files of a secret.
const MAX_FILES: usize = 100;

/// What a secret is made of.
#[derive(Clone, Debug, Default)]
pub struct SecretContent {
    /// What it may be used for.
    pub used_for: SecretUse,
    /// Its files.
    pub files: SecretFiles,
}

impl Builds {
    /// Makes or replaces a secret. Its content is not shown again.
    pub async fn put_secret(
        &self,
        namespace: &str,
        name: &str,
        content: &SecretContent,
        now: SystemTime,
    ) -> Result<Recorded<Secret>, BuildsError> {
        name::check(name, 63)?;
        name::check_namespace(namespace)?;
        check(content)?;
        let files = &content.files.0;
        let packed = pack(files);
        let key = key::<Secret>(namespace, name);
        let sealed = self.parts().secret_keys.seal(&key, &packed)?;
        let secret = |metadata: Metadata| Secret {
            metadata,
            used_for: content.used_for,
            files: files.keys().cloned().collect(),
            revision: uuid::Uuid::new_v4().to_string(),
            sealed: sealed.clone(),
        };
        match self.store().find::<Secret>(namespace, name).await? {
            None => {
                let made = secret(metadata(namespace, name, now));
                self.store().make(made, self.settings().quota.secrets).await
            }
            Some(known) => {
                let value = secret(known.value.metadata);
                let revision = known.revision;
                self.store().replace(Recorded { value, revision }).await
            }
        }
    }

    /// A secret, sealed.
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Recorded<Secret>, BuildsError> {
        self.store().get(namespace, name).await
    }

    /// The secrets of a namespace, sealed.
    pub async fn secrets(
        &self,
        namespace: &str,
        page: &PageOf,
    ) -> Result<Page<Secret>, BuildsError> {
        self.store().page(namespace, page).await
    }

    /// The secrets that a spec names and that are not there. Names are listed, and no secret is read.
    pub async fn missing_secrets(
        &self,
        namespace: &str,
        spec: &BuildSpec,
    ) -> Result<Vec<String>, BuildsError> {
        let mut missing = spec.secret_names();
        let mut after: Option<String> = None;
        while !missing.is_empty() {
            let ledger = self.store().ledger();
            let page = ledger.briefs(Kind::Secret, namespace, "", after.as_deref(), PageOf::MAX);
            let page = page.await?;
            let Some(last) = page.last() else { break };
            for found in &page {
                missing.remove(&*found.name);
            }
            after = Some(last.name.clone());
        }
        Ok(missing.into_iter().map(str::to_owned).collect())
    }

    /// The servers that a secret for git may be shown to, which are no secret; `None` of one for something else, and where they cannot be
    /// read.
    pub fn secret_hosts(&self, secret: &Secret) -> Option<Vec<String>> {
        if secret.used_for != SecretUse::Git {
            return None;
        }
        let keys = &self.parts().secret_keys;
        let packed = keys.open(&secret.key(), &secret.sealed).ok()?;
        let hosts = Hosts::of(&unpack(&packed).ok()?).ok()?;
        Some(hosts.names())
    }

    /// Removes a secret. Runs that name it will fail.
    pub async fn remove_secret(&self, namespace: &str, name: &str) -> Result<(), BuildsError> {
        match self
            .store()
            .get_to_remove::<Secret>(namespace, name)
            .await?
        {
            Some(found) => self.store().remove(&found).await,
            None => Ok(()),
        }
    }

    /// Opens a secret for what it may be used for; [`BuildsError::Busy`] if it is for something else.
    pub async fn open_secret(
        &self,
        namespace: &str,
        name: &str,
        used_for: SecretUse,
    ) -> Result<SecretFiles, BuildsError> {
        let opened = self.open_revision(namespace, name, used_for).await?;
        Ok(opened.0)
    }

    /// The same, with the secret's revision, which changes with the content.
    pub(super) async fn open_revision(
        &self,
        namespace: &str,
        name: &str,
        used_for: SecretUse,
    ) -> Result<(SecretFiles, String), BuildsError> {
        let found = self.secret(namespace, name).await?.value;
        if found.used_for != used_for {
            let message = format!(
                "the secret {name} may not be used for this: it was set --for {}, and this takes one that was set --for {used_for}",
                found.used_for
            );
            return Err(BuildsError::Busy(message));
        }
        let packed = self.parts().secret_keys.open(&found.key(), &found.sealed)?;
        let files = unpack(&packed)?;
        Ok((files, found.revision))
    }
}

fn check(content: &SecretContent) -> Result<(), Invalid> {
    let files = &content.files.0;
    if files.is_empty() || files.len() > MAX_FILES {
        let message = format!("a secret has at least one file and at most {MAX_FILES}");
        return Err(Invalid::new("files", message));
    }
    for name in files.keys() {
        let of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty()
            || name.len() > 253
            || name.starts_with("..")
            || !name.chars().all(of_name)
        {
            let message = "a file's name holds letters, digits, '.', '_' and '-', at most 253";
            return Err(Invalid::new(format!("files[{name:?}]"), message));
        }
    }
    match content.used_for {
        SecretUse::Git => {
            Hosts::of(&content.files)?;
            GitFiles::check(&content.files)?;
        }
        SecretUse::Webhook => {
            let other = files
                .keys()
                .any(|name| !Keys::FILES.contains(&name.as_str()));
            if other || Keys::of(&content.files).is_none() {
                let [file, next] = Keys::FILES;
                let least = Keys::MIN_BYTES;
                let message = format!(
                    "a secret of webhooks is the file {file}, and {next} while it is being changed, of at least {least} bytes each"
                );
                return Err(Invalid::new("files", message));
            }
        }
        SecretUse::Build | SecretUse::Image => {}
    }
    let bytes: usize = files.values().map(|content| content.len()).sum();
    if bytes > MAX_BYTES {
        let message = format!("the files have {bytes} bytes together, {MAX_BYTES} are allowed");
        return Err(Invalid::new("files", message));
    }
    Ok(())
}

/// Name, NUL, length in 8 bytes, content; for each file. Plainer than JSON, and no copy of the content is left behind.
fn pack(files: &BTreeMap<String, Zeroizing<Vec<u8>>>) -> Zeroizing<Vec<u8>> {
    let length = files
        .iter()
        .map(|(name, content)| name.len() + 9 + content.len());
    let mut packed = Zeroizing::new(Vec::with_capacity(length.sum()));
    for (name, content) in files {
        packed.extend_from_slice(name.as_bytes());
        packed.push(0);
        packed.extend_from_slice(&(content.len() as u64).to_be_bytes());
        packed.extend_from_slice(content);
    }
    packed
}

fn unpack(packed: &[u8]) -> Result<SecretFiles, BuildsError> {
    let broken = || BuildsError::Unavailable("the secret's content is damaged".to_owned());
    let mut files = BTreeMap::new();
    let mut rest = packed;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(broken)?;
        let name = std::str::from_utf8(&rest[..end]).map_err(|_| broken())?;
        let (length, after) = rest[end + 1..]
            .split_first_chunk::<8>()
            .ok_or_else(broken)?;
        let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| broken())?;
        let content = after.get(..length).ok_or_else(broken)?;
        files.insert(name.to_owned(), Zeroizing::new(content.to_vec()));
        rest = &after[length..];
    }
    Ok(SecretFiles(files))
}
