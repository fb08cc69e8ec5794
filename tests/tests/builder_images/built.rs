//! Applications built by the reference program.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tests::podman::Storage;
use tests::{Lab, OrFail, Program, packages};

/// Where builds find this machine's certificate authorities.
const AUTHORITIES: &str = "/run/authorities.pem";

/// Where builds find a secret that they may only read, in what they give to the application's group.
const SECRET: &str = "/opt/app-root/a secret";

/// By which tools are told of authorities.
const TRUST: &[&str] = &["NODE_EXTRA_CA_CERTS", "PIP_CERT", "SSL_CERT_FILE"];

/// A build by the reference program.
pub(crate) struct Build<'lab> {
    pub(crate) lab: &'lab Lab,
    pub(crate) storage: &'lab Storage<'lab>,
    pub(crate) builder: String,
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
        self.buildah(image).ok();
        layers(self.storage, image)
    }

    /// Builds what cannot be built, and gives what was said.
    pub(crate) fn refused(&self) -> String {
        self.buildah("localhost/refused").fails()
    }

    fn buildah(&self, image: &str) -> Program {
        let out = self.lab.dir(format!("out-{:016x}", fastrand::u64(..)));
        let dockerfile = out.join("Dockerfile");
        let mut s2i = self.lab.program("s2i").arg("build").arg(&self.source);
        s2i = s2i.args([self.builder.as_str(), image, "--as-dockerfile"]);
        s2i = s2i.arg(&dockerfile).args([
            "--image-scripts-url",
            "image:///usr/libexec/s2i",
            "--assemble-user=1001",
        ]);
        if self.is_incremental {
            s2i = s2i.arg("--incremental");
        }
        s2i.ok();

        let mut variables = packages::mirrors();
        variables.extend(packages::proxies());
        let authorities = packages::authorities();
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
        let secret = self.lab.path("a secret");
        std::fs::write(&secret, "secret").or_fail("write a secret");
        chown(&secret, Some(1001), Some(0)).or_fail("give the secret away");
        buildah = buildah.arg(format!("--volume={}:{SECRET}:ro", secret.display()));
        if let Some(cache) = &self.cache {
            buildah = buildah.arg(format!("--volume={}:/opt/app-root/.cache", cache.display()));
        }
        for (name, value) in &variables {
            buildah = buildah.arg(format!("--build-arg={name}={value}"));
        }
        buildah = buildah.args(["--tag", image]).arg(out.clone());
        buildah.limit(Duration::from_secs(900))
    }
}

fn layers(storage: &Storage<'_>, image: &str) -> Vec<String> {
    let said = storage.podman().args(["image", "inspect", image]).ok();
    let said: Value = serde_json::from_str(&said).or_fail("JSON");
    let layers = said[0]["RootFS"]["Layers"].as_array().or_fail("layers");
    let digests = layers.iter().filter_map(Value::as_str);
    digests.map(str::to_owned).collect()
}

/// A folder as a builder would mount it: the assemble user's.
pub(crate) fn cache(lab: &Lab) -> PathBuf {
    let cache = lab.dir("cache");
    chown(&cache, Some(1001), Some(0)).or_fail("give the cache away");
    cache
}
