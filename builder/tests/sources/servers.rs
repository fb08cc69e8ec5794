//! A real git server: nginx with `git http-backend` over https, sshd beside it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use builder::source::git::{Credential, GitFetcher, GitSource, GitUrl, Mirrors};
use builder::source::{Fault, Reach, Snapshot, SourceLimits, SourceNetwork};
use tests::daemon::Daemon;
use tests::tls::Authority;
use tests::{Lab, OrFail, toolbox, until};

use crate::repository::Repository;

pub(crate) const USER: &str = "ann";
pub(crate) const PASSWORD: &str = "canary-p@ss w0rd";

/// A lab with a server of repositories, and a cache for a fetcher.
pub(crate) struct Servers {
    pub(crate) lab: Lab,
    pub(crate) port: u16,
    /// The same over http.
    pub(crate) plain_port: u16,
    pub(crate) ca: String,
    _https: [Daemon; 2],
}

impl Servers {
    /// Serves `repositories/public/*` to everyone and `repositories/private/*` to [`USER`].
    pub(crate) fn start(name: &str) -> Self {
        let lab = Lab::new(name);
        let (port, plain_port) = (lab.port(), lab.port());
        let authority = Authority::new(&lab);
        let certificate = authority.issue(&lab, "server");
        let root = lab.dir("repositories");
        let temporary = lab.dir("nginx");
        let hashed = lab
            .program("openssl")
            .args(["passwd", "-apr1", PASSWORD])
            .ok();
        let users = lab.write("users", format!("{USER}:{hashed}"));
        let config = NGINX
            .replace("@LAB@", &lab.root().display().to_string())
            .replace("@TEMPORARY@", &temporary.display().to_string())
            .replace("@PORT@", &port.to_string())
            .replace("@PLAIN@", &plain_port.to_string())
            .replace("@CERT@", &certificate.cert.display().to_string())
            .replace("@KEY@", &certificate.key.display().to_string())
            .replace("@USERS@", &users.display().to_string())
            .replace("@ROOT@", &root.display().to_string());
        let config = lab.write("nginx.conf", config);
        let socket = lab.path("fcgi.sock");

        let mut fcgi = Command::new(toolbox::find("fcgiwrap"));
        fcgi.args(["-c", "4", "-s", &format!("unix:{}", socket.display())])
            .env_clear()
            .env("PATH", toolbox::search_path())
            .env("HOME", lab.dir("home"));
        let mut fcgi = Daemon::start("fcgiwrap", fcgi, &lab.path("fcgiwrap.log"));
        fcgi.wait_until(|| socket.exists());
        let mut nginx = Command::new(toolbox::find("nginx"));
        nginx
            .arg("-e")
            .arg(lab.path("nginx.log"))
            .arg("-c")
            .arg(config);
        let mut nginx = Daemon::start("nginx", nginx, &lab.path("nginx.log"));
        nginx.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self {
            ca: std::fs::read_to_string(&authority.certificate).or_fail("the authority"),
            port,
            plain_port,
            lab,
            _https: [fcgi, nginx],
        }
    }

