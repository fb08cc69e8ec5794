//! How much of the disk stays free while runs are at work, and when they have ended.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use builder::plan::{Cache, Image};
use builder::s2i::ContainerPath;
use rustix::fs::statvfs;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tokio_util::sync::CancellationToken;

use super::image::Tar;
use super::lab::{Asked, Lab, Ran};

/// What stays free, of 128 MiB.
const FLOOR: u64 = 32 << 20;

/// A disk of its own for a driver, which ends with this.
struct Disk(PathBuf);

impl Disk {
    /// In a folder that is to become the driver's.
    fn at(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let flags = MountFlags::empty();
        mount("tmpfs", folder, "tmpfs", flags, Some(c"size=128m")).unwrap();
        Self(folder.to_owned())
    }

    fn free(&self) -> u64 {
        let found = statvfs(&self.0).unwrap();
        found.f_bavail * found.f_frsize
    }

    /// Waits until there is as much as stays free.
    async fn has_room(&self) {
        let mut tries = 0..1200;
        while self.free() < FLOOR && tries.next().is_some() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(self.free() >= FLOOR, "{}", self.free());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// The disk goes first: a folder that something is mounted on cannot be removed.
async fn lab() -> (Lab, Disk) {
    let mut disk = None;
    let lab = Lab::with(|settings| {
        disk = Some(Disk::at(&settings.folder));
        settings.unpacking.min_free = FLOOR;
    });
    let lab = lab.await;
    (lab, disk.unwrap())
}

fn cached(mut asked: Asked, id: &str, at: &str) -> Asked {
    asked.request.caches.push(Cache {
        id: id.to_owned(),
        at: ContainerPath::parse(at).unwrap(),
        from: None,
    });
    asked
}

/// Fills the disk: most of it at once, then 1 MiB at a time, which from the floor on takes seconds.
const FILLS: &str = "head -c 67108864 /dev/zero > ${F}0; \
     for i in $(seq 64); do head -c 1048576 /dev/zero > $F$i || { echo no more room; exit 9; }; sleep 0.2; done";
/// The same in a file that is deleted and still open.
const HIDDEN: &str = "exec 3> gone; rm gone; head -c 67108864 /dev/zero >&3; \
     for i in $(seq 64); do head -c 1048576 /dev/zero >&3 || { echo no more room; exit 9; }; sleep 0.2; done";
/// Is refused processes, and lives with it.
const CROWDS: &str = "(while :; do sleep 1 & done) || true; \
     read t _ < /proc/uptime; end=$((${t%.*} + 3)); while read t _ < /proc/uptime; [ ${t%.*} -lt $end ]; do :; done";

/// Its program ends when there is a file `go` in its cache.
async fn modest(lab: &Lab, image: &Image) -> Ran {
    let waits =
        "head -c 1000000 /dev/zero > a; until [ -e /gate/go ]; do sleep 0.1; done; rm /gate/go";
    let mut asked = Lab::asked(image, &lab.source(&[("do", waits)]));
    asked.request.limits.seconds = Some(120);
    lab.run_beside(cached(asked, "gate", "/gate")).await
}

/// Lets it go on.
fn open_gate(disk: &Disk) {
    let entries = std::fs::read_dir(disk.0.join("caches/entries")).unwrap();
    for entry in entries {
        std::fs::write(entry.unwrap().path().join("files/go"), "").unwrap();
    }
}

fn is_evicted(ran: &Ran) {
    let failure = ran.failure();
    assert_eq!(failure.reason.as_str(), "Evicted", "{failure}");
    for words in ["had written the most", "builder.minFreeBytes"] {
        assert!(failure.message.contains(words), "{failure}");
    }
    let said = ran.text();
    assert!(!said.contains("no more room"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_before_the_disk_is_full_and_the_others_go_on() {
    let (lab, disk) = lab().await;
    let image = lab.assembling("eval \"$(cat /tmp/src/do)\"").await;
    let stop = CancellationToken::new();
    let asked = |does: &str| Lab::asked(&image, &lab.source(&[("do", does)]));
    let fills = |file: &str| format!("F={file}; {FILLS}");
    let runs = async {
        // What is deleted and still open takes as much; who is refused processes is not stopped for those.
        let mut crowded = asked(&format!("{CROWDS}; {}", fills("/opt/app/f")));
        crowded.request.limits.pids = Some(40);
        for greedy in [asked(HIDDEN), crowded] {
            let greedy = async {
                let greedy = lab.run_beside(greedy).await;
                disk.has_room().await;
                open_gate(&disk);
                greedy
            };
            let (greedy, mut modest) = tokio::join!(greedy, modest(&lab, &image));
            is_evicted(&greedy);
            modest.built();
        }
        // Its cache is not searched for its secret: it goes, as there is to be room soon.
        let mut greedy = cached(asked(&fills("/cache/f")), "npm", "/cache");
        greedy.secret(
            "npm",
            "token",
            b"_authToken=9f86d081884c7d659a2feaa0c55ad015",
        );
        let greedy = lab.run_beside(greedy).await;
        is_evicted(&greedy);
        let said = greedy.text();
        assert!(said.contains("cache npm is emptied"), "{said}");
        disk.has_room().await;
        // Without one it is nobody's now.
        let greedy = cached(asked(&fills("/cache/f")), "npm", "/cache");
        is_evicted(&lab.run_beside(greedy).await);
        disk.has_room().await;
        stop.cancel();
    };
    tokio::join!(runs, lab.driver.keep_room(&stop));
    // All that is left is the disk.
    let left = lab.left();
    assert!(
        left.len() == 1 && left[0].contains("size=131072k"),
        "{left:?}"
    );
}

/// What the builder writes for a run is the run's, too: neither program writes much.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_had_the_most_unpacked_is_stopped_when_others_write() {
    let (lab, disk) = lab().await;
    let waits = "until [ -e /gate/go ]; do sleep 0.1; done";
    let scripts = [("assemble", waits), ("run", "true")];
    let layer = Tar::new().raw("large", &vec![b'x'; 40 << 20]).bytes();
    let large = lab.builder("shop/large:1", &scripts, &[layer]).await;
    let small = format!("head -c 4194304 /dev/zero > a; {waits}");
    let small = lab.assembling(&small).await;
    let asked = |image, id| {
        // One file each: who reads it moves where the next reads.
        let source = lab.source(&[("a", "b")]);
        let mut asked = cached(Lab::asked(image, &source), id, "/gate");
        asked.request.limits.seconds = Some(120);
        asked
    };
    let stop = CancellationToken::new();
    let pushed = AtomicBool::new(false);
    let run = async |asked| {
        let ran = lab.run_beside(asked).await;
        let text = ran.text();
        assert!(pushed.load(SeqCst), "too soon: {:?}: {text}", ran.result);
        ran
    };
    let runs = async {
        let large = async {
            let large = run(asked(&large, "large")).await;
            // Its layers go, which nobody uses any more.
            disk.has_room().await;
            open_gate(&disk);
            large
        };
        let (large, mut small, ()) = tokio::join!(
            large,
            run(asked(&small, "small")),
            others_write(&disk, &pushed)
        );
        is_evicted(&large);
        small.built();
        stop.cancel();
    };
    tokio::join!(runs, lab.driver.keep_room(&stop));
}

/// Leaves less than the floor once two runs have what they need.
async fn others_write(disk: &Disk, are_to: &AtomicBool) {
    let entries = disk.0.join("caches/entries");
    let taken = || std::fs::read_dir(&entries).map_or(0, Iterator::count);
    let mut tries = 0..600;
    while taken() < 2 && tries.next().is_some() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(taken(), 2);
    // Also the small one's.
    tokio::time::sleep(Duration::from_secs(1)).await;
    are_to.store(true, SeqCst);
    let pushed = disk.free() - FLOOR + (4 << 20);
    let pushed = vec![7; usize::try_from(pushed).unwrap()];
    std::fs::write(disk.0.join("pushed"), pushed).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unused_caches_go_for_whoever_else_writes_to_the_disk() {
    let (lab, disk) = lab().await;
    let image = lab
        .assembling("head -c 33554432 /dev/zero > /cache/f")
        .await;
    let source = lab.source(&[("a", "b")]);
    let asked = cached(Lab::asked(&image, &source), "npm", "/cache");
    lab.run_beside(asked).await.built();
    let stop = CancellationToken::new();
    let others = async {
        let before = disk.free();
        assert!(before < (128 - 32) << 20, "{before}");
        let pushed = vec![7; usize::try_from(before - FLOOR + (8 << 20)).unwrap()];
        std::fs::write(disk.0.join("pushed"), pushed).unwrap();
        disk.has_room().await;
        stop.cancel();
    };
    tokio::join!(others, lab.driver.keep_room(&stop));
}
