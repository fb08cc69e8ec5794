//! What can be asked of a repository, and what is said when it cannot be had.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use builder::s2i::Script;
use builder::source::git::{Credential, GitFetcher, GitSource, Mirrors};
use builder::source::{
    Fault, FaultClass, Reach, Snapshot, SourceLimits, SourceNetwork, fetch_scripts,
};

use tests::{OrFail, until};

use crate::servers::{PASSWORD, Servers, Ssh, basic, entries, source};

/// The content of the first file of a snapshot.
fn only_file(snapshot: &Snapshot) -> String {
    entries(snapshot).remove(0).1
}

async fn at(servers: &Servers, source: &GitSource, revision: &str) -> Result<Snapshot, Fault> {
    let mut source = source.clone();
    source.revision = revision.parse().or_fail("a revision");
    servers.fetch(&source).await
}

async fn class(servers: &Servers, source: &GitSource) -> FaultClass {
    let fault = servers.fetch(source).await.err().or_fail("a fault");
    assert!(!fault.to_string().contains(PASSWORD), "{fault}");
    fault.class()
}

#[tokio::test]
async fn branches_tags_commits_and_the_default() {
    let servers = Servers::start("revisions");
    let repository = servers.repository("public/app.git");
    let first = repository.files("main", &[("file", "first")]);
    repository.tag("v1", &first);
    let second = repository.files("main", &[("file", "second")]);
    let other = repository.files("v1", &[("file", "the branch v1")]);
    repository.tag("only-tag", &second);
    let lost = repository.files("lost", &[("file", "lost")]);
    repository.point("refs/heads/lost", &first);
    let app = servers.source("public/app.git");

    for (revision, content, commit, reference) in [
        ("", "second", &second, "main"),
        ("main", "second", &second, "main"),
        ("refs/tags/v1", "first", &first, "v1"),
        ("v1", "the branch v1", &other, "v1"),
        ("only-tag", "second", &second, "only-tag"),
        (&first, "first", &first, ""),
        (&lost, "lost", &lost, ""),
    ] {
        let snapshot = at(&servers, &app, revision).await.unwrap();
        assert_eq!(only_file(&snapshot), content, "{revision}");
        let found = snapshot.source().commit.unwrap();
        assert_eq!(&found.id, commit, "{revision}");
        assert_eq!(found.reference, reference, "{revision}");
    }
    let fetcher = servers.fetcher(servers.network());
    let offered = fetcher.references("shop", &app).await.unwrap();
    assert_eq!(offered.default_branch().unwrap().as_str(), "main");
    assert_eq!(offered.branches().len(), 3);
    assert_eq!(offered.tags().len(), 2);
    let tagged = "refs/tags/v1".parse().unwrap();
    assert_eq!(offered.commit(&tagged).unwrap().as_str(), first);

    let found = at(&servers, &app, "")
        .await
        .unwrap()
        .source()
        .commit
        .unwrap();
    assert_eq!(found.author_name, "Ann");
    assert_eq!(found.date, "Mon May 6 07:08:09 2024 +0000");
    assert_eq!(found.message, "Sell more");

    repository.files("main", &[("file", "third")]);
    let moved = at(&servers, &app, "main").await.unwrap();
    assert_eq!(only_file(&moved), "third", "a branch is its latest commit");

    let unknown = "0123456789012345678901234567890123456789";
    for missing in ["nowhere", "refs/tags/main", &first[..10], unknown] {
        let fault = at(&servers, &app, missing).await.unwrap_err();
        assert_eq!(fault.class(), FaultClass::GitRevisionNotFound, "{fault}");
    }
    let mut empty = servers.source("public/empty.git");
    servers.repository("public/empty.git");
    assert_eq!(
        class(&servers, &empty).await,
        FaultClass::GitRevisionNotFound
    );
    empty.url = servers.url("public/none.git");
    assert_eq!(
        class(&servers, &empty).await,
        FaultClass::GitRemoteRepositoryNotFound
    );
}

#[tokio::test]
async fn servers_of_the_old_protocol_give_old_commits_too() {
    let servers = Servers::start("protocol-0");
    let repository = servers.repository("public/app.git");
    let first = repository.files("main", &[("file", "first")]);
    repository.files("main", &[("file", "second")]);
    let ssh = servers.plain_ssh();
    let mut app = source(ssh.url(&servers, "public/app.git"));
    app.credential = Some(Credential::key(&ssh.key, Some(&ssh.known_hosts)).unwrap());
    assert_eq!(only_file(&at(&servers, &app, "").await.unwrap()), "second");
    assert_eq!(
        only_file(&at(&servers, &app, &first).await.unwrap()),
        "first"
    );
}

