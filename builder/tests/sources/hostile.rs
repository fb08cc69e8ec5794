//! Repositories made to do harm. Whatever becomes of a fetch, no canary is touched and nothing comes out of it that leads
//! out of the source.

mod gitmodules;
mod trees;

use std::path::PathBuf;
use std::time::Duration;

use builder::source::git::{GitFetcher, GitSource, Mirrors};
use builder::source::{Fault, FaultClass, Snapshot, SourceLimits};

use tests::{OrFail, fail};

use crate::servers::{self, Servers};

/// Files that only an attack would make or change.
struct Canaries {
    made: PathBuf,
    kept: PathBuf,
}

impl Canaries {
    fn set(servers: &Servers) -> Self {
        Self {
            made: servers.lab.path("canary-made"),
            kept: servers.lab.write("canary-kept", "untouched"),
        }
    }

    /// A command that an attack would run.
    fn command(&self) -> String {
        format!("touch {}", self.made.display())
    }

    #[track_caller]
    fn check(&self, case: &str) {
        assert!(!self.made.exists(), "{case}: the canary was made");
        let kept = std::fs::read_to_string(&self.kept).or_fail("the canary");
        assert_eq!(kept, "untouched", "{case}");
    }
}

/// What may come out: a fault of this class, or these paths.
enum Expected {
    Fault(FaultClass),
    Paths(&'static [&'static str]),
}

#[track_caller]
fn check(case: &str, found: Result<Snapshot, Fault>, expected: &Expected) {
    match (found, expected) {
        (Err(fault), Expected::Fault(class)) => {
            assert_eq!(fault.class(), *class, "{case}: {fault}");
        }
        (Ok(snapshot), Expected::Paths(paths)) => {
            assert_eq!(servers::paths(&snapshot), *paths, "{case}");
        }
        (Ok(snapshot), Expected::Fault(class)) => {
            fail(format!("{case}: {snapshot:?} and not {class}"))
        }
        (Err(fault), Expected::Paths(_)) => fail(format!("{case}: {}: {fault}", fault.class())),
    }
}

fn whole(servers: &Servers, path: &str) -> GitSource {
    GitSource {
        submodules: true,
        lfs: true,
        ..servers.source(path)
    }
}

#[tokio::test]
async fn content_is_what_was_committed() {
    let servers = Servers::start("bytes");
    let repository = servers.repository("public/app.git");
    let attributes = "* eol=crlf ident working-tree-encoding=UTF-16LE\n*.x export-subst\n";
    repository.files(
        "main",
        &[
            (".gitattributes", attributes),
            ("a.x", "$Id$ $Format:%H$\n"),
        ],
    );
    let snapshot = servers
        .fetch(&whole(&servers, "public/app.git"))
        .await
        .unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut snapshot.open().unwrap(), &mut bytes).unwrap();
    let found = bytes
        .windows(18)
        .any(|window| window == b"$Id$ $Format:%H$\n\0");
    assert!(found);
}

/// What no repository could do so far: leave a hook in the mirror, and settings that let git run it.
#[tokio::test]
async fn t75_what_gets_into_a_mirror_is_not_run_by_root() {
    let servers = Servers::start("mirror-hook");
    let canaries = Canaries::set(&servers);
    let repository = servers.repository("public/app.git");
    repository.files("main", &[("a", "1")]);
    let source = whole(&servers, "public/app.git");
    servers.fetch(&source).await.unwrap();
    let output = std::process::Command::new("find")
        .arg(servers.mirrors())
        .args(["-name", "*.git"])
        .output()
        .unwrap();
    let mirror = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    let hook = mirror.join("reference-transaction");
    let script = format!(
        "#!/bin/sh\n{}; id -u > \"$GIT_DIR/hook-ran\"\n",
        canaries.command()
    );
    std::fs::write(&hook, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, executable).unwrap();
    let config = std::fs::read_to_string(mirror.join("config")).unwrap();
    let config = format!("{config}[core]\n\thooksPath = \"{}\"\n", mirror.display());
    std::fs::write(mirror.join("config"), config).unwrap();
    repository.files("main", &[("a", "2")]);
    let found = servers.fetch(&source).await;
    check("hook", found, &Expected::Paths(&["a"]));
    canaries.check("hook");
    if rustix::process::geteuid().is_root() {
        assert!(
            !mirror.join("hook-ran").exists(),
            "nothing in a mirror is executed"
        );
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&mirror).unwrap());
        assert_ne!(owner, 0);
    } else {
        eprintln!("skipped: not root, git is the same user as this test");
    }
}

