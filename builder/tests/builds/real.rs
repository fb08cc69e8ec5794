//! Runs with runc.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use builder::driver::runc::{Runc, Settings};
use builder::driver::{Driver, Phase};
use builder::records::{SecretMount, SecretUse, State, TestSpec};
use builder::sandbox;
use builder::source::SourceNetwork;

use crate::image::{busybox, execution, push, scripts};
use crate::lab::{Lab, actor, driver, now, reason, said, spec};

const ASSEMBLE: &str = "cp -r /tmp/src/. /opt/app/src; echo $WORDS > /opt/app/words; if [ -d /run/secrets/npm ]; then cp /run/secrets/npm/token /opt/app/leak; fi";

/// Whether tests can run here; prints why not.
fn ready() -> bool {
    let root = rustix::process::geteuid().is_root();
    let has = |program: &str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        found.is_ok_and(|output| output.status.success())
    };
    let missing: Vec<_> = ["runc", "nft", "busybox"]
        .into_iter()
        .filter(|program| !has(program))
        .collect();
    if root && missing.is_empty() {
        return true;
    }
    println!("skipped: needs root ({root}) and the programs {missing:?}");
    false
}

#[tokio::test]
async fn a_program_makes_an_image_that_is_made_again() {
    if !ready() {
        return;
    }
    let folder = tempfile::Builder::new()
        .prefix("slipway-builds-")
        .tempdir()
        .unwrap();
    let mut sandbox = sandbox::Settings::root(folder.path().join("sandbox")).unwrap();
    sandbox.cgroup = Path::new("/").join(format!("slipway-builds-{}", std::process::id()));
    let settings = Settings::new(folder.path().join("driver"), sandbox);
    let (runc, _) = Runc::open(settings).await.unwrap();
    let runc: Arc<dyn Driver> = Arc::new(runc);
    let unused = driver(folder.path());
    let lab = Lab::of(folder, unused, runc, |_| (), SourceNetwork::default()).await;
    let layers = [
        busybox(),
        scripts(&[("assemble", ASSEMBLE), ("run", "true")]),
    ];
    push(&lab.images, "shop/builder:1", &layers, execution()).await;
    let source = lab.source(&[("app.txt", "hello")]).await;
    let mut wanted = spec(&source, "spoken");
    wanted.network = builder::plan::Network::None;
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
        .replace("shop", "app", wanted.clone(), actor(), None);
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
    let replaced = lab.builds.replace("shop", "app", wanted, actor(), None);
    replaced.await.unwrap();
    let leaked = lab.run().await;
    assert_ne!(reason(&leaked), "Succeeded");
    assert_eq!(lab.tag("shop/app:v1").await.unwrap().digest(), before);
}
