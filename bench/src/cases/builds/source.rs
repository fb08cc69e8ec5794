//! A git repository, served over HTTP on loopback.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::toolbox;

use super::said;
use crate::process::free_address;

/// The repository. Dropping it stops its server.
pub(super) struct Source {
    work: PathBuf,
    address: SocketAddr,
    server: Child,
}

impl Source {
    /// The Python sample in a new repository below `folder`, with its dependencies or without any.
    pub(super) fn serve(folder: &Path, dependencies: bool) -> Result<Self> {
        let work = folder.join("app");
        let scripts = folder.join("www/cgi-bin");
        fs::create_dir_all(&work)?;
        fs::create_dir_all(&scripts)?;
        let sample = toolbox::checkout().join("tests/samples/python");
        fs::copy(sample.join("app.py"), work.join("app.py"))?;
        if dependencies {
            let name = "requirements.txt";
            fs::copy(sample.join(name), work.join(name))?;
        }
        let script = scripts.join("git");
        let text = format!(
            "#!/bin/sh\nGIT_PROJECT_ROOT='{}' GIT_HTTP_EXPORT_ALL=1 exec git http-backend\n",
            folder.display()
        );
        fs::write(&script, text)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let address = free_address()?;
        let server = Command::new(toolbox::installed("busybox").context("no busybox")?)
            .args(["httpd", "-f", "-p", &address.to_string(), "-h"])
            .arg(folder.join("www"))
            .spawn()?;
        let source = Self {
            work,
            address,
            server,
        };
        source.git(&["init", "--quiet", "--initial-branch=main"])?;
        source.commit()?;
        while std::net::TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(source)
    }

    /// Where it is fetched from.
    pub(super) fn url(&self) -> String {
        format!("http://{}/cgi-bin/git/app/.git", self.address)
    }

    /// Its working tree.
    pub(super) fn work(&self) -> &Path {
        &self.work
    }

    /// The commit that it stands at.
    pub(super) fn head(&self) -> Result<String> {
        let head = self.git(&["rev-parse", "HEAD"])?;
        Ok(head.trim().to_owned())
    }

    /// Adds a line to the code, and nothing to what it depends on.
    pub(super) fn change_code(&self) -> Result<()> {
        let file = self.work.join("app.py");
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text + "\nCHANGED = True\n")?;
        self.commit()
    }

    fn commit(&self) -> Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", "The application"])?;
        Ok(())
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@example.com",
        ]);
        said(git.args(arguments).current_dir(&self.work))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
