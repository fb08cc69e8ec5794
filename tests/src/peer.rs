//! Registries of other projects, as test subjects that show what the tests can tell apart.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::{Access, Api, Daemon, Endpoint, Lab, tls::Certificate, toolbox};

/// Another project's registry, which speaks the same API over the same folder layout.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// Debian's `docker-registry`, distribution 2.8.
    DockerRegistry,
    /// distribution 3, built from its module.
    Distribution,
}

impl Peer {
    /// Starts it on the folder `root` and waits until it answers.
    pub fn start(
        self,
        lab: &Lab,
        root: &Path,
        access: Option<&Access>,
        tls: Option<(&Path, &Certificate)>,
    ) -> (Daemon, Endpoint) {
        let program = match self {
            Self::DockerRegistry => "docker-registry",
            Self::Distribution => "registry",
        };
        let endpoint = Endpoint {
            host: format!("127.0.0.1:{}", lab.port()),
            ca: tls.map(|(ca, _)| ca.to_path_buf()),
            login: None,
        };
        let mut config = format!(
            "version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {}}}
  delete: {{enabled: true}}
http:
  addr: {}
",
            root.display(),
            endpoint.host
        );
        if let Some((_, own)) = tls {
            let _ = writeln!(
                config,
                "  tls: {{certificate: {}, key: {}}}",
                own.cert.display(),
                own.key.display()
            );
        }
        if let Some(access) = access {
            let _ = writeln!(
                config,
                "auth:\n  htpasswd: {{realm: lab, path: {}}}",
                access.htpasswd.display()
            );
        }
        let file = lab.write(format!("{program}-{}.yml", endpoint.host), config);
        let mut command = Command::new(toolbox::find(program));
        command
            .arg("serve")
            .arg(file)
            .env("OTEL_TRACES_EXPORTER", "none");
        let mut daemon = Daemon::start(program, command, &lab.path(format!("{program}.log")));
        let api = Api::new(&endpoint);
        daemon.wait_until(|| {
            api.get("/v2/")
                .is_ok_and(|reply| reply.status.as_u16() < 500)
        });
        (daemon, endpoint)
    }
}
