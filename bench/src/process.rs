//! Starting and stopping a server under test.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::accounting::{self, Usage};
use crate::load::{Session, Target};
use crate::machine::Machine;
use crate::material::{Access, Blob, Certificate, Manifest};
use crate::peers::{Auth, Subject};

const READY_WITHIN: Duration = Duration::from_secs(60);
const CALM_FOR: Duration = Duration::from_millis(100);
const CALM_WITHIN: Duration = Duration::from_secs(5);
const LONGEST_MESSAGE: usize = 1000;
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// What a server is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// A folder of its own for data, configuration and log.
    pub(crate) folder: &'a Path,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Serve TLS with this.
    pub(crate) tls: Option<&'a Certificate>,
    /// How clients authenticate.
    pub(crate) auth: Auth,
    /// The users and keys.
    pub(crate) access: &'a Access,
    /// How many cores it has.
    pub(crate) threads: usize,
    /// What else Slipway's configuration says (YAML).
    pub(crate) more: &'a str,
}

/// A running server. Dropping it stops it.
pub(crate) struct Server {
    /// Which.
    pub(crate) subject: Subject,
    /// How to reach it, with credentials when it asks for some.
    pub(crate) target: Target,
    /// From the process's start to its first answer.
    pub(crate) ready_after: Duration,
    folder: PathBuf,
    child: Child,
}

impl Server {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// The program is missing, ends at once or does not answer; the message holds the end of its log.
    pub(crate) fn start(
        machine: &Machine,
        subject: Subject,
        setup: &Setup<'_>,
        target: Target,
    ) -> Result<Self> {
        let mut command = subject.command(setup)?;
        fs::create_dir_all(setup.folder)?;
        let log = File::create(setup.folder.join("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir(setup.folder);
        let begun = Instant::now();
        let child = machine
            .as_server(|| command.spawn())
            .with_context(|| format!("start {}", subject.title()))?;
        let mut server = Self {
            subject,
            target,
            ready_after: Duration::ZERO,
            folder: setup.folder.to_owned(),
            child,
        };
        server.wait_until_ready(begun)?;
        server.ready_after = begun.elapsed();
        Ok(server)
    }

    fn wait_until_ready(&mut self, begun: Instant) -> Result<()> {
        loop {
            // Any HTTP answer will do: 401 says that it is up as well as 200.
            if Session::new(&self.target)?.get("/v2/").is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended at once ({status}): {}",
                    self.subject.title(),
                    self.log_end()
                );
            }
            if begun.elapsed() > READY_WITHIN {
                bail!(
                    "{} does not answer: {}",
                    self.subject.title(),
                    self.log_end()
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The last lines of its log.
    pub(crate) fn log_end(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        let end = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        shorten(&end)
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id())
            .with_context(|| format!("{} is gone: {}", self.subject.title(), self.log_end()))
    }

    /// The folder that it was started on.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets its peak of resident memory begin anew.
    pub(crate) fn forget_peak(&self) {
        accounting::forget_peak(self.child.id());
    }

    /// Waits until it no longer works at what clients left behind, so that it does not spoil the next one's turn.
    pub(crate) fn calm(&self) {
        let begun = Instant::now();
        while begun.elapsed() < CALM_WITHIN {
            let Ok(before) = self.usage() else { return };
            std::thread::sleep(CALM_FOR);
            let Ok(after) = self.usage() else { return };
            if after.since(&before).cpu < CALM_FOR.as_secs_f64() / 4.0 {
                return;
            }
        }
    }

    /// Places a blob in it: by pushing, or as a file in nginx's folder.
    ///
    /// # Errors
    /// It was refused.
    pub(crate) fn place_blob(&self, repo: &str, blob: &Blob) -> Result<()> {
        if self.subject == Subject::Nginx {
            let mut file = self.static_file(&format!("v2/{repo}/blobs/{}", blob.digest()))?;
            return Ok(blob.write_to(&mut file)?);
        }
        Session::new(&self.target)?.push_blob(repo, blob)
    }

    /// Places a manifest in it under a tag; it can be had by digest, too.
    ///
    /// # Errors
    /// It was refused.
    pub(crate) fn place_manifest(&self, repo: &str, tag: &str, manifest: &Manifest) -> Result<()> {
        if self.subject == Subject::Nginx {
            for name in [tag, &manifest.digest] {
                let mut file = self.static_file(&format!("v2/{repo}/manifests/{name}"))?;
                std::io::Write::write_all(&mut file, &manifest.bytes)?;
            }
            return Ok(());
        }
        Session::new(&self.target)?.put_manifest(repo, tag, manifest)
    }

    fn static_file(&self, path: &str) -> Result<File> {
        let path = self.folder.join("www").join(path);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(File::create(path)?)
    }

    /// Asks it to end, and waits.
    fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < STOPPED_WITHIN {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The first part of a long message.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

/// A port that is free now.
///
/// # Errors
/// None is.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The file of a program: on `PATH`, where Debian keeps servers, or in the lab's cache.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.extend(std::env::var_os("SLIPWAY_LAB_BIN").map(PathBuf::from));
    folders.extend(lab_cache());
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The `bin` folders that `scripts/lab-install` made.
fn lab_cache() -> Vec<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let Some(Ok(entries)) = base.map(|base| fs::read_dir(base.join("slipway-lab"))) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect()
}

/// The output of a short command, one line, for version numbers.
pub(crate) fn one_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    // nginx prints its version on stderr.
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().next().map(str::to_owned)
}