/// It gives what its references name, and nothing by its id.
#[tokio::test]
async fn commits_of_a_server_that_gives_none_by_its_id() {
    let servers = Servers::start("no-ids");
    let repository = servers.repository("public/app.git");
    let old = repository.files("main", &[("app/file", "old"), ("other/file", "x")]);
    let between = repository.files("main", &[("app/file", "between"), ("other/file", "x")]);
    repository.files("main", &[("app/file", "new"), ("other/file", "x")]);
    let aside = repository.files("aside", &[("app/file", "aside")]);
    let lost = repository.files("lost", &[("app/file", "lost")]);
    repository.point("refs/heads/lost", &old);
    let ssh = servers.plain_ssh();
    let mut app = source(ssh.url(&servers, "public/app.git"));
    app.credential = Some(Credential::key(&ssh.key, Some(&ssh.known_hosts)).unwrap());
    // Each of a mirror of its own, then one after the other of one.
    for folder in ["", "app"] {
        app.context_dir = folder.parse().unwrap();
        for alone in [true, false] {
            for (revision, content) in [
                ("main", "new"),
                (&*old, "old"),
                (&*between, "between"),
                (&*aside, "aside"),
                ("main", "new"),
            ] {
                if alone {
                    drop(std::fs::remove_dir_all(servers.mirrors()));
                }
                let found = at(&servers, &app, revision).await;
                let found = entries(&found.unwrap());
                let file = found.iter().find(|(path, _)| path.ends_with("file"));
                assert_eq!(file.unwrap().1, content, "{folder} {revision} {alone}");
            }
            let fault = at(&servers, &app, &lost).await.unwrap_err();
            assert_eq!(fault.class(), FaultClass::GitRevisionNotFound, "{fault}");
            drop(std::fs::remove_dir_all(servers.mirrors()));
        }
    }
}

/// What the branch was when it was asked for is not to be had any more: somebody has pushed over it.
#[tokio::test]
async fn a_branch_that_moves_away_while_it_is_fetched_is_what_it_is_then() {
    let servers = Servers::start("moves-away");
    let repository = servers.repository("public/app.git");
    repository.files("main", &[("file", "first")]);
    let second = repository.files("aside", &[("file", "second")]);
    let folder = servers.lab.path("repositories/public/app.git");
    let (folder, moved) = (folder.display(), servers.lab.path("moved"));
    let moved = moved.display();
    let ssh = Ssh::by_script(
        &servers,
        &format!(
            "unset GIT_PROTOCOL; sh -c \"$SSH_ORIGINAL_COMMAND\"; ended=$?\n\
             test -e {moved} || git --git-dir {folder} update-ref refs/heads/main {second}; touch {moved}\n\
             exit $ended\n"
        ),
    );
    let mut app = source(ssh.url(&servers, "public/app.git"));
    app.credential = Some(Credential::key(&ssh.key, Some(&ssh.known_hosts)).unwrap());
    let found = at(&servers, &app, "main").await.unwrap();
    assert_eq!(only_file(&found), "second");
    let commit = found.source().commit.unwrap();
    assert_eq!((commit.id, &*commit.reference), (second, "main"));
}

#[tokio::test]
async fn a_mirror_that_lost_what_it_had_is_fetched_anew() {
    let servers = Servers::start("lost");
    let repository = servers.repository("public/app.git");
    repository.files("main", &[("file", "first")]);
    let app = servers.source("public/app.git");
    let packs = || -> Vec<_> {
        let found = servers.lab.program("find").arg(servers.mirrors());
        let found = found.args(["-path", "*/objects/pack/*"]).ok();
        found.lines().map(std::path::PathBuf::from).collect()
    };
    for damaged in [false, true] {
        servers.fetch(&app).await.unwrap();
        for pack in packs() {
            std::fs::remove_file(&pack).unwrap();
            if damaged {
                std::fs::write(&pack, "no pack").unwrap();
            }
        }
        let snapshot = servers.fetch(&app).await.unwrap();
        assert_eq!(only_file(&snapshot), "first");
    }
}