    /// A new repository to put commits into, served as `https://localhost:PORT/<path>`.
    pub(crate) fn repository(&self, path: &str) -> Repository<'_> {
        self.repository_of(path, "sha1")
    }

    /// One whose objects are named by this hash.
    pub(crate) fn repository_of(&self, path: &str, hash: &str) -> Repository<'_> {
        Repository::new(&self.lab, path, hash)
    }

    pub(crate) fn url(&self, path: &str) -> GitUrl {
        format!("https://localhost:{}/{path}", self.port)
            .parse()
            .or_fail("a URL")
    }

    pub(crate) fn source(&self, path: &str) -> GitSource {
        source(self.url(path))
    }

    pub(crate) fn network(&self) -> SourceNetwork {
        SourceNetwork {
            reach: Reach::new(vec!["127.0.0.0/8".parse().or_fail("loopback")]),
            authorities: BTreeMap::from([("localhost".to_owned(), self.ca.clone())]),
            ..SourceNetwork::default()
        }
    }

    pub(crate) fn mirrors(&self) -> PathBuf {
        self.lab.path("mirrors")
    }

    pub(crate) fn fetcher(&self, network: SourceNetwork) -> GitFetcher {
        GitFetcher::new(
            Mirrors::new(self.mirrors()),
            network,
            SourceLimits::default(),
        )
    }

    pub(crate) async fn fetch(&self, source: &GitSource) -> Result<Snapshot, Fault> {
        self.fetcher(self.network()).fetch("shop", source).await
    }

    /// The requests that nginx has answered, one a line.
    pub(crate) fn requests(&self) -> String {
        const MARK: &str = "GET /mark/";
        let log = || std::fs::read_to_string(self.lab.path("access.log")).unwrap_or_default();
        // It answers one at a time, and notes each behind its answer: when it has noted this, it has noted all before.
        let number = log().matches(MARK).count();
        let url = format!("http://127.0.0.1:{}/mark/{number}", self.plain_port);
        self.lab.program("curl").args(["--silent", &url]).ok();
        let mark = format!("{MARK}{number} ");
        until("nginx has noted it", || log().contains(&mark));
        let log = log();
        let others = log.lines().filter(|line| !line.contains(MARK));
        others.flat_map(|line| [line, "\n"]).collect()
    }

    /// An sshd that lets the user of this test in with one key.
    pub(crate) fn ssh(&self) -> Ssh {
        Ssh::start(&self.lab, "AcceptEnv GIT_PROTOCOL\n")
    }

    /// One as Debian configures it: git's wish for its newer protocol does not get through.
    pub(crate) fn plain_ssh(&self) -> Ssh {
        Ssh::start(&self.lab, "")
    }
}

/// The default branch, without submodules or LFS or a secret.
pub(crate) fn source(url: GitUrl) -> GitSource {
    GitSource {
        url,
        revision: "".parse().or_fail("the default"),
        context_dir: "".parse().or_fail("the root"),
        credential: None,
        authorities: String::new(),
        submodules: false,
        lfs: false,
        ignore: builder::s2i::IgnoreMode::Classic,
    }
}

pub(crate) fn basic(password: &str) -> Credential {
    Credential::basic(USER, password).or_fail("a credential")
}

/// A snapshot's paths, folders with `/` at their end, and what is in the files.
pub(crate) fn entries(snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(snapshot.open().or_fail("a snapshot"));
    let entries = archive.entries().or_fail("entries").map(|entry| {
        let mut entry = entry.or_fail("an entry");
        let path = entry.path().or_fail("a path").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).or_fail("content");
        (path, String::from_utf8_lossy(&content).into_owned())
    });
    entries.collect()
}

/// A snapshot's paths.
pub(crate) fn paths(snapshot: &Snapshot) -> Vec<String> {
    entries(snapshot)
        .into_iter()
        .map(|(path, _)| path)
        .collect()
}

/// A running sshd.
pub(crate) struct Ssh {
    pub(crate) port: u16,
    pub(crate) user: String,
    /// A private key that is let in.
    pub(crate) key: String,
    /// A private key that is not.
    pub(crate) other_key: String,
    /// The server's line of `known_hosts`.
    pub(crate) known_hosts: String,
    _sshd: Daemon,
}

impl Ssh {
    fn start(lab: &Lab, more: &str) -> Self {
        let port = lab.port();
        lab.dir("ssh");
        for name in ["host", "user", "other"] {
            lab.program("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
                .arg(lab.path(format!("ssh/{name}")))
                .ok();
        }
        let read = |name: &str| std::fs::read_to_string(lab.path(name)).or_fail("a key");
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {keys}\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n\
             PermitRootLogin prohibit-password\n{more}",
            host = lab.path("ssh/host").display(),
            keys = lab.path("ssh/user.pub").display(),
        );
        let config = lab.write("ssh/sshd_config", config);
        // Debian's sshd wants it for its unprivileged half.
        drop(std::fs::create_dir_all("/run/sshd"));
        let mut sshd = Command::new(toolbox::find("sshd"));
        sshd.args(["-D", "-e", "-f"]).arg(config);
        let mut sshd = Daemon::start("sshd", sshd, &lab.path("sshd.log"));
        sshd.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self {
            known_hosts: format!("[localhost]:{port} {}", read("ssh/host.pub")),
            user: lab.program("id").arg("-un").ok().trim().to_owned(),
            key: read("ssh/user"),
            other_key: read("ssh/other"),
            port,
            _sshd: sshd,
        }
    }

