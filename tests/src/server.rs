//! `slipway serve`, the program under test.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::machine::copy_program;
use crate::{Access, Api, Daemon, Endpoint, Lab, OrFail, fail, peer::Peer, tls, toolbox};

/// What a registry is started with. The default is open, plain HTTP, on files.
#[derive(Debug, Default)]
pub struct Settings {
    /// Users and rights; without, the registry is open.
    pub access: Option<Access>,
    /// The authority and the certificate of TLS.
    pub tls: Option<(PathBuf, tls::Certificate)>,
    /// Authorities of client certificates, which clients must show then.
    pub client_ca: Option<PathBuf>,
    /// Objects in memory instead of files.
    pub memory: bool,
    /// Where data is kept; `data` in the lab when there is none.
    pub data: Option<PathBuf>,
    /// The user that starts it, by name or number; without, it is whoever runs the tests.
    pub user: Option<String>,
    /// Words before the program that its own user starts, such as `setpriv` and its options.
    pub under: Vec<String>,
    /// More configuration, YAML at the top level.
    pub more: String,
}

impl Settings {
    /// Users, rights and TLS, everything in the lab.
    pub fn guarded(lab: &Lab) -> Self {
        let authority = tls::Authority::new(lab);
        Self {
            access: Some(Access::write(lab)),
            tls: Some((
                authority.certificate.clone(),
                authority.issue(lab, "server"),
            )),
            ..Self::default()
        }
    }
}

/// A running (or killed, between restarts) `slipway serve`.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// The program, and what is before it.
    words: Vec<OsString>,
    daemon: Option<Daemon>,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub fn start(lab: &Lab, settings: &Settings) -> Self {
        let mut server = Self::launch(lab, settings);
        server.wait_ready();
        server
    }

    /// Starts it without waiting, for tests of starts that fail.
    pub fn launch(lab: &Lab, settings: &Settings) -> Self {
        let mut server = Self::prepare(lab, settings);
        server.launch_again();
        server
    }

    /// Writes its configuration and starts nothing yet.
    pub fn prepare(lab: &Lab, settings: &Settings) -> Self {
        let endpoint = Endpoint {
            host: format!("127.0.0.1:{}", lab.port()),
            ca: settings.tls.as_ref().map(|(ca, _)| ca.clone()),
            login: None,
        };
        let data = settings.data.clone().unwrap_or_else(|| lab.path("data"));
        let name = endpoint.host.replace(':', "-");
        let text = config_text(&endpoint, &data, settings);
        Self {
            config: lab.write(format!("slipway-{name}.yaml"), text),
            log: lab.path(format!("slipway-{name}.log")),
            words: if let Some(user) = &settings.user {
                as_user(lab, user, &data)
            } else {
                let under = settings.under.iter().map(OsString::from);
                under.chain([binary().into()]).collect()
            },
            daemon: None,
            endpoint,
            data,
        }
    }

    /// Where it answers, anonymously.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The folder of its data: `objects` and `index.db` are in it.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process.
    #[track_caller]
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().or_fail("the server was never started")
    }

    /// All it has logged, over every start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, and nothing started in its place.
    pub fn kill(&mut self) {
        self.daemon().kill();
    }

    /// SIGTERM, and waits for the clean end.
    #[track_caller]
    pub fn stop(&mut self) {
        let status = self.daemon().stop();
        if !status.success() {
            fail(format!("a stopped server should end with 0, but: {status}"));
        }
    }

    /// Starts it again on the same port and data, after [`kill`](Self::kill) or [`stop`](Self::stop). How
    /// long it took from the start of the process until it was ready.
    #[track_caller]
    pub fn start_again(&mut self) -> Duration {
        // Made first: a client takes longer to make than the server to start.
        let api = Api::new(&self.endpoint);
        let begun = Instant::now();
        self.launch_again();
        self.wait_until_ready(&api);
        begun.elapsed()
    }

    /// Starts it again without waiting.
    pub fn launch_again(&mut self) {
        self.daemon = Some(Daemon::start(
            "slipway",
            serve(&self.words, &self.config),
            &self.log,
        ));
    }

    /// Waits for `/readyz`.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        let api = Api::new(&self.endpoint);
        self.wait_until_ready(&api);
    }

    #[track_caller]
    fn wait_until_ready(&mut self, api: &Api) {
        self.daemon().wait_until(|| {
            api.get("/readyz")
                .is_ok_and(|reply| reply.status.is_success())
        });
    }

    /// A `slipway` command on this server's configuration, such as `["storage", "fsck"]`, by the server's user.
    pub fn command(&self, lab: &Lab, words: &[&str]) -> crate::Program {
        lab.program(&self.words[0].display().to_string())
            .args(&self.words[1..])
            .args(words)
            .arg("--config")
            .arg(&self.config)
    }

    /// Runs `storage fsck --deep`, beside the running server or without one, and fails the test if it finds
    /// anything.
    #[track_caller]
    pub fn fsck_is_clean(&self, lab: &Lab) {
        let ended = self
            .command(lab, &["storage", "fsck", "--deep", "--json"])
            .run();
        if !ended.status.success() {
            fail(format!("fsck found something\n{}", ended.report));
        }
    }
}

