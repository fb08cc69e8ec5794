//! Runs of git repositories, from a real server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use builder::builds::SecretContent;
use builder::builds::log::LogLine;
use builder::images::ImageName;
use builder::records::{Cause, HookKind, SecretUse, SourceSpec, State};
use builder::source::SourceNetwork;
use builder::source::git::References;

use crate::image::{execution, push};
use crate::kept::send;
use crate::lab::{Lab, asked, eventually, now, reason, said, secret_files, snapshot, spec};
use crate::servers::{PASSWORD, Servers, USER};

async fn lab(servers: &Servers) -> Lab {
    Lab::with(|_| (), servers.network()).await
}

/// A repository's default branch as source.
pub(crate) fn source(servers: &Servers, path: &str, secret: Option<&str>) -> SourceSpec {
    SourceSpec::Git {
        url: servers.url(path).to_string(),
        revision: None,
        context_dir: None,
        secret: secret.map(str::to_owned),
        submodules: false,
        lfs: false,
    }
}

/// How many files of objects are in a folder of mirrors.
fn objects(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let count = |entry: std::fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() {
            objects(&path)
        } else {
            usize::from(path.components().any(|part| part.as_os_str() == "objects"))
        }
    };
    entries.map(count).sum()
}

#[tokio::test]
async fn a_commit_becomes_an_image_that_can_be_made_again() {
    let servers = Servers::start("builds-git");
    let repository = servers.repository("private/cart.git");
    let commit = repository.files("main", &[("app.py", "print()")]);
    let lab = lab(&servers).await;
    lab.secret(
        "git",
        SecretUse::Git,
        &[
            ("username", USER),
            ("password", PASSWORD),
            ("hosts", &format!("localhost:{}", servers.port)),
        ],
    )
    .await;
    let mut wanted = spec("shop/x:1", "hello");
    wanted.source = source(&servers, "private/cart.git", Some("git"));
    wanted.output.tags = vec!["{commit}".to_owned()];
    lab.build(wanted).await;
    let (run, lines) = lab.ended(&lab.start().await).await;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
    assert_eq!(run.resolved.commit.as_ref(), Some(&commit));
    // 2024-05-06T07:08:09Z
    assert_eq!(run.resolved.epoch, Some(1_714_979_289));
    assert_eq!(run.result.as_ref().unwrap().tags, ["v1", &commit[..12]]);
    let kept = run.resolved.source.clone().unwrap();
    assert!(kept.starts_with("shop/sources/app@sha256:"));
    assert!(!lab.ledger.text().contains(PASSWORD));
    assert!(!said(&lines).contains(PASSWORD));

    // Nothing has changed, and nothing is fetched: where it was fetched to is gone, and stays so.
    let mirrors = lab.folder.path().join("mirrors");
    std::fs::remove_dir_all(&mirrors).unwrap();
    let same = lab.run().await;
    assert!(same.result.unwrap().reused);
    assert_eq!(same.resolved.source.as_ref(), Some(&kept));
    assert_eq!(objects(&mirrors), 0);
    // Nor is what was kept read, as it would have to be for a build; what is not to be read is fetched again.
    let layer = crate::kept::layer(&lab, &kept).await;
    let bytes = std::fs::read(&layer).unwrap();
    std::fs::write(&layer, "rot").unwrap();
    assert!(lab.run().await.result.unwrap().reused);
    assert_eq!(objects(&mirrors), 0);
    let mut fresh = asked();
    fresh.fresh = true;
    let built = lab.builds.start("shop", "app", fresh, now()).await;
    let (built, lines) = lab.ended(&built.unwrap().value).await;
    assert_eq!(built.state, State::Succeeded, "{}", said(&lines));
    assert_eq!(built.resolved.source.as_ref(), Some(&kept));
    std::fs::write(&layer, bytes).unwrap();
    std::fs::remove_dir_all(&mirrors).unwrap();
    // By another name it is labelled otherwise.
    repository.tag("v1", &commit);
    let mut asked = asked();
    asked.revision = Some("v1".to_owned());
    let tagged = lab.builds.start("shop", "app", asked, now()).await;
    let (tagged, _) = lab.ended(&tagged.unwrap().value).await;
    assert_eq!(tagged.resolved.commit.as_ref(), Some(&commit));
    assert_ne!(tagged.resolved.plan, run.resolved.plan);
    assert!(objects(&mirrors) > 0);

    // The repository has moved on, and is gone after that.
    repository.files("main", &[("app.py", "print(2)")]);
    let newer = lab.run().await;
    assert_ne!(
        newer.result.unwrap().image,
        run.result.clone().unwrap().image
    );
    std::fs::remove_dir_all(servers.lab.path("repositories/private")).unwrap();
    let again = lab
        .builds
        .again("shop", "app-1", true, crate::lab::actor(), now());
    let (check, lines) = lab.ended(&again.await.unwrap().value).await;
    assert_eq!(check.state, State::Succeeded, "{}", said(&lines));
    assert_eq!(
        check.resolved.plan, run.resolved.plan,
        "commit, author and all"
    );
    assert_eq!(check.result.unwrap().same_as.as_deref(), Some("app-1"));

    let failed = lab.run().await;
    assert_eq!(reason(&failed), "GitRemoteRepositoryNotFound");
}

