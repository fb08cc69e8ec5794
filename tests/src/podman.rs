//! podman and buildah with storage of a test's own.

use std::path::PathBuf;

use crate::{Lab, OrFail as _, Program, toolbox};

/// podman's and buildah's shared storage in a lab.
#[derive(Debug)]
pub struct Storage<'lab> {
    lab: &'lab Lab,
    name: &'static str,
    driver: &'static str,
    /// Storage whose images are there too, to be read.
    beside: Option<PathBuf>,
}

impl<'lab> Storage<'lab> {
    /// Empty storage; two names in one lab are two machines.
    pub fn new(lab: &'lab Lab, name: &'static str) -> Self {
        // vfs works on every file system that a test may stand on, also in a container.
        let driver = "vfs";
        let beside = None;
        Self {
            lab,
            name,
            driver,
            beside,
        }
    }

    /// Empty storage that keeps a layer once, however many images have it: for large ones. It needs a file system
    /// that overlayfs takes.
    pub fn overlay(lab: &'lab Lab, name: &'static str) -> Self {
        let driver = "overlay";
        Self {
            driver,
            ..Self::new(lab, name)
        }
    }

    /// The same, in which what [`Self::beside`] keeps is there as well, without a copy.
    pub fn with_kept(lab: &'lab Lab, name: &'static str) -> Self {
        let beside = Some(Self::beside());
        Self {
            beside,
            ..Self::overlay(lab, name)
        }
    }

    /// A folder of the lab's cache: storage of images that many tests begin with.
    pub fn beside() -> PathBuf {
        let folder = toolbox::cache().join("images");
        std::fs::create_dir_all(&folder).or_fail("make the storage of the cache");
        folder
    }

    /// `podman` on it.
    pub fn podman(&self) -> Program {
        self.on_storage("podman").arg("--cgroup-manager=cgroupfs")
    }

    /// `buildah` on it.
    pub fn buildah(&self) -> Program {
        self.on_storage("buildah")
    }

    /// `podman run` of an image, with what a container without privileges needs here: raising a limit
    /// is refused in a container, and crun does not take the hybrid cgroup tree.
    pub fn run(&self, image: &str) -> Program {
        self.podman()
            .args([
                "run",
                "--rm",
                "--pull=never",
                "--runtime=runc",
                "--network=host",
            ])
            .args([
                "--ulimit=nofile=1024:1024",
                "--ulimit=nproc=1024:1024",
                "--log-driver=k8s-file",
            ])
            .arg(image)
    }

    /// Another program that runs `podman` itself, on it.
    pub fn config(&self, program: Program) -> Program {
        let dir = |part: &str| self.lab.dir(format!("{}-{part}", self.name));
        let text = format!(
            "[storage]\ndriver = '{}'\ngraphroot = '{}'\nrunroot = '{}'\n",
            self.driver,
            dir("root").display(),
            dir("run").display()
        );
        let file = self.lab.write(format!("{}-storage.conf", self.name), text);
        program.env("CONTAINERS_STORAGE_CONF", file)
    }

    fn on_storage(&self, program: &str) -> Program {
        let dir = |part: &str| -> PathBuf { self.lab.dir(format!("{}-{part}", self.name)) };
        // podman refuses a runroot longer than 50 characters: names here are short on purpose.
        self.lab
            .program(program)
            .arg("--root")
            .arg(dir("root"))
            .arg("--runroot")
            .arg(dir("run"))
            .arg(format!("--storage-driver={}", self.driver))
            .args(
                self.beside
                    .iter()
                    .map(|beside| format!("--storage-opt=overlay.imagestore={}", beside.display())),
            )
    }
}
