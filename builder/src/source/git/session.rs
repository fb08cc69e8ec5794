//! Running `git`, and nothing but what it was asked to do.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::blocking::Aside;
use super::config::Config;
use super::confinement::Confinement;
use super::credential::Credential;
use super::launch;
use super::sessions::Sessions;
use super::ssh;
use super::url::{GitUrl, Scheme};
use crate::programs;
use crate::sandbox::{InvalidUpstream, Upstream};
use crate::source::{Fault, FaultClass, SourceNetwork};

#[cfg(test)]
mod tests;

/// Everything that `git` reads beside the repository, made for one server and removed when dropped.
///
/// Its environment is built from nothing: no configuration of the machine or the user, no prompts, no askpass, no
/// credential helper but the one file that is ours, no hooks, no file system monitor, no protocol but the URL's, no redirects,
/// and the server's name bound to addresses that were checked (`http.curloptResolve`, ssh's `HostName`).
#[derive(Debug)]
pub(crate) struct Session {
    /// Of the server alone.
    dir: Aside<TempDir>,
    /// Within it, git's own.
    home: PathBuf,
    repository: PathBuf,
    confinement: Confinement,
    environment: Vec<(&'static str, OsString)>,
    secrets: Vec<Zeroizing<String>>,
    /// Where connections go, whatever git wants them to; none: nowhere.
    servers: Vec<SocketAddr>,
}

impl Session {
    /// Blocks. For talking to the server of `url` at `servers` (where a proxy leads to it, the proxy's addresses), and for fetching into
    /// `repository`; where nothing is, nothing can be fetched.
    pub(crate) fn remote(
        url: &GitUrl,
        repository: &Path,
        servers: Vec<SocketAddr>,
        credential: Option<&Credential>,
        network: &SourceNetwork,
        accepted_hosts: &Path,
        sessions: &Sessions,
    ) -> Result<Self, Fault> {
        let (dir, home) = begin(sessions)?;
        let mut own = vec![repository];
        let mut programs = Vec::new();
        let mut config = Config::hardened();
        let mut secrets = Vec::new();
        let mut environment = Vec::new();
        let addresses: Vec<_> = servers.iter().map(SocketAddr::ip).collect();
        match url.scheme() {
            Scheme::Https | Scheme::Http => {
                web(&mut config, &home, url, &addresses, network)?;
                if let Some(Credential::Basic { user, password }) = credential {
                    store(&mut config, &home, url, user, password)?;
                    secrets.push(password.clone());
                }
            }
            Scheme::Ssh => {
                let ssh =
                    ssh::command(&home, url, &addresses, credential, network, accepted_hosts)?;
                if network.accept_new_hosts {
                    ssh::prepare_accepted(accepted_hosts, sessions.user())?;
                    own.push(accepted_hosts);
                }
                programs.extend(network.tunnel.first().map(Path::new));
                environment.push(("GIT_SSH_COMMAND", ssh));
                environment.push(("GIT_SSH_VARIANT", "ssh".into()));
            }
        }
        let proxy = proxy_for(url, network);
        if let Some((_, secret)) = proxy.and_then(password_of) {
            secrets.push(Zeroizing::new(secret.to_owned()));
        }
        let proxy = proxy_of(url, network)?;
        let proxy = proxy.as_ref().map(|proxy| proxy.server().0);
        let named: Vec<_> = addresses.first().copied().zip(proxy).into_iter().collect();
        config.section("remote \"origin\"", &[("url", &url.to_string())]);
        let protocol = url.scheme().as_str();
        environment.extend(environment_of(&home, &config, protocol)?);
        let confinement =
            Confinement::prepare(sessions.user(), dir.path(), &home, &own, &programs, &named);
        Ok(Self {
            dir: Aside::new(dir),
            home,
            repository: repository.to_path_buf(),
            confinement: confinement.map_err(|error| unprepared(&error))?,
            environment,
            secrets,
            servers,
        })
    }

