//! A Kubernetes API server of a test's own: etcd and kube-apiserver with RBAC, and the tokens of some people.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Daemon, Lab, Program, Proxy, toolbox};

/// The audience that ServiceAccount tokens for the registry have.
pub const AUDIENCE: &str = "slipway";

/// The ClusterRoles that an installation brings.
pub const ROLES: &str = include_str!("../../install/rbac.yaml");

/// Those whom the API server knows by a token, which is their name: user and groups.
const PEOPLE: &[(&str, &str)] = &[
    ("root", "system:masters"),
    ("registry", ""),
    ("alice", "devs"),
    ("bob", ""),
    ("carol", "devs,ops"),
    // For each role one who has nothing else.
    ("owner", ""),
    ("editor", ""),
    ("viewer", ""),
    ("puller", ""),
    ("pusher", ""),
    ("pruner", ""),
    ("revoked", ""),
    ("outsider", ""),
];

/// A running API server.
#[derive(Debug)]
pub struct Cluster {
    root: PathBuf,
    port: u16,
    etcd_url: String,
    more: Vec<String>,
    _etcd: Daemon,
    api: Daemon,
}

impl Cluster {
    /// Starts it in the lab and lets `registry`, the account of Slipway, ask for reviews.
    pub fn start(lab: &Lab) -> Self {
        Self::start_with(lab, &[])
    }

    /// The same with more arguments for the API server.
    pub fn start_with(lab: &Lab, more: &[String]) -> Self {
        let root = lab.dir("cluster");
        let program = |name: &str| lab.program(name).dir(&root);
        program("openssl")
            .args("genrsa -out sa.key 2048".split(' '))
            .ok();
        program("openssl")
            .args("rsa -in sa.key -pubout -out sa.pub".split(' '))
            .ok();
        let line = |(name, groups): &(&str, &str)| format!("{name},{name},uid-{name},\"{groups}\"");
        let people: Vec<String> = PEOPLE.iter().map(line).collect();
        lab.write("cluster/tokens.csv", people.join("\n"));
        let etcd_url = format!("http://127.0.0.1:{}", lab.port());
        let etcd = etcd(lab, &root, &etcd_url);
        let port = lab.port();
        let mut cluster = Self {
            api: api(&root, port, &etcd_url, more),
            more: more.to_vec(),
            _etcd: etcd,
            root,
            port,
            etcd_url,
        };
        for (name, _) in PEOPLE {
            cluster.write_kubeconfig(lab, name);
        }
        cluster.wait_ready(lab);
        cluster
            .kubectl(lab)
            .args(
                "create clusterrolebinding slipway --clusterrole=system:auth-delegator --user=registry"
                    .split(' '),
            )
            .ok();
        cluster
    }

    /// The folder of its keys and certificates.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where it answers: `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `kubectl` as its administrator.
    pub fn kubectl(&self, lab: &Lab) -> Program {
        self.kubectl_as(lab, "root")
    }

    /// `kubectl` as one of the people.
    pub fn kubectl_as(&self, lab: &Lab, name: &str) -> Program {
        lab.program("kubectl")
            .env("KUBECONFIG", self.kubeconfig(name))
    }

    /// Makes a namespace.
    #[track_caller]
    pub fn create_namespace(&self, lab: &Lab, name: &str) {
        let create = ["create", "namespace", name];
        self.kubectl(lab).args(create).ok();
    }

    /// Makes a ServiceAccount.
    #[track_caller]
    pub fn create_service_account(&self, lab: &Lab, namespace: &str, name: &str) {
        let create = ["create", "serviceaccount", name, "--namespace", namespace];
        self.kubectl(lab).args(create).ok();
    }

    /// Applies objects. Definitions of resources among them are waited for.
    #[track_caller]
    pub fn apply(&self, lab: &Lab, yaml: &str) {
        self.kubectl(lab)
            .args(["apply", "-f", "-"])
            .stdin(yaml)
            .ok();
        if !yaml.contains("kind: CustomResourceDefinition") {
            return;
        }
        self.kubectl(lab)
            .args("wait --for condition=Established customresourcedefinitions --all".split(' '))
            .ok();
    }

