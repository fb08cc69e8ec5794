//! Runs with runc.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use builder::builds::Builds;
use builder::driver::runc::{Runc, Settings};
use builder::driver::{Driver, Phase};
use builder::images::Layouts;
use builder::records::{SecretMount, SecretUse, State, TestSpec};
use builder::sandbox;
use builder::source::SourceNetwork;
use builder::source::git::Mirrors;
use tests::remains::{control_groups, mounts};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::file_ledger::FileLedger;
use crate::image::{busybox, execution, push, scripts};
use crate::lab::{Lab, actor, all, asked, driver, now, parts, push_source, reason, said, spec};

const ASSEMBLE: &str = "cp -r /tmp/src/. /opt/app/src; echo $WORDS > /opt/app/words; if [ -d /run/secrets/npm ]; then cp /run/secrets/npm/token /opt/app/leak; fi";

/// The driver in a folder.
async fn runc(folder: &Path, cgroup: &str) -> Arc<dyn Driver> {
    runc_of(folder, cgroup, |_| ()).await
}

/// The same with other settings.
pub(crate) async fn runc_of(
    folder: &Path,
    cgroup: &str,
    change: impl FnOnce(&mut Settings),
) -> Arc<Runc> {
    tests::toolbox::needs_sandbox();
    let mut sandbox = sandbox::Settings::root(folder.join("sandbox")).unwrap();
    sandbox.cgroup = Path::new("/").join(cgroup);
    let mut settings = Settings::new(folder.join("driver"), sandbox);
    settings.mirrors = Mirrors::new(folder.join("mirrors"));
    change(&mut settings);
    Arc::new(Runc::open(settings).await.unwrap().0)
}

#[tokio::test]
async fn a_program_makes_an_image_that_is_made_again() {
    let folder = tempfile::Builder::new()
        .prefix("slipway-builds-")
        .tempdir()
        .unwrap();
    let cgroup = format!("slipway-builds-{}", std::process::id());
    let runc = runc(folder.path(), &cgroup).await;
    let unused = driver(folder.path());
    let lab = Lab::of(folder, unused, runc, |_| (), SourceNetwork::default()).await;
    let layers = [
        busybox(),
        scripts(&[("assemble", ASSEMBLE), ("run", "true")]),
    ];
    push(&lab.images, "shop/builder:1", &layers, execution()).await;
    let source = lab.source(&[("app.txt", "hello")]).await;
    let mut wanted = spec(&source, "spoken");
    wanted.network = Some(builder::plan::Network::None);
    wanted.test = Some(TestSpec {
        command: ["grep", "spoken", "/opt/app/words"]
            .map(str::to_owned)
            .to_vec(),
    });
    lab.build(wanted.clone()).await;
    let (run, lines) = lab.ended(&lab.start().await).await;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
    assert!(run.result.as_ref().unwrap().layer_bytes > 0);
    assert!(
        run.phases
            .iter()
            .any(|timing| timing.phase == Phase::Assemble)
    );
    assert!(lab.tag("shop/app:v1").await.is_some());
    assert!(lab.run().await.result.unwrap().reused);
    let again = lab.builds.again("shop", "app-1", true, actor(), now());
    let (check, lines) = lab.ended(&again.await.unwrap().value).await;
    assert_eq!(check.state, State::Succeeded, "{}", said(&lines));
    assert_eq!(check.result.unwrap().same_as.as_deref(), Some("app-1"));

    // A test that fails, and a secret in the layer: nothing is published.
    let before = lab.tag("shop/app:v1").await.unwrap().digest();
    wanted.test = Some(TestSpec {
        command: vec!["false".to_owned()],
    });
    let replaced = lab
        .builds
        .replace("shop", "app", wanted.clone(), actor(), None, now());
    replaced.await.unwrap();
    let failed = lab.run().await;
    assert!(
        matches!(failed.state, State::Failed { .. }),
        "{:?}",
        failed.state
    );
    lab.secret(
        "npm",
        SecretUse::Build,
        &[("token", "canary-of-a-registry")],
    )
    .await;
    wanted.test = None;
    wanted.secrets = vec![SecretMount {
        name: "npm".to_owned(),
        path: None,
    }];
    let replaced = lab
        .builds
        .replace("shop", "app", wanted, actor(), None, now());
    replaced.await.unwrap();
    let leaked = lab.run().await;
    assert_ne!(reason(&leaked), "Succeeded");
    assert_eq!(lab.tag("shop/app:v1").await.unwrap().digest(), before);
}

