//! Applications: sources of `tests/samples`, and what was built of them, running.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::podman::Storage;
use crate::{Lab, OrFail, Program, fail, toolbox};

/// A sample of `tests/samples`, to be changed at will.
pub fn sample(lab: &Lab, name: &str) -> PathBuf {
    let copy = lab.path("source");
    let from = toolbox::checkout().join("tests/samples").join(name);
    lab.program("cp").arg("-R").arg(from).arg(&copy).ok();
    copy
}

/// An application that runs, as platforms run it: as any user of group 0, and with nothing to write to but `/tmp`.
#[derive(Debug)]
pub struct Running<'lab> {
    storage: &'lab Storage<'lab>,
    name: String,
    url: String,
}

impl<'lab> Running<'lab> {
    /// Starts an image of the storage, by the image's own command.
    pub fn start(lab: &Lab, storage: &'lab Storage<'lab>, image: &str) -> Self {
        Self::start_with(lab, storage, image, &[])
    }

    /// Starts an image of the storage by a command.
    pub fn start_with(
        lab: &Lab,
        storage: &'lab Storage<'lab>,
        image: &str,
        command: &[&str],
    ) -> Self {
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
        podman.args(options).arg(image).args(command).ok();
        let url = format!("http://127.0.0.1:{port}");
        Self { storage, name, url }
    }

    /// What it answers to `GET path`, once it answers.
    pub fn get(&self, path: &str) -> String {
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
    pub fn stop(self) {
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
pub fn replace(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).or_fail(file.display());
    assert!(text.contains(from), "{}: no {from}", file.display());
    std::fs::write(file, text.replace(from, to)).or_fail(file.display());
}
