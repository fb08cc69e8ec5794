//! The program as a user runs it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::allow_attributes,
    reason = "tests panic to report, and each test file uses its part of this"
)]

pub mod builder_image;
pub mod frames;
pub mod stub;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long a server may take to say where it listens.
const START: Duration = Duration::from_secs(120);

/// The program, without the variables of whoever runs the tests.
pub fn slipway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    for (name, _) in std::env::vars() {
        if name.starts_with("SLIPWAY_") || name.ends_with("_AUTH_FILE") {
            command.env_remove(name);
        }
    }
    // Where the last login is remembered.
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs it to its end, with `input` on standard input.
pub fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that reads no input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line of an error; fails if it is none or more, or the exit code is 0.
pub fn error_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "it succeeded: {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// Adds a user to a file of users.
#[track_caller]
pub fn add_user(file: &Path, name: &str, password: &str) {
    let mut command = slipway();
    command.args(["user", "add", name, "--password-stdin", "--htpasswd"]);
    let said = run(command.arg(file), password);
    assert!(said.status.success(), "{said:?}");
}

/// A running server.
pub struct Server {
    child: Child,
    /// `host:port`.
    pub host: String,
    lines: mpsc::Receiver<String>,
    pub folder: TempDir,
}

impl Server {
    /// Starts `slipway serve` on a free port with this configuration besides.
    pub fn start(yaml: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), yaml)
    }

    /// The same for users who all have one password, and whose rights are Kubernetes objects, if any. `yaml` goes on
    /// below `auth`, or beside it.
    pub fn for_users(names: &[&str], password: &str, rules: Option<&str>, yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            add_user(&folder.path().join("users"), name, password);
        }
        let mut auth = "auth:\n  htpasswd: {file: FOLDER/users}\n".to_owned();
        if let Some(rules) = rules {
            std::fs::create_dir(folder.path().join("rules")).unwrap();
            std::fs::write(folder.path().join("rules/rules.yaml"), rules).unwrap();
            auth.push_str("  rbac: {dir: FOLDER/rules}\n");
        }
        Self::start_in(folder, &format!("{auth}{yaml}"))
    }

    fn start_in(folder: TempDir, yaml: &str) -> Self {
        let yaml = yaml.replace("FOLDER", folder.path().to_str().unwrap());
        let config = folder.path().join("slipway.yaml");
        let data = folder.path().join("data");
        let listen = if yaml.contains("listen:") {
            ""
        } else {
            "listen: ['127.0.0.1:0']\n"
        };
        std::fs::write(
            &config,
            format!("{listen}dataDir: {}\n{yaml}", data.display()),
        )
        .unwrap();
        Self::spawn(folder, &config)
    }

    fn spawn(folder: TempDir, config: &Path) -> Self {
        let mut child = slipway()
            .args(["serve", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut server = Self {
            child,
            host: String::new(),
            lines,
            folder,
        };
        let line = server.line("listening on");
        let host = line.rsplit("//").next().unwrap();
        let end = |char: char| !char.is_ascii_hexdigit() && !"[]:.".contains(char);
        host.split(end).next().unwrap().clone_into(&mut server.host);
        server
    }

    /// Waits for a log line that holds `text`.
    pub fn line(&self, text: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(START) {
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with {text:?} in {seen:#?}");
    }

    /// Ends it as a crash would, and starts it again on the same files.
    pub fn killed_and_started(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        let config = folder.path().join("slipway.yaml");
        Self::spawn(folder, &config)
    }

    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }

    /// Ends it in order, does `between` with the configuration's file, and starts it again.
    pub fn restart(&mut self, between: impl FnOnce(&Path)) {
        self.terminate();
        assert!(self.child.wait().unwrap().success());
        let config = self.folder.path().join("slipway.yaml");
        between(&config);
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        *self = Self::spawn(folder, &config);
    }

    /// What it still logs until it has ended.
    pub fn rest(&mut self) -> Vec<String> {
        let _ = self.child.wait();
        self.lines.iter().collect()
    }

    /// How often its threads have waited for something and got it.
    pub fn wakes(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .map(|task| figure(&task.unwrap().path(), "voluntary_ctxt_switches"))
            .sum()
    }

    /// Memory in use, in KiB.
    pub fn memory(&self) -> u64 {
        figure(Path::new(&format!("/proc/{}", self.child.id())), "VmRSS")
    }

    /// Waits for the end; true when it ended well.
    pub fn wait(mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// Waits for the end, which must be a good one; its files stay for as long as what is returned.
    pub fn wait_and_keep(mut self) -> TempDir {
        assert!(self.child.wait().unwrap().success());
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// One request by hand, on a connection that ends with it.
    pub fn http(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.write_all(request.as_ref()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub fn get(&self, path: &str, headers: &str) -> String {
        self.http(format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
        ))
    }
}

/// A figure of `status` in a folder of `/proc`; nothing for a thread that has ended.
fn figure(folder: &Path, name: &str) -> u64 {
    let status = std::fs::read_to_string(folder.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    figure.unwrap_or_default()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