const FOLDER: &str = "SLIPWAY_REAL_FOLDER";
const CGROUP: &str = "SLIPWAY_REAL_CGROUP";

async fn service(folder: &Path, cgroup: &str) -> Builds {
    let parts = parts(
        folder,
        Arc::new(FileLedger::new(&folder.join("ledger"))),
        Arc::new(Layouts::new(folder.join("images"))),
        runc(folder, cgroup).await,
        SourceNetwork::default(),
    );
    Builds::new(parts, crate::lab::settings(folder))
}

fn drive(builds: &Builds) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let (builds, own) = (builds.clone(), stop.clone());
    (stop, tokio::spawn(async move { builds.drive(own).await }))
}

/// Not a test of its own: the server that is killed.
#[tokio::test]
#[ignore = "started by a_run_outlives_the_server_that_is_killed_while_its_program_works"]
async fn server() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let cgroup = std::env::var(CGROUP).unwrap();
    let builds = service(Path::new(&folder), &cgroup).await;
    let (_stop, driving) = drive(&builds);
    builds.start("shop", "app", asked(), now()).await.unwrap();
    driving.await.unwrap();
}

/// What of runs is mounted, or a control group.
fn leftovers(folder: &Path, cgroup: &str) -> Vec<String> {
    [mounts(folder), control_groups(cgroup)].concat()
}

#[tokio::test]
async fn a_run_outlives_the_server_that_is_killed_while_its_program_works() {
    let folder = tempfile::Builder::new()
        .prefix("slipway-builds-")
        .tempdir()
        .unwrap();
    let folder = folder.path();
    let cgroup = format!("slipway-builds-kill-{}", std::process::id());
    let images = Layouts::new(folder.join("images"));
    // The second time there is something in the cache of the first, so that it need not wait.
    let assemble = "echo at work; [ -e /opt/app/cache/begun ] || { touch /opt/app/cache/begun; sleep 600; }; echo ok > /opt/app/result";
    let layers = [
        busybox(),
        scripts(&[("assemble", assemble), ("run", "true")]),
    ];
    let mut says = execution();
    says["Labels"]["dev.slipway.cache"] = "/opt/app/cache".into();
    push(&images, "shop/builder:1", &layers, says).await;
    let source = push_source(&images, folder, &[("app.txt", "hello")]).await;
    let mut wanted = spec(&source, "x");
    wanted.network = Some(builder::plan::Network::None);
    // Looks on, and runs nothing.
    let parts = parts(
        folder,
        Arc::new(FileLedger::new(&folder.join("ledger"))),
        Arc::new(images),
        driver(folder),
        SourceNetwork::default(),
    );
    let looking = Builds::new(parts, crate::lab::settings(folder));
    let made = looking.create("shop", "app", wanted, actor(), now()).await;
    made.unwrap();

    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["real::server", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(CGROUP, &cgroup)
        .spawn()
        .unwrap();
    let works = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let Ok(mut log) = looking.log("shop", "app-1").await else {
                continue;
            };
            if said(&all(&mut log)).contains("at work") {
                break;
            }
        }
    };
    let begun = tokio::time::timeout(Duration::from_secs(120), works).await;
    server.kill().unwrap();
    server.wait().unwrap();
    begun.unwrap();

    let builds = service(folder, &cgroup).await;
    assert_eq!(leftovers(folder, &cgroup), Vec::<String>::new());
    let (stop, driving) = drive(&builds);
    let mut follow = builds.follow("shop", "app-1", 0).await.unwrap();
    let mut lines = Vec::new();
    while let Some(more) = follow.next().await.unwrap() {
        lines.extend(more);
    }
    let run = builds.run("shop", "app-1").await.unwrap().value;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
    assert_eq!(run.attempts, 2);
    let text = said(&lines);
    assert_eq!(
        text.matches("at work").count() - text.matches("was at work").count(),
        2
    );
    assert!(text.contains("it begins anew"), "{text}");
    stop.cancel();
    driving.await.unwrap();
    assert_eq!(leftovers(folder, &cgroup), Vec::<String>::new());
}
