//! A builder image of nothing but busybox.

use std::fs;

use serde_json::json;
use tests::image::busybox_rootfs;
use tests::{Lab, OrFail, api};

use crate::site::Site;

/// Pushes it as `repository:1`, with `assemble`, a user and a cache.
pub(crate) fn push_builder(lab: &Lab, site: &Site<'_>, repository: &str, assemble: &str) {
    let root = lab.dir("rootfs");
    busybox_rootfs(&root);
    for folder in ["opt/app/.cache", "tmp", "etc"] {
        lab.dir(format!("rootfs/{folder}"));
    }
    lab.write(
        "rootfs/etc/passwd",
        "root:x:0:0::/:/bin/sh\napp:x:1001:0::/:/bin/sh\n",
    );
    lab.write("rootfs/s2i/assemble", assemble);
    lab.write("rootfs/s2i/run", "#!/bin/sh\nexec true\n");
    let tar = lab.path("rootfs.tar");
    lab.program("chmod")
        .args(["-R", "a+rwX,+x"])
        .args([root.join("s2i"), root.join("opt"), root.join("tmp")])
        .ok();
    lab.program("tar")
        .args([
            "--owner=1001",
            "--group=0",
            "--numeric-owner",
            "--sort=name",
            "-cf",
        ])
        .arg(&tar)
        .arg("-C")
        .arg(&root)
        .arg(".")
        .ok();
    let layer = fs::read(tar).or_fail("the layer");
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "User": "1001",
            "Env": ["PATH=/bin"],
            "Labels": {
                "io.openshift.s2i.scripts-url": "image:///s2i",
                "dev.slipway.cache": "/opt/app/.cache",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [api::digest_of(&layer)]},
    });
    let config = config.to_string().into_bytes();
    let api = site.api();
    for blob in [&config, &layer] {
        let pushed = api.push_blob(repository, blob);
        pushed.or_fail("push a blob").expect(201);
    }
    let manifest = api::image_manifest(&config, &[layer]);
    let pushed = api.push_manifest(repository, "1", &manifest);
    pushed.or_fail("push a manifest").expect(201);
}

/// As images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
