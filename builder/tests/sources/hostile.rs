//! Repositories made to do harm. Whatever becomes of a fetch, no canary is touched and nothing comes out of it that leads
//! out of the source.

use std::path::PathBuf;
use std::time::Duration;

use builder::source::git::{GitFetcher, GitSource, Mirrors};
use builder::source::{Fault, FaultClass, Snapshot, SourceLimits};

use crate::repository::Repository;
use crate::servers::Servers;

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
        let kept = std::fs::read_to_string(&self.kept).unwrap();
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
        (Err(fault), Expected::Fault(class)) => assert_eq!(fault.class(), *class, "{case}: {fault}"),
        (Ok(snapshot), Expected::Paths(paths)) => {
            let mut archive = tar::Archive::new(snapshot.open().unwrap());
            let entries = archive.entries().unwrap();
            let found: Vec<_> = entries
                .map(|entry| entry.unwrap().path().unwrap().display().to_string())
                .collect();
            assert_eq!(&found, paths, "{case}");
        }
        (Ok(snapshot), Expected::Fault(class)) => panic!("{case}: {snapshot:?} and not {class}"),
        (Err(fault), Expected::Paths(_)) => panic!("{case}: {}: {fault}", fault.class()),
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
async fn gitmodules_run_and_reach_nothing() {
    let servers = Servers::start("gitmodules");
    let canaries = Canaries::set(&servers);
    let command = canaries.command();
    let kept = canaries.kept.display().to_string();
    let lib = servers.repository("public/lib.git");
    let commit = lib.files("main", &[("lib.txt", "1")]);
    let good = format!("https://localhost:{}/public/lib.git", servers.port);

    let refused = || Expected::Fault(FaultClass::SourceRefused);
    let forbidden = || Expected::Fault(FaultClass::AddressForbidden);
    let fine: &[&str] = &[".gitmodules", "x/", "x/lib.txt"];
    let module = |path: &str, url: &str| format!("[submodule \"x\"]\n\tpath = {path}\n\turl = {url}\n");
    let cases: Vec<(&str, String, Expected)> = vec![
        ("ext transport", module("x", &format!("\"ext::sh -c '{command}' %S\"")), refused()),
        ("file transport", module("x", &format!("file://{kept}")), refused()),
        ("a path of this machine", module("x", &kept), refused()),
        ("http", module("x", "http://localhost/x"), refused()),
        ("git transport", module("x", "git://localhost/x"), refused()),
        ("an option", module("x", "--upload-pack=touch"), refused()),
        ("an option as a short host", module("x", &format!("\"-u./{command};:x\"")), refused()),
        ("an option to ssh", module("x", "ssh://-oProxyCommand=touch/x"), refused()),
        ("an option to ssh by its user", module("x", "ssh://-oProxyCommand=touch@h/x"), refused()),
        ("a second line in the URL", module("x", "\"https://localhost/x\\nhost=evil\""), refused()),
        ("an encoded line in the URL", module("x", "https://localhost/x%0ahost=evil"), refused()),
        ("a password in the URL", module("x", "https://a:b@localhost/x"), refused()),
        ("above the server's root", module("x", "../../../../x"), refused()),
        ("metadata", module("x", "https://169.254.169.254/latest"), forbidden()),
        ("an inner network", module("x", "https://10.0.0.1/x"), forbidden()),
        ("an inner network by number", module("x", "https://167772161/x"), forbidden()),
        ("IPv6 that is IPv4", module("x", "https://[::ffff:10.0.0.1]/x"), forbidden()),
        ("a command for updates", module("x", &good) + &format!("\tupdate = !{command}\n"), refused()),
        ("a name above itself", format!("[submodule \"../../x\"]\n\tpath = x\n\turl = {good}\n"), refused()),
        ("a carriage return in the path", format!("[submodule \"x\"]\n\tpath = \"x\r\"\n\turl = {good}\n"), refused()),
        ("another path", module("../../etc", &good), refused()),
        ("a path in git's folder", module(".git/hooks", &good), refused()),
        ("other settings", format!("[core]\n\tfsmonitor = {command}\n\tsshCommand = {command}\n[alias]\n\tx = !{command}\n") + &module("x", &good), Expected::Paths(fine)),
        ("an include", format!("[include]\n\tpath = {kept}\n") + &module("x", &good), Expected::Paths(fine)),
        ("no settings", "nonsense [".to_owned(), Expected::Fault(FaultClass::SourceRefused)),
        ("very long", "#".repeat(100_000) + "\n" + &module("x", &good), Expected::Fault(FaultClass::SourceTooLarge)),
        ("nothing", String::new(), refused()),
    ];
    for (number, (case, modules, expected)) in cases.into_iter().enumerate() {
        let path = format!("public/case-{number}.git");
        let repository = servers.repository(&path);
        let modules = repository.blob(modules.as_bytes());
        let tree = repository.tree(&[
            ("100644", b".gitmodules", modules),
            ("160000", b"x", commit.clone()),
        ]);
        repository.commit("main", &tree, case);
        check(case, servers.fetch(&whole(&servers, &path)).await, &expected);
        canaries.check(case);
    }
}