    /// The same, where each of git's commands is run by `script`, which finds it in `$SSH_ORIGINAL_COMMAND`.
    pub(crate) fn by_script(servers: &Servers, script: &str) -> Self {
        let lab = &servers.lab;
        let script = lab.write("ssh.sh", script);
        let by = format!("ForceCommand sh {}\n", script.display());
        Self::start(lab, &by)
    }

    /// The URL of a repository of the lab.
    pub(crate) fn url(&self, servers: &Servers, path: &str) -> GitUrl {
        let root = servers.lab.path("repositories");
        format!(
            "ssh://{}@localhost:{}{}/{path}",
            self.user,
            self.port,
            root.display()
        )
        .parse()
        .or_fail("a URL")
    }
}

const NGINX: &str = r#"
daemon off;
master_process off;
worker_processes 1;
pid @LAB@/nginx.pid;
error_log @LAB@/nginx.log;
events {}
http {
    access_log @LAB@/access.log;
    client_body_temp_path @TEMPORARY@/body;
    proxy_temp_path @TEMPORARY@/proxy;
    fastcgi_temp_path @TEMPORARY@/fastcgi;
    uwsgi_temp_path @TEMPORARY@/uwsgi;
    scgi_temp_path @TEMPORARY@/scgi;
    client_max_body_size 0;
    map $request_uri $git_protocol {
        ~^/old/ "version=0";
        default $http_git_protocol;
    }
    server {
        listen 127.0.0.1:@PORT@ ssl;
        # A name that its certificate does not have.
        listen 127.0.0.2:@PORT@ ssl;
        listen 127.0.0.1:@PLAIN@;
        ssl_certificate @CERT@;
        ssl_certificate_key @KEY@;
        fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
        fastcgi_param GIT_HTTP_EXPORT_ALL "";
        fastcgi_param GIT_PROJECT_ROOT @ROOT@;
        fastcgi_param PATH_INFO $uri;
        fastcgi_param QUERY_STRING $query_string;
        fastcgi_param REQUEST_METHOD $request_method;
        fastcgi_param CONTENT_TYPE $content_type;
        fastcgi_param CONTENT_LENGTH $content_length;
        fastcgi_param REMOTE_USER $remote_user;
        fastcgi_param GIT_PROTOCOL $git_protocol;
        fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
        location /private/ {
            auth_basic git;
            auth_basic_user_file @USERS@;
            fastcgi_pass unix:@LAB@/fcgi.sock;
        }
        location /public/ {
            fastcgi_pass unix:@LAB@/fcgi.sock;
        }
        location /old/ {
            rewrite ^/old/(.*)$ /public/$1 break;
            fastcgi_pass unix:@LAB@/fcgi.sock;
        }
        location ~ ^/renamed/app/(.*)$ {
            return 301 https://localhost:@PORT@/renamed/app.git/$1?$query_string;
        }
        location /renamed/app.git/ {
            rewrite ^/renamed/(.*)$ /public/$1 break;
            fastcgi_pass unix:@LAB@/fcgi.sock;
        }
        location /elsewhere/ {
            return 302 https://127.0.0.1:@PORT@/private/stolen$uri?$query_string;
        }
        location /lfs/ {
            root @LAB@;
        }
        location ~ /info/lfs/objects/batch$ {
            default_type application/vnd.git-lfs+json;
            root @LAB@/batch;
            error_page 405 =200 $uri;
        }
    }
}
"#;
