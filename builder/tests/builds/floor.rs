//! Who fills the disk of builds before it builds.

use std::io::Read;
use std::path::{Path, PathBuf};
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

use crate::git::source as git;
use crate::image::{busybox, execution, push, scripts};
use crate::lab::{Lab, actor, asked, driver, eventually, now, push_source, reason, said, spec};
use crate::logs::Disk;
use crate::real::runc_of;
use crate::servers::Servers;
use crate::watched::{Watch, Watched};

/// What stays free, of 64 MiB.
const FLOOR: u64 = 32 << 20;

/// A registry that takes its time: the disk of builds, which is in this folder, does not fill at once.
#[derive(Debug)]
struct Slow(PathBuf);

struct Slowly {
    blob: Box<dyn Read + Send>,
    taken: usize,
    disk: PathBuf,
}

impl Watch for Slow {
    fn read(&self, blob: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        let disk = self.0.clone();
        Box::new(Slowly {
            blob,
            taken: 0,
            disk,
        })
    }
}

/// Some 10 MiB a second, and 1 MiB of what is large where room is lacking: who reads that is to be stopped before there is none.
impl Read for Slowly {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let is_to_end = self.taken > 8 << 20 && !has_room(&self.disk);
        let pause = if is_to_end { 60 } else { 6 };
        std::thread::sleep(Duration::from_millis(pause));
        let most = buffer.len().min(64 << 10);
        let read = self.blob.read(&mut buffer[..most])?;
        self.taken += read;
        Ok(read)
    }
}

/// A service with runc whose disk is small, and whose images are on another.
async fn lab(images: &TempDir, network: SourceNetwork) -> Option<(Lab, Arc<Runc>, Disk)> {
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
        watch: Arc::new(Slow(folder.path().to_owned())),
    };
    let unused = driver(folder.path());
    let lab = Lab::at(
        folder,
        (images, Arc::new(served)),
        unused,
        Arc::clone(&runc) as _,
        |_| (),
        network,
    );
    Some((lab.await, runc, disk))
}

/// Whether the disk of this folder has as much room as is to stay free.
fn has_room(folder: &Path) -> bool {
    let found = statvfs(folder).unwrap();
    found.f_bavail * found.f_frsize >= FLOOR
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
    let Some((lab, keeper, _disk)) = lab(&elsewhere, SourceNetwork::default()).await else {
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
        eventually("there is room", async || {
            has_room(lab.folder.path()).then_some(())
        })
        .await;
        open_gate(&lab);
        let (modest, lines) = lab.ended(&modest).await;
        assert_eq!(modest.state, State::Succeeded, "{}", said(&lines));
        stop.cancel();
    };
    tokio::join!(runs, keeper.keep_room(&stop));
}

/// A repository of one file that cannot be made smaller.
fn noise(servers: &Servers, path: &str, bytes: usize) {
    let repository = servers.repository(path);
    let mut noise = vec![0; bytes];
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    random.read_exact(&mut noise).unwrap();
    let noise = repository.blob(&noise);
    let tree = repository.tree(&[("100644", b"noise", noise)]);
    repository.commit("main", &tree, "all of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_by_git_goes_when_room_is_lacking() {
    let servers = Servers::start("builds-floor");
    noise(&servers, "public/large.git", 40 << 20);
    // Together more than what may be written.
    let several = ["a", "b", "c", "d", "e", "f"];
    for name in several {
        noise(&servers, &format!("public/{name}.git"), 6 << 20);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let Some((lab, keeper, _disk)) = lab(&elsewhere, servers.network()).await else {
        return;
    };
    let layers = [busybox(), scripts(&[("assemble", "true"), ("run", "true")])];
    push(&lab.images, "shop/builder:1", &layers, execution()).await;
    let run = async |name: &str| {
        let mut wanted = spec("shop/x:1", "x");
        wanted.network = Some(Network::None);
        wanted.source = git(&servers, &format!("public/{name}.git"), None);
        build(&lab, name, wanted).await;
        let run = lab.builds.start("shop", name, asked(), now()).await;
        let (run, lines) = lab.ended(&run.unwrap().value).await;
        (run, said(&lines))
    };

    let stop = CancellationToken::new();
    let runs = async {
        let (large, said) = run("large").await;
        // How fast it writes decides whether it is stopped or meets the disk's end.
        let reasons = ["Evicted", "DiskPressure"];
        assert!(reasons.contains(&reason(&large).as_str()), "{said}");
        for name in several {
            eventually("there is room", async || {
                has_room(lab.folder.path()).then_some(())
            })
            .await;
            let (run, said) = run(name).await;
            assert_eq!(run.state, State::Succeeded, "{said}");
        }
        stop.cancel();
    };
    tokio::join!(runs, keeper.keep_room(&stop));
}
