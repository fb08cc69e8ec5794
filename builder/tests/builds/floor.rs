//! Who fills the disk of builds before it builds.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use builder::driver::runc::Runc;
use builder::images::Layouts;
use builder::plan::Network;
use builder::records::{BuildSpec, SourceSpec, State};
use builder::source::SourceNetwork;
use rustix::fs::statvfs;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::image::{busybox, execution, push, scripts};
use crate::lab::{Lab, actor, asked, driver, eventually, now, push_source, reason, said, spec};
use crate::logs::Disk;
use crate::real::runc_of;
use crate::watched::{Watch, Watched};

/// What stays free, of 64 MiB.
const FLOOR: u64 = 32 << 20;

/// A registry that takes its time: a disk of builds does not fill at once.
#[derive(Debug)]
struct Slow;

struct Slowly(Box<dyn Read + Send>);

impl Watch for Slow {
    fn read(&self, blob: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        Box::new(Slowly(blob))
    }
}

/// Some 10 MiB a second.
impl Read for Slowly {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        std::thread::sleep(Duration::from_millis(6));
        let most = buffer.len().min(64 << 10);
        self.0.read(&mut buffer[..most])
    }
}

/// A service with runc whose disk is small, and whose images are on another.
async fn lab(images: &TempDir) -> Option<(Lab, Arc<Runc>, Disk)> {
    let folder = tempfile::Builder::new()
        .prefix("slipway-builds-")
        .tempdir()
        .unwrap();
    let disk = Disk::new(folder.path(), c"size=64m")?;
    let cgroup = format!("slipway-builds-floor-{}", std::process::id());
    let runc = runc_of(folder.path(), &cgroup, |settings| {
        settings.unpacking.min_free = FLOOR;
    });
    let runc = runc.await;
    let images = Layouts::new(images.path().join("images"));
    let served = Watched {
        images: images.clone(),
        watch: Arc::new(Slow),
    };
    let unused = driver(folder.path());
    let lab = Lab::at(
        folder,
        (images, Arc::new(served)),
        unused,
        Arc::clone(&runc) as _,
        |_| (),
        SourceNetwork::default(),
    );
    Some((lab.await, runc, disk))
}

async fn build(lab: &Lab, name: &str, spec: BuildSpec) {
    let made = lab.builds.create("shop", name, spec, actor(), now());
    made.await.unwrap();
}

/// Lets the program go on that waits for a file in its cache.
fn open_gate(lab: &Lab) {
    let entries = lab.folder.path().join("driver/caches/entries");
    for entry in std::fs::read_dir(entries).unwrap() {
        std::fs::write(entry.unwrap().path().join("files/go"), "").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fills_the_disk_by_fetching_is_stopped_and_not_who_builds() {
    let elsewhere = tempfile::tempdir().unwrap();
    let Some((lab, keeper, _disk)) = lab(&elsewhere).await else {
        return;
    };
    let waits = "echo at work; head -c 1000000 /dev/zero > /opt/app/a; \
                 until [ -e /opt/app/cache/go ]; do sleep 0.1; done";
    let layers = [busybox(), scripts(&[("assemble", waits), ("run", "true")])];
    let mut says = execution();
    says["Labels"]["dev.slipway.cache"] = "/opt/app/cache".into();
    push(&lab.images, "shop/builder:1", &layers, says).await;
    let small = push_source(&lab.images, elsewhere.path(), &[("a", "b")]).await;
    let mut modest = spec(&small, "x");
    modest.network = Some(Network::None);
    let large = [("a", &*"x".repeat(100 << 20))];
    let large = push_source(&lab.images, elsewhere.path(), &large).await;
    let mut greedy = modest.clone();
    greedy.source = SourceSpec::Image { reference: large };
    greedy.output.image = "shop/large:v1".to_owned();
    build(&lab, "app", modest).await;
    build(&lab, "large", greedy).await;

    let stop = CancellationToken::new();
    let runs = async {
        let modest = lab.start().await;
        lab.says(&modest, "at work").await;
        let greedy = lab.builds.start("shop", "large", asked(), now()).await;
        let (greedy, lines) = lab.ended(&greedy.unwrap().value).await;
        assert_eq!(reason(&greedy), "Evicted", "{}", said(&lines));
        assert!(said(&lines).contains("had written the most"));
        // Threads that read for it let go of what they have, and only then is another looked for.
        let free = async || {
            let found = statvfs(lab.folder.path()).unwrap();
            (found.f_bavail * found.f_frsize >= FLOOR).then_some(())
        };
        eventually("there is room", free).await;
        open_gate(&lab);
        let (modest, lines) = lab.ended(&modest).await;
        assert_eq!(modest.state, State::Succeeded, "{}", said(&lines));
        stop.cancel();
    };
    tokio::join!(runs, keeper.keep_room(&stop));
}
