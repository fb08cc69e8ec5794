//! `slipway pull` and `slipway push`: images between a registry and what keeps them on this machine.
//!
//! podman and docker do it themselves, and are handed the login in a file. containerd's ctr takes a login on its command
//! line only, where everybody on the machine could read it; so its images travel as an archive.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use super::super::{links, print};
use super::interruptible;
use crate::cli::{AuthFile, Engine, Pull, Push, Transport};
use crate::client::images::{self, ImageName, Place, Plan, Platform, Session};
use crate::client::{AuthFiles, remembered};

/// Which way.
#[derive(Clone, Copy)]
enum Way {
    Pull,
    Push,
}

pub(in super::super) async fn pull(args: Pull) -> anyhow::Result<()> {
    let (image, engine) = (ImageName::parse(&args.image, None)?, engine(args.engine)?);
    let transport = remembered(args.transport, image.server())?;
    if engine == Engine::Containerd {
        return pull_by_archive(image, args.auth_file, transport).await;
    }
    run(engine, Way::Pull, &image, &args.auth_file, &transport).await
}

pub(super) async fn push(args: Push) -> anyhow::Result<()> {
    let (image, engine) = (ImageName::parse(&args.image, None)?, engine(args.engine)?);
    is_there(engine, &image)?;
    let transport = remembered(args.transport, image.server())?;
    if engine == Engine::Containerd {
        return push_by_archive(image, args.auth_file, transport).await;
    }
    run(engine, Way::Push, &image, &args.auth_file, &transport).await
}

/// Refuses an image that the engine does not have under this name: its own error would tell of the name alone.
fn is_there(engine: Engine, image: &ImageName) -> anyhow::Result<()> {
    // ctr has no such question, and says of what is not there that it is not found.
    if engine == Engine::Containerd {
        return Ok(());
    }
    let program = program(engine);
    let mut inspect = Command::new(program);
    inspect.args(["image", "inspect"]).arg(image.to_string());
    let said = inspect.output().with_context(|| program.to_owned())?;
    // Anything else that is amiss the engine says itself, in a moment.
    let words = String::from_utf8_lossy(&said.stderr).to_lowercase();
    let is_unknown = ["no such image", "image not known", "no such object"];
    anyhow::ensure!(
        said.status.success() || !is_unknown.iter().any(|unknown| words.contains(unknown)),
        "{image}: {program} has no image of this name: tag it first ({program} tag IMAGE {image}), or bring it from \
         elsewhere by slipway copy"
    );
    Ok(())
}

/// The engine that was named, or the first that there is.
fn engine(asked: Option<Engine>) -> anyhow::Result<Engine> {
    let all = [Engine::Podman, Engine::Docker, Engine::Containerd];
    let installed = |engine: &Engine| links::is_on_path(program(*engine));
    match asked {
        Some(engine) if installed(&engine) => Ok(engine),
        Some(engine) => anyhow::bail!("{} is not on PATH", program(engine)),
        None => all.into_iter().find(installed).context(
            "neither podman nor docker nor containerd's ctr is on PATH; `slipway copy IMAGE \
             oci:DIR` and `slipway copy oci:DIR IMAGE` need none of them",
        ),
    }
}

fn program(engine: Engine) -> &'static str {
    match engine {
        Engine::Podman => "podman",
        Engine::Docker => "docker",
        Engine::Containerd => "ctr",
    }
}

async fn run(
    engine: Engine,
    way: Way,
    image: &ImageName,
    auth_file: &AuthFile,
    transport: &Transport,
) -> anyhow::Result<()> {
    let session = Session::open(image.server(), auth_file, transport).await?;
    let actions = match way {
        Way::Pull => "pull",
        Way::Push => "pull,push",
    };
    session.ready(image.repository(), actions).await?;
    let handed = Handed::new()?;
    let mut command = Command::new(program(engine));
    command.arg(match way {
        Way::Pull => "pull",
        Way::Push => "push",
    });
    match engine {
        Engine::Podman => {
            if let Some(file) = handed.login(image, auth_file)? {
                command.arg("--authfile").arg(file);
            }
            if session.is_plain() {
                command.arg("--tls-verify=false");
            } else if let Some(authorities) = &transport.ca_file {
                command
                    .arg("--cert-dir")
                    .arg(handed.authorities(authorities)?);
            }
        }
        // It reads the file that `slipway login` writes; another one must stand in a folder of its own.
        Engine::Docker | Engine::Containerd => {
            if auth_file.authfile.is_some() {
                handed.login(image, auth_file)?;
                command.env("DOCKER_CONFIG", handed.0.path());
            }
        }
    }
    command.arg(image.to_string());
    finished(command)
}