#[tokio::test]
async fn a_run_may_have_a_branch_of_its_own() {
    let servers = Servers::start("builds-branch");
    let repository = servers.repository("public/cart.git");
    repository.files("main", &[("app.py", "print()")]);
    let commit = repository.files("feature/sell", &[("app.py", "print(2)")]);
    let lab = lab(&servers).await;
    let mut says = execution();
    says["Labels"]["dev.slipway.cache"] = "/opt/cache".into();
    push(&lab.images, "shop/builder:1", &[b"b".to_vec()], says).await;
    let mut wanted = spec("shop/x:1", "hello");
    wanted.source = source(&servers, "public/cart.git", None);
    lab.build(wanted).await;
    let (_, lines) = lab.ended(&lab.start().await).await;
    assert!(said(&lines).contains("cache app@:/opt/cache of nothing"));
    let mut asked = asked();
    asked.revision = Some("feature/sell".to_owned());
    let run = lab
        .builds
        .start("shop", "app", asked, now())
        .await
        .unwrap()
        .value;
    let (run, lines) = lab.ended(&run).await;
    assert_eq!(run.resolved.commit, Some(commit));
    // One of its own, which begins as a copy.
    let cache = ":/opt/cache of app@:/opt/cache";
    assert!(said(&lines).contains(cache), "{}", said(&lines));
    assert!(!said(&lines).contains("cache app@:/opt/cache"));

    // What somebody sends has theirs, and nobody else's.
    let sent = lab.source(&[("app.py", "print(3)")]).await;
    let mut caches = BTreeSet::from([used(&lines)]);
    for name in ["ann", "bob", "ann"] {
        let mut asked = crate::lab::asked();
        asked.actor.name = name.to_owned();
        asked.fresh = true;
        asked.source = Some(SourceSpec::Image {
            reference: sent.clone(),
        });
        let run = lab.builds.start("shop", "app", asked, now()).await;
        let (_, lines) = lab.ended(&run.unwrap().value).await;
        assert!(said(&lines).contains(cache), "{}", said(&lines));
        caches.insert(used(&lines));
    }
    assert_eq!(caches.len(), 3, "{caches:?}");
    // The build's own is what only its own source has written to.
    let mut asked = crate::lab::asked();
    asked.fresh = true;
    let run = lab.builds.start("shop", "app", asked, now()).await;
    let (_, lines) = lab.ended(&run.unwrap().value).await;
    assert_eq!(used(&lines), "cache app@:/opt/cache of nothing");

    let found: References = lab
        .builds
        .references("shop", &source(&servers, "public/cart.git", None))
        .await
        .unwrap();
    assert_eq!(found.default_branch().unwrap().as_str(), "main");
}

