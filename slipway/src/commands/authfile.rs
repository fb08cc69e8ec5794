//! The files in which podman, docker, helm, skopeo, crane, oras and others look for logins
//! (containers-auth.json(5), docker's `config.json`).

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use auth::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The files that hold logins.
///
/// Docker's file is read by all of them, podman's tools included. Podman's own is read first by
/// podman's tools, so where it exists it must agree.
#[derive(Debug)]
pub(super) struct AuthFiles(Vec<PathBuf>);

impl AuthFiles {
    /// The file that was asked for, or docker's and, where it exists, podman's.
    pub(super) fn find(asked: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = asked {
            return Ok(Self(vec![path]));
        }
        let docker = match std::env::var_os("DOCKER_CONFIG") {
            Some(dir) => PathBuf::from(dir),
            None => std::env::home_dir()
                .context("no home directory: name the file with --authfile")?
                .join(".docker"),
        };
        let mut files = vec![docker.join("config.json")];
        if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR") {
            let podman = Path::new(&runtime).join("containers/auth.json");
            if podman.exists() {
                files.push(podman);
            }
        }
        Ok(Self(files))
    }

    /// Keeps a login; returns the files that hold it now.
    pub(super) fn put(
        &self,
        server: &str,
        user: &str,
        password: &Secret,
    ) -> anyhow::Result<&[PathBuf]> {
        let login = STANDARD.encode(format!("{user}:{}", password.expose()));
        for path in &self.0 {
            let mut document = read(path)?;
            auths(&mut document, path)?.insert(server.to_owned(), json!({ "auth": login }));
            write(path, &document)?;
        }
        Ok(&self.0)
    }

    /// Forgets a login; returns the files that held it.
    pub(super) fn remove(&self, server: &str) -> anyhow::Result<Vec<&Path>> {
        let mut removed = Vec::new();
        for path in &self.0 {
            let mut document = read(path)?;
            if auths(&mut document, path)?.remove(server).is_some() {
                write(path, &document)?;
                removed.push(path.as_path());
            }
        }
        Ok(removed)
    }
}

fn read(path: &Path) -> anyhow::Result<Value> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: is no JSON; mend or move it", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(json!({})),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn auths<'a>(document: &'a mut Value, path: &Path) -> anyhow::Result<&'a mut Map<String, Value>> {
    document
        .as_object_mut()
        .map(|document| document.entry("auths").or_insert_with(|| json!({})))
        .and_then(Value::as_object_mut)
        .with_context(|| format!("{}: is no file of logins; mend or move it", path.display()))
}

/// Replaces the file as a whole, readable by its owner only.
fn write(path: &Path, document: &Value) -> anyhow::Result<()> {
    let place = || path.display().to_string();
    let folder = path.parent().with_context(place)?;
    std::fs::create_dir_all(folder).with_context(place)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(place)?;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o600))
        .with_context(place)?;
    let text = serde_json::to_string_pretty(document)?;
    file.write_all(text.as_bytes()).with_context(place)?;
    file.as_file().sync_all().with_context(place)?;
    file.persist(path).with_context(place)?;
    Ok(())
}
