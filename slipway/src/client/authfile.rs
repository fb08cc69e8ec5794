//! The files in which podman, docker, helm, skopeo, crane, oras and others look for logins
//! (containers-auth.json(5), docker's `config.json`).

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use auth::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::credhelper::CredHelper;
use super::logins::Logins;
use crate::invoked;

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

/// The files that hold logins, or name programs that do.
///
/// Docker's file is read by all of them, podman's tools included. Podman's own are read first by
/// podman's tools, so where they exist they must agree.
#[derive(Debug)]
pub(crate) struct AuthFiles(Vec<PathBuf>);

impl AuthFiles {
    /// The file that was asked for, or docker's and, where they exist, podman's.
    pub(crate) fn find(asked: Option<PathBuf>) -> anyhow::Result<Self> {
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
        files.extend(podmans().into_iter().filter(|path| path.exists()));
        Ok(Self(files))
    }

    /// The login for a server; `None` when there is none.
    pub(crate) fn get(&self, server: &str) -> anyhow::Result<Option<Login>> {
        for path in &self.0 {
            let document = read(path)?;
            let place = || path.display().to_string();
            if let Some(helper) = CredHelper::of(&document, server).with_context(place)?
                && let Some(login) = helper.get(server)?
            {
                return Ok(Some(login));
            }
            // Some clients write the server as a URL.
            let names = [
                server.to_owned(),
                format!("https://{server}"),
                format!("http://{server}"),
            ];
            for name in names {
                let entry = &document["auths"][&name];
                let refresh = entry["identitytoken"].as_str().unwrap_or_default();
                if !refresh.is_empty() {
                    return Ok(Some(Login::refresh(refresh)));
                }
                if let Some(encoded) = entry["auth"].as_str() {
                    let login = Login::decode(encoded);
                    return login
                        .with_context(|| format!("{}: auths: {name}", path.display()))
                        .map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Keeps a login; returns where it is now.
    pub(crate) fn put(
        &self,
        server: &str,
        user: &str,
        password: &Secret,
    ) -> anyhow::Result<Vec<Place<'_>>> {
        let login = format!("{user}:{}", password.expose());
        let entry = json!({ "auth": STANDARD.encode(login) });
        self.keep(server, &entry, user, password)
    }

    /// Keeps what docker calls an identity token, which gets new tokens from the registry's token endpoint.
    pub(crate) fn put_identity_token(
        &self,
        server: &str,
        token: &Secret,
    ) -> anyhow::Result<Vec<Place<'_>>> {
        // The name says that the secret is a token. Some clients take a login without `auth` for none.
        let auth = STANDARD.encode(format!("{}:", Login::REFRESH));
        let entry = json!({ "auth": auth, "identitytoken": token.expose() });
        self.keep(server, &entry, Login::REFRESH, token)
    }

    fn keep(
        &self,
        server: &str,
        entry: &Value,
        user: &str,
        secret: &Secret,
    ) -> anyhow::Result<Vec<Place<'_>>> {
        let mut places = Vec::new();
        for path in &self.0 {
            let mut document = read(path)?;
            // What was logged in by a kubeconfig is so no more.
            if name_helper(&mut document, server, None) {
                Logins::open()?.remove(server)?;
            }
            let helper =
                CredHelper::of(&document, server).with_context(|| path.display().to_string())?;
            let entry = match &helper {
                None => entry.clone(),
                Some(helper) => {
                    helper.store(server, user, secret)?;
                    // As docker does: the name without the password, which the helper has.
                    json!({})
                }
            };
            auths(&mut document, path)?.insert(server.to_owned(), entry);
            write(path, &document)?;
            places.push(Place { path, helper });
        }
        Ok(places)
    }

    /// Has a helper answer for this server from now on; returns which file says so.
    pub(crate) fn put_helper(&self, server: &str, name: &str) -> anyhow::Result<Vec<Place<'_>>> {
        let mut places = Vec::new();
        for path in &self.0 {
            let mut document = read(path)?;
            auths(&mut document, path)?.insert(server.to_owned(), json!({}));
            name_helper(&mut document, server, Some(name));
            let helper =
                CredHelper::of(&document, server).with_context(|| path.display().to_string())?;
            write(path, &document)?;
            places.push(Place { path, helper });
        }
        Ok(places)
    }