#[tokio::test]
async fn a_gitmodules_that_is_a_link_is_refused() {
    let servers = Servers::start("module-link");
    let repository = servers.repository("public/app.git");
    let target = repository.blob(b".git/config");
    let commit = repository.files("other", &[("x", "x")]);
    let tree = repository.tree(&[
        ("120000", b".gitmodules", target),
        ("160000", b"x", commit),
    ]);
    repository.commit("main", &tree, "x");
    let found = servers.fetch(&whole(&servers, "public/app.git")).await;
    check("link", found, &Expected::Fault(FaultClass::SourceRefused));
}

type Made = fn(&Repository<'_>) -> String;

#[tokio::test]
async fn trees_cannot_lead_out() {
    let servers = Servers::start("trees");
    let canaries = Canaries::set(&servers);
    let refused = || Expected::Fault(FaultClass::SourceRefused);
    let cases: Vec<(&str, Made, Expected)> = vec![
        ("a hook", |r| {
            let hook = r.blob(b"#!/bin/sh\ntouch canary\n");
            let hooks = r.tree(&[("100755", b"post-checkout", hook)]);
            let git = r.tree(&[("40000", b"hooks", hooks)]);
            r.tree(&[("40000", b".git", git)])
        }, refused()),
        ("git in capitals", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", b".GIT", blob)])
        }, refused()),
        ("git as Windows shortens it", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", b"git~1", blob)])
        }, refused()),
        ("git with invisible letters", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", ".g\u{200c}it".as_bytes(), blob)])
        }, refused()),
        ("above", |r| {
            let blob = r.blob(b"x");
            let up = r.tree(&[("100644", b"passwd", blob)]);
            r.tree(&[("40000", b"..", up)])
        }, refused()),
        ("here", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", b".", blob)])
        }, refused()),
        ("a path as a name", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", b"../../etc/passwd", blob)])
        }, refused()),
        ("an absolute path as a name", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", b"/etc/passwd", blob)])
        }, refused()),
        ("no name", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", b"", blob)])
        }, Expected::Fault(FaultClass::GitError)),
        ("a link and a folder of one name", |r| {
            let (link, blob) = (r.blob(b"/etc"), r.blob(b"x"));
            let folder = r.tree(&[("100644", b"passwd", blob)]);
            r.tree(&[("120000", b"a", link), ("40000", b"a", folder)])
        }, refused()),
        ("two files of one name", |r| {
            let (one, two) = (r.blob(b"1"), r.blob(b"2"));
            r.tree(&[("100644", b"a", one), ("100755", b"a", two)])
        }, refused()),
        ("a device's mode", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("20000", b"a", blob)])
        }, refused()),
        ("links anywhere are only links", |r| {
            let (out, up, own) = (r.blob(b"/etc/passwd"), r.blob(b"../../x"), r.blob(b".git/config"));
            r.tree(&[("120000", b"a", out), ("120000", b"b", up), ("120000", b"c", own)])
        }, Expected::Paths(&["a", "b", "c"])),
        ("a link to nowhere", |r| {
            let empty = r.blob(b"");
            r.tree(&[("120000", b"a", empty)])
        }, refused()),
        ("a very long link", |r| {
            let long = r.blob(&[b'a'; 10_000]);
            r.tree(&[("120000", b"a", long)])
        }, refused()),
        ("backslashes are letters", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", b"..\\..\\x", blob)])
        }, Expected::Paths(&["..\\..\\x"])),
        ("filters and attributes do nothing", |r| {
            let (attributes, blob) = (r.blob(b"* filter=evil eol=crlf ident working-tree-encoding=UTF-16 export-ignore\n"), r.blob(b"$Id$\n"));
            r.tree(&[("100644", b".gitattributes", attributes), ("100644", b"a", blob)])
        }, Expected::Paths(&[".gitattributes", "a"])),
        ("a configuration of LFS does nothing", |r| {
            let config = r.blob(b"[lfs]\n\turl = https://169.254.169.254/\n");
            r.tree(&[("100644", b".lfsconfig", config)])
        }, Expected::Paths(&[".lfsconfig"])),
        ("lines in names", |r| {
            let blob = r.blob(b"x");
            r.tree(&[("100644", b"a\nb\t100644 c", blob)])
        }, Expected::Paths(&["a\nb\t100644 c"])),
    ];
    for (number, (case, made, expected)) in cases.into_iter().enumerate() {
        let path = format!("public/case-{number}.git");
        let repository = servers.repository(&path);
        let tree = made(&repository);
        repository.commit("main", &tree, case);
        check(case, servers.fetch(&whole(&servers, &path)).await, &expected);
        canaries.check(case);
    }
}

