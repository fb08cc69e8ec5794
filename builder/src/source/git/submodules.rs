//! Repositories within repositories.

use std::collections::BTreeMap;

use super::objects::Objects;
use super::revision::ObjectId;
use super::url::GitUrl;
use crate::source::Fault;

/// Bytes of `.gitmodules` that are read.
const MAX_FILE: u64 = 64 << 10;

/// How deep they may be within each other.
pub(crate) const MAX_DEPTH: usize = 8;

/// Where a repository's submodules come from, by their path in it, out of the commit's `.gitmodules`
/// (gitmodules(5)). Only `path` and `url` are read: the commit is the tree's to say, and what else the file may hold
/// (`update = !command`) means nothing here.
///
/// The file must be a plain one: a link could name another (CVE-2024-32002 and its like). Each URL is parsed as if the
/// user had written it.
pub(crate) async fn urls(
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
