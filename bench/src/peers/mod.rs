//! The servers and programs that are compared.

mod distribution;
mod nginx;
mod slipway;
mod zot;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use crate::load::{Session, Target};
use crate::material::Access;
use crate::process::{Setup, find_program, one_line};

pub(crate) use slipway::reindex;

/// Who is under test: a server, or a program that is run.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// This project.
    Slipway,
    /// CNCF Distribution 3.
    Distribution,
    /// Distribution 2.8 as Debian ships it.
    DockerRegistry,
    /// zot, where its binary is given.
    Zot,
    /// nginx serving the same bytes as files: the limit.
    Nginx,
    /// buildah, which builds what the reference program of S2I writes.
    Buildah,
    /// `tar | gzip -6`, how a layer is packed by hand.
    Gzip,
}

/// How clients authenticate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Auth {
    /// Not at all.
    None,
    /// User and password with every request, checked against an htpasswd file.
    Basic,
    /// An issued token.
    Token,
}

impl Subject {
    /// Every subject, in the order of the report's columns.
    pub(crate) const ALL: [Self; 7] = [
        Self::Slipway,
        Self::Distribution,
        Self::DockerRegistry,
        Self::Zot,
        Self::Nginx,
        Self::Buildah,
        Self::Gzip,
    ];
    /// Those that Slipway's figures are given as multiples of.
    pub(crate) const BASES: [Self; 4] = [
        Self::Distribution,
        Self::DockerRegistry,
        Self::Buildah,
        Self::Gzip,
    ];
    /// Those that read and write the Distribution layout.
    pub(crate) const LAYOUT: [Self; 3] = [Self::Slipway, Self::Distribution, Self::DockerRegistry];
    /// Those that are registries.
    pub(crate) const REGISTRIES: [Self; 4] = [
        Self::Slipway,
        Self::Distribution,
        Self::DockerRegistry,
        Self::Zot,
    ];

    /// Its name in the report.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Slipway => "slipway",
            Self::Distribution => "distribution 3",
            Self::DockerRegistry => "docker-registry 2.8",
            Self::Zot => "zot",
            Self::Nginx => "nginx",
            Self::Buildah => "buildah",
            Self::Gzip => "tar, gzip -6",
        }
    }

    /// Its program, if there is one on this machine.
    pub(crate) fn program(self) -> Option<PathBuf> {
        match self {
            Self::Slipway => slipway::program(),
            Self::Distribution => find_program("registry"),
            Self::DockerRegistry => find_program("docker-registry"),
            Self::Zot => std::env::var_os("ZOT_BIN").map(PathBuf::from),
            Self::Nginx => find_program("nginx"),
            Self::Buildah => find_program("buildah"),
            Self::Gzip => find_program("gzip"),
        }
    }

    /// What to do where the program is missing.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Slipway => "build it (cargo build --release) or name it in SLIPWAY_BIN",
            Self::Distribution => "run scripts/lab-install, or name its folder in SLIPWAY_LAB_BIN",
            Self::DockerRegistry => "apt-get install docker-registry",
            Self::Zot => "name a binary in ZOT_BIN",
            Self::Nginx => "apt-get install nginx",
            Self::Buildah => "apt-get install buildah",
            Self::Gzip => "apt-get install gzip",
        }
    }

    /// What it says of its version.
    pub(crate) fn version(self) -> Option<String> {
        let mut command = Command::new(self.program()?);
        match self {
            Self::Slipway => command.arg("version"),
            Self::Nginx => command.arg("-v"),
            _ => command.arg("--version"),
        };
        if self == Self::Distribution {
            // Built by `go install`, it does not know its own version; the Go linker does.
            let mut go = Command::new("go");
            let module = go
                .args(["version", "-m"])
                .arg(self.program()?)
                .output()
                .ok()?;
            let module = String::from_utf8_lossy(&module.stdout).into_owned();
            let line = module
                .lines()
                .find(|line| line.contains("github.com/distribution/distribution/v3\t"));
            if let Some(version) =
                line.and_then(|line| line.split('\t').find(|word| word.starts_with('v')))
            {
                return Some(format!("distribution {version}"));
            }
        }
        if self == Self::Zot {
            return zot::version(&mut command);
        }
        one_line(&mut command)
    }

    /// Whether it can be configured to authenticate so.
    pub(crate) fn can(self, auth: Auth) -> bool {
        match self {
            Self::Slipway | Self::Distribution | Self::DockerRegistry => true,
            // zot takes bearer tokens of a token server, too, but with another claim set; Basic is how it is used.
            Self::Zot => auth != Auth::Token,
            Self::Nginx => auth == Auth::None,
            // No servers.
            Self::Buildah | Self::Gzip => false,
        }
    }

    /// Writes its configuration and makes the command that starts it.
    ///
    /// # Errors
    /// The program is missing, or the configuration cannot be written.
    pub(crate) fn command(self, setup: &Setup<'_>) -> Result<Command> {
        let program = self.program();
        let program =
            program.with_context(|| format!("{} is not here: {}", self.title(), self.remedy()))?;
        std::fs::create_dir_all(setup.folder)?;
        let mut command = Command::new(program);
        match self {
            Self::Slipway => slipway::configure(&mut command, setup)?,
            Self::Distribution | Self::DockerRegistry => {
                distribution::configure(&mut command, setup)?;
            }
            Self::Zot => zot::configure(&mut command, setup)?,
            Self::Nginx => nginx::configure(&mut command, setup)?,
            Self::Buildah | Self::Gzip => bail!("{} is no server", self.title()),
        }
        Ok(command)
    }

    /// The `Authorization` header for `repo`.
    ///
    /// # Errors
    /// No token was issued.
    pub(crate) fn authorization(
        self,
        auth: Auth,
        access: &Access,
        target: &Target,
        repo: &str,
    ) -> Result<Option<String>> {
        match auth {
            Auth::None => Ok(None),
            Auth::Basic => Ok(Some(Access::basic())),
            Auth::Token if self == Self::Slipway => {
                let mut session = Session::new(&target.with_authorization(Some(Access::basic())))?;
                slipway::token(&mut session, target, repo).map(Some)
            }
            Auth::Token => access.sign(repo).map(Some),
        }
    }
}