    /// Forgets a login; returns where it was.
    pub(crate) fn remove(&self, server: &str) -> anyhow::Result<Vec<Place<'_>>> {
        let mut places = Vec::new();
        for path in &self.0 {
            let mut document = read(path)?;
            let helper =
                CredHelper::of(&document, server).with_context(|| path.display().to_string())?;
            let erased = match &helper {
                None => false,
                Some(helper) => helper.erase(server)?,
            };
            let named = name_helper(&mut document, server, None);
            let removed = auths(&mut document, path)?.remove(server).is_some();
            if removed || named {
                write(path, &document)?;
            }
            if erased || removed || named {
                places.push(Place { path, helper });
            }
        }
        Ok(places)
    }
}

/// Where podman's tools keep logins and look before they look at docker's file (containers-auth.json(5)): that of the
/// session, without a session that of the user's number, and the one for good.
fn podmans() -> Vec<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let mut files = Vec::new();
    if cfg!(target_os = "linux") {
        let user = || format!("/run/containers/{}", rustix::process::getuid().as_raw()).into();
        let session = set("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("containers"));
        files.push(session.unwrap_or_else(user).join("auth.json"));
    }
    let own = set("XDG_CONFIG_HOME").map(PathBuf::from);
    let own = own.or_else(|| Some(std::env::home_dir()?.join(".config")));
    files.extend(own.map(|folder| folder.join("containers/auth.json")));
    files
}

/// Who logs in.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

impl Login {
    /// What docker has in the place of a user's name where the password is a refresh token.
    const REFRESH: &str = "<token>";
    /// What stands there beside a token, which says itself whose it is.
    pub(crate) const TOKEN: &str = "token";

    fn refresh(token: &str) -> Self {
        Self {
            user: Self::REFRESH.to_owned(),
            password: Secret::new(token.to_owned()),
        }
    }

    /// Whether the password is a refresh token, which only the token endpoint takes.
    pub(crate) fn is_refresh(&self) -> bool {
        self.user == Self::REFRESH
    }

    /// The user's name, where there is one beside the secret.
    pub(crate) fn name(&self) -> Option<&str> {
        let is_name = !self.is_refresh() && self.user != Self::TOKEN;
        is_name.then_some(self.user.as_str())
    }

    fn decode(encoded: &str) -> anyhow::Result<Self> {
        let decoded = STANDARD.decode(encoded).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let (user, password) = text
            .as_deref()
            .and_then(|text| text.split_once(':'))
            .context("is no login: log in again")?;
        Ok(Self {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
        })
    }
}

/// Where a login is kept.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    path: &'a Path,
    helper: Option<CredHelper>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.helper {
            None => write!(f, "in {path}"),
            Some(helper) => write!(f, "by {}, which {path} names", helper.program()),
        }
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

/// Names the helper for a server among `credHelpers`; with `None` takes our own's name out, and says whether it stood there.
/// Other programs' names are their users' affair.
fn name_helper(document: &mut Value, server: &str, name: Option<&str>) -> bool {
    let Some(document) = document.as_object_mut() else {
        return false;
    };
    let Some(name) = name else {
        let Some(helpers) = document
            .get_mut("credHelpers")
            .and_then(Value::as_object_mut)
        else {
            return false;
        };
        let is_ours = helpers.get(server).and_then(Value::as_str) == Some(invoked::HELPER_NAME);
        if is_ours {
            helpers.remove(server);
        }
        return is_ours;
    };
    let helpers = document.entry("credHelpers").or_insert_with(|| json!({}));
    if let Some(helpers) = helpers.as_object_mut() {
        helpers.insert(server.to_owned(), json!(name));
    }
    true
}

fn write(path: &Path, document: &Value) -> anyhow::Result<()> {
    replace(path, &serde_json::to_string_pretty(document)?)
}

/// Replaces the file as a whole, or what it links to, readable by its owner only.
pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let place = || path.display().to_string();
    let path = target(path).with_context(place)?;
    let folder = path.parent().with_context(place)?;
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    std::fs::create_dir_all(folder).with_context(place)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(place)?;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o600))
        .with_context(place)?;
    file.write_all(text.as_bytes()).with_context(place)?;
    file.as_file().sync_all().with_context(place)?;
    file.persist(&path).with_context(place)?;
    Ok(())
}

/// The file at the end of symbolic links, which need not be there yet.
fn target(path: &Path) -> std::io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            // No link, or nothing at all.
            Err(_) => return Ok(path),
        }
    }
    Err(std::io::Error::other("too many symbolic links"))
}