#[tokio::test]
async fn t33_bombs_are_cut_short() {
    let servers = Servers::start("bombs");
    let limits = SourceLimits {
        entries: 10_000,
        bytes: 50_000_000,
        time: Duration::from_secs(60),
        ..SourceLimits::default()
    };
    let fetcher = GitFetcher::new(Mirrors::new(servers.mirrors()), servers.network(), limits);

    // Ten trees of ten entries each, ten deep: 10^10 files in 1 KB.
    let repository = servers.repository("public/trees.git");
    let mut id = repository.blob(b"x");
    let mut mode = "100644";
    for _ in 0..10 {
        let names: Vec<[u8; 1]> = (b'a'..=b'j').map(|name| [name]).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (mode, &name[..], id.clone()))
            .collect();
        id = repository.tree(&entries);
        mode = "40000";
    }
    repository.commit("main", &id, "bomb");
    let found = fetcher
        .fetch("shop", &whole(&servers, "public/trees.git"))
        .await;
    check("trees", found, &Expected::Fault(FaultClass::SourceTooLarge));

    // 200 MB of zeros are 200 KB on the wire.
    let repository = servers.repository("public/zeros.git");
    let zeros = repository.blob(&vec![0; 200_000_000]);
    let tree = repository.tree(&[("100644", b"zeros", zeros)]);
    repository.commit("main", &tree, "bomb");
    let found = fetcher
        .fetch("shop", &whole(&servers, "public/zeros.git"))
        .await;
    check("zeros", found, &Expected::Fault(FaultClass::SourceTooLarge));

    // A chain of submodules, each naming the one before it.
    let mut before = None;
    for i in 0..12 {
        let repository = servers.repository(&format!("public/chain-{i}.git"));
        let tree = match &before {
            None => {
                let blob = repository.blob(b"x");
                repository.tree(&[("100644", b"x", blob)])
            }
            Some(commit) => {
                let modules = format!(
                    "[submodule \"x\"]\npath = x\nurl = ../chain-{}.git\n",
                    i - 1
                );
                let modules = repository.blob(modules.as_bytes());
                repository.tree(&[
                    ("100644", b".gitmodules", modules),
                    ("160000", b"x", String::clone(commit)),
                ])
            }
        };
        before = Some(repository.commit("main", &tree, "chain"));
    }
    let found = fetcher
        .fetch("shop", &whole(&servers, "public/chain-11.git"))
        .await;
    check("chain", found, &Expected::Fault(FaultClass::SourceTooLarge));
}

#[tokio::test]
async fn t75_a_commit_that_lies_about_itself_stays_on_its_line() {
    let servers = Servers::start("commit");
    let repository = servers.repository("public/app.git");
    let blob = repository.blob(b"x");
    let tree = repository.tree(&[("100644", b"x", blob)]);
    let long = "m".repeat(100_000);
    let commit = format!(
        "tree {tree}\nauthor A\x1b[31mnn\x07 <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nsubject\x1b]0;x {long}\n"
    );
    let commit = repository.object("commit", commit.as_bytes());
    repository.point("refs/heads/main", &commit);
    let source = whole(&servers, "public/app.git");
    let found = servers
        .fetch(&source)
        .await
        .unwrap()
        .source()
        .commit
        .unwrap();
    for text in [&found.author_name, &found.message, &found.date] {
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.len() <= 500);
    }
}

#[tokio::test]
async fn t75_hooks_in_a_mirror_do_not_run() {
    let servers = Servers::start("hooks");
    let canaries = Canaries::set(&servers);
    let repository = servers.repository("public/app.git");
    repository.files("main", &[("file", "x")]);
    let source = whole(&servers, "public/app.git");
    servers.fetch(&source).await.unwrap();
    let mut folders = vec![servers.mirrors()];
    let mut planted = 0;
    while let Some(folder) = folders.pop() {
        if !folder.join("HEAD").exists() {
            let entries = std::fs::read_dir(&folder).unwrap().flatten();
            folders.extend(
                entries
                    .map(|entry| entry.path())
                    .filter(|path| path.is_dir()),
            );
            continue;
        }
        std::fs::create_dir_all(folder.join("hooks")).unwrap();
        for hook in ["reference-transaction", "post-checkout", "pre-auto-gc"] {
            let hook = folder.join("hooks").join(hook);
            std::fs::write(&hook, format!("#!/bin/sh\n{}\n", canaries.command())).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&hook, mode).unwrap();
            planted += 1;
        }
    }
    assert_eq!(planted, 3);
    repository.files("main", &[("file", "y")]);
    servers.fetch(&source).await.unwrap();
    canaries.check("hooks in the mirror");
}
