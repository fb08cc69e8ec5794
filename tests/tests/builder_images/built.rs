//! Applications built and run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::podman::Storage;
use tests::{Lab, OrFail, Program, fail, toolbox};

/// Where builds find this machine's certificate authorities.
const AUTHORITIES: &str = "/run/authorities.pem";

/// Variables of this machine that say where packages come from. They are arguments of the build: no image has them.
const MIRRORS: &[&str] = &[
    "GONOSUMDB",
    "GOPROXY",
    "GOSUMDB",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "MAVEN_MIRROR_URL",
    "NO_PROXY",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "npm_config_registry",
];

/// By which tools are told of authorities.
const TRUST: &[&str] = &["NODE_EXTRA_CA_CERTS", "PIP_CERT", "SSL_CERT_FILE"];

/// A build by the reference program.
pub(crate) struct Build<'lab> {
    pub(crate) lab: &'lab Lab,
    pub(crate) storage: &'lab Storage<'lab>,
    pub(crate) builder: &'lab str,
    pub(crate) source: PathBuf,
    /// Mounted where the image says.
    pub(crate) cache: Option<PathBuf>,
    /// Of this build, and of no image.
    pub(crate) variables: &'lab [(&'lab str, &'lab str)],
    /// Begin with what this image saved.
    pub(crate) is_incremental: bool,
}

impl Build<'_> {
    /// Builds `image` and gives the digests of its layers: the same files are the same digests.
    pub(crate) fn run(&self, image: &str) -> Vec<String> {
        let out = self.lab.dir(format!("out-{:016x}", fastrand::u64(..)));
        let dockerfile = out.join("Dockerfile");
        let mut s2i = self.lab.program("s2i").arg("build").arg(&self.source);
        s2i = s2i.args([self.builder, image, "--as-dockerfile"]);
        s2i = s2i.arg(&dockerfile).args([
            "--image-scripts-url",
            "image:///usr/libexec/s2i",
            "--assemble-user=1001",
        ]);
        if self.is_incremental {
            s2i = s2i.arg("--incremental");
        }
        s2i.ok();

        let mut variables: Vec<(String, String)> = Vec::new();
        let of_machine = MIRRORS.iter().filter_map(|name| {
            let value = std::env::var(name).ok()?;
            Some(((*name).to_owned(), value))
        });
        variables.extend(of_machine);
        let authorities = authorities();
        if authorities.is_some() {
            variables.extend(
                TRUST
                    .iter()
                    .map(|name| ((*name).to_owned(), AUTHORITIES.to_owned())),
            );
        }
        let own = self.variables.iter();
        variables.extend(own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        // An argument is a variable of the build once the stage says so.
        let arguments = variables.iter().map(|(name, _)| format!("ARG {name}"));
        let arguments: Vec<_> = arguments.collect();
        let text = std::fs::read_to_string(&dockerfile).or_fail("the Dockerfile");
        let mut lines = Vec::new();
        for line in text.lines() {
            lines.push(line);
            if line.starts_with("FROM ") {
                lines.extend(arguments.iter().map(String::as_str));
            }
        }
        let text = lines.join("\n") + "\n";
        std::fs::write(&dockerfile, text).or_fail("write the Dockerfile");

        // Times are none of the scripts' matter: the builder clamps them, as this does.
        let mut buildah = self.storage.buildah().args(
            "bud --pull-never --layers=false --timestamp=0 --isolation=chroot --network=host"
                .split(' '),
        );
        if let Some(file) = authorities {
            buildah = buildah.arg(format!("--volume={}:{AUTHORITIES}:ro", file.display()));
        }
        if let Some(cache) = &self.cache {
            buildah = buildah.arg(format!("--volume={}:/opt/app-root/.cache", cache.display()));
        }
        for (name, value) in &variables {
            buildah = buildah.arg(format!("--build-arg={name}={value}"));
        }
        buildah = buildah.args(["--tag", image]).arg(out.clone());
        buildah.limit(Duration::from_secs(900)).ok();
        layers(self.storage, image)
    }
}

