//! Logs of runs that say more than is kept, or while there is no room for it.

use std::ffi::CStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use builder::builds::Settings;
use builder::builds::log::Entry;
use builder::records::{State, StateKind};
use builder::source::SourceNetwork;

use crate::image::{busybox, execution, push, scripts};
use crate::lab::{Lab, all, driver, eventually, reason, said, spec};
use crate::real::runc_of;

/// The last lines say what went wrong.
#[tokio::test]
async fn of_a_log_that_is_too_long_the_end_is_kept() {
    const MOST: u64 = 1 << 20;
    let folder = tempfile::Builder::new()
        .prefix("slipway-builds-")
        .tempdir()
        .unwrap();
    let cgroup = format!("slipway-logs-{}", std::process::id());
    let runc = runc_of(folder.path(), &cgroup, |settings| settings.output = MOST).await;
    let unused = driver(folder.path());
    let few = |settings: &mut Settings| settings.log_bytes = MOST;
    let lab = Lab::of(folder, unused, runc, few, SourceNetwork::default()).await;
    // 6 MB of lines, then the error.
    let assemble = "i=0; more='compiling and compiling and compiling'; while [ $i -lt 100 ]; do i=$((i+1)); more=\"$more
compiling $i and more of the same\"; done; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo \"round $i\"; echo \"$more\"; done; echo 'FINAL ERROR: src/main.c:17' >&2; exit 1";
    let layers = [
        busybox(),
        scripts(&[("assemble", assemble), ("run", "true")]),
    ];
    push(&lab.images, "shop/builder:1", &layers, execution()).await;
    let source = lab.source(&[("app.txt", "hello")]).await;
    let mut wanted = spec(&source, "x");
    wanted.network = Some(builder::plan::Network::None);
    lab.build(wanted).await;
    let (run, lines) = lab.ended(&lab.start().await).await;
    assert_eq!(reason(&run), "AssembleFailed");
    let at = |entry: &Entry| lines.iter().position(|line| line.entry == *entry);
    let first = at(&Entry::Out("round 1".to_owned()));
    let left_out = lines.iter().position(
        |line| matches!(&line.entry, Entry::Note(text) if text.contains("left out here")),
    );
    let last = at(&Entry::Out("round 2000".to_owned()));
    let error = at(&Entry::Err("FINAL ERROR: src/main.c:17".to_owned()));
    assert!(first.is_some() && error.is_some());
    // Which of two streams is heard first nobody knows.
    assert!(first < left_out && left_out < last && left_out < error);
    let text: u64 = lines.last().unwrap().next;
    assert!(text < MOST + (512 << 10), "{text}");
}

/// A disk of its own for a folder.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// `None` where nobody may mount one.
    pub(crate) fn new(folder: &Path, size: &CStr) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        match rustix::mount::mount("tmpfs", folder, "tmpfs", flags, Some(size)) {
            Ok(()) => Some(Self(folder.to_owned())),
            Err(error) => {
                eprintln!("skipped: a file system in memory cannot be mounted: {error}");
                None
            }
        }
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("other")).unwrap();
        while file.write_all(&[7; 512]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::write(self.0.join("other"), "").unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        let _ = rustix::mount::unmount(&self.0, flags);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_moment_takes_no_line_of_a_log() {
    // The test frees it, however long it takes to look.
    let patient = |settings: &mut Settings| settings.log_patience = Duration::from_secs(120);
    let lab = Lab::with(patient, SourceNetwork::default()).await;
    let Some(disk) = Disk::new(&lab.folder.path().join("logs"), c"size=128k") else {
        return;
    };
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "much")).await;
    // From before the log's first byte on.
    disk.fill();
    let run = lab.start().await;
    eventually("the driver is reached", async || {
        (lab.driver.runs.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;
    disk.make_room();
    lab.says(&run, "working with much").await;
    // And at its end, where the page that has the log's last bytes has no room for more.
    disk.fill();
    lab.open_gate();
    let end = lab.ended(&run);
    let later = async {
        eventually("it is published", async || lab.tag("shop/app:v1").await).await;
        // Each second it is tried to write what there is.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let state = lab.builds.run("shop", "app-1").await.unwrap().value.state;
        assert_eq!(state, State::Running, "the log's end is not written yet");
        let mut log = lab.builds.log("shop", "app-1").await.unwrap();
        let written = said(&all(&mut log));
        assert!(!written.contains("Export"), "there is no room: {written}");
        disk.make_room();
    };
    let ((run, lines), ()) = tokio::join!(end, later);
    assert_eq!(run.state, State::Succeeded);
    let text = said(&lines);
    let mut rest = &*text;
    for part in [
        "Resolve",
        "builder image shop/builder@",
        "Fetch",
        "Assemble",
        "working with much",
        "Export",
        "Publish",
        "published shop/app@",
    ] {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("{part} is lost: {text}");
        };
        rest = after;
    }
}

/// The end of a run may be recorded much later than the last line is written.
#[tokio::test]
async fn the_last_line_is_heard_before_the_end_is_recorded() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "hello")).await;
    *lab.ledger.refuses.lock().unwrap() = Some(StateKind::Succeeded);
    let run = lab.start().await;
    lab.says(&run, "published shop/app@").await;
    let now = lab.builds.run("shop", "app-1").await.unwrap().value;
    assert_eq!(now.state, State::Running);
    *lab.ledger.refuses.lock().unwrap() = None;
    assert_eq!(lab.ended(&run).await.0.state, State::Succeeded);
}
