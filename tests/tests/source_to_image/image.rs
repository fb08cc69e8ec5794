//! Images of busybox and a few files, made and pushed here.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use tests::image::busybox_rootfs;
use tests::{Lab, OrFail, api};

use crate::site::Site;

/// An image whose scripts are in `/s2i`, as far as it is described.
#[derive(Clone, Debug)]
pub(crate) struct Image<'a> {
    is_empty: bool,
    files: Vec<(&'a str, &'a str)>,
    config: Value,
}

impl<'a> Image<'a> {
    /// busybox, and user 1001 at work in `/opt/app`.
    pub(crate) fn new() -> Self {
        let config = json!({
            "User": "1001",
            "Env": ["PATH=/bin"],
            "WorkingDir": "/opt/app",
            "Labels": {"io.openshift.s2i.scripts-url": "image:///s2i"},
        });
        Self {
            is_empty: false,
            files: Vec::new(),
            config,
        }
    }

    /// One that builds by this script, with a cache.
    pub(crate) fn assembling(script: &'a str) -> Self {
        Self::new()
            .file("s2i/assemble", script)
            .file("s2i/run", "#!/bin/sh\nexec true\n")
            .label("dev.slipway.cache", "/opt/app/.cache")
    }

    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self {
            is_empty: true,
            files: Vec::new(),
            config: json!({}),
        }
    }

    /// With a file, which may be run.
    pub(crate) fn file(mut self, path: &'a str, content: &'a str) -> Self {
        self.files.push((path, content));
        self
    }

    /// With a label.
    pub(crate) fn label(mut self, name: &str, value: &str) -> Self {
        self.config["Labels"][name] = value.into();
        self
    }

    /// With something else in its configuration.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.config[name] = value;
        self
    }

    /// Pushes it as `repository:1`.
    pub(crate) fn push(&self, lab: &Lab, site: &Site<'_>, repository: &str) {
        let layers: Vec<_> = (!self.is_empty)
            .then(|| self.layer(lab))
            .into_iter()
            .collect();
        let ids: Vec<_> = layers.iter().map(|layer| api::digest_of(layer)).collect();
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": ids},
        });
        let config = config.to_string().into_bytes();
        let api = site.api();
        for blob in layers.iter().chain([&config]) {
            let pushed = api.push_blob(repository, blob);
            pushed.or_fail("push a blob").expect(201);
        }
        let manifest = api::image_manifest(&config, &layers);
        let pushed = api.push_manifest(repository, "1", &manifest);
        pushed.or_fail("push a manifest").expect(201);
    }

    /// Its files as a tar.
    fn layer(&self, lab: &Lab) -> Vec<u8> {
        let name = format!("image-{:016x}", fastrand::u64(..));
        let root = lab.dir(&name);
        busybox_rootfs(&root);
        lab.write(
            format!("{name}/etc/passwd"),
            "root:x:0:0::/:/bin/sh\napp:x:1001:0::/opt/app:/bin/sh\n",
        );
        for folder in ["opt/app", "opt/app/.cache", "tmp"] {
            let folder = lab.dir(format!("{name}/{folder}"));
            let open = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(folder, open).or_fail("open a folder");
        }
        for (path, content) in &self.files {
            let file = lab.write(format!("{name}/{path}"), content);
            let runs = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(file, runs).or_fail("make a file run");
        }
        let tar = lab.path(format!("{name}.tar"));
        lab.program("tar")
            .args(["--owner=0", "--group=0", "--numeric-owner", "-cf"])
            .arg(&tar)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .ok();
        std::fs::read(tar).or_fail("the layer")
    }
}

/// As images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
