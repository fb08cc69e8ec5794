//! Real images, made here from real programs, with no registry.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Lab, Layout, OrFail, api::digest_of, toolbox};

/// An image in an OCI layout, unlike any other image: it holds, and prints when run, a text of its own.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it is.
    pub layout: Layout,
    /// Its tag in the layout.
    pub tag: String,
    /// What `run` prints.
    pub text: String,
}

impl Image {
    /// busybox, one file of its own, two layers, made by `umoci`. Running it prints [`Image::text`].
    pub fn busybox(lab: &Lab, name: &str) -> Self {
        let image = Self::empty(lab, name);
        let stage = lab.dir(format!("{name}-rootfs"));
        busybox_rootfs(&stage);
        image.add_layer(lab, &stage);
        image.greet(lab, name);
        image
    }

    /// A minimal Debian (some 100 MB unpacked) by `mmdebstrap`, with one small layer of its own on it.
    /// Running it prints [`Image::text`]. The Debian layer is made once per machine.
    pub fn debian(lab: &Lab, name: &str) -> Self {
        let image = Self::empty(lab, name);
        let at = image.at();
        let tar = minbase(lab);
        lab.program("umoci")
            .args(["raw", "add-layer", "--image", &at])
            .arg(tar)
            .ok();
        image.greet(lab, name);
        image
    }

    /// An index of two images, one for amd64 and one that says arm64, as one multi-platform image.
    pub fn multi_platform(lab: &Lab, name: &str) -> Self {
        let image = Self::busybox(lab, name);
        let amd64 = image.layout.digest("v1");
        let at = image.at();
        let arm = format!("{}:arm", image.layout.root().display());
        lab.program("umoci")
            .args(["tag", "--image", &at, "arm"])
            .ok();
        lab.program("umoci")
            .args(["config", "--image", &arm, "--architecture", "arm64"])
            .ok();
        let arm64 = image.layout.digest("arm");
        let describe = |digest: &str, architecture: &str| {
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest,
                "size": image.layout.blob(digest).len(),
                "platform": {"architecture": architecture, "os": "linux"},
            })
        };
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [describe(&amd64, "amd64"), describe(&arm64, "arm64")],
        });
        image.tag_index(&index);
        image
    }

    /// `FOLDER:TAG`, as umoci names it; skopeo's `oci:` transport takes the same.
    pub fn at(&self) -> String {
        format!("{}:{}", self.layout.root().display(), self.tag)
    }

    /// The digest of its manifest or index.
    pub fn digest(&self) -> String {
        self.layout.digest(&self.tag)
    }

    /// Pushes it to a registry without TLS with skopeo, as one of the cluster's people, whose token is their name.
    #[track_caller]
    pub fn push_as(&self, lab: &Lab, person: &str, to: &str) {
        lab.program("skopeo")
            .args(["copy", "--dest-tls-verify=false", "--dest-creds"])
            .arg(format!("{person}:{person}"))
            .arg(format!("oci:{}", self.at()))
            .arg(format!("docker://{to}"))
            .ok();
    }

    fn empty(lab: &Lab, name: &str) -> Self {
        let root = lab.path(format!("{name}-oci"));
        lab.program("umoci")
            .args(["init", "--layout"])
            .arg(&root)
            .ok();
        let image = Self {
            layout: Layout::at(root),
            tag: "v1".to_owned(),
            text: format!("this is {name} number {:016x}\n", fastrand::u64(..)),
        };
        let at = image.at();
        lab.program("umoci").args(["new", "--image", &at]).ok();
        image
    }

    /// Adds a layer with [`Image::text`], which running the image prints.
    fn greet(&self, lab: &Lab, name: &str) {
        let own = lab.dir(format!("{name}-own"));
        std::fs::write(own.join("greeting"), &self.text).or_fail("write the greeting");
        self.add_layer(lab, &own);
        lab.program("umoci")
            .args(["config", "--image", &self.at()])
            .args([
                "--config.entrypoint",
                "/bin/cat",
                "--config.cmd",
                "/greeting",
            ])
            .args(["--architecture", "amd64", "--os", "linux"])
            .ok();
    }

    fn add_layer(&self, lab: &Lab, folder: &Path) {
        let at = self.at();
        lab.program("umoci")
            .args(["insert", "--image", &at])
            .arg(folder)
            .arg("/")
            .ok();
    }

    /// Writes the index as a blob and lets the layout name it alone, with this image's tag.
    fn tag_index(&self, index: &Value) {
        let bytes = index.to_string();
        let digest = digest_of(bytes.as_bytes());
        let root = self.layout.root();
        std::fs::write(root.join("blobs").join(digest.replace(':', "/")), &bytes)
            .or_fail("write the index");
        let top = json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": index["mediaType"],
                "digest": digest,
                "size": bytes.len(),
                "annotations": {"org.opencontainers.image.ref.name": self.tag},
            }],
        });
        std::fs::write(root.join("index.json"), top.to_string()).or_fail("write index.json");
    }
}

/// Puts the static busybox of the machine into `root`, with the links of the commands that tests run.
pub fn busybox_rootfs(root: &Path) {
    let bin = root.join("bin");
    std::fs::create_dir_all(&bin).or_fail("make /bin");
    let busybox = bin.join("busybox");
    std::fs::copy(toolbox::find("busybox"), &busybox).or_fail("copy busybox");
    for command in ["cat", "sh", "sleep", "echo", "true"] {
        let link = bin.join(command);
        if !link.is_symlink() {
            std::os::unix::fs::symlink("busybox", &link).or_fail("link a command");
        }
    }
}

/// A tar of Debian's `minbase`, from the machine's own package sources, kept in the cache.
pub fn minbase(lab: &Lab) -> PathBuf {
    let kept = toolbox::cache().join("debian-minbase.tar");
    if kept.is_file() {
        return kept;
    }
    std::fs::create_dir_all(toolbox::cache()).or_fail("make the cache");
    // A name of its own, then a rename: two tests may come here at once.
    let fresh = kept.with_extension(format!("{:016x}.tar", fastrand::u64(..)));
    lab.program("mmdebstrap")
        .args([
            "--variant=minbase",
            "--mode=root",
            "--format=tar",
            "bookworm",
        ])
        .arg(&fresh)
        .ok();
    std::fs::rename(&fresh, &kept).or_fail("keep the Debian tar");
    kept
}
