//! Repositories to be served, honest and otherwise.

use std::path::PathBuf;

use tests::{Lab, OrFail, Program};

/// A bare repository that is served. Commits are made from objects, so that it can hold what `git add` would refuse.
pub(crate) struct Repository<'a> {
    lab: &'a Lab,
    folder: PathBuf,
}

/// A tree's entry: mode, name, object.
pub(crate) type Entry<'a> = (&'a str, &'a [u8], String);

impl<'a> Repository<'a> {
    pub(crate) fn new(lab: &'a Lab, path: &str, hash: &str) -> Self {
        let folder = lab.dir("repositories").join(path);
        lab.program("git")
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(format!("--object-format={hash}"))
            .arg(&folder)
            .ok();
        let repository = Self { lab, folder };
        repository.git("config uploadpack.allowFilter true").ok();
        repository
    }

    fn git(&self, arguments: &str) -> Program {
        self.git_with(arguments.split(' '))
    }

    fn git_with<'b>(&self, arguments: impl IntoIterator<Item = &'b str>) -> Program {
        let mut program = self
            .lab
            .program("git")
            .env("GIT_DIR", &self.folder)
            .args(arguments);
        for who in ["AUTHOR", "COMMITTER"] {
            program = program
                .env(&format!("GIT_{who}_NAME"), "Ann")
                .env(&format!("GIT_{who}_EMAIL"), "ann@example.com")
                .env(&format!("GIT_{who}_DATE"), "2024-05-06T07:08:09+0000");
        }
        program
    }

    /// Any object, however malformed.
    pub(crate) fn object(&self, kind: &str, content: &[u8]) -> String {
        self.git("hash-object -w --literally --stdin -t")
            .arg(kind)
            .stdin(content)
            .ok()
            .trim()
            .to_owned()
    }

    pub(crate) fn blob(&self, content: &[u8]) -> String {
        self.object("blob", content)
    }

    /// A tree with exactly these entries in this order.
    pub(crate) fn tree(&self, entries: &[Entry<'_>]) -> String {
        let mut content = Vec::new();
        for (mode, name, id) in entries {
            content.extend_from_slice(mode.as_bytes());
            content.push(b' ');
            content.extend_from_slice(name);
            content.push(0);
            for pair in id.as_bytes().chunks(2) {
                let hex = std::str::from_utf8(pair).or_fail("hex");
                content.push(u8::from_str_radix(hex, 16).or_fail("hex"));
            }
        }
        self.object("tree", &content)
    }

    /// A tree with so many files, all alike, whose names have 94 bytes each. It is never in this process.
    pub(crate) fn wide_tree(&self, blob: &str, files: usize) -> String {
        let entries =
            format!("printf(\"100644 %094d\\0%s\", $_, pack(\"H*\", \"{blob}\")) for 1..{files}");
        let script =
            format!("perl -e '{entries}' | git hash-object -w --literally --stdin -t tree");
        let shell = self.lab.program("sh").env("GIT_DIR", &self.folder);
        shell.args(["-c", &script]).ok().trim().to_owned()
    }

    /// Commits a tree upon a branch's tip and moves the branch. Gives the commit's id.
    pub(crate) fn commit(&self, branch: &str, tree: &str, message: &str) -> String {
        let reference = format!("refs/heads/{branch}");
        let parent = self
            .git_with(["rev-parse", "--verify", "--quiet", &reference])
            .run();
        let mut command = self.git_with(["commit-tree", "-m", message, tree]);
        if parent.status.success() {
            command = command.args(["-p", parent.stdout.trim()]);
        }
        let commit = command.ok().trim().to_owned();
        self.point(&reference, &commit);
        commit
    }

    /// Commits files, written as `path`, `content`; a path that begins with `*` is executable, one with `@` a link.
    pub(crate) fn files(&self, branch: &str, files: &[(&str, &str)]) -> String {
        let index = self.lab.path("index");
        drop(std::fs::remove_file(&index));
        for (path, content) in files {
            let id = self.blob(content.as_bytes());
            let (mode, path) = match path.split_at(1) {
                ("*", path) => ("100755", path),
                ("@", path) => ("120000", path),
                _ => ("100644", *path),
            };
            self.git_with(["update-index", "--add", "--cacheinfo"])
                .arg(format!("{mode},{id},{path}"))
                .env("GIT_INDEX_FILE", &index)
                .ok();
        }
        let tree = self.git("write-tree").env("GIT_INDEX_FILE", &index).ok();
        self.commit(branch, tree.trim(), "Sell more")
    }

    pub(crate) fn point(&self, reference: &str, commit: &str) {
        self.git_with(["update-ref", reference, commit]).ok();
    }

    pub(crate) fn tag(&self, name: &str, commit: &str) {
        self.git_with(["tag", "-a", "-m", "a release", name, commit])
            .ok();
    }
}