    /// Blocks. For reading what is there already in a repository: no protocol is allowed at all.
    pub(crate) fn local(repository: &Path, sessions: &Sessions) -> Result<Self, Fault> {
        let (dir, home) = begin(sessions)?;
        let environment = environment_of(&home, &Config::hardened(), "none")?;
        let confinement =
            Confinement::prepare(sessions.user(), dir.path(), &home, &[repository], &[], &[]);
        Ok(Self {
            dir: Aside::new(dir),
            home,
            repository: repository.to_path_buf(),
            confinement: confinement.map_err(|error| unprepared(&error))?,
            environment,
            secrets: Vec::new(),
            servers: Vec::new(),
        })
    }

    /// Starts `git` in the session's repository, with nothing else about it, writing no file of more bytes than these; and the way from
    /// it to the server. Its process leads a group of its own. Blocks: making a network waits for those that the kernel is removing. `spawn` is called on a thread that has given up what git may not have.
    pub(crate) fn start<T: Send>(
        &self,
        arguments: &[&str],
        file_bytes: u64,
        spawn: impl FnOnce(Command) -> io::Result<T> + Send,
    ) -> io::Result<(T, Vec<TcpListener>)> {
        let command = self.command(arguments, file_bytes);
        launch::apart(self.confinement.namespaces(&self.servers), || {
            spawn(command)
        })
    }

    /// Removes it, and returns when it is gone.
    pub(crate) async fn end(session: Arc<Self>) {
        if let Some(session) = Arc::into_inner(session) {
            session.dir.end().await;
        }
    }

    /// Where connections of commands go.
    pub(crate) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    #[cfg(test)]
    pub(super) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Text that a program printed, for a message: without secrets, control characters and what is too much.
    pub(crate) fn shown(&self, text: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(text).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), "***");
            let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            text = text.replace(&encoded, "***");
        }
        let own = self.dir.path().display().to_string();
        let text = text.replace(&own, "…");
        let plain: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(1000)
            .collect();
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn command(&self, arguments: &[&str], file_bytes: u64) -> Command {
        let mut command = self.confinement.command(file_bytes);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("GIT_DIR", &self.repository)
            .current_dir("/")
            .arg("git")
            .arg("-C")
            .arg(&self.home)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }
}

/// A folder of the server's, and in it one for git.
fn begin(sessions: &Sessions) -> Result<(TempDir, PathBuf), Fault> {
    let dir = sessions.begin()?;
    let home = dir.path().join("home");
    let made = DirBuilder::new().mode(0o700).create(&home);
    made.map_err(|error| unprepared(&error))?;
    Ok((dir, home))
}

/// What git finds in its environment, with its configuration written to a file.
fn environment_of(
    home: &Path,
    config: &Config,
    protocol: &'static str,
) -> Result<Vec<(&'static str, OsString)>, Fault> {
    let file = home.join("gitconfig");
    write_private(&file, config.text())?;
    let home = home.as_os_str();
    let fixed: [(&str, &OsStr); 20] = [
        ("PATH", OsStr::new(programs::PATH)),
        ("HOME", home),
        ("XDG_CONFIG_HOME", home),
        ("TMPDIR", home),
        ("GIT_CONFIG_GLOBAL", file.as_os_str()),
        ("GIT_CONFIG_SYSTEM", OsStr::new("/dev/null")),
        ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
        ("GIT_ATTR_NOSYSTEM", OsStr::new("1")),
        ("GIT_ALLOW_PROTOCOL", OsStr::new(protocol)),
        ("GIT_TERMINAL_PROMPT", OsStr::new("0")),
        // An askpass that is named in no configuration is asked for in the environment; both are empty.
        ("GIT_ASKPASS", OsStr::new("")),
        ("SSH_ASKPASS", OsStr::new("")),
        ("SSH_ASKPASS_REQUIRE", OsStr::new("never")),
        ("GIT_PAGER", OsStr::new("cat")),
        ("GIT_NO_LAZY_FETCH", OsStr::new("1")),
        ("GIT_NO_REPLACE_OBJECTS", OsStr::new("1")),
        ("GIT_OPTIONAL_LOCKS", OsStr::new("0")),
        ("GIT_LFS_SKIP_SMUDGE", OsStr::new("1")),
        ("LC_ALL", OsStr::new("C")),
        ("TZ", OsStr::new("UTC")),
    ];
    Ok(fixed.map(|(name, value)| (name, value.to_owned())).into())
}