    /// The kubeconfig of one of the people.
    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.kubeconfig"))
    }

    /// A token of a ServiceAccount, for the registry.
    #[track_caller]
    pub fn service_account_token(&self, lab: &Lab, namespace: &str, name: &str) -> String {
        let token = self
            .kubectl(lab)
            .args(["create", "token", name, "--namespace", namespace])
            .args(["--audience", AUDIENCE, "--duration", "10m"])
            .ok();
        token.trim().to_owned()
    }

    /// The API server's process.
    pub fn api(&mut self) -> &mut Daemon {
        &mut self.api
    }

    /// Starts the API server again, after it was killed.
    pub fn start_again(&mut self, lab: &Lab) {
        self.api = api(&self.root, self.port, &self.etcd_url, &self.more);
        self.wait_ready(lab);
    }

    fn wait_ready(&mut self, lab: &Lab) {
        let kubeconfig = self.kubeconfig("root");
        self.api.wait_until(|| {
            lab.program("kubectl")
                .env("KUBECONFIG", &kubeconfig)
                .args(["get", "--raw", "/readyz"])
                .run()
                .status
                .success()
        });
    }

    fn write_kubeconfig(&self, lab: &Lab, name: &str) {
        let url = format!("https://{}", self.address());
        let text = kubeconfig(&url, &self.certificate(), name);
        lab.write(format!("cluster/{name}.kubeconfig"), text);
    }

    /// Its controllers: they aggregate roles, make service accounts, collect garbage.
    pub fn controllers(&self, lab: &Lab) -> Daemon {
        let arguments = [
            "--service-account-private-key-file=sa.key",
            "--root-ca-file=certs/apiserver.crt",
            "--use-service-account-credentials",
        ];
        self.component(lab, "kube-controller-manager", &arguments)
    }

    /// Its scheduler.
    pub fn scheduler(&self, lab: &Lab) -> Daemon {
        self.component(lab, "kube-scheduler", &[])
    }

    fn component(&self, lab: &Lab, name: &str, arguments: &[&str]) -> Daemon {
        let mut command = Command::new(toolbox::find(name));
        command
            .current_dir(&self.root)
            .arg("--kubeconfig")
            .arg(self.kubeconfig("root"))
            .args(["--leader-elect=false", "--secure-port"])
            .arg(lab.port().to_string())
            .args(arguments);
        Daemon::start(name, command, &lab.path(format!("{name}.log")))
    }

    /// A proxy before it.
    pub fn proxy(&self) -> Proxy {
        Proxy::start(&self.address(), &self.certificate())
    }

    /// The kubeconfig of the account of Slipway, by way of a proxy.
    pub fn kubeconfig_by(&self, lab: &Lab, proxy: &Proxy) -> PathBuf {
        let url = format!("http://{}", proxy.address());
        let text = kubeconfig(&url, &self.certificate(), "registry");
        lab.write("cluster/proxied.kubeconfig", text)
    }

    fn certificate(&self) -> PathBuf {
        self.root.join("certs/apiserver.crt")
    }
}

fn etcd(lab: &Lab, root: &Path, url: &str) -> Daemon {
    let peer = format!("http://127.0.0.1:{}", lab.port());
    let mut command = Command::new(toolbox::find("etcd"));
    command
        .arg("--data-dir")
        .arg(root.join("etcd"))
        .args(["--listen-client-urls", url])
        .args(["--advertise-client-urls", url])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        .arg("--unsafe-no-fsync");
    Daemon::start("etcd", command, &root.join("etcd.log"))
}

fn api(root: &Path, port: u16, etcd_url: &str, more: &[String]) -> Daemon {
    let mut command = Command::new(toolbox::find("kube-apiserver"));
    command
        .current_dir(root)
        .args(["--etcd-servers", etcd_url])
        .args(["--bind-address", "127.0.0.1"])
        .args(["--secure-port", &port.to_string()])
        .args("--cert-dir certs --token-auth-file tokens.csv".split(' '))
        .args(
            "--service-account-key-file sa.pub --service-account-signing-key-file sa.key"
                .split(' '),
        )
        .args("--service-account-issuer https://kubernetes.default.svc".split(' '))
        .args([
            "--api-audiences",
            &format!("https://kubernetes.default.svc,{AUDIENCE}"),
        ])
        .args("--authorization-mode Node,RBAC --allow-privileged".split(' '))
        .args("--service-cluster-ip-range 10.0.0.0/24".split(' '))
        .args("--kubelet-preferred-address-types InternalIP".split(' '))
        .args(more);
    Daemon::start("kube-apiserver", command, &root.join("apiserver.log"))
}

fn kubeconfig(url: &str, authority: &Path, token: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: lab
contexts: [{{name: lab, context: {{cluster: lab, user: {token}}}}}]
clusters: [{{name: lab, cluster: {{server: '{url}', certificate-authority: {}}}}}]
users: [{{name: {token}, user: {{token: {token}}}}}]
",
        authority.display()
    )
}
