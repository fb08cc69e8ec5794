//! A Kubernetes node on this machine: the cluster's controllers, a containerd and the real kubelet.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::containerd::{Containerd, SANDBOX};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Cluster, Daemon, Endpoint, Image, Lab, OrFail, Program, server, toolbox};

/// A node that is ready to run pods. It shares the machine's network: pods of tests have `hostNetwork: true`.
#[derive(Debug)]
pub struct Node {
    _controllers: Vec<Daemon>,
    kubelet: Daemon,
    containerd: Containerd,
    root: PathBuf,
}

impl Node {
    /// Starts it and waits until the cluster says that it is ready. Its kubelet asks
    /// `slipway-credential-provider` for logins to `registry`.
    pub fn start(lab: &Lab, cluster: &Cluster, registry: &Endpoint) -> Self {
        let plugin = credential_provider(lab, registry);
        Self::start_with(lab, cluster, registry, &plugin)
    }

    /// The same with a kubelet that knows no credentials but those of pull secrets.
    pub fn start_without_plugin(lab: &Lab, cluster: &Cluster, registry: &Endpoint) -> Self {
        Self::start_with(lab, cluster, registry, &[])
    }

    /// Puts the image of an OCI archive under a name in its containerd, as one that was pulled.
    pub fn import(&self, lab: &Lab, archive: &Path, name: &str) {
        import(lab, &self.containerd, archive, name);
    }

    fn start_with(lab: &Lab, cluster: &Cluster, registry: &Endpoint, plugin: &[OsString]) -> Self {
        let containerd = Containerd::start(lab, registry);
        import_sandbox(lab, &containerd);
        let controllers = vec![cluster.controllers(lab), cluster.scheduler(lab)];
        let mut kubelet = kubelet(lab, cluster, &containerd, plugin);
        kubelet.wait_until(|| {
            let ready = "jsonpath={.items[0].status.conditions[?(@.type==\"Ready\")].status}";
            let said = cluster
                .kubectl(lab)
                .args(["get", "nodes", "--output", ready]);
            said.run().stdout == "True"
        });
        Self {
            _controllers: controllers,
            kubelet,
            containerd,
            root: lab.root().to_owned(),
        }
    }
}

impl Node {
    /// The processes between containerd and the pods, each of which waits for a pod that is no more.
    fn end_shims(&self) {
        let socket = self.containerd.socket().as_os_str().as_encoded_bytes();
        let listed = std::fs::read_dir("/proc").or_fail("list processes");
        for process in listed.flatten() {
            let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0);
            let is_shim = words
                .next()
                .is_some_and(|program| program.ends_with(b"/containerd-shim-runc-v2"));
            let id = process.file_name().to_string_lossy().parse().ok();
            if is_shim
                && words.any(|word| word == socket)
                && let Some(id) = id.and_then(Pid::from_raw)
            {
                // It may just have ended by itself.
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }
}

/// Pods and their volumes outlive the kubelet and containerd: they are ended here, as when a node is drained.
impl Drop for Node {
    fn drop(&mut self) {
        self.kubelet.kill();
        let ctr = || {
            let ctr = Program::new("ctr", &self.root).arg("--address");
            let ctr = ctr.arg(self.containerd.socket());
            ctr.args(["--namespace", "k8s.io", "tasks"])
        };
        for task in ctr().args(["list", "--quiet"]).run().stdout.lines() {
            ctr().args(["delete", "--force", task]).run();
        }
        self.end_shims();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut mounts: Vec<_> = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|path| Path::new(path).starts_with(&self.root))
            .collect();
        // The last that was mounted goes first.
        while let Some(path) = mounts.pop() {
            if let Err(error) = unmount(path, UnmountFlags::DETACH) {
                eprintln!("unmount {path}: {error}");
            }
        }
    }
}

/// The pause image, which every pod has: a busybox that sleeps, put in without any registry.
fn import_sandbox(lab: &Lab, containerd: &Containerd) {
    let pause = Image::busybox(lab, "pause");
    let at = format!("{}:{}", pause.layout.root().display(), pause.tag);
    lab.program("umoci")
        .args(["config", "--image", &at])
        .args([
            "--config.entrypoint",
            "/bin/sleep",
            "--config.cmd",
            "1000000",
        ])
        .ok();
    let tar = lab.path("pause.tar");
    lab.program("tar")
        .arg("-cf")
        .arg(&tar)
        .arg("-C")
        .arg(pause.layout.root())
        .arg(".")
        .ok();
    import(lab, containerd, &tar, SANDBOX);
}

fn import(lab: &Lab, containerd: &Containerd, archive: &Path, name: &str) {
    let image = name.rsplit_once(':').map_or(name, |(name, _)| name);
    containerd
        .ctr(lab)
        .args([
            "--namespace",
            "k8s.io",
            "images",
            "import",
            "--base-name",
            image,
        ])
        .arg(archive)
        .ok();
}

/// Puts the plugin where a kubelet finds it; the kubelet's arguments for that.
fn credential_provider(lab: &Lab, registry: &Endpoint) -> [OsString; 4] {
    let plugins = lab.dir("plugins");
    let plugin = plugins.join("slipway-credential-provider");
    // The kubelet takes no links here.
    drop(std::fs::copy(server::binary(), &plugin));
    let slipway = lab.program(&server::binary().display().to_string());
    let credentials = slipway
        .args([
            "credential-provider",
            "config",
            "--registry",
            &registry.host,
        ])
        .ok();
    let credentials = lab.write("credentials.yaml", credentials);
    [
        "--image-credential-provider-config".into(),
        credentials.into(),
        "--image-credential-provider-bin-dir".into(),
        plugins.into(),
    ]
}

fn kubelet(lab: &Lab, cluster: &Cluster, containerd: &Containerd, plugin: &[OsString]) -> Daemon {
    let config = lab.write("kubelet.yaml", kubelet_config(lab, containerd.socket()));
    let mut command = Command::new(toolbox::find("kubelet"));
    command
        .arg("--config")
        .arg(config)
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig("root"))
        .arg("--root-dir")
        .arg(lab.dir("kubelet"))
        .arg("--cert-dir")
        .arg(lab.dir("kubelet-certs"))
        .args(["--hostname-override", "node1"])
        .args(plugin)
        .env("PATH", toolbox::search_path());
    Daemon::start("kubelet", command, &lab.path("kubelet.log"))
}

fn kubelet_config(lab: &Lab, socket: &Path) -> String {
    let [port, health] = [lab.port(), lab.port()];
    let logs: PathBuf = lab.dir("pod-logs");
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
port: {port}
healthzPort: {health}
podLogsDir: {}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
localStorageCapacityIsolation: false
evictionHard: {{}}
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
containerRuntimeEndpoint: unix://{}
",
        logs.display(),
        socket.display()
    )
}