#[tokio::test]
async fn content_is_what_was_committed() {
    let servers = Servers::start("bytes");
    let repository = servers.repository("public/app.git");
    let attributes = "* eol=crlf ident working-tree-encoding=UTF-16LE\n*.x export-subst\n";
    repository.files("main", &[(".gitattributes", attributes), ("a.x", "$Id$ $Format:%H$\n")]);
    let snapshot = servers.fetch(&whole(&servers, "public/app.git")).await.unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut snapshot.open().unwrap(), &mut bytes).unwrap();
    let found = bytes.windows(18).any(|window| window == b"$Id$ $Format:%H$\n\0");
    assert!(found);
}

#[tokio::test]
async fn bombs_are_cut_short() {
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
        let entries: Vec<_> = names.iter().map(|name| (mode, &name[..], id.clone())).collect();
        id = repository.tree(&entries);
        mode = "40000";
    }
    repository.commit("main", &id, "bomb");
    let found = fetcher.fetch("shop", &whole(&servers, "public/trees.git")).await;
    check("trees", found, &Expected::Fault(FaultClass::SourceTooLarge));

    // 200 MB of zeros are 200 KB on the wire.
    let repository = servers.repository("public/zeros.git");
    let zeros = repository.blob(&vec![0; 200_000_000]);
    let tree = repository.tree(&[("100644", b"zeros", zeros)]);
    repository.commit("main", &tree, "bomb");
    let found = fetcher.fetch("shop", &whole(&servers, "public/zeros.git")).await;
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
                let modules = format!("[submodule \"x\"]\npath = x\nurl = ../chain-{}.git\n", i - 1);
                let modules = repository.blob(modules.as_bytes());
                repository.tree(&[("100644", b".gitmodules", modules), ("160000", b"x", String::clone(commit))])
            }
        };
        before = Some(repository.commit("main", &tree, "chain"));
    }
    let found = fetcher.fetch("shop", &whole(&servers, "public/chain-11.git")).await;
    check("chain", found, &Expected::Fault(FaultClass::SourceTooLarge));
}

#[tokio::test]
async fn a_commit_that_lies_about_itself_stays_on_its_line() {
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
    let found = servers.fetch(&source).await.unwrap().source().commit.unwrap();
    for text in [&found.author_name, &found.message, &found.date] {
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.len() <= 500);
    }
}

#[tokio::test]
async fn hooks_in_a_mirror_do_not_run() {
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
            folders.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
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