fn layers(storage: &Storage<'_>, image: &str) -> Vec<String> {
    let said = storage.podman().args(["image", "inspect", image]).ok();
    let said: Value = serde_json::from_str(&said).or_fail("JSON");
    let layers = said[0]["RootFS"]["Layers"].as_array().or_fail("layers");
    let digests = layers.iter().filter_map(Value::as_str);
    digests.map(str::to_owned).collect()
}

/// The authorities that programs of this machine trust; builds must trust them too where a mirror has one of its own.
fn authorities() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let file = named.unwrap_or_else(|| PathBuf::from("/etc/ssl/certs/ca-certificates.crt"));
    file.is_file().then_some(file)
}

/// A sample of `tests/samples`, to be changed at will.
pub(crate) fn sample(lab: &Lab, name: &str) -> PathBuf {
    let copy = lab.path("source");
    let from = toolbox::checkout().join("tests/samples").join(name);
    lab.program("cp").arg("-R").arg(from).arg(&copy).ok();
    copy
}

/// A folder as a builder would mount it: the assemble user's.
pub(crate) fn cache(lab: &Lab) -> PathBuf {
    let cache = lab.dir("cache");
    std::os::unix::fs::chown(&cache, Some(1001), Some(0)).or_fail("give the cache away");
    cache
}

/// An application that runs, as platforms run it: as any user of group 0, and with nothing to write to but `/tmp`.
pub(crate) struct Running<'lab> {
    storage: &'lab Storage<'lab>,
    name: String,
    url: String,
}

impl<'lab> Running<'lab> {
    pub(crate) fn start(lab: &Lab, storage: &'lab Storage<'lab>, image: &str) -> Self {
        let name = format!("app-{:016x}", fastrand::u64(..));
        let port = lab.port();
        let options = [
            &format!("--name={name}"),
            &format!("--env=PORT={port}"),
            "--user=123456:0",
            "--read-only",
            "--read-only-tmpfs=false",
            "--tmpfs=/tmp",
            "--pull=never",
            "--runtime=runc",
            "--network=host",
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=1024:1024",
            "--log-driver=k8s-file",
        ];
        let podman = storage.podman().args(["run", "--detach"]);
        // As the classic strategy writes the command; in a Dockerfile it is a shell's, which keeps signals to itself.
        let command = "/usr/libexec/s2i/run";
        podman.args(options).args([image, command]).ok();
        let url = format!("http://127.0.0.1:{port}");
        Self { storage, name, url }
    }

    /// What it answers to `GET path`, once it answers.
    pub(crate) fn get(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url);
        let begun = Instant::now();
        loop {
            let answer = reqwest::blocking::get(&url).and_then(reqwest::blocking::Response::text);
            match answer {
                Ok(text) => return text,
                Err(error) if begun.elapsed() > Duration::from_secs(60) => {
                    let log = self.podman("logs").run();
                    fail(format!("{url}: {error}\n{}", log.report))
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Ends it by SIGTERM, which it must take: a shell or a package manager in front of it would not pass it on.
    pub(crate) fn stop(self) {
        let ended = self.podman("stop").run();
        if !ended.status.success() || ended.stderr.contains("SIGKILL") {
            fail(format!("it does not end\n{}", ended.report));
        }
    }

    fn podman(&self, command: &str) -> Program {
        self.storage.podman().args([command, &self.name])
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        drop(
            self.storage
                .podman()
                .args(["rm", "--force", "--time=0", &self.name])
                .run(),
        );
    }
}

/// Changes a file of a source.
pub(crate) fn replace(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).or_fail(file.display());
    assert!(text.contains(from), "{}: no {from}", file.display());
    std::fs::write(file, text.replace(from, to)).or_fail(file.display());
}
