//! A git server: `git http-backend` behind busybox' `httpd`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::{Daemon, Lab, OrFail, toolbox};

/// A repository that is served, and a work tree of it.
#[derive(Debug)]
pub struct Repository<'lab> {
    lab: &'lab Lab,
    /// The work tree.
    pub worktree: PathBuf,
    /// Where it is served.
    pub url: String,
    _server: Daemon,
}

impl<'lab> Repository<'lab> {
    /// Serves the files of `worktree` as the first commit of the branch `main`.
    pub fn serve(lab: &'lab Lab, worktree: PathBuf) -> Self {
        let root = lab.dir("repositories");
        lab.program("git")
            .args("init --quiet --bare --initial-branch=main".split(' '))
            .arg(root.join("app.git"))
            .ok();
        let script = lab.write(
            "www/cgi-bin/git",
            format!(
                "#!/bin/sh\nexport GIT_PROJECT_ROOT={} GIT_HTTP_EXPORT_ALL=1\n\
                 exec git -c safe.directory='*' -c uploadpack.allowFilter=true http-backend\n",
                root.display()
            ),
        );
        let runs = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&script, runs).or_fail("make the script run");
        let address = format!("127.0.0.1:{}", lab.port());
        let mut command = Command::new(toolbox::find("busybox"));
        command.args(["httpd", "-f", "-p", &address, "-h"]);
        command.arg(lab.path("www"));
        let mut server = Daemon::start("httpd", command, &lab.path("httpd.log"));
        server.wait_until(|| std::net::TcpStream::connect(&address).is_ok());
        let repository = Self {
            lab,
            worktree,
            url: format!("http://{address}/cgi-bin/git/app.git"),
            _server: server,
        };
        repository.git("init --quiet --initial-branch=main");
        repository.commit();
        repository
    }

    /// Commits all of the work tree and publishes it.
    pub fn commit(&self) {
        self.git("add --all");
        self.git("-c user.name=lab -c user.email=lab@example.com commit --quiet --message=change");
        let bare = self.lab.path("repositories").join("app.git");
        self.git(&format!("push --quiet {} main", bare.display()));
    }

    /// The newest commit.
    pub fn head(&self) -> String {
        self.git("rev-parse HEAD").trim().to_owned()
    }

    /// The newest commit, as Go names a version that has no tag.
    pub fn version(&self) -> String {
        let git = self.lab.program("git").dir(&self.worktree).env("TZ", "UTC");
        let show =
            "show --no-patch --format=v0.0.0-%cd-%H --abbrev=12 --date=format-local:%Y%m%d%H%M%S";
        let said = git.args(show.split(' ')).ok();
        // The first twelve digits of the hash.
        let end = said.rfind('-').or_fail("a hash") + 13;
        said[..end].to_owned()
    }

    fn git(&self, words: &str) -> String {
        let git = self.lab.program("git").dir(&self.worktree);
        git.args(words.split(' ')).ok()
    }
}