#[tokio::test]
async fn repositories_of_sha256_are_refused_by_name() {
    let servers = Servers::start("sha256");
    let repository = servers.repository_of("public/app.git", "sha256");
    let commit = repository.files("main", &[("file", "first")]);
    assert_eq!(commit.len(), 64);
    let app = servers.source("public/app.git");
    for revision in ["", "main", &commit, &commit[..40]] {
        let fault = at(&servers, &app, revision).await.unwrap_err();
        assert_eq!(fault.class(), FaultClass::SourceRefused, "{fault}");
        assert!(fault.to_string().contains("SHA-256"), "{fault}");
    }
    let fetcher = servers.fetcher(servers.network());
    let fault = fetcher.references("shop", &app).await.unwrap_err();
    assert!(fault.to_string().contains("SHA-256"), "{fault}");
}

#[tokio::test]
async fn http_is_spoken_to_this_machine_alone() {
    let servers = Servers::start("plain");
    servers
        .repository("private/app.git")
        .files("main", &[("file", "private")]);
    let url = format!("http://127.0.0.1:{}/private/app.git", servers.plain_port);
    let mut app = source(url.parse().unwrap());
    assert_eq!(
        class(&servers, &app).await,
        FaultClass::GitRemoteRepositoryPrivate
    );
    app.credential = Some(basic(PASSWORD));
    // A proxy is for what is elsewhere.
    let network = SourceNetwork {
        proxy: Some("http://127.0.0.1:9".to_owned()),
        ..servers.network()
    };
    let snapshot = servers.fetcher(network).fetch("shop", &app).await.unwrap();
    assert_eq!(only_file(&snapshot), "private");
    // Where loopback is not allowed, http is spoken to nobody.
    let elsewhere = servers.fetcher(SourceNetwork::default());
    let fault = elsewhere.fetch("shop", &app).await.unwrap_err();
    assert_eq!(fault.class(), FaultClass::AddressForbidden);
}

#[tokio::test]
async fn a_user_and_password_are_for_private_repositories() {
    let servers = Servers::start("basic");
    servers
        .repository("private/app.git")
        .files("main", &[("file", "private")]);
    let mut app = servers.source("private/app.git");
    assert_eq!(
        class(&servers, &app).await,
        FaultClass::GitRemoteRepositoryPrivate
    );
    app.credential = Some(basic("wrong"));
    assert_eq!(
        class(&servers, &app).await,
        FaultClass::GitAuthInvalidUserOrPass
    );
    app.credential = Some(basic(PASSWORD));
    assert_eq!(only_file(&servers.fetch(&app).await.unwrap()), "private");

    // What is in the mirror is not for whoever has no right to it.
    app.credential = Some(basic("wrong"));
    assert_eq!(
        class(&servers, &app).await,
        FaultClass::GitAuthInvalidUserOrPass
    );
    let commit = servers
        .fetch(&GitSource {
            credential: Some(basic(PASSWORD)),
            ..app.clone()
        })
        .await;
    let commit = commit.unwrap().source().commit.unwrap().id;
    app.revision = commit.parse().unwrap();
    assert_eq!(
        class(&servers, &app).await,
        FaultClass::GitAuthInvalidUserOrPass
    );

    let ssh = servers.ssh();
    app.credential = Some(Credential::key(&ssh.key, None).unwrap());
    assert_eq!(
        class(&servers, &app).await,
        FaultClass::GitSSHAuthUnexpected
    );
    for (user, password) in [("", "x"), ("x", ""), ("x", "a\nb")] {
        let fault = Credential::basic(user, password).unwrap_err();
        assert_eq!(fault.class(), FaultClass::GitBasicAuthIncomplete);
    }
}