/// The program under test: `SLIPWAY_BIN`, or the one that cargo built beside the running test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("SLIPWAY_BIN") {
        return PathBuf::from(path);
    }
    toolbox::built("slipway")
}

/// The registry that client tests run against, in the lab, with the endpoint to reach it.
///
/// Slipway, unless `SLIPWAY_TEST_REGISTRY` names another: `docker-registry`, `distribution`, or the host
/// and port of an open one that runs already. Tests of the guarded kind need one that is started here.
pub fn registry_under_test(lab: &Lab, settings: &Settings) -> (Box<dyn std::any::Any>, Endpoint) {
    let peer = match std::env::var("SLIPWAY_TEST_REGISTRY").as_deref() {
        Err(_) | Ok("slipway") => {
            let server = Server::start(lab, settings);
            let endpoint = server.endpoint().clone();
            return (Box::new(server), endpoint);
        }
        Ok("docker-registry") => Peer::DockerRegistry,
        Ok("distribution") => Peer::Distribution,
        Ok(host) if settings.access.is_none() && settings.tls.is_none() => {
            return (Box::new(()), Endpoint::plain(host));
        }
        Ok(host) => fail(format!("{host} is not ours to set up with users and TLS")),
    };
    let tls = settings.tls.as_ref().map(|(ca, own)| (ca.as_path(), own));
    let (daemon, endpoint) = peer.start(lab, &lab.dir("peer"), settings.access.as_ref(), tls);
    (Box::new(daemon), endpoint)
}

/// How a user starts a copy of the program that it can get at, with a data folder of its own.
fn as_user(lab: &Lab, user: &str, data: &Path) -> Vec<OsString> {
    let program = lab.path(format!("slipway-of-{user}"));
    copy_program(&binary(), &program);
    std::fs::create_dir_all(data).or_fail("make a data folder");
    lab.program("chown").arg(user).arg(data).ok();
    lab.program("chmod").arg("a+rx").arg(lab.root()).ok();
    let words = [
        "setpriv",
        "--reuid",
        user,
        "--regid",
        user,
        "--clear-groups",
        "--",
    ];
    let words = words.into_iter().map(OsString::from);
    words.chain([program.into()]).collect()
}

fn serve(words: &[OsString], config: &Path) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command.arg("serve").arg("--config").arg(config);
    // A developer's own settings must not reach the server under test.
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("SLIPWAY_") {
            command.env_remove(key);
        }
    }
    command
}

fn config_text(endpoint: &Endpoint, data: &Path, settings: &Settings) -> String {
    let data = data.display();
    let mut text = format!("listen: [\"{}\"]\ndataDir: {data}\n", endpoint.host);
    let _ = if settings.memory {
        writeln!(text, "storage: {{memory: {{}}}}")
    } else {
        writeln!(
            text,
            "storage: {{fs: {{root: {data}/objects}}}}\nindex: {{sqlite: {{path: {data}/index.db}}}}"
        )
    };
    if let Some((_, own)) = &settings.tls {
        let _ = writeln!(
            text,
            "tls:\n  certFile: {}\n  keyFile: {}",
            own.cert.display(),
            own.key.display()
        );
        if let Some(authority) = &settings.client_ca {
            let _ = writeln!(text, "  clientCaFile: {}", authority.display());
        }
    }
    if let Some(access) = &settings.access {
        let _ = write!(
            text,
            "auth:\n  anonymous: true\n  htpasswd: {{file: {}}}\n  rbac: {{dir: {}}}\n",
            access.htpasswd.display(),
            access.rbac.display()
        );
    }
    text + &settings.more
}
