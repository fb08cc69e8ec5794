//! Programs that keep logins for docker (`docker-credential-<name>`), and the keys that name them.
//! Protocol: <https://github.com/docker/docker-credential-helpers>.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;
use auth::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Login;
use super::logins::{Kept, Logins};
use crate::invoked;

/// What a helper says, on standard output and with an exit code, when it has no login for a server.
const NOT_FOUND: &str = "credentials not found";

/// A program that keeps logins instead of the file that names it.
#[derive(Debug)]
pub(crate) struct CredHelper(String);

impl CredHelper {
    /// The helper that a file of logins names for a server: its own, else the one for all.
    pub(crate) fn of(document: &Value, server: &str) -> anyhow::Result<Option<Self>> {
        let named = document["credHelpers"][server]
            .as_str()
            .or_else(|| document["credsStore"].as_str())
            .filter(|name| !name.is_empty());
        let Some(name) = named else { return Ok(None) };
        anyhow::ensure!(
            !name.contains('/'),
            "{name:?} is no name of a credential helper; mend credsStore or credHelpers"
        );
        Ok(Some(Self(format!("docker-credential-{name}"))))
    }

    /// The program's name.
    pub(crate) fn program(&self) -> &str {
        &self.0
    }

    /// The login that it has; `None` when it has none.
    pub(crate) fn get(&self, server: &str) -> anyhow::Result<Option<Login>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Got {
            username: String,
            secret: String,
        }
        let got = self.run("get", server)?;
        if !got.status.success() && says(&got).contains(NOT_FOUND) {
            return Ok(None);
        }
        self.succeeded("get", &got)?;
        // What is wrong with it is told without what is in it.
        let read = serde_json::from_slice(&got.stdout).ok();
        let Got { username, secret } =
            read.with_context(|| format!("{} get: no login in what it says", self.0))?;
        Ok(Some(Login {
            user: username,
            password: Secret::new(secret),
        }))
    }

    /// Whether it is this program.
    fn is_own(&self) -> bool {
        self.0 == invoked::HELPER
    }

    pub(crate) fn store(&self, server: &str, user: &str, password: &Secret) -> anyhow::Result<()> {
        if self.is_own() {
            let login = Kept::Stored {
                username: user.to_owned(),
                secret: password.expose().to_owned(),
            };
            return Logins::open()?.put(server, login);
        }
        let login = json!({ "ServerURL": server, "Username": user, "Secret": password.expose() });
        let output = self.run("store", &login.to_string())?;
        self.succeeded("store", &output)
    }

    /// Forgets a login; false when there was none.
    pub(crate) fn erase(&self, server: &str) -> anyhow::Result<bool> {
        if self.is_own() {
            return Logins::open()?.remove(server);
        }
        let got = self.run("get", server)?;
        if !got.status.success() && says(&got).contains(NOT_FOUND) {
            return Ok(false);
        }
        self.succeeded("get", &got)?;
        let output = self.run("erase", server)?;
        self.succeeded("erase", &output)?;
        Ok(true)
    }

    fn succeeded(&self, action: &str, output: &Output) -> anyhow::Result<()> {
        // What `get` says when it succeeds is the password; it is not told.
        anyhow::ensure!(
            output.status.success(),
            "{} {action}: {}: {}",
            self.0,
            output.status,
            says(output)
        );
        Ok(())
    }

    fn run(&self, action: &str, input: &str) -> anyhow::Result<Output> {
        let mut command = if self.is_own() {
            // It need not be on PATH for that.
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("credential-helper");
            command
        } else {
            Command::new(&self.0)
        };
        let mut child = command
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!(
                    "{}: this program is to keep the login; install it, or take its name out of \
                     credsStore or credHelpers",
                    self.0
                )
            })?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input.as_bytes()) {
                // One that does not read says by its exit code what it thinks of that.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    return Err(error).with_context(|| self.0.clone());
                }
                _ => {}
            }
        }
        child.wait_with_output().with_context(|| self.0.clone())
    }
}

/// Helpers write their complaints to standard output.
fn says(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