async fn pull_by_archive(
    image: ImageName,
    auth_file: AuthFile,
    transport: Transport,
) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("slipway-").tempdir()?;
    let file = folder.path().join("image.tar");
    let to = Place::Archive {
        file: file.clone(),
        name: None,
    };
    let from = Place::Registry(image);
    let plan = by_archive(from, to, auth_file, transport);
    interruptible(images::copy(plan)).await?;
    let mut import = Command::new(program(Engine::Containerd));
    import.args(["images", "import"]).arg(&file);
    finished(import)
}

async fn push_by_archive(
    image: ImageName,
    auth_file: AuthFile,
    transport: Transport,
) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("slipway-").tempdir()?;
    let file = folder.path().join("image.tar");
    let mut export = Command::new(program(Engine::Containerd));
    export
        .args(["images", "export"])
        .arg(&file)
        .arg(image.to_string());
    finished(export)?;
    let from = Place::Archive { file, name: None };
    let shown = image.to_string();
    let plan = by_archive(from, Place::Registry(image), auth_file, transport);
    let copied = interruptible(images::copy(plan)).await?;
    print::line(&format!("{shown}: {}", copied.digest))
}

/// Of an index only what this machine runs: containerd wants all of it or one.
fn by_archive(from: Place, to: Place, auth_file: AuthFile, transport: Transport) -> Plan {
    let platform = match from {
        Place::Registry(_) => Some(Platform::of_this_machine()),
        Place::Layout { .. } | Place::Archive { .. } => None,
    };
    Plan {
        from,
        to,
        platform,
        is_demanded: false,
        referrers: false,
        jobs: 4,
        auth_file,
        source: transport.clone(),
        target: transport,
    }
}

fn finished(mut command: Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| program.clone())?;
    anyhow::ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

/// What an engine is handed in files that nobody else may read, for as long as it runs.
struct Handed(TempDir);

impl Handed {
    /// From here on an interrupt from the terminal ends the engine, which it reaches too, and not this program before it
    /// has cleared up.
    fn new() -> anyhow::Result<Self> {
        drop(signal(SignalKind::interrupt())?);
        let mut builder = tempfile::Builder::new();
        builder.prefix("slipway-");
        // It is memory, the user's own, and gone when they log out.
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let made = match runtime.filter(|folder| folder.is_dir()) {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        };
        Ok(Self(made?))
    }

    /// A file with the login for the image's registry and no other; `None` where there is no login.
    fn login(&self, image: &ImageName, auth_file: &AuthFile) -> anyhow::Result<Option<PathBuf>> {
        let server = image.server().name();
        let files = AuthFiles::find(auth_file.authfile.clone())?;
        let Some(login) = files.get(server)? else {
            return Ok(None);
        };
        let encoded = |pair: String| STANDARD.encode(pair);
        let entry = if login.is_refresh() {
            json!({
                "auth": encoded(format!("{}:", login.user)),
                "identitytoken": login.password.expose(),
            })
        } else {
            json!({ "auth": encoded(format!("{}:{}", login.user, login.password.expose())) })
        };
        let document = json!({ "auths": { server: entry } });
        let path = self.0.path().join("config.json");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(document.to_string().as_bytes())?;
        Ok(Some(path))
    }

    /// A folder as podman wants it (containers-certs.d(5)).
    fn authorities(&self, file: &Path) -> anyhow::Result<PathBuf> {
        let folder = self.0.path().join("certs");
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        fs::copy(file, folder.join("ca.crt")).with_context(|| file.display().to_string())?;
        Ok(folder)
    }
}
