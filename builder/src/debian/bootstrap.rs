//! Installing Debian into an empty folder, by the tools that Debian has for it.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use super::error::CreateError;
use super::language::Release;

/// Where packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrors {
    /// A mirror of Debian's archive.
    pub archive: String,
    /// A mirror of its security updates.
    pub security: String,
}

impl Default for Mirrors {
    /// Debian's own network of mirrors. Over plain HTTP, as Debian does: packages are signed, and the tools check that.
    fn default() -> Self {
        Self {
            archive: "http://deb.debian.org/debian".to_owned(),
            security: "http://deb.debian.org/debian-security".to_owned(),
        }
    }
}

/// What is to be installed.
pub(super) struct Wanted<'a> {
    pub(super) release: &'a Release,
    pub(super) packages: Vec<String>,
    /// Debian's word for the machine.
    pub(super) architecture: &'a str,
    pub(super) mirrors: &'a Mirrors,
    /// `SOURCE_DATE_EPOCH`.
    pub(super) epoch: u64,
}

/// A tool at work, whose standard output is an archive of what it installed.
pub(super) struct Bootstrap {
    child: Child,
    output: ChildStdout,
    told: JoinHandle<Vec<String>>,
}

impl Bootstrap {
    /// Starts `mmdebstrap`, or `debootstrap` where that is absent; `work` is an empty folder for the latter. `say` gets
    /// what it tells of its progress.
    pub(super) fn start(
        wanted: &Wanted<'_>,
        work: &Path,
        say: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, CreateError> {
        let mut command = if let Some(program) = on_path("mmdebstrap") {
            mmdebstrap(&program, wanted)
        } else if let Some(program) = on_path("debootstrap") {
            debootstrap(&program, wanted, work)?
        } else {
            return Err(CreateError::Missing(
                "neither mmdebstrap nor debootstrap is installed; the package mmdebstrap of Debian and Ubuntu is enough \
                 (on Ubuntu debian-archive-keyring, too)"
                    .to_owned(),
            ));
        };
        command
            .env("SOURCE_DATE_EPOCH", wanted.epoch.to_string())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |error| CreateError::io("start the bootstrap", error);
        let mut child = command.spawn().map_err(failed)?;
        let gone = || failed(std::io::ErrorKind::BrokenPipe.into());
        let output = child.stdout.take().ok_or_else(gone)?;
        let errors = child.stderr.take().ok_or_else(gone)?;
        let told = std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                match line.strip_prefix("I: ") {
                    Some(step) => say(step),
                    None => lines.push(line),
                }
            }
            lines
        });
        Ok(Self {
            child,
            output,
            told,
        })
    }

    /// Waits for its end. An error has the last lines that it told.
    pub(super) fn finish(mut self) -> Result<(), CreateError> {
        drop(self.output);
        let ended = self.child.wait();
        let told = self.told.join().unwrap_or_default();
        let ended = ended.map_err(|error| CreateError::io("wait for the bootstrap", error))?;
        if ended.success() {
            return Ok(());
        }
        Err(CreateError::Bootstrap { log: told, ended })
    }

    /// The archive.
    pub(super) fn archive(&mut self) -> &mut impl Read {
        &mut self.output
    }
}

/// As root it installs in a chroot, as another user in a user namespace; it finds out by itself.
fn mmdebstrap(program: &Path, wanted: &Wanted<'_>) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--variant=essential", "--format=tar"])
        .arg(format!("--architectures={}", wanted.architecture))
        .arg(format!("--include={}", wanted.packages.join(",")))
        // Whatever is half written when the machine goes down is thrown away as a whole.
        .arg("--dpkgopt=force-unsafe-io")
        .arg("--aptopt=Acquire::Retries \"3\"")
        .args([&wanted.release.suite, "-"])
        .args(sources(wanted));
    command
}

/// `deb` lines for the suite, its updates, and its backports if they are needed.
fn sources(wanted: &Wanted<'_>) -> Vec<String> {
    let suite = &wanted.release.suite;
    let Mirrors { archive, security } = wanted.mirrors;
    let mut lines = vec![
        format!("deb {archive} {suite} main"),
        format!("deb {archive} {suite}-updates main"),
        format!("deb {security} {suite}-security main"),
    ];
    if wanted.release.backports {
        lines.push(format!("deb {archive} {suite}-backports main"));
    }
    lines
}

/// It knows one suite and needs root, so that updates and other packages are installed by the apt that it installs.
const DEBOOTSTRAP: &str = r#"
set -eu
debootstrap="$1" suite="$2" mirror="$3" architecture="$4" root="$5" packages="$6"
"$debootstrap" --variant=minbase --arch="$architecture" "$suite" "$root" "$mirror" >&2
shift 6
printf '%s\n' "$@" > "$root/etc/apt/sources.list"
echo 'I: installing packages' >&2
cp /etc/resolv.conf "$root/etc/resolv.conf"
export DEBIAN_FRONTEND=noninteractive
chroot "$root" apt-get -q update >&2
chroot "$root" apt-get -q -y --no-install-recommends upgrade >&2
chroot "$root" apt-get -q -y --no-install-recommends install $packages >&2
exec tar --directory="$root" --create --file=- --format=posix --sort=name --numeric-owner --xattrs .
"#;

fn debootstrap(program: &Path, wanted: &Wanted<'_>, root: &Path) -> Result<Command, CreateError> {
    if !rustix::process::geteuid().is_root() {
        return Err(CreateError::Missing(
            "debootstrap needs root; the package mmdebstrap does without".to_owned(),
        ));
    }
    let mut command = Command::new("sh");
    command
        .args(["-c", DEBOOTSTRAP, "debootstrap"])
        .arg(program)
        .args([&wanted.release.suite, &wanted.mirrors.archive])
        .arg(wanted.architecture)
        .arg(root)
        .arg(wanted.packages.join(" "))
        .args(sources(wanted));
    Ok(command)
}

/// A program on `PATH`.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}
