//! Slipway as people use it: its server, and the command that starts a run and follows it.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::source::Source;
use super::{Built, said};
use crate::bench::Bench;
use crate::load::Target;
use crate::peers::{Auth, Subject};
use crate::process::{Server, Setup};

/// The builder image's name in the registry.
const BUILDER: &str = "builders/python:1";

/// Where what builds install comes from.
const PACKAGE_HOSTS: [&str; 2] = ["pypi.org:443", "files.pythonhosted.org:443"];

/// A server with a build.
pub(super) struct Slipway {
    _server: Server,
    address: SocketAddr,
}

impl Slipway {
    /// A new server with the builder image, and a build of the source that has not run.
    pub(super) fn start(
        bench: &Bench,
        folder: &Path,
        builder: &Path,
        source: &Source,
    ) -> Result<Self> {
        let more = format!(
            "builder: {{enabled: true, network: {{allow: {}}}}}\n",
            serde_json::to_string(&reached()?)?
        );
        let setup = Setup {
            more: &more,
            ..bench.setup(folder, Auth::None, false)?
        };
        let target = Target {
            address: setup.address,
            tls: None,
            authorization: None,
        };
        let machine = bench.machine.shared();
        let own = Self {
            address: setup.address,
            _server: Server::start(&machine, Subject::Slipway, &setup, target)?,
        };
        let from = format!("oci-archive:{}", builder.display());
        said(own.command()?.args(["copy", &from, &own.builder()]))?;
        let mut create = own.command()?;
        create.args(["build", "create", "app", "--builder", BUILDER]);
        create.args(["--output", "bench/app:latest", "--git", &source.url()]);
        said(&mut create)?;
        Ok(own)
    }

    /// A run, from the command's start to its end.
    pub(super) fn run(&self, fresh: bool) -> Result<Built> {
        let mut start = self.command()?;
        start.args(["build", "start", "app", "-n", "bench", "--json"]);
        if fresh {
            start.arg("--no-reuse");
        }
        let begun = Instant::now();
        let text = said(&mut start)?;
        let elapsed = begun.elapsed();
        let run: Value = serde_json::from_str(&text)?;
        let result = &run["result"];
        let image = result["image"].as_str().context("a run without an image")?;
        Ok(Built {
            elapsed,
            assemble: phase(&run, "assemble"),
            unpushed: None,
            image: image.to_owned(),
            reused: result["reused"] == true,
        })
    }

    /// The builder image as clients name it.
    pub(super) fn builder(&self) -> String {
        format!("{}/{BUILDER}", self.address)
    }

    /// A name for somebody else's result.
    pub(super) fn other_output(&self) -> String {
        format!("{}/bench/other:latest", self.address)
    }

    fn command(&self) -> Result<Command> {
        let program = Subject::Slipway.program();
        let mut command = Command::new(program.context("slipway is not here")?);
        command.env("SLIPWAY_SERVER", self.address.to_string());
        Ok(command)
    }
}

/// How long a phase took.
fn phase(run: &Value, name: &str) -> Duration {
    let phases = run["phases"].as_array().into_iter().flatten();
    let of = phases.filter(|phase| phase["phase"] == name);
    let times = of.filter_map(|phase| Some((phase["started"].as_u64()?, phase["ended"].as_u64()?)));
    times
        .map(|(started, ended)| Duration::from_millis(ended.saturating_sub(started)))
        .sum()
}

/// Networks that a build and its source need: loopback, and where this machine finds the package hosts, which need not be
/// public addresses.
fn reached() -> Result<Vec<String>> {
    let mut networks = vec!["127.0.0.0/8".to_owned()];
    for host in PACKAGE_HOSTS {
        let found = host.to_socket_addrs();
        for address in found.with_context(|| host.to_owned())? {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            networks.push(format!("{}/{bits}", address.ip()));
        }
    }
    networks.sort_unstable();
    networks.dedup();
    ensure!(networks.len() > 1, "the package hosts are not found");
    Ok(networks)
}
