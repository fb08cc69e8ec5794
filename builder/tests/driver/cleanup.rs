//! What is left of a run whose server was killed, or whose future was dropped: nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use builder::driver::runc::Runc;
use builder::driver::{Driver as _, Writing};
use builder::images::Layouts;
use builder::plan::Cache;
use builder::s2i::ContainerPath;
use tests::remains::until_none;
use tokio_util::sync::CancellationToken;

use super::image::Tar;
use super::lab::{Asked, Lab, leftovers, settings};

const FOLDER: &str = "DRIVER_TEST_FOLDER";
const CGROUP: &str = "DRIVER_TEST_CGROUP";
const LAYERS: &str = "DRIVER_TEST_LAYERS";
const SECRET: &[u8] = b"driver-victim-secret";

/// Takes about half a second, in every part of which it may be killed. With many layers, its root is mounted on the host.
async fn asked(lab: &Lab, layers: usize) -> Asked {
    let layers: Vec<_> = (0..layers)
        .map(|number| {
            Tar::new()
                .file(&format!("opt/app/{number}"), 0o644, 1001, "x")
                .bytes()
        })
        .collect();
    let assemble = "(setsid sleep 31.41592 &); cp -r /tmp/src /opt/app/src; echo x > /opt/app/.cache/x; sleep 0.2";
    let image = lab
        .builder(
            "shop/builder:1",
            &[("assemble", assemble), ("run", "true")],
            &layers,
        )
        .await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x"), ("deep/er/y", "y")]));
    asked.request.caches = vec![Cache {
        id: "main".to_owned(),
        from: None,
        at: ContainerPath::parse("/opt/app/.cache").unwrap(),
    }];
    asked.secret("token", "file", SECRET);
    asked.test = Some(["sleep", "0.1"].map(str::to_owned).to_vec());
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_cleans_up_by_itself() {
    let lab = Lab::new().await;
    for milliseconds in [0, 20, 60, 100, 150, 200, 300, 400, 500] {
        let run = lab.run_beside(asked(&lab, 0).await);
        let _ = tokio::time::timeout(Duration::from_millis(milliseconds), run).await;
        until_none(|| lab.left());
    }
}

/// Kills a server at some moment of its runs, starts it again, and looks.
#[tokio::test]
async fn a_killed_server_leaves_nothing() {
    let folder = tempfile::Builder::new()
        .prefix("slipway-driver-")
        .tempdir()
        .unwrap();
    let cgroup = format!("slipway-driver-kill-{}", std::process::id());
    let kills = std::env::var("SLIPWAY_KILLS").map_or(16, |kills| kills.parse().unwrap());
    for number in 0..kills {
        let victim = Command::new(std::env::current_exe().unwrap())
            .args(["cleanup::victim", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(CGROUP, &cgroup)
            .env(LAYERS, if number % 2 == 0 { "0" } else { "50" })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut victim = victim.unwrap();
        // From its first step to its third run.
        std::thread::sleep(Duration::from_millis(number * 97 % 1700));
        assert!(
            victim.try_wait().unwrap().is_none(),
            "it runs until it is killed"
        );
        victim.kill().unwrap();
        victim.wait().unwrap();
        let (driver, _) = Runc::open(settings(folder.path(), &cgroup)).await.unwrap();
        until_none(|| leftovers(folder.path(), &cgroup));
        drop(driver);
        let secret = Command::new("grep")
            .args(["-rlaF", str::from_utf8(SECRET).unwrap()])
            .arg(folder.path())
            .output();
        assert_eq!(
            String::from_utf8(secret.unwrap().stdout).unwrap(),
            "",
            "kill {number}"
        );
    }
    let lab = Lab::at(folder, cgroup).await;
    let mut ran = lab.run(asked(&lab, 0).await).await;
    ran.built();
}

/// Not a test of its own: what the test above kills.
#[tokio::test]
#[ignore = "started by a_killed_server_leaves_nothing"]
async fn victim() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let folder = Path::new(&folder);
    let cgroup = std::env::var(CGROUP).unwrap();
    let layers = std::env::var(LAYERS).unwrap().parse().unwrap();
    let (driver, _) = Runc::open(settings(folder, &cgroup)).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let images = Layouts::new(scratch.path().join("images"));
    let lab = Lab::of(driver.clone(), images.clone(), scratch, cgroup);
    loop {
        let id = uuid();
        let (job, mut events) = asked(&lab, layers).await.job(id, Arc::new(images.clone()));
        let drain = async { while events.recv().await.is_some() {} };
        let never = CancellationToken::new();
        let (built, ()) = tokio::join!(driver.run(job, &never), drain);
        built.unwrap();
    }
}

/// The names of what the last run wrote are on the disk, and no content is.
#[tokio::test]
async fn a_loss_of_power_hinders_neither_the_next_server_nor_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    let cgroup = format!("slipway-driver-power-{}", std::process::id());
    let mut lab = Lab::at(folder, cgroup.clone()).await;
    lab.run(asked(&lab, 0).await).await.built();
    let driver = lab.folder.path().join("driver");
    let cut = Command::new("find")
        .arg(&driver)
        .args([
            "-type", "f", "-size", "+0", "-print", "-exec", "truncate", "-s0", "{}", "+",
        ])
        .output();
    let cut = String::from_utf8(cut.unwrap().stdout).unwrap();
    for name in ["/record", "/unsynced", "/assemble"] {
        assert!(cut.contains(name), "{name} is not in {cut}");
    }
    // The folder is one driver's at a time.
    let other = Lab::new().await;
    lab.driver = other.driver.clone();
    let (next, _) = Runc::open(settings(lab.folder.path(), &cgroup))
        .await
        .unwrap();
    lab.driver = next;
    lab.run(asked(&lab, 0).await).await.built();
}

fn uuid() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid")
        .unwrap()
        .trim()
        .to_owned()
}

#[tokio::test]
async fn what_nobody_uses_makes_room_and_where_that_is_not_enough_nothing_begins() {
    let mut lab = Lab::new().await;
    let image = lab
        .builder(
            "shop/builder:1",
            &[("assemble", "true"), ("run", "true")],
            &[],
        )
        .await;
    let source = lab.source(&[("a", "b")]);
    lab.run(Lab::asked(&image, &source)).await.built();
    let run = Writing::new(CancellationToken::new());
    lab.driver.make_room(&run).await.unwrap();
    let layers = |folder: &Path| {
        let stores = fs::read_dir(folder.join("driver/layers")).unwrap();
        let layers =
            stores.map(|store| fs::read_dir(store.unwrap().path().join("layers")).unwrap());
        layers.map(Iterator::count).sum::<usize>()
    };
    assert_eq!(layers(lab.folder.path()), 2);

    // The folder is one driver's at a time.
    let other = Lab::new().await;
    lab.driver = other.driver.clone();
    let mut settings = settings(lab.folder.path(), "slipway-driver-full");
    settings.unpacking.min_free = u64::MAX;
    let (driver, _) = Runc::open(settings).await.unwrap();
    let failure = driver.make_room(&run).await.unwrap_err();
    assert_eq!(failure.reason.as_str(), "DiskPressure");
    assert!(
        failure.message.contains("builder.minFreeBytes"),
        "{failure}"
    );
    assert_eq!(layers(lab.folder.path()), 0);
    let (job, _events) =
        Lab::asked(&image, &source).job("run".to_owned(), Arc::new(lab.images.clone()));
    let failure = driver
        .run(job, &CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(failure.reason.as_str(), "DiskPressure");
}