fn unprepared(error: &io::Error) -> Fault {
    Fault::machine("a temporary folder for git", error)
}

/// The proxy on the way to a server, past which nothing goes.
pub(super) fn proxy_of(url: &GitUrl, network: &SourceNetwork) -> Result<Option<Upstream>, Fault> {
    proxy_for(url, network).map(upstream).transpose()
}

fn upstream(proxy: &str) -> Result<Upstream, Fault> {
    let invalid = |error: InvalidUpstream| Fault::new(FaultClass::Machine, error.to_string());
    Upstream::parse(proxy, Vec::new()).map_err(invalid)
}

fn proxy_for<'a>(url: &GitUrl, network: &'a SourceNetwork) -> Option<&'a str> {
    match url.scheme() {
        Scheme::Https => network.proxy_for(url.host(), url.port()),
        Scheme::Ssh => network.proxy_for_ssh(url.host(), url.port()),
        Scheme::Http => None,
    }
}

fn web(
    config: &mut Config,
    home: &Path,
    url: &GitUrl,
    addresses: &[IpAddr],
    network: &SourceNetwork,
) -> Result<(), Fault> {
    if let Some(proxy) = proxy_for(url, network) {
        // Said at once rather than when the proxy asks.
        config.section("http", &[("proxy", proxy), ("proxyAuthMethod", "basic")]);
    } else {
        let list: Vec<String> = addresses.iter().map(written).collect();
        let host = url.host().trim_start_matches('[').trim_end_matches(']');
        let bound = format!("{host}:{}:{}", url.port(), list.join(","));
        config.section("http", &[("curloptResolve", &bound), ("proxy", "")]);
    }
    if let Some(pem) = network.trusted(url.host(), url.port()) {
        let file = home.join("ca.pem");
        let system = std::fs::read_to_string(SYSTEM_AUTHORITIES).unwrap_or_default();
        write_private(&file, &format!("{pem}\n{system}"))?;
        config.section("http", &[("sslCAInfo", &file.display().to_string())]);
    }
    Ok(())
}

/// Debian's, and of those who do as it does.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// `git credential-store` with one line, asked for this server only.
fn store(
    config: &mut Config,
    home: &Path,
    url: &GitUrl,
    user: &str,
    password: &str,
) -> Result<(), Fault> {
    let file = home.join("credentials");
    let encoded =
        |text: &str| Zeroizing::new(utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
    let (user, password) = (encoded(user), encoded(password));
    // git asks with the port as the URL has it: given or not.
    let server = url.authority();
    let scheme = url.scheme().as_str();
    let line = Zeroizing::new(format!("{scheme}://{}:{}@{server}\n", *user, *password));
    write_private(&file, &line)?;
    // A shell runs it, whatever the folder is called: HOME is the session's.
    let helper = "store --file=\"$HOME/credentials\"";
    let section = format!("credential \"{scheme}://{server}\"");
    config.section(&section, &[("helper", helper)]);
    Ok(())
}

/// As curl wants them: IPv6 in brackets.
fn written(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// User and password of a proxy's URL.
fn password_of(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("://")?;
    let (userinfo, _) = rest.split_once('@')?;
    userinfo.split_once(':')
}

/// Readable for this user alone, from the first byte.
pub(super) fn write_private(file: &Path, content: &str) -> Result<(), Fault> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(file)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(|error| Fault::machine("a temporary file for git", &error))
}

/// A `git` that could not be started.
pub(crate) fn not_started(error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::NotFound {
        return Fault::new(FaultClass::Machine, "sh is not there, which starts git");
    }
    Fault::machine("git could not be started", error)
}
