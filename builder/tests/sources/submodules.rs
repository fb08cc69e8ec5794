//! Repositories within repositories, and files of Git LFS.

use std::process::Command;

use builder::source::git::GitSource;
use builder::source::{FaultClass, Snapshot};
use oci::{Algorithm, Digest};

use crate::repository::Repository;
use crate::servers::{PASSWORD, Servers, USER, basic, entries, paths};

/// All but what is git's own.
fn files(snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut entries = entries(snapshot);
    entries.retain(|(path, _)| !path.contains(".git"));
    entries
}

fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(path, content): &(&str, &str)| ((*path).to_owned(), (*content).to_owned());
    expected.iter().map(own).collect()
}

/// `app` holds `libs/one`, which holds `two`; both by relative URLs.
fn nested(servers: &Servers, realm: &str) -> GitSource {
    let two = servers.repository(&format!("{realm}/two.git"));
    let two_commit = two.files("main", &[("two.txt", "2")]);
    let one = servers.repository(&format!("{realm}/one.git"));
    let modules = one.blob(b"[submodule \"two\"]\n\tpath = two\n\turl = ../two.git\n");
    let text = one.blob(b"1");
    let tree = one.tree(&[
        ("100644", b".gitmodules", modules),
        ("100644", b"one.txt", text),
        ("160000", b"two", two_commit),
    ]);
    let one_commit = one.commit("main", &tree, "one");
    one.files("main", &[("one.txt", "a later one")]);
    let app = servers.repository(&format!("{realm}/app.git"));
    let modules = app.blob(b"[submodule \"x\"]\n\tpath = libs/one\n\turl = ../one.git\n");
    let libs = app.tree(&[("160000", b"one", one_commit)]);
    let text = app.blob(b"app");
    let tree = app.tree(&[
        ("100644", b".gitmodules", modules),
        ("100644", b"app.txt", text),
        ("40000", b"libs", libs),
    ]);
    app.commit("main", &tree, "app");
    servers.source(&format!("{realm}/app.git"))
}

#[tokio::test]
async fn submodules_are_fetched_at_their_commit() {
    let servers = Servers::start("submodules");
    let mut app = nested(&servers, "public");
    let empty = servers.fetch(&app).await.unwrap();
    let expected = [("app.txt", "app"), ("libs/", ""), ("libs/one/", "")];
    assert_eq!(files(&empty), owned(&expected));
    assert_eq!(empty.warnings().len(), 1);

    app.submodules = true;
    let whole = servers.fetch(&app).await.unwrap();
    let expected = [
        ("app.txt", "app"),
        ("libs/", ""),
        ("libs/one/", ""),
        ("libs/one/one.txt", "1"),
        ("libs/one/two/", ""),
        ("libs/one/two/two.txt", "2"),
    ];
    assert_eq!(files(&whole), owned(&expected));
    assert_eq!(whole.warnings(), []);

    app.context_dir = "libs".parse().unwrap();
    let part = servers.fetch(&app).await.unwrap();
    let expected = [
        ("one/", ""),
        ("one/one.txt", "1"),
        ("one/two/", ""),
        ("one/two/two.txt", "2"),
    ];
    assert_eq!(files(&part), owned(&expected));
}

#[tokio::test]
async fn a_submodule_of_the_same_server_gets_the_credential_and_no_other() {
    let servers = Servers::start("sub-secret");
    let mut app = nested(&servers, "private");
    app.submodules = true;
    app.credential = Some(basic(PASSWORD));
    servers.fetch(&app).await.unwrap();

    // The same server under another name is another server.
    let other = servers.repository("private/other.git");
    let url = format!("https://127.0.0.1:{}/private/two.git", servers.port);
    let modules = format!("[submodule \"x\"]\n\tpath = x\n\turl = {url}\n");
    let modules = other.blob(modules.as_bytes());
    let commit = "0123456789012345678901234567890123456789".to_owned();
    let tree = other.tree(&[
        ("100644", b".gitmodules", modules),
        ("160000", b"x", commit),
    ]);
    other.commit("main", &tree, "x");
    app.url = servers.url("private/other.git");
    let mut network = servers.network();
    network
        .authorities
        .insert("127.0.0.1".to_owned(), servers.ca.clone());
    let fetcher = servers.fetcher(network);
    let fault = fetcher.fetch("shop", &app).await.unwrap_err();
    assert_eq!(
        fault.class(),
        FaultClass::GitRemoteRepositoryPrivate,
        "{fault}"
    );
}

#[tokio::test]
async fn repositories_that_hold_each_other_do_not_wait_for_each_other() {
    let servers = Servers::start("circle");
    let holding = |repository: &Repository<'_>, branch: &str, url: &str, commit: &str| {
        let modules = format!("[submodule \"x\"]\npath = x\nurl = {url}\n");
        let modules = repository.blob(modules.as_bytes());
        let tree = repository.tree(&[
            ("100644", b".gitmodules", modules),
            ("160000", b"x", commit.to_owned()),
        ]);
        repository.commit(branch, &tree, "holds another")
    };
    let one = servers.repository("public/one.git");
    let two = servers.repository("public/two.git");
    let ground = one.files("ground", &[("file", "x")]);
    let held = holding(&two, "main", "../one.git", &ground);
    holding(&one, "main", "../two.git", &held);
    let fetcher = servers.fetcher(servers.network());
    let all = (0..8).map(|i| {
        let name = if i % 2 == 0 { "one" } else { "two" };
        let mut source = servers.source(&format!("public/{name}.git"));
        source.revision = "main".parse().unwrap();
        source.submodules = true;
        let fetcher = fetcher.clone();
        tokio::spawn(async move { fetcher.fetch("shop", &source).await })
    });
    for task in all.collect::<Vec<_>>() {
        let paths = paths(&task.await.unwrap().unwrap());
        assert!(paths.last().unwrap().ends_with("x/file"), "{paths:?}");
    }
}