#[tokio::test]
async fn keys_are_for_ssh_and_servers_are_known() {
    let servers = Servers::start("ssh");
    servers
        .repository("private/app.git")
        .files("main", &[("file", "over ssh")]);
    let ssh = servers.ssh();
    let mut app = source(ssh.url(&servers, "private/app.git"));
    let known = Some(ssh.known_hosts.as_str());
    app.credential = Some(Credential::key(&ssh.key, known).unwrap());
    assert_eq!(only_file(&servers.fetch(&app).await.unwrap()), "over ssh");

    app.credential = Some(Credential::key(&ssh.other_key, known).unwrap());
    assert_eq!(class(&servers, &app).await, FaultClass::GitAuthInvalidKey);
    app.credential = None;
    assert_eq!(class(&servers, &app).await, FaultClass::GitHostKeyUnknown);
    app.credential = Some(Credential::key(&ssh.key, None).unwrap());
    assert_eq!(class(&servers, &app).await, FaultClass::GitHostKeyUnknown);
    app.credential = Some(basic(PASSWORD));
    assert_eq!(class(&servers, &app).await, FaultClass::GitSSHAuthExpected);
    assert!(Credential::key("ssh-ed25519 AAAA", None).is_err());

    // The configuration's keys count where the secret has none.
    app.credential = Some(Credential::key(&ssh.key, None).unwrap());
    let network = SourceNetwork {
        known_hosts: ssh.known_hosts.clone(),
        ..servers.network()
    };
    servers.fetcher(network).fetch("shop", &app).await.unwrap();
}

#[tokio::test]
async fn a_new_ssh_server_is_held_to_its_first_word() {
    let servers = Servers::start("accept-new");
    servers
        .repository("private/app.git")
        .files("main", &[("file", "x")]);
    let ssh = servers.ssh();
    let mut app = source(ssh.url(&servers, "private/app.git"));
    app.credential = Some(Credential::key(&ssh.key, None).unwrap());
    let network = SourceNetwork {
        accept_new_hosts: true,
        ..servers.network()
    };
    let fetcher = servers.fetcher(network);
    fetcher.fetch("shop", &app).await.unwrap();
    fetcher.fetch("shop", &app).await.unwrap();

    // Another key in its place: as if the server had been replaced.
    let accepted = find(&servers.mirrors(), "accepted_hosts");
    let lines = std::fs::read_to_string(&accepted).unwrap();
    assert!(
        lines.contains(&format!("[localhost]:{}", ssh.port)),
        "{lines}"
    );
    let other = std::fs::read_to_string(servers.lab.path("ssh/other.pub")).unwrap();
    std::fs::write(&accepted, format!("[localhost]:{} {other}", ssh.port)).unwrap();
    let fault = fetcher.fetch("shop", &app).await.unwrap_err();
    assert_eq!(fault.class(), FaultClass::GitHostKeyChanged, "{fault}");

    // The same with a key that the secret knows. What is said must not make anybody believe whoever answers.
    let other = format!("[localhost]:{} {other}", ssh.port);
    app.credential = Some(Credential::key(&ssh.key, Some(&other)).unwrap());
    let fault = servers.fetch(&app).await.unwrap_err();
    assert_eq!(fault.class(), FaultClass::GitHostKeyChanged, "{fault}");
    let said = fault.to_string();
    assert!(said.contains("in the server's place"), "{said}");
    assert!(said.contains("it shows the key SHA256:"), "{said}");
    assert!(
        !said.contains("@@") && !said.contains("known_hosts\""),
        "{said}"
    );
    assert!(!said.contains("keyscan"), "{said}");
}

fn find(below: &std::path::Path, name: &str) -> std::path::PathBuf {
    let namespaces = std::fs::read_dir(below).or_fail("a folder");
    let files = namespaces
        .flatten()
        .map(|namespace| namespace.path().join(name));
    files.into_iter().find(|file| file.exists()).or_fail(name)
}

#[tokio::test]
async fn t61_connections_go_where_they_may_and_nowhere_else() {
    let servers = Servers::start("reach");
    servers
        .repository("public/app.git")
        .files("main", &[("file", "x")]);
    let public_only = SourceNetwork {
        reach: Reach::default(),
        ..servers.network()
    };
    let fetcher = servers.fetcher(public_only.clone());
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let url = format!("https://{host}:{}/public/app.git", servers.port);
        let fault = fetcher
            .fetch("shop", &source(url.parse().unwrap()))
            .await
            .unwrap_err();
        assert_eq!(
            fault.class(),
            FaultClass::AddressForbidden,
            "{host}: {fault}"
        );
    }
    for url in ["https://169.254.169.254/latest", "ssh://git@10.0.0.1/a"] {
        let fault = servers
            .fetch(&source(url.parse().unwrap()))
            .await
            .unwrap_err();
        assert_eq!(fault.class(), FaultClass::AddressForbidden, "{url}");
    }
    // Through a proxy a name is the proxy's to resolve; an address is still ours to refuse.
    let proxied = SourceNetwork {
        proxy: Some(format!("http://127.0.0.1:{}", servers.lab.port())),
        ..public_only
    };
    let url = format!("https://127.0.0.1:{}/public/app.git", servers.port);
    let fault = servers
        .fetcher(proxied)
        .fetch("shop", &source(url.parse().unwrap()))
        .await;
    assert_eq!(fault.unwrap_err().class(), FaultClass::AddressForbidden);
    assert_eq!(servers.requests(), "", "nothing was ever asked");
}

