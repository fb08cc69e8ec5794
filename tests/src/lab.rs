//! A test's own ground: a folder, a home, ports.

use std::path::{Path, PathBuf};

use crate::{OrFail, Program, port};

/// A folder that belongs to one test, removed at its end unless the test failed.
#[derive(Debug)]
pub struct Lab {
    root: PathBuf,
    keep: bool,
}

impl Lab {
    /// A fresh folder whose name has `name` in it, at most 16 letters: sockets' and podman's paths are bounded.
    pub fn new(name: &str) -> Self {
        assert!(name.len() <= 16, "{name} is longer than 16 letters");
        let root = tempfile::Builder::new()
            .prefix(&format!("slipway-{name}-"))
            .tempdir()
            .or_fail("make the lab's folder")
            .keep();
        let lab = Self {
            root,
            keep: std::env::var_os("SLIPWAY_LAB_KEEP").is_some(),
        };
        lab.dir("home");
        lab
    }

    /// The lab's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the lab, not created.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// A folder in the lab, created when it is not there.
    pub fn dir(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).or_fail(format!("make {}", path.display()));
        path
    }

    /// Writes a file in the lab (and the folders above it) and gives its path.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).or_fail(format!("make {}", parent.display()));
        }
        std::fs::write(&path, content).or_fail(format!("write {}", path.display()));
        path
    }

    /// A loopback port that no other test of this machine holds.
    pub fn port(&self) -> u16 {
        port::reserve()
    }

    /// A program that runs in the lab: its home, its temporary files and its output are there, and it
    /// sees no credentials or configuration of the person who runs the tests.
    pub fn program(&self, name: &str) -> Program {
        Program::new(name, &self.root)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.keep || std::thread::panicking() {
            eprintln!("the test's folder is kept: {}", self.root.display());
            return;
        }
        // Containers' storage may hold read-only folders or late mounts; a left-over is no failure.
        drop(std::fs::remove_dir_all(&self.root));
    }
}
