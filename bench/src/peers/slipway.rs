//! Slipway itself.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Auth, Subject};
use crate::load::{Session, Target};
use crate::process::{Setup, shorten};

/// `SLIPWAY_BIN`, or what cargo built beside this program, or in the checkout.
pub(super) fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SLIPWAY_BIN") {
        return Some(PathBuf::from(named));
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.join("slipway")));
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/slipway");
    [beside, Some(built)]
        .into_iter()
        .flatten()
        .find(|file| file.is_file())
}

/// Its configuration, defaults wherever there are any.
pub(super) fn configure(command: &mut Command, setup: &Setup<'_>) -> Result<()> {
    let file = write_configuration(setup)?;
    command.arg("serve").arg("--config").arg(file);
    Ok(())
}

fn write_configuration(setup: &Setup<'_>) -> Result<PathBuf> {
    let folder = setup.folder.display();
    let mut text = format!(
        "listen: [\"{}\"]
dataDir: {folder}/data
storage: {{fs: {{root: {folder}/objects}}}}
index: {{sqlite: {{path: {folder}/data/index.db}}}}
",
        setup.address
    );
    if let Some(tls) = setup.tls {
        writeln!(
            text,
            "tls: {{certFile: {}, keyFile: {}}}",
            tls.file.display(),
            tls.key.display()
        )?;
    }
    if setup.auth != Auth::None {
        writeln!(
            text,
            "auth:\n  htpasswd: {{file: {}}}\n  rbac: {{dir: {}}}",
            setup.access.htpasswd.display(),
            setup.access.rbac.display()
        )?;
    }
    text += setup.more;
    fs::create_dir_all(setup.folder.join("data"))?;
    let file = setup.folder.join("slipway.yaml");
    fs::write(&file, text)?;
    Ok(file)
}

/// Builds the index of objects that were written without it.
///
/// # Errors
/// The program is missing or `slipway storage reindex` fails; the message holds what it said.
pub(crate) fn reindex(setup: &Setup<'_>) -> Result<()> {
    let file = write_configuration(setup)?;
    let program = Subject::Slipway.program().context("slipway is not here")?;
    let output = Command::new(program)
        .args(["storage", "reindex", "--config"])
        .arg(file)
        .current_dir(setup.folder)
        .output()?;
    ensure!(
        output.status.success(),
        "slipway storage reindex: {}",
        shorten(String::from_utf8_lossy(&output.stderr).trim())
    );
    Ok(())
}

/// A token from the endpoint that the challenge names, as Docker's clients get it.
/// <https://distribution.github.io/distribution/spec/auth/token/>
pub(super) fn token(session: &mut Session, target: &Target, repo: &str) -> Result<String> {
    let stranger = target.with_authorization(None);
    let (reply, _) = Session::new(&stranger)?.get(&format!("/v2/{repo}/tags/list"))?;
    let challenge = reply.challenge.context("no challenge")?;
    let part = |name: &str| {
        let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let realm = part("realm").context("no realm")?;
    let path = realm
        .find("/auth/")
        .map_or("/auth/token", |at| &realm[at..])
        .to_owned();
    let service = part("service").unwrap_or_default();
    let (reply, body) = session.get(&format!(
        "{path}?service={service}&scope=repository:{repo}:pull,push"
    ))?;
    ensure!(
        reply.status == 200,
        "token endpoint: status {}",
        reply.status
    );
    let body: serde_json::Value = serde_json::from_slice(&body)?;
    let token = body["token"].as_str().context("no token")?;
    Ok(format!("Bearer {token}"))
}