#[tokio::test]
async fn t60_redirects_are_not_followed_but_to_the_name_with_git() {
    let servers = Servers::start("redirect");
    servers
        .repository("public/app.git")
        .files("main", &[("file", "renamed")]);
    let mut renamed = servers.source("renamed/app");
    renamed.credential = Some(basic(PASSWORD));
    let snapshot = servers.fetch(&renamed).await.unwrap();
    assert_eq!(only_file(&snapshot), "renamed");
    assert!(snapshot.source().location.ends_with("/renamed/app.git"));

    let fetcher = servers.fetcher(servers.network());
    let offered = fetcher.references("shop", &renamed).await.unwrap();
    assert_eq!(offered.branches().len(), 1);

    let mut elsewhere = servers.source("elsewhere/app.git");
    elsewhere.credential = Some(basic(PASSWORD));
    let fault = servers.fetch(&elsewhere).await.unwrap_err();
    assert!(fault.to_string().contains("not followed"), "{fault}");
    fetcher.references("shop", &elsewhere).await.unwrap_err();
    assert!(!servers.requests().contains("stolen"));
}

#[tokio::test]
async fn an_authority_that_is_not_ours_is_not_trusted() {
    let servers = Servers::start("authority");
    servers
        .repository("public/app.git")
        .files("main", &[("file", "x")]);
    let mut network = servers.network();
    network.authorities.clear();
    let app = servers.source("public/app.git");
    let fault = servers
        .fetcher(network)
        .fetch("shop", &app)
        .await
        .unwrap_err();
    assert_eq!(
        fault.class(),
        FaultClass::GitCertificateUntrusted,
        "{fault}"
    );
    let everywhere = SourceNetwork {
        certificates: servers.network().authorities["localhost"].clone(),
        authorities: BTreeMap::new(),
        ..servers.network()
    };
    let fetched = servers.fetcher(everywhere).fetch("shop", &app).await;
    assert!(fetched.is_ok(), "{fetched:?}");
    // A team's own, of its secret; for one port of an address alone, of the configuration.
    let nothing = SourceNetwork {
        authorities: BTreeMap::new(),
        ..servers.network()
    };
    let mut own = app.clone();
    own.authorities.clone_from(&servers.ca);
    let fetched = servers.fetcher(nothing.clone()).fetch("shop", &own).await;
    assert!(fetched.is_ok(), "{fetched:?}");
    own.url = format!("https://127.0.0.2:{}/public/app.git", servers.port)
        .parse()
        .unwrap();
    let fault = servers.fetcher(nothing.clone()).fetch("shop", &own).await;
    let said = fault.unwrap_err().to_string();
    assert!(said.contains("is of another name"), "{said}");
    assert!(!said.contains("ca.crt"), "{said}");
    let mut by_number = app.clone();
    by_number.url = format!("https://127.0.0.1:{}/public/app.git", servers.port)
        .parse()
        .unwrap();
    for (port, trusted) in [(servers.port, true), (servers.port - 1, false)] {
        let name = format!("127.0.0.1:{port}");
        let network = SourceNetwork {
            authorities: BTreeMap::from([(name, servers.ca.clone())]),
            ..nothing.clone()
        };
        let fetched = servers.fetcher(network).fetch("shop", &by_number).await;
        assert_eq!(fetched.is_ok(), trusted, "{port}: {fetched:?}");
    }
    let mut nobody = app.clone();
    nobody.url = format!("https://localhost:{}/a", servers.lab.port())
        .parse()
        .unwrap();
    assert_eq!(
        class(&servers, &nobody).await,
        FaultClass::GitRemoteUnreachable
    );
}

