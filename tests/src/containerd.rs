//! A containerd of a test's own, with its CRI plugin, as on a Kubernetes node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Daemon, Endpoint, Lab, Program, toolbox};

/// The image that every pod's sandbox runs. No registry has it: a node's test puts it in.
pub const SANDBOX: &str = "lab.invalid/pause:v1";

/// A running containerd.
#[derive(Debug)]
pub struct Containerd {
    socket: PathBuf,
    certs: PathBuf,
    _daemon: Daemon,
}

impl Containerd {
    /// Starts it with its folders and its socket in the lab, configured for `registry` as a node's
    /// administrator would, with a `hosts.toml`.
    pub fn start(lab: &Lab, registry: &Endpoint) -> Self {
        let certs = lab.dir("certs.d");
        let mut hosts = format!(
            "server = \"{0}\"
[host.\"{0}\"]
",
            registry.url("")
        );
        if let Some(ca) = &registry.ca {
            let _ = writeln!(hosts, "ca = \"{}\"", ca.display());
        }
        lab.write(format!("certs.d/{}/hosts.toml", registry.host), hosts);
        let socket = lab.path("containerd.sock");
        let config = format!(
            "version = 2
root = \"{root}\"
state = \"{state}\"
disabled_plugins = [\"io.containerd.internal.v1.opt\"]
[grpc]
address = \"{socket}\"
[ttrpc]
address = \"{socket}.ttrpc\"
[plugins.\"io.containerd.grpc.v1.cri\"]
sandbox_image = \"{SANDBOX}\"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]
runtime_type = \"io.containerd.runc.v2\"
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins.\"io.containerd.grpc.v1.cri\".cni]
bin_dir = \"/usr/lib/cni\"
conf_dir = \"{cni}\"
[plugins.\"io.containerd.grpc.v1.cri\".registry]
config_path = \"{certs}\"
",
            root = lab.dir("containerd-root").display(),
            state = lab.dir("containerd-state").display(),
            socket = socket.display(),
            cni = lab.dir("cni").display(),
            certs = certs.display(),
        );
        lab.write("cni/lab.conflist", NETWORK);
        let file = lab.write("containerd.toml", config);
        let mut command = Command::new(toolbox::find("containerd"));
        command
            .arg("--config")
            .arg(file)
            .env("PATH", toolbox::search_path());
        let mut daemon = Daemon::start("containerd", command, &lab.path("containerd.log"));
        daemon.wait_until(|| ctr(lab, &socket).arg("version").run().status.success());
        Self {
            socket,
            certs,
            _daemon: daemon,
        }
    }

    /// `ctr` on it.
    pub fn ctr(&self, lab: &Lab) -> Program {
        ctr(lab, &self.socket)
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The folder of `hosts.toml` files, for `ctr --hosts-dir`.
    pub fn certs(&self) -> &Path {
        &self.certs
    }

    /// An action (`pull`, `status`, `remove`) of its CRI `ImageService`, by the kubelet's own client.
    pub fn cri(&self, lab: &Lab, action: &str, image: &str) -> Program {
        lab.program("cri-image")
            .arg(format!("unix://{}", self.socket.display()))
            .args([action, image])
    }
}

/// A network of pods, without which a node is not ready.
const NETWORK: &str = r#"{"cniVersion": "0.4.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "slipway-lab0", "isGateway": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.213.0.0/24"}]]}}]}"#;

fn ctr(lab: &Lab, socket: &Path) -> Program {
    lab.program("ctr").arg("--address").arg(socket)
}
