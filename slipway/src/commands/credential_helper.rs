//! `docker-credential-slipway`: the program that podman, docker, helm and others ask for a login, so that each use has a
//! fresh one. Protocol: <https://github.com/docker/docker-credential-helpers>.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::print;
use crate::cli::CredentialHelperCommand;
use crate::client::{Kept, Logins};

/// The words by which clients know that there is no login, rather than a failure.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// More than any login.
const MAX_INPUT: u64 = 1 << 20;

/// A login as the protocol has it.
#[derive(Serialize, Deserialize)]
struct Words {
    #[serde(rename = "ServerURL")]
    server: String,
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Answers on standard output in every case: clients show what stands there.
pub(super) async fn run(command: CredentialHelperCommand) -> anyhow::Result<ExitCode> {
    let answer = match command {
        CredentialHelperCommand::Get => get().await,
        CredentialHelperCommand::Store => store().map(|()| None),
        CredentialHelperCommand::Erase => erase().map(|()| None),
        CredentialHelperCommand::List => list().map(Some),
    };
    match answer {
        Ok(Some(text)) => print::line(&text)?,
        Ok(None) => {}
        Err(error) => {
            print::line(&crate::told(&error))?;
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn get() -> anyhow::Result<Option<String>> {
    let server = input()?;
    let logins = Logins::read()?;
    let login = logins.get(&server).context(NOT_FOUND)?.login().await?;
    let words = Words {
        server: server.trim().to_owned(),
        username: login.user,
        secret: login.password.expose().to_owned(),
    };
    Ok(Some(serde_json::to_string(&words)?))
}

fn store() -> anyhow::Result<()> {
    let words: Words = serde_json::from_str(&input()?)
        // What is wrong with it is told without what is in it.
        .map_err(|_| {
            anyhow::anyhow!("standard input: no login, which has ServerURL, Username and Secret")
        })?;
    let login = Kept::Stored {
        username: words.username,
        secret: words.secret,
    };
    Logins::open()?.put(&words.server, login)
}

fn erase() -> anyhow::Result<()> {
    let server = input()?;
    Logins::open()?.remove(&server)?;
    Ok(())
}

fn list() -> anyhow::Result<String> {
    let logins = Logins::read()?;
    let names: BTreeMap<_, _> = logins
        .all()
        .map(|(host, login)| (host, login.username()))
        .collect();
    Ok(json!(names).to_string())
}

fn input() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(MAX_INPUT);
    input.read_to_string(&mut text).context("standard input")?;
    Ok(text)
}