#[tokio::test]
async fn only_what_the_context_directory_needs_is_fetched() {
    let servers = Servers::start("partial");
    let repository = servers.repository("public/mono.git");
    let ballast: String = (0..200_000)
        .map(|i: u32| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 24) as u8 % 26))
        .collect();
    repository.files(
        "main",
        &[("app/file", "wanted"), ("other/ballast", &ballast)],
    );
    let mut app = servers.source("public/mono.git");
    app.context_dir = "app".parse().unwrap();
    assert_eq!(only_file(&servers.fetch(&app).await.unwrap()), "wanted");
    let fetched = size(&servers.mirrors());
    assert!(fetched < 100_000, "{fetched}");
    app.context_dir = "other".parse().unwrap();
    assert_eq!(
        only_file(&servers.fetch(&app).await.unwrap()),
        ballast,
        "out of the same mirror"
    );
    app.context_dir = "".parse().unwrap();
    servers.fetch(&app).await.unwrap();

    for (context_dir, expected) in [
        ("nowhere", FaultClass::SourceContextDirNotFound),
        ("app/file", FaultClass::SourceRefused),
    ] {
        app.context_dir = context_dir.parse().unwrap();
        assert_eq!(class(&servers, &app).await, expected);
    }
}

fn size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).or_fail("a folder").flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata().or_fail("metadata") {
        metadata if metadata.is_dir() => size(&entry.path()),
        metadata => metadata.len(),
    };
    entries.map(of).sum()
}

#[tokio::test]
async fn limits_hold_while_fetching() {
    let servers = Servers::start("limits");
    let repository = servers.repository("public/app.git");
    let noise = servers
        .lab
        .program("openssl")
        .args(["rand", "-hex", "2000000"])
        .ok();
    let noise = repository.blob(noise.as_bytes());
    let zeros = repository.blob(&vec![0; 3_000_000]);
    let tree = repository.tree(&[("100644", b"noise", noise), ("100644", b"zeros", zeros)]);
    repository.commit("main", &tree, "large");
    let app = servers.source("public/app.git");
    let limited = |limits: SourceLimits| {
        let mirrors = Mirrors::new(
            servers
                .lab
                .dir(format!("m{}", limits.bytes + limits.fetched_bytes)),
        );
        GitFetcher::new(mirrors, servers.network(), limits)
    };
    let default = SourceLimits::default();
    for limits in [
        SourceLimits {
            bytes: 5_000_000,
            ..default
        },
        SourceLimits {
            entries: 1,
            ..default
        },
        SourceLimits {
            fetched_bytes: 300_000,
            ..default
        },
    ] {
        let fault = limited(limits).fetch("shop", &app).await.unwrap_err();
        assert_eq!(
            fault.class(),
            FaultClass::SourceTooLarge,
            "{limits:?}: {fault}"
        );
    }
    let none = SourceLimits {
        time: Duration::ZERO,
        ..default
    };
    let fault = limited(none).fetch("shop", &app).await.unwrap_err();
    assert_eq!(fault.class(), FaultClass::SourceTimedOut);
    limited(default).fetch("shop", &app).await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_does_not_hold_us() {
    let servers = Servers::start("silent");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let limits = SourceLimits {
        time: Duration::from_secs(2),
        ..SourceLimits::default()
    };
    let fetcher = GitFetcher::new(Mirrors::new(servers.mirrors()), servers.network(), limits);
    for url in [
        format!("https://localhost:{port}/a"),
        format!("ssh://git@localhost:{port}/a"),
    ] {
        let fault = fetcher
            .fetch("shop", &source(url.parse().unwrap()))
            .await
            .unwrap_err();
        assert_eq!(fault.class(), FaultClass::SourceTimedOut, "{fault}");
    }
    let patient = servers.fetcher(servers.network());
    let source = source(format!("ssh://git@localhost:{port}/a").parse().unwrap());
    let fetching = tokio::spawn(async move { patient.fetch("shop", &source).await });
    let eventually = |what: &'static str, is_there: bool| async move {
        let holds = move || running(&format!("-p {port} ")).is_empty() != is_there;
        let looking = tokio::task::spawn_blocking(move || until(what, holds));
        looking.await.unwrap();
    };
    eventually("ssh waits for the server", true).await;
    fetching.abort();
    eventually("nothing of git is left", false).await;
}

/// Command lines of processes that have `text` in them.
fn running(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").or_fail("/proc").flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(text)).collect()
}

