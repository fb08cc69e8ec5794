//! From a folder to objects, each with its place.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::objects::{GROUP, Object};
use crate::LoadError;
use crate::watched::{Source, read_text};

#[cfg(test)]
mod tests;

/// Most files, and most bytes in all of them.
const MAX_FILES: usize = 1_000;
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// An object and where it stands.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) object: Object,
    pub(super) path: PathBuf,
    pub(super) line: u64,
}

impl Placed {
    pub(super) fn wrong(&self, message: impl Into<String>) -> LoadError {
        LoadError::line(&self.path, self.line, message)
    }

    /// `rules.yaml:12`
    pub(super) fn place(&self) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{file}:{}", self.line)
    }
}

/// The files of the folder, by name. All come from one generation of a Kubernetes volume, or of a folder that is
/// swapped by a symlink: the links are followed once.
pub(super) fn folder(dir: &Path) -> Result<Vec<Source>, LoadError> {
    let failed = |error| LoadError::io(dir, error);
    let real = fs::canonicalize(dir.join("..data"))
        .or_else(|_| fs::canonicalize(dir))
        .map_err(failed)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&real).map_err(failed)? {
        let name = PathBuf::from(entry.map_err(failed)?.file_name());
        if is_ours(&name) {
            names.push(name);
        }
    }
    if names.len() > MAX_FILES {
        return Err(LoadError::file(dir, format!("more than {MAX_FILES} files")));
    }
    names.sort();
    let mut left = MAX_BYTES;
    let mut sources = Vec::with_capacity(names.len());
    for name in names {
        let text = read_text(&real.join(&name), left)?;
        left -= text.len() as u64;
        sources.push(Source {
            path: dir.join(&name),
            text,
        });
    }
    Ok(sources)
}

/// Whether a file of this name is read.
fn is_ours(name: &Path) -> bool {
    let extension = name.extension().and_then(|extension| extension.to_str());
    let is_hidden = name.to_string_lossy().starts_with('.');
    !is_hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Folders in the folder with files that somebody may believe to be read.
pub(super) fn unread(dir: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let holds_rules = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let is_file = |entry: &fs::DirEntry| is_ours(Path::new(&entry.file_name()));
        // Those of Kubernetes' volumes are where the files are.
        !name.starts_with('.') && folder.is_dir() && entries(folder).any(|entry| is_file(&entry))
    };
    let folders = entries(dir).map(|entry| entry.path());
    folders.filter(holds_rules).collect()
}

/// All objects, those in `List`s too.
pub(super) fn objects(sources: &[Source]) -> Result<Vec<Placed>, LoadError> {
    let mut objects = Vec::new();
    for source in sources {
        let documents: Vec<Spanned<Object>> =
            serde_saphyr::from_multiple_with_options(&source.text, options()).map_err(|error| {
                other_kind(source).unwrap_or_else(|| invalid(&source.path, &error))
            })?;
        for document in documents {
            collect(document, &source.path, &mut objects)?;
        }
    }
    Ok(objects)
}

/// Far above what rules need, far below what hurts; aliases that unfold to more are refused.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_documents: 10_000,
            max_nodes: 1_000_000,
            max_aliases: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
        },
        with_snippet: false,
    }
}

/// Objects of other kinds have other fields, and it is not these that are wrong.
fn other_kind(source: &Source) -> Option<LoadError> {
    #[derive(Deserialize)]
    struct Head {
        kind: String,
    }
    let documents: Vec<Spanned<Head>> =
        serde_saphyr::from_multiple_with_options(&source.text, options()).ok()?;
    let ours = [
        "ClusterRole",
        "Role",
        "ClusterRoleBinding",
        "RoleBinding",
        "List",
    ];
    let other = documents
        .into_iter()
        .find(|document| !ours.contains(&document.value.kind.as_str()))?;
    let message = belongs_elsewhere(&format!("kind {}", other.value.kind));
    Some(LoadError::line(
        &source.path,
        other.referenced.line(),
        message,
    ))
}

fn belongs_elsewhere(what: &str) -> String {
    format!(
        "{what} does not belong here: only ClusterRole, Role, ClusterRoleBinding and RoleBinding of {GROUP}/v1, and List \
         of v1"
    )
}

fn invalid(path: &Path, error: &serde_saphyr::Error) -> LoadError {
    let mut message = error.to_string();
    // The parser's word for what begins with a dash or a bracket.
    if message.contains("expected sequence start") {
        message = message.replace(
            "expected sequence start",
            "a list is wanted here, also of one: [get]",
        );
    }
    match error.location() {
        Some(location) => {
            let (line, column) = (location.line(), location.column());
            // The line stands before the message already.
            let place = format!(" at line {line}, column {column}");
            let message = message.strip_suffix(&place).unwrap_or(&message);
            LoadError::line(path, line, message)
        }
        None => LoadError::file(path, message),
    }
}

fn collect(
    document: Spanned<Object>,
    path: &Path,
    into: &mut Vec<Placed>,
) -> Result<(), LoadError> {
    let line = document.referenced.line();
    let mut placed = Placed {
        object: document.value,
        path: path.to_owned(),
        line,
    };
    let object = &placed.object;
    match (object.api_version.as_str(), object.kind.as_str()) {
        ("v1", "List") => {
            for item in placed.object.items.take().unwrap_or_default() {
                collect(item, path, into)?;
            }
            return Ok(());
        }
        (version, "ClusterRole" | "Role" | "ClusterRoleBinding" | "RoleBinding") => {
            if version.strip_prefix(GROUP) != Some("/v1") {
                return Err(placed.wrong(format!("apiVersion must be {GROUP}/v1, not {version}")));
            }
        }
        (version, kind) => {
            return Err(placed.wrong(belongs_elsewhere(&format!("{kind} of {version}"))));
        }
    }
    if object.items.is_some() {
        return Err(placed.wrong("only a List has items"));
    }
    into.push(placed);
    Ok(())
}
