//! How much of the disk stays free while runs are at work, and when they have ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use builder::plan::Cache;
use builder::s2i::ContainerPath;
use rustix::fs::statvfs;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tokio_util::sync::CancellationToken;

use super::lab::{Asked, Lab};

/// What stays free, of 384 MiB.
const FLOOR: u64 = 96 << 20;

/// A disk of its own for a driver, which ends with this.
struct Disk(PathBuf);

impl Disk {
    /// In a folder that is to become the driver's.
    fn at(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let flags = MountFlags::empty();
        mount("tmpfs", folder, "tmpfs", flags, Some(c"size=384m")).unwrap();
        Self(folder.to_owned())
    }

    fn free(&self) -> u64 {
        let found = statvfs(&self.0).unwrap();
        found.f_bavail * found.f_frsize
    }

    /// Waits until there is as much as stays free.
    async fn has_room(&self) {
        let mut tries = 0..300;
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

async fn lab() -> (Disk, Lab) {
    let mut disk = None;
    let lab = Lab::with(|settings| {
        disk = Some(Disk::at(&settings.folder));
        settings.unpacking.min_free = FLOOR;
    });
    let lab = lab.await;
    (disk.unwrap(), lab)
}

fn cached(mut asked: Asked, id: &str, at: &str) -> Asked {
    asked.request.caches.push(Cache {
        id: id.to_owned(),
        at: ContainerPath::parse(at).unwrap(),
        from: None,
    });
    asked
}

/// Writes 400 MiB, 20 of them every fifth of a second, and says when there was no more room.
const FILLS: &str =
    "for i in $(seq 20); do head -c 20971520 /dev/zero > $F$i || exit 9; sleep 0.2; done";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_before_the_disk_is_full_and_the_others_go_on() {
    let (disk, lab) = lab().await;
    let image = lab.assembling("eval \"$(cat /tmp/src/do)\"").await;
    let stop = CancellationToken::new();
    let written = |file: &str| FILLS.replace("$F", file);
    // What is deleted and still open takes as much.
    let hidden = "exec 3> gone; rm gone; for i in $(seq 20); do head -c 20971520 /dev/zero >&3 || exit 9; sleep 0.2; done";
    let runs = async {
        let modest = lab.source(&[("do", "head -c 1000000 /dev/zero > a; sleep 8")]);
        for greedy in [written("/opt/app/f"), hidden.to_owned()] {
            let greedy = lab.source(&[("do", &greedy)]);
            let (greedy, mut modest) = tokio::join!(
                lab.run_beside(Lab::asked(&image, &greedy)),
                lab.run_beside(Lab::asked(&image, &modest)),
            );
            let failure = greedy.failure();
            assert_eq!(failure.reason.as_str(), "DiskPressure", "{failure}");
            assert!(
                failure.message.contains("builder.minFreeBytes"),
                "{failure}"
            );
            modest.built();
        }
        let greedy = lab.source(&[("do", &written("/cache/f"))]);
        let greedy = cached(Lab::asked(&image, &greedy), "npm", "/cache");
        let greedy = lab.run_beside(greedy).await;
        assert_eq!(greedy.failure().reason.as_str(), "DiskPressure");
        // Its cache is nobody's now.
        disk.has_room().await;
        stop.cancel();
    };
    tokio::join!(runs, lab.driver.keep_room(&stop));
    // All that is left is the disk.
    let left = lab.left();
    assert!(
        left.len() == 1 && left[0].contains("size=393216k"),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unused_caches_go_for_whoever_else_writes_to_the_disk() {
    let (disk, lab) = lab().await;
    let image = lab
        .assembling("head -c 104857600 /dev/zero > /cache/f")
        .await;
    let source = lab.source(&[("a", "b")]);
    let asked = cached(Lab::asked(&image, &source), "npm", "/cache");
    lab.run_beside(asked).await.built();
    let stop = CancellationToken::new();
    let others = async {
        let before = disk.free();
        assert!(before < (384 - 100) << 20, "{before}");
        let pushed = vec![7; usize::try_from(before - FLOOR + (8 << 20)).unwrap()];
        std::fs::write(disk.0.join("pushed"), pushed).unwrap();
        disk.has_room().await;
        stop.cancel();
    };
    tokio::join!(others, lab.driver.keep_room(&stop));
}