#[tokio::test]
async fn fetches_at_the_same_time_and_a_pruned_cache() {
    let servers = Servers::start("parallel");
    let repository = servers.repository("public/app.git");
    for i in 0..4 {
        repository.files(&format!("b{i}"), &[("file", &format!("content {i}"))]);
    }
    let fetcher = servers.fetcher(servers.network());
    let app = servers.source("public/app.git");
    let all = (0..8).map(|i| {
        let (fetcher, mut app) = (fetcher.clone(), app.clone());
        app.revision = format!("b{}", i % 4).parse().unwrap();
        let namespace = if i < 6 { "shop" } else { "bank" };
        tokio::spawn(async move { (i, fetcher.fetch(namespace, &app).await) })
    });
    for task in all.collect::<Vec<_>>() {
        let (i, snapshot) = task.await.unwrap();
        assert_eq!(only_file(&snapshot.unwrap()), format!("content {}", i % 4));
    }
    let mirrors = Mirrors::new(servers.mirrors());
    assert!(
        mirrors
            .prune(u64::MAX, SystemTime::UNIX_EPOCH)
            .whole()
            .unwrap()
            > 0
    );
    assert_eq!(mirrors.prune(0, SystemTime::UNIX_EPOCH).whole().unwrap(), 0);
    let mut again = app;
    again.revision = "b1".parse().unwrap();
    assert_eq!(
        only_file(&servers.fetch(&again).await.unwrap()),
        "content 1"
    );
}

#[tokio::test]
async fn a_proxy_is_used_and_its_password_is_not_shown() {
    let servers = Servers::start("proxy");
    servers
        .repository("public/app.git")
        .files("main", &[("file", "x")]);
    let proxy = Proxy::start("canary-proxy");
    let proxied = |password: &str| SourceNetwork {
        proxy: Some(format!(
            "http://builder:{password}@127.0.0.1:{}",
            proxy.port
        )),
        // The proxy's network, not ours, decides what localhost is.
        reach: Reach::default(),
        ..servers.network()
    };
    let app = servers.source("public/app.git");
    let fetcher = servers.fetcher(proxied("canary-proxy"));
    assert_eq!(only_file(&fetcher.fetch("shop", &app).await.unwrap()), "x");
    let asked = proxy.asked();
    assert!(!asked.is_empty());
    let connect = format!("CONNECT localhost:{} ", servers.port);
    assert!(
        asked.iter().all(|line| line.starts_with(&connect)),
        "{asked:?}"
    );

    let fetcher = servers.fetcher(proxied("canary-wrong"));
    let fault = fetcher.fetch("shop", &app).await.unwrap_err();
    assert!(!format!("{fault} {fault:?}").contains("canary"), "{fault}");

    let mut excepted = proxied("canary-proxy");
    excepted.no_proxy = vec!["localhost".to_owned()];
    let fault = servers
        .fetcher(excepted)
        .fetch("shop", &app)
        .await
        .unwrap_err();
    assert_eq!(fault.class(), FaultClass::AddressForbidden);
}

/// The name of the server means nothing to this machine: the proxy has it looked up, and the key is held against it.
#[tokio::test]
async fn ssh_goes_through_the_proxy() {
    let servers = Servers::start("sshproxy");
    servers
        .repository("public/app.git")
        .files("main", &[("file", "by proxy")]);
    let ssh = servers.plain_ssh();
    let proxy = Proxy::start("canary-proxy");
    let itself = std::env::current_exe().or_fail("the path of this program");
    let network = |password: &str| SourceNetwork {
        proxy: Some(format!(
            "http://builder:{password}@127.0.0.1:{}",
            proxy.port
        )),
        reach: Reach::default(),
        tunnel: [
            itself.as_os_str(),
            "fetching::inside_the_tunnel".as_ref(),
            "--exact".as_ref(),
            "--ignored".as_ref(),
            "--quiet".as_ref(),
            "--nocapture".as_ref(),
        ]
        .map(OsString::from)
        .into(),
        ..servers.network()
    };
    let mut app = source(ssh.url(&servers, "public/app.git"));
    let known = Some(ssh.known_hosts.as_str());
    app.credential = Some(Credential::key(&ssh.key, known).unwrap());
    let fetched = servers
        .fetcher(network("canary-proxy"))
        .fetch("shop", &app)
        .await;
    assert_eq!(only_file(&fetched.unwrap()), "by proxy");
    let asked = proxy.asked();
    let connect = format!("CONNECT localhost:{} ", ssh.port);
    assert!(!asked.is_empty());
    assert!(
        asked.iter().all(|line| line.starts_with(&connect)),
        "{asked:?}"
    );

    let refused = servers.fetcher(network("canary-wrong"));
    let fault = refused.fetch("shop", &app).await.unwrap_err();
    assert_eq!(fault.class(), FaultClass::GitRemoteUnreachable, "{fault}");
    assert!(!format!("{fault} {fault:?}").contains("canary"), "{fault}");

    // An address is ours to refuse, and what is spared goes past the proxy, where it is judged.
    let mut past = network("canary-proxy");
    past.no_proxy = vec![format!("localhost:{}", ssh.port)];
    let past = servers.fetcher(past).fetch("shop", &app).await;
    assert_eq!(past.unwrap_err().class(), FaultClass::AddressForbidden);
    let url = ssh.url(&servers, "public/app.git").to_string();
    app.url = url.replace("localhost", "127.0.0.1").parse().unwrap();
    let literal = servers.fetcher(network("canary-proxy"));
    let literal = literal.fetch("shop", &app).await.unwrap_err();
    assert_eq!(literal.class(), FaultClass::AddressForbidden);
}