#[tokio::test]
async fn files_of_lfs_are_fetched_when_asked_for() {
    let servers = Servers::start("lfs");
    let content = "large content ".repeat(1000);
    let id = Digest::of(Algorithm::Sha256, content.as_bytes()).hex();
    let repository = servers.repository("private/app.git");
    // The real program makes the pointer, so that it is one that the real program makes.
    let work = servers.lab.write("large", &content);
    let pointer = Command::new("git")
        .args(["lfs", "pointer", "--file"])
        .arg(&work)
        .output()
        .unwrap();
    let pointer = String::from_utf8(pointer.stdout).unwrap();
    assert!(pointer.contains(&id), "{pointer}");
    repository.files(
        "main",
        &[
            (
                ".gitattributes",
                "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            ),
            ("data/large.bin", &pointer),
            ("small.txt", "small"),
        ],
    );
    let batch = |href: &str| {
        let action = serde_json::json!({"href": href, "header": {"X-Key": "k"}});
        let object =
            serde_json::json!({"oid": id, "size": content.len(), "actions": {"download": action}});
        let answer = serde_json::json!({"transfer": "basic", "objects": [object]});
        servers.lab.write(
            "batch/private/app.git/info/lfs/objects/batch",
            answer.to_string(),
        );
    };
    servers.lab.write("lfs/object", &content);
    batch(&format!("https://localhost:{}/lfs/object", servers.port));

    let mut app = servers.source("private/app.git");
    app.credential = Some(basic(PASSWORD));
    let pointers = servers.fetch(&app).await.unwrap();
    assert_eq!(pointers.warnings().len(), 1, "{:?}", pointers.warnings());
    assert_eq!(files(&pointers)[1].1, pointer);

    app.lfs = true;
    let whole = servers.fetch(&app).await.unwrap();
    let expected = [
        ("data/", ""),
        ("data/large.bin", &content),
        ("small.txt", "small"),
    ];
    assert_eq!(files(&whole), owned(&expected));
    app.context_dir = "data".parse().unwrap();
    let part = servers.fetch(&app).await.unwrap();
    assert_eq!(files(&part), owned(&[("large.bin", &content)]));

    servers
        .lab
        .write("lfs/object", content.replace("large", "other"));
    let fault = servers.fetch(&app).await.unwrap_err();
    assert_eq!(fault.class(), FaultClass::SourceRefused, "{fault}");

    for (href, class) in [
        ("https://169.254.169.254/x", FaultClass::AddressForbidden),
        ("https://10.0.0.1/x", FaultClass::AddressForbidden),
        ("http://localhost/object", FaultClass::GitError),
        ("file:///etc/passwd", FaultClass::GitError),
        ("nonsense", FaultClass::GitError),
    ] {
        batch(href);
        let fault = servers.fetch(&app).await.unwrap_err();
        assert!(!fault.to_string().contains(PASSWORD));
        assert_eq!(fault.class(), class, "{href}: {fault}");
    }
}

#[tokio::test]
async fn files_of_lfs_of_a_submodule_are_asked_of_its_own_server() {
    let servers = Servers::start("sub-lfs");
    let content = "large content ".repeat(1000);
    let id = Digest::of(Algorithm::Sha256, content.as_bytes()).hex();
    let size = content.len();
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{id}\nsize {size}\n");
    let lib = servers.repository("public/lib.git");
    let attributes = (".gitattributes", "*.bin filter=lfs\n");
    let commit = lib.files("main", &[attributes, ("large.bin", &pointer)]);
    // The same nginx, but by its name another server, to which the secret must not go.
    let modules = format!(
        "[submodule \"lib\"]\n\tpath = lib\n\turl = https://127.0.0.1:{}/public/lib.git\n",
        servers.port
    );
    let app = servers.repository("private/app.git");
    let modules = app.blob(modules.as_bytes());
    let tree = app.tree(&[
        ("100644", b".gitmodules", modules),
        ("160000", b"lib", commit),
    ]);
    app.commit("main", &tree, "x");
    let href = format!("https://127.0.0.1:{}/lfs/object", servers.port);
    let object =
        serde_json::json!({"oid": id, "size": size, "actions": {"download": {"href": href}}});
    let answer = serde_json::json!({"transfer": "basic", "objects": [object]});
    let at = "batch/public/lib.git/info/lfs/objects/batch";
    servers.lab.write(at, answer.to_string());
    servers.lab.write("lfs/object", &content);
    let mut source = servers.source("private/app.git");
    source.credential = Some(basic(PASSWORD));
    source.submodules = true;
    source.lfs = true;
    let mut network = servers.network();
    let ca = servers.ca.clone();
    network.authorities.insert("127.0.0.1".to_owned(), ca);
    let fetched = servers.fetcher(network).fetch("shop", &source).await;
    let expected = [("lib/", ""), ("lib/large.bin", &content)];
    assert_eq!(files(&fetched.unwrap()), owned(&expected));
    let requests = servers.requests();
    let of_lfs = requests.lines().filter(|line| line.contains("/lfs/"));
    let of_lfs: Vec<_> = of_lfs.collect();
    assert_eq!(of_lfs.len(), 2, "{requests}");
    for line in of_lfs {
        assert!(!line.contains("private") && !line.contains(USER), "{line}");
    }
}
