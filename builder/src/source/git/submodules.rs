//! Repositories within repositories.

use std::collections::BTreeMap;

use super::context::ContextDir;
use super::gather::{Submodules, below};
use super::job::{Brought, Fetched, Job, Wanted};
use super::objects::Objects;
use super::revision::{ObjectId, Revision};
use super::url::GitUrl;
use crate::s2i::Warning;
use crate::source::Fault;

/// Bytes of `.gitmodules` that are read.
const MAX_FILE: u64 = 64 << 10;

/// How deep they may be within each other.
const MAX_DEPTH: usize = 8;

/// How many submodules that stay empty are named.
const SHOWN: usize = 20;

impl Job<'_> {
    /// Fetches the submodules that a repository names, if they are wanted.
    pub(super) async fn submodules(
        &self,
        of: &Fetched,
        named: Submodules,
        warnings: &mut Vec<Warning>,
    ) -> Result<Vec<Fetched>, Fault> {
        if named.count == 0 {
            return Ok(Vec::new());
        }
        if !self.source.submodules {
            for (path, _) in named.first.iter().take(SHOWN) {
                warnings.push(Warning::new(format!(
                    "{} is a submodule and stays empty: the build does not ask for submodules",
                    path.escape_ascii()
                )));
            }
            if named.count > SHOWN {
                let more = named.count - named.first.len().min(SHOWN);
                warnings.push(Warning::new(format!("and so do {more} more submodules")));
            }
            return Ok(Vec::new());
        }
        if named.count > self.limits.submodules {
            return Err(Fault::too_large("the source has too many submodules"));
        }
        if of.depth == MAX_DEPTH {
            return Err(Fault::too_large(
                "submodules are within each other too deep",
            ));
        }
        let urls = match of.objects.file(&of.commit, ".gitmodules").await? {
            Some(file) => urls(&of.objects, &file, &of.url).await?,
            None => BTreeMap::new(),
        };
        let mut found = Vec::new();
        for (path, commit) in named.first {
            let mut in_repository = of.context_dir.as_str().as_bytes().to_vec();
            if !in_repository.is_empty() {
                in_repository.push(b'/');
            }
            in_repository.extend(&path);
            let Some(url) = urls.get(&in_repository) else {
                return Err(Fault::hostile(format!(
                    "{} is a submodule that .gitmodules has no URL for",
                    path.escape_ascii()
                )));
            };
            let credential = self.source.credential.as_ref();
            let wanted = Wanted {
                revision: &Revision::Commit(commit),
                context_dir: &ContextDir::default(),
                credential: credential.filter(|_| url.same_server(&self.source.url)),
                known: &|_| false,
            };
            let mirror = self.take(url).await?;
            let brought = self.bring(mirror, url, wanted).await;
            let Brought::Here(mut fetched) = brought.map_err(|(fault, _)| fault)? else {
                continue;
            };
            fetched.at = below(&of.at, &path);
            fetched.depth = of.depth + 1;
            found.push(*fetched);
        }
        Ok(found)
    }
}

/// Where a repository's submodules come from, by their path in it, out of the commit's `.gitmodules`
/// (gitmodules(5)). Only `path` and `url` are read: the commit is the tree's to say, and what else the file may hold
/// (`update = !command`) means nothing here.
///
/// The file must be a plain one: a link could name another (CVE-2024-32002 and its like). Each URL is parsed as if the
/// user had written it.
async fn urls(
    objects: &Objects,
    file: &ObjectId,
    repository: &GitUrl,
) -> Result<BTreeMap<Vec<u8>, GitUrl>, Fault> {
    if objects.size(file).await? > MAX_FILE {
        return Err(Fault::too_large(
            "the repository's .gitmodules has more than 64 KiB",
        ));
    }
    let mut by_name: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for (key, value) in objects.config(file).await? {
        let Some(rest) = key.strip_prefix("submodule.") else {
            continue;
        };
        let Some((name, key)) = rest.rsplit_once('.') else {
            continue;
        };
        let entry = by_name.entry(name.to_owned()).or_default();
        match key {
            "path" => entry.0 = Some(value),
            "url" => entry.1 = Some(value),
            _ => {}
        }
    }
    let mut urls = BTreeMap::new();
    for (path, url) in by_name
        .into_values()
        .filter_map(|(path, url)| path.zip(url))
    {
        let parsed = repository.submodule(&url).map_err(|error| {
            let shown = url.escape_default();
            Fault::hostile(format!(
                "submodule {}: {shown}: {error}",
                path.escape_default()
            ))
        })?;
        urls.insert(path.into_bytes(), parsed);
    }
    Ok(urls)
}