/// Not a test of its own: what ssh starts in the test above. The server's greeting may come after lines of others (RFC 4253 §4.2).
#[test]
#[ignore = "started by ssh_goes_through_the_proxy"]
fn inside_the_tunnel() {
    let way = std::env::args().next_back().unwrap();
    builder::source::git::tunnel(way.as_ref()).unwrap();
}

/// A proxy that knows one password.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").or_fail("listen");
        let port = listener.local_addr().or_fail("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let expected = format!("Basic {}", BASE64.encode(format!("builder:{password}")));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (expected, seen) = (expected.clone(), seen.clone());
                std::thread::spawn(move || serve(client, &expected, &seen));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().or_fail("what was asked").clone()
    }
}

/// One CONNECT, then bytes both ways. `None` if anything ends early.
fn serve(mut client: TcpStream, expected: &str, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = BufReader::new(client.try_clone().ok()?);
    let mut first = String::new();
    head.read_line(&mut first).ok()?;
    let mut allowed = false;
    loop {
        let mut line = String::new();
        head.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ")?;
        allowed |= name.eq_ignore_ascii_case("proxy-authorization") && value.trim() == expected;
    }
    if !allowed {
        let refusal = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(refusal).ok();
    }
    let target = first.split(' ').nth(1)?.to_owned();
    seen.lock().ok()?.push(first);
    let mut server = TcpStream::connect(target).ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from_server, mut to_client) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let back = std::thread::spawn(move || {
        drop(std::io::copy(&mut from_server, &mut to_client));
        drop(to_client.shutdown(std::net::Shutdown::Write));
    });
    drop(std::io::copy(&mut head, &mut server));
    drop(server.shutdown(std::net::Shutdown::Write));
    back.join().ok()
}

#[tokio::test]
async fn scripts_by_a_url() {
    let servers = Servers::start("scripts");
    servers.lab.write("lfs/s2i/assemble", "#!/bin/sh\n");
    servers.lab.write("lfs/large/assemble", vec![b'x'; 2 << 20]);
    let url = |path: &str| format!("https://localhost:{}/{path}", servers.port);
    let wanted = [Script::Assemble, Script::Run];
    let network = servers.network();
    let patience = Duration::from_secs(60);
    let found = fetch_scripts(&url("lfs/s2i/"), &wanted, &network, patience)
        .await
        .unwrap();
    assert_eq!(found, [(Script::Assemble, b"#!/bin/sh\n".to_vec())].into());
    for (path, class) in [
        ("lfs/large", FaultClass::SourceTooLarge),
        ("private", FaultClass::SourceRefused),
        ("elsewhere", FaultClass::SourceRefused),
    ] {
        let fault = fetch_scripts(&url(path), &wanted, &network, patience)
            .await
            .unwrap_err();
        assert_eq!(fault.class(), class, "{path}: {fault}");
    }
    let nowhere = SourceNetwork {
        reach: Reach::default(),
        ..network
    };
    let fault = fetch_scripts(&url("lfs/s2i"), &wanted, &nowhere, patience)
        .await
        .unwrap_err();
    assert_eq!(fault.class(), FaultClass::AddressForbidden);
}