/// The line about the cache that a run had.
fn used(lines: &[LogLine]) -> String {
    let said = said(lines);
    let line = said.lines().find(|line| line.starts_with("cache "));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn a_builder_image_names_so_many_caches_and_no_more() {
    let servers = Servers::start("builds-caches");
    let repository = servers.repository("public/cart.git");
    repository.files("main", &[("app.py", "print()")]);
    let lab = lab(&servers).await;
    let folders: Vec<String> = (0..40).map(|number| format!("/opt/c{number}")).collect();
    let mut says = execution();
    says["Labels"]["dev.slipway.cache"] = folders.join(":").into();
    push(&lab.images, "shop/builder:1", &[b"b".to_vec()], says).await;
    let mut wanted = spec("shop/x:1", "hello");
    wanted.source = source(&servers, "public/cart.git", None);
    lab.build(wanted).await;
    let (run, lines) = lab.ended(&lab.start().await).await;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
    let said = said(&lines);
    let used = said.lines().filter(|line| line.starts_with("cache "));
    assert_eq!(used.count(), 16);
    assert!(said.contains("more than 16 folders"), "{said}");
}

#[tokio::test]
async fn a_webhook_builds_what_the_branch_points_to_whatever_it_says() {
    let servers = Servers::start("builds-pushed");
    let repository = servers.repository("public/cart.git");
    let main = repository.files("main", &[("app.py", "print()")]);
    // As a request to merge somebody's fork is: the server gives it to whoever asks for it by its id.
    let fork = repository.files("theirs", &[("app.py", "print('evil')")]);
    let lab = lab(&servers).await;
    let mut wanted = spec("shop/x:1", "hello");
    wanted.source = source(&servers, "public/cart.git", None);
    if let SourceSpec::Git { revision, .. } = &mut wanted.source {
        *revision = Some("main".to_owned());
    }
    lab.build(wanted).await;
    for (pushed, is_told) in [(&fork, true), (&main, false), (&"0".repeat(40), true)] {
        let mut asked = asked();
        asked.fresh = true;
        asked.cause = Cause::Webhook {
            from: HookKind::Generic,
            delivery: None,
            commit: Some(pushed.clone()),
        };
        let run = lab.builds.start("shop", "app", asked, now()).await;
        let (run, lines) = lab.ended(&run.unwrap().value).await;
        assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
        assert_eq!(run.resolved.commit.as_ref(), Some(&main), "{pushed}");
        let told =
            format!("commit {pushed}, which was pushed, is not what the revision stands for");
        assert_eq!(said(&lines).contains(&told), is_told, "{}", said(&lines));
    }
}

#[tokio::test]
async fn a_secret_is_shown_to_the_servers_that_it_names() {
    let servers = Servers::start("builds-hosts");
    let repository = servers.repository("private/cart.git");
    repository.files("main", &[("app.py", "print()")]);
    let lab = lab(&servers).await;
    let wanted = source(&servers, "private/cart.git", Some("git"));
    let here = format!("localhost:{}", servers.port);
    for (hosts, shown) in [
        (&*format!("git.example\n{here}\n"), true),
        (&*here, true),
        // Without a port it is the scheme's own.
        ("localhost", false),
        ("git.example", false),
        ("localhost:1", false),
    ] {
        let files = [("username", USER), ("password", PASSWORD), ("hosts", hosts)];
        lab.secret("git", SecretUse::Git, &files).await;
        let found = lab.builds.references("shop", &wanted).await;
        assert_eq!(found.is_ok(), shown, "{hosts}: {found:?}");
        // Nor is a run's shown to others: the server has not heard of the user.
        let asked = servers.requests().lines().count();
        let mut wanted = spec("shop/x:1", "hello");
        wanted.source = source(&servers, "private/cart.git", Some("git"));
        let run = lab
            .builds
            .run_once("shop", None, wanted, self::asked(), now());
        let (run, lines) = lab.ended(&run.await.unwrap().value).await;
        assert_eq!(
            run.state == State::Succeeded,
            shown,
            "{hosts}: {}",
            said(&lines)
        );
        let requests = servers.requests();
        let heard = requests.lines().skip(asked).any(|line| line.contains(USER));
        assert_eq!(heard, shown, "{hosts}: {requests}");
        if let Err(refused) = found {
            let refused = refused.to_string();
            let mend = format!("is for {hosts}, not for {here}: set it again with --host {here} ");
            assert!(refused.contains(&mend), "{refused}");
        }
    }
    // A server with a certificate of the team's own authority, which no configuration names.
    let files = [
        ("username", USER),
        ("password", PASSWORD),
        ("hosts", &here),
        ("ca.crt", &servers.ca),
    ];
    let unknown = SourceNetwork {
        authorities: BTreeMap::new(),
        ..servers.network()
    };
    let other = Lab::with(|_| (), unknown).await;
    other.secret("git", SecretUse::Git, &files[..3]).await;
    let refused = other.builds.references("shop", &wanted).await.unwrap_err();
    assert!(refused.to_string().contains("ca.crt"), "{refused}");
    other.secret("git", SecretUse::Git, &files).await;
    other.builds.references("shop", &wanted).await.unwrap();
    let nobody = SecretContent {
        used_for: SecretUse::Git,
        files: secret_files(&[("username", USER), ("password", PASSWORD)]),
    };
    let refused = lab.builds.put_secret("shop", "git", &nobody, now()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("hosts"), "{refused}");
}

#[tokio::test]
async fn scripts_of_a_url_are_kept_for_the_same_run_again() {
    let servers = Servers::start("builds-scripts");
    let served = |text: &str| {
        for name in ["assemble", "run"] {
            servers.lab.write(format!("lfs/s2i/{name}"), text);
        }
    };
    served("#!/bin/sh\n# of then\n");
    let lab = lab(&servers).await;
    let sent = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&sent, "hello");
    wanted.scripts_url = Some(format!("https://localhost:{}/lfs/s2i", servers.port));
    lab.build(wanted).await;
    let first = lab.run().await;
    let kept = first.resolved.scripts.clone().unwrap();
    assert!(kept.starts_with("shop/sources/app@sha256:"), "{kept}");
    assert!(
        first
            .resolved
            .ingredients
            .is_some_and(|all| all.scripts.len() == 2)
    );

    let same = async || {
        let again = lab
            .builds
            .again("shop", "app-1", true, crate::lab::actor(), now());
        lab.ended(&again.await.unwrap().value).await
    };
    // What is there is another now, then nothing is.
    served("#!/bin/sh\n# of now\n");
    let (check, lines) = same().await;
    assert_eq!(check.resolved.plan, first.resolved.plan, "{}", said(&lines));
    assert_eq!(check.result.unwrap().same_as.as_deref(), Some("app-1"));
    assert_eq!(check.resolved.scripts.as_ref(), Some(&kept));
    let newer = lab.run().await;
    assert_ne!(newer.resolved.plan, first.resolved.plan);
    assert_ne!(newer.resolved.scripts.as_ref(), Some(&kept));
    for name in ["assemble", "run"] {
        std::fs::remove_file(servers.lab.path(format!("lfs/s2i/{name}"))).unwrap();
    }
    let (check, lines) = same().await;
    assert_eq!(check.resolved.plan, first.resolved.plan, "{}", said(&lines));
    assert_eq!(reason(&lab.run().await), "FetchScriptsFailed");

    // Nothing of the URL stands in for what was kept and is gone.
    served("#!/bin/sh\n# of then\n");
    let name = ImageName::parse(&kept, &[]).unwrap();
    let blobs = lab.images.folder(name.repo()).join("blobs/sha256");
    std::fs::remove_file(blobs.join(name.digest().unwrap().hex())).unwrap();
    assert_eq!(reason(&same().await.0), "FetchScriptsFailed");
}

/// A source that is another than its artifact says is planned with anew: with the same scripts.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_of_a_url_are_fetched_once_for_a_run() {
    let servers = Servers::start("builds-once");
    for name in ["assemble", "run"] {
        servers.lab.write(format!("lfs/s2i/{name}"), "#!/bin/sh\n");
    }
    let lab = lab(&servers).await;
    let files = |text: &str| snapshot(lab.folder.path(), &[("app.py", text)]);
    let liar = send(&lab, &files("1"), &files("2")).await;
    let mut wanted = spec(&liar, "hello");
    wanted.scripts_url = Some(format!("https://localhost:{}/lfs/s2i", servers.port));
    lab.build(wanted).await;
    let (run, lines) = lab.ended(&lab.start().await).await;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
    assert!(said(&lines).contains("the source is another than its artifact says"));
    // It is written down after it was answered.
    let asked = eventually("it was asked", async || {
        let asked = servers
            .requests()
            .matches("GET /lfs/s2i/assemble HTTP")
            .count();
        Some(asked).filter(|asked| *asked > 0)
    });
    assert_eq!(asked.await, 1, "{}", servers.requests());
}
